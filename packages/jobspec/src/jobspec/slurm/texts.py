"""Options whose values are small languages: arrays, dependencies, features, mail, signals, environments.

Each gives what the value means and raises ValueError where sbatch or slurmctld refuses it. sbatch(1) says the forms.
"""

from __future__ import annotations

import re
import signal as signals
from collections.abc import Sequence

from resources.units import shown

from jobspec.arrays import merge
from jobspec.job import Array, Constraint, Dependency, Environment, Signal

_RANGE = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9})(?::([0-9]{1,9}))?)?", re.ASCII)
_LEADING = re.compile(r"[0-9]{1,9}", re.ASCII)
LARGEST_INDEX = 4_000_000  # slurm.conf(5), MaxArraySize


def array(text: str) -> Array | None:
    """`A`, `A-B`, `A-B:STEP`, comma separated, and `%N` at the end. None for an empty value."""
    if not text:
        return None
    ranges: list[tuple[int, int, int]] = []
    throttle = None
    for part in text.replace("[", "").replace("]", "").split(","):
        listed, percent, rest = part.partition("%")
        if percent and throttle is None:
            limit = _LEADING.match(rest)  # what is no number limits nothing
            throttle = int(limit[0]) if limit else 0
        if listed or percent:
            ranges.append(_range(listed or "0", text))
    if not ranges:
        raise ValueError(f"{shown(text)} is no list of array indexes")
    merged = merge(ranges)
    return Array(held_array(merged), merged, throttle or None)


def _range(part: str, text: str) -> tuple[int, int, int]:
    match = _RANGE.fullmatch(part)
    if not match:
        raise ValueError(f"{shown(text)} is no list of array indexes: {shown(part)} is no A, A-B or A-B:STEP")
    first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
    if last < first or not step or last > LARGEST_INDEX:
        raise ValueError(f"{shown(text)}: {shown(part)} is no range of array indexes")
    return first, last - (last - first) % step, step


def held_array(ranges: Sequence[tuple[int, int, int]]) -> str:
    """The indexes as Slurm shows them: a range with steps only where it is long."""
    parts = []
    for first, last, step in ranges:
        if first == last:
            parts.append(str(first))
        elif step == 1:
            parts.append(f"{first}-{last}")
        elif (last - first) // step < 5 or last - first <= 10:
            parts += [str(index) for index in range(first, last + 1, step)]
        else:
            parts.append(f"{first}-{last}:{step}")
    return ",".join(parts)


_KINDS = frozenset(("after", "afterany", "afterok", "afternotok", "aftercorr", "afterburstbuffer"))
_ID = r"\+?0{0,9}[1-9][0-9]{0,17}(?:_(?:\*|\[[0-9,-]{0,999}\]|[0-9]{0,9}))?(?:\+[0-9]{1,9}m?)?"
_TERM = re.compile(rf"([a-z]{{1,20}}):({_ID}(?::{_ID})*)(?:,[0-9]{{1,18}})*", re.ASCII | re.IGNORECASE)
_BARE = re.compile(r"([0-9]{1,18}(?:_(?:\*|[0-9]{0,9}))?)(?:,[0-9]{1,18})*", re.ASCII)


def dependency(text: str) -> Dependency | None:
    """`KIND:ID[:ID...]`, joined by `,` (all of them) or `?` (any of them); a bare number is afterany. None if empty."""
    if not text or text == "0":
        return None
    if match := _BARE.fullmatch(text):
        return Dependency(text, (("afterany", (match[1],)),))
    either = "?" in text
    terms: list[tuple[str, tuple[str, ...]]] = []
    for part in text.replace("?", ",").split(","):
        kind, _, ids = part.partition(":")
        if part.lower() == "singleton":
            terms.append(("singleton", ()))
        elif kind.lower() in _KINDS and _TERM.fullmatch(part):
            terms.append((kind.lower(), tuple(ids.split(":"))))
        elif not terms or not part.isdecimal():
            raise ValueError(f"{shown(text)}: {shown(part)} is no dependency (KIND:JOBID[:JOBID...] or singleton)")
    return Dependency(text, tuple(terms), either)


_FEATURE = re.compile(r"[A-Za-z0-9_%][A-Za-z0-9_.%/+@-]{0,199}", re.ASCII)
_FEATURE_COUNT = re.compile(r"\*[ \t]{0,9}\+?0{0,9}[1-9][0-9]{0,8}", re.ASCII)


