"""Options whose values are small languages: arrays, dependencies, features, mail, signals, environments.

Each gives what the value means and raises ValueError where sbatch or slurmctld refuses it. sbatch(1) says the forms.
"""

from __future__ import annotations

import re
import signal as signals

from resources.units import shown

from jobspec.job import Array, Constraint, Dependency, Environment, Signal

_RANGE = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9})(?::([0-9]{1,9}))?)?", re.ASCII)
_THROTTLE = re.compile(r"[0-9]{0,9}", re.ASCII)
LARGEST_INDEX = 4_000_000  # slurm.conf(5), MaxArraySize
_MERGED = 100_000  # elements: longer lists keep their text


def array(text: str) -> Array | None:
    """`A`, `A-B`, `A-B:STEP`, comma separated, and `%N` at the end. None for an empty value."""
    if not text:
        return None
    listed, percent, rest = text.partition("%")
    throttle = int(_digits(rest.partition("%")[0], text) or 0) or None if percent else None
    listed = listed.removeprefix("[").removesuffix("]") if not percent else listed.removeprefix("[")
    if listed.endswith(","):
        listed = listed[:-1] + (",0" if percent else "")
    ranges = tuple(_range(part, text) for part in (listed or ("0" if percent else "")).split(","))
    return Array(held_array(ranges) or listed, ranges, throttle)


def _digits(text: str, whole: str) -> str:
    match = _THROTTLE.match(text)
    if match is None or match[0] != text.rstrip("]"):
        raise ValueError(f"{shown(whole)} is no list of array indexes")
    return match[0]


def _range(part: str, text: str) -> tuple[int, int, int]:
    match = _RANGE.fullmatch(part)
    if not match:
        raise ValueError(f"{shown(text)} is no list of array indexes: {shown(part)} is no A, A-B or A-B:STEP")
    first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
    if last < first or not step or last > LARGEST_INDEX:
        raise ValueError(f"{shown(text)}: {shown(part)} is no range of array indexes")
    return first, last - (last - first) % step, step


