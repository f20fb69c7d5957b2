"""Values in Flux's words: durations (RFC 23), signals, times of day."""

from __future__ import annotations

import math
import re
import signal
from datetime import datetime

_DURATION = re.compile(r"(.*?)(ms|s|m|h|d)?\Z", re.DOTALL)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
LONGEST = 86400 * 999_999_999  # seconds that Flux's own parser can hold
# The one form of an absolute time that the parser of Flux reads as it is meant: it takes the "T" of ISO 8601 for
# something else, and a date without a time for that day at the present time of day.
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}(?::[0-9]{2})?\Z")


def seconds(text: str, unit: float = 1.0) -> float:
    """A Flux Standard Duration; unit: what a bare number counts, in seconds. Raises ValueError."""
    try:
        value = float(text) * unit
    except ValueError:
        match = _DURATION.match(text)
        number, suffix = match.groups() if match else (text, None)
        if not suffix:
            raise
        value = float(number) * _UNITS[suffix]
    if not 0 <= value <= LONGEST:  # also what is no number
        raise ValueError(f"{text[:60]!r} is no duration")
    return value


def whole(value: float) -> int:
    """Seconds, rounded up."""
    return math.ceil(round(value, 3))


def duration(value: int) -> str:
    """Seconds as the shortest exact Flux Standard Duration."""
    for suffix, size in (("h", 3600), ("m", 60)):
        if value and value % size == 0:
            return f"{value // size}{suffix}"
    return f"{value}s"


def signal_name(text: str) -> str:
    """The name without SIG, or the number, of a signal as `--signal` takes it. Raises ValueError."""
    try:
        number = int(text)
    except ValueError:
        short = text.removeprefix("SIG")
        if f"SIG{short}" not in signal.Signals.__members__:
            raise ValueError(f"{text[:60]!r} is no signal") from None
        return short
    if number <= 0:
        raise ValueError(f"{text[:60]!r} is no signal")
    return str(number)


def signal_number(name: str) -> int:
    """The number of a signal. Raises ValueError for one that this system does not know."""
    text = signal_name(name)
    return int(text) if text.isdigit() else int(signal.Signals[f"SIG{text}"])


def moment(text: str) -> str | None:
    """The time of `--begin-time` in ISO 8601, or None where only Flux knows what it is."""
    if not _MOMENT.match(text):
        return None
    try:
        return datetime.fromisoformat(text).isoformat()
    except ValueError:
        return None


def shown(count: int) -> str:
    """Bytes for people."""
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= size:
            return f"{round(count / size, 2):g} {unit}"
    return f"{count} bytes"
