"""Resource requirement strings: `select[...] order[...] rusage[...] span[...] same[...] cu[...] affinity[...]`.

Source: Administering IBM Spectrum LSF, "Resource requirement strings" and the page of each section.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from resources.units import shown

_SECTION = re.compile(r"(select|order|rusage|span|same|cu|affinity)\[", re.ASCII)
_COMPOUND = re.compile(r"\s*([0-9]{1,9})\s*\*\s*\{", re.ASCII)
_FEATURE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_NOT_ON = re.compile(r"hname\s{0,9}!=\s{0,9}['\"]?([A-Za-z0-9][A-Za-z0-9._-]{0,254})['\"]?", re.ASCII)
_USE = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*([^\s=,:/]{1,64})(?:/(host|task|job))?\s*", re.ASCII)
_CORES = re.compile(r"core(?:\(([0-9]{1,9})\))?", re.ASCII)
_SPAN = re.compile(r"\s*(hosts|ptile|block|stripe)(?:\s*=\s*([^\s,\]]{1,400}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Section:
    """One section: its name, what is in its brackets, and where it starts in the string (from 0)."""

    name: str
    text: str
    at: int


@dataclass(frozen=True, slots=True)
class Use:
    """One resource of an rusage section; per: what it is reserved for, "" where the site decides."""

    name: str
    value: str
    per: str
    text: str
    at: int


def sections(text: str) -> list[Section]:
    """The sections of a simple string. Raises ValueError where it is none; a compound one is one section "R"."""
    if "{" in text:
        if text.count("{") != text.count("}"):
            raise ValueError(f"bad resource requirement syntax: a brace of {shown(text)} is not closed")
        return [Section("R", text, 0)]
    found: list[Section] = []
    at, end = 0, len(text)
    while at < end:
        if text[at].isspace():
            at += 1
            continue
        match = _SECTION.match(text, at)
        if match:
            close = _close(text, match.end())
            found.append(Section(match[1], text[match.end() : close].strip(), at))
            at = close + 1
            continue
        if found:  # only the first may be without its name
            raise ValueError(f"bad resource requirement syntax: {shown(text[at : at + 40])}")
        following = _SECTION.search(text, at)
        stop = following.start() if following else end
        if "[" in text[at:stop] or "]" in text[at:stop]:
            raise ValueError(f"bad resource requirement syntax: {shown(text[at:stop])}")
        if text[at:stop].rstrip().endswith(("||", "&&")):
            return [Section("R", text, 0)]
        found.append(Section("select", text[at:stop].strip(), at))
        at = stop
    if not found:
        raise ValueError("an empty resource requirement")
    return found


def _close(text: str, at: int) -> int:
    depth, quote = 1, ""
    for index in range(at, len(text)):
        letter = text[index]
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter == "[":
            depth += 1
        elif letter == "]":
            depth -= 1
            if not depth:
                return index
    raise ValueError(f"bad resource requirement syntax: a bracket of {shown(text)} is not closed")


def compound_tasks(text: str) -> int | None:
    """The tasks of `N*{...} + M*{...}`; None for an alternative."""
    total, at, depth, start = 0, 0, 0, True
    for at, letter in enumerate(text):
        if letter == "{":
            depth += 1
        elif letter == "}":
            depth -= 1
        elif depth == 0 and letter == "+":
            start = True
        elif depth == 0 and letter == "|":
            return None
        if start and not letter.isspace() and letter != "+":
            match = _COMPOUND.match(text, at)
            if not match:
                return None
            total += int(match[1])
            start = False
    return total or None


def features(text: str) -> tuple[str, ...]:
    """The names of a selection that is a plain list of them; () where it says more."""
    parts = [part.strip() for part in text.split("&&")]
    return tuple(parts) if all(_FEATURE.fullmatch(part) for part in parts) else ()


def without_hosts(texts: Iterable[str]) -> tuple[list[str], tuple[str, ...]]:
    """Selections without the hosts that they leave out, `hname != HOST`; and those hosts."""
    kept, hosts = list[str](), dict[str, None]()
    for text in texts:
        parts = [part.strip() for part in text.split("&&")]
        found = [_NOT_ON.fullmatch(part) for part in parts]
        hosts |= dict.fromkeys(match[1] for match in found if match)
        if rest := " && ".join(part for part, match in zip(parts, found, strict=True) if not match):
            kept.append(rest if any(found) else text)
    return kept, tuple(hosts)


def uses(section: Section) -> Iterator[Use]:
    """The resources of an rusage section. Raises ValueError.

    One that changes over time (`duration`, `decay`) or has alternatives (`||`) comes as it stands, without a value.
    """
    start = section.at + len("rusage[")
    if not section.text:
        raise ValueError("bad resource requirement syntax: an empty rusage")
    if "||" in section.text or "duration" in section.text or "decay" in section.text or "(" in section.text:
        yield Use("", "", "", section.text, start)
        return
    at = 0
    for part in re.split("[,:]", section.text):
        if part.strip():  # a comma at the end does no harm
            match = _USE.fullmatch(part)
            if not match:
                raise ValueError(f"bad resource requirement syntax: {shown(part.strip())} in rusage")
            yield Use(match[1], match[2], match[3] or "", part.strip(), start + at)
        at += len(part) + 1


def span(section: Section) -> tuple[str, int | None]:
    """("hosts", 1), ("ptile", N), or ("", None) for any other; raises ValueError."""
    match = _SPAN.match(section.text)
    if not match:
        raise ValueError(f"bad resource requirement syntax: span[{shown(section.text)}]")
    kind, value = match[1], match[2] or ""
    whole = match.end() == len(section.text)
    if kind == "hosts" and value not in {"1", "-1"}:
        raise ValueError(f"span[hosts={value}]: it is hosts=1, or -1 for any number")
    if kind in {"ptile", "block"} and not value[:1].isdigit() and not value.startswith(("'", '"', "!")):
        raise ValueError(f"span[{kind}={value}] is no number of tasks")
    if whole and kind == "hosts" and value == "1":
        return "hosts", 1
    if whole and kind == "ptile" and value.isascii() and value.isdigit() and 0 < len(value) < 10 and int(value):
        return "ptile", int(value)
    if kind == "ptile" and whole and value[:1].isdigit():
        raise ValueError(f"span[ptile={value}] is no number of tasks")
    return "", None


def cores(section: Section) -> int | None:
    """The cores of each task, where the section says only that."""
    match = _CORES.fullmatch(section.text)
    if not match:
        return None
    return int(match[1] or 1) or None