def held_array(ranges: tuple[tuple[int, int, int], ...]) -> str:
    """The indexes as Slurm shows them, merged and in order; "" where there are too many to sort out."""
    if len(ranges) == 1:
        first, last, step = ranges[0]
        if first == last:
            return str(first)
        if step == 1:
            return f"{first}-{last}"
    if sum((last - first) // step + 1 for first, last, step in ranges) > _MERGED:
        return ""
    indexes = sorted({index for first, last, step in ranges for index in range(first, last + 1, step)})
    steps = {after - before for before, after in zip(indexes, indexes[1:], strict=False)}
    if len(steps) == 1 and steps != {1} and indexes[-1] - indexes[0] > 10:
        return f"{indexes[0]}-{indexes[-1]}:{steps.pop()}"
    return ",".join(_runs(indexes))


def _runs(indexes: list[int]) -> list[str]:
    found, start = [], indexes[0]
    for before, after in zip(indexes, [*indexes[1:], -1], strict=True):
        if after != before + 1:
            found.append(f"{start}-{before}" if before > start else str(start))
            start = after
    return found


_KINDS = frozenset(("after", "afterany", "afterok", "afternotok", "aftercorr", "afterburstbuffer"))
_ID = r"\+?0{0,9}[1-9][0-9]{0,17}(?:_(?:\*|\[[0-9,-]{0,999}\]|[0-9]{0,9}))?(?:\+[0-9]{1,9}m?)?"
_TERM = re.compile(rf"([a-z]{{1,20}}):({_ID}(?::{_ID})*)(?:,[0-9]{{1,18}})*", re.ASCII | re.IGNORECASE)
_BARE = re.compile(r"([0-9]{1,18}(?:_[0-9]{0,9})?)(?:,[0-9]{1,18})*", re.ASCII)


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


_FEATURE = re.compile(r"([^&,|\[\]()*\s;]{1,200})(?:\*(0{0,9}[1-9][0-9]{0,8}))?")
_NO_FEATURE = re.compile(r"[=!]")


def constraint(text: str) -> Constraint | None:
    """Features joined by `&` or `,` (all of them) and `|`, with groups and counts. None for an empty value."""
    if not text:
        return None
    held = text.replace(",", "&")
    depth = {"[": 0, "(": 0}
    groups, feature, at, plain, names = 0, False, 0, True, list[str]()
    while at < len(held):
        letter = held[at]
        if letter in "&|":
            if not feature:
                raise _no_features(text, at)
            feature = False
            plain = plain and letter == "&"
        elif letter in "[(":
            if feature or depth[letter] or (letter == "[" and groups):
                raise _no_features(text, at)
            depth[letter] += 1
            groups += letter == "["
            plain = False
        elif letter in "])":
            opening = "[" if letter == "]" else "("
            if not feature or not depth[opening]:
                raise _no_features(text, at)
            depth[opening] -= 1
        else:
            match = _FEATURE.match(held, at)
            if feature or not match or _NO_FEATURE.match(match[1]):
                raise _no_features(text, at)
            names.append(match[1])
            feature = True
            plain = plain and not match[2]
            at = match.end() - 1
        at += 1
    if depth["["] or depth["("]:
        raise _no_features(text, len(held))
    return Constraint(held, tuple(names) if plain else ())


def _no_features(text: str, at: int) -> ValueError:
    return ValueError(f"{shown(text)} is no list of features: stopped at {shown(text[at : at + 20])}")


# In the order in which Slurm shows them.
_ALL = ("INVALID_DEPEND", "BEGIN", "END", "FAIL", "REQUEUE", "STAGE_OUT")
_MAIL = ("ARRAY_TASKS", *_ALL, "TIME_LIMIT_50", "TIME_LIMIT_80", "TIME_LIMIT_90", "TIME_LIMIT")


def mail_types(text: str) -> frozenset[str]:
    """The events, without the unknown ones among them; NONE ends the list and clears it."""
    found: set[str] = set()
    known = False
    for part in text.upper().split(","):
        if part == "NONE":
            return frozenset()
        if part == "ALL":
            found.update(_ALL)
        elif part in _MAIL:
            found.add(part)
    known = bool(found)
    if not known:
        raise ValueError(f"{shown(text)} names no event (NONE, ALL, BEGIN, END, FAIL, REQUEUE, TIME_LIMIT, ...)")
    return frozenset(found)


def in_order(types: frozenset[str]) -> tuple[str, ...]:
    """The events as Slurm shows them."""
    return tuple(name for name in _MAIL if name in types) or ("NONE",)


_SIGNAL = re.compile(r"(?:([RB]{1,2}):)?([A-Za-z0-9]{1,20})(?:@([0-9]{0,5}))?", re.ASCII | re.IGNORECASE)
_SIGNALS = frozenset(
    "HUP INT QUIT ABRT KILL ALRM TERM USR1 USR2 URG CONT STOP TSTP TTIN TTOU XCPU".split()
)


def signal(text: str) -> Signal:
    """`[R|B|RB:]SIGNAL[@SECONDS]`, 60 seconds before the end by default."""
    match = _SIGNAL.fullmatch(text)
    name = match[2].upper().removeprefix("SIG") if match else ""
    number = int(name) if name.isdecimal() else 0
    before = int(match[3] or 0) if match and match[3] is not None else 60
    if not match or before > 65535 or not (name in _SIGNALS or number):
        raise ValueError(f"{shown(text)} is no [B:]SIGNAL[@SECONDS]")
    return Signal(_signal_name(number) if number else name, before, "B" in (match[1] or "").upper())


def _signal_name(number: int) -> str:
    try:
        name = signals.Signals(number).name.removeprefix("SIG")
    except ValueError:
        return str(number)
    return name if name in _SIGNALS else str(number)


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