def constraint(text: str) -> Constraint | None:
    """Features joined by `&` or `,` (all of them) and `|`, with groups and counts. None for an empty value."""
    if not text:
        return None
    held = text.replace(",", "&")
    bracket, paren, brackets, feature, counted, plain = False, False, 0, False, False, True
    in_brackets, names, at = set[str](), list[str](), 0
    while at < len(held):
        letter, step = held[at], 1
        if letter in "&|":
            wrong = not feature
            if bracket and not paren:
                # [a*2&b*3] counts nodes, [a|b] is a choice of which all nodes have the same
                in_brackets.add(letter)
                wrong = wrong or counted != (letter == "&") or len(in_brackets) > 1
            feature = counted = False
            plain = plain and letter == "&"
        elif letter == "[":
            wrong = feature or bracket or paren or brackets > 0
            bracket, plain, brackets = True, False, 1
        elif letter == "(":
            wrong = feature or paren
            paren, plain = True, False
        elif letter == "]":
            wrong = not feature or not bracket or paren or (counted and "|" in in_brackets)
            bracket = False
        elif letter == ")":
            wrong = not feature or not paren
            paren = False
        elif letter == "*":
            match = _FEATURE_COUNT.match(held, at)
            wrong = not feature or not match or paren
            counted, plain, step = True, False, match.end() - at if match else 1
            wrong = wrong or held[at - 1] == "]"
        else:
            match = _FEATURE.match(held, at)
            wrong = feature or not match
            if match:
                names.append(match[0])
                step = match.end() - at
            feature = True
        if wrong:
            raise _no_features(text, at)
        at += step
    if bracket or paren:
        raise _no_features(text, len(held))
    return Constraint(held, tuple(names) if plain else ())


def _no_features(text: str, at: int) -> ValueError:
    return ValueError(f"{shown(text)} is no list of features: stopped at {shown(text[at : at + 20])}")


# In the order in which Slurm shows them.
_ALL = ("INVALID_DEPEND", "BEGIN", "END", "FAIL", "REQUEUE", "STAGE_OUT")
MAIL = ("ARRAY_TASKS", *_ALL, "TIME_LIMIT_50", "TIME_LIMIT_80", "TIME_LIMIT_90", "TIME_LIMIT")


def mail_types(text: str) -> frozenset[str]:
    """The events, without the unknown ones among them; NONE ends the list and clears it."""
    found: set[str] = set()
    known = False
    for part in text.upper().split(","):
        if part == "NONE":
            return frozenset()
        if part == "ALL":
            found.update(_ALL)
        elif part in MAIL:
            found.add(part)
    known = bool(found)
    if not known:
        raise ValueError(f"{shown(text)} names no event (NONE, ALL, BEGIN, END, FAIL, REQUEUE, TIME_LIMIT, ...)")
    return frozenset(found)


def in_order(types: frozenset[str]) -> tuple[str, ...]:
    """The events as Slurm shows them."""
    return tuple(name for name in MAIL if name in types) or ("NONE",)


_SIGNAL = re.compile(
    r"(?:(RB?|BR?|RR):)?[ \t]{0,9}([A-Za-z0-9]{1,20})[ \t]{0,9}(?:@[ \t]{0,9}\+?([0-9]{0,5}))?",
    re.ASCII | re.IGNORECASE,
)
SIGNALS = frozenset(
    (
        *("HUP", "INT", "QUIT", "ABRT", "KILL", "ALRM", "TERM", "USR1", "USR2", "URG", "CONT", "STOP", "TSTP"),
        *("TTIN", "TTOU", "XCPU"),
    )
)


def signal(text: str) -> Signal:
    """`[R|B|RB:]SIGNAL[@SECONDS]`, 60 seconds before the end by default."""
    match = _SIGNAL.fullmatch(text)
    name = match[2].upper() if match else ""
    name = name[3:] if name[3:] in SIGNALS else name
    number = int(name) if name.isdecimal() else 0
    before = int(match[3] or 0) if match and match[3] is not None else 60
    if not match or before > 65535 or not (name in SIGNALS or number):
        raise ValueError(f"{shown(text)} is no [B:]SIGNAL[@SECONDS]")
    return Signal(_signal_name(number) if number else name, before, "B" in (match[1] or "").upper())


def _signal_name(number: int) -> str:
    try:
        name = signals.Signals(number).name.removeprefix("SIG")
    except ValueError:
        return str(number)
    return name if name in SIGNALS else str(number)


def environment(text: str) -> Environment:
    """`ALL`, `NONE` or NIL, or names and NAME=VALUE, comma separated, with ALL among them or not."""
    names, values, everything = [], [], False
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if part.upper() == "ALL":
            everything = True
        elif equals:
            values.append((name, value))
        elif part.upper() not in {"NONE", "NIL", ""}:
            names.append(part)
    return Environment(text, everything, tuple(names), tuple(values))
