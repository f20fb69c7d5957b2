"""Numbers with units: memory in bytes, time in seconds, Kubernetes quantities. Exact, integers out.

What can't be read is an InputError, never "unlimited" or nothing.
"""

from __future__ import annotations

import re
from fractions import Fraction
from math import ceil, isfinite

from resources.errors import InputError

LARGEST = 2**63 - 1  # what a 64-bit integer of any scheduler or database holds
_MEMORY = {"": 2**30, "B": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50, "E": 2**60}
_NUMBER = re.compile(r"[0-9]{1,30}(?:\.[0-9]{1,30})?", re.ASCII)
_MEMORY_TEXT = re.compile(rf"({_NUMBER.pattern}) ?(?:([KMGTPE])(?:iB?|B)?|(B))?", re.ASCII | re.IGNORECASE)
_CLOCK = re.compile(r"(?:([0-9]{1,12})-)?([0-9]{1,12}):([0-9]{2}):([0-9]{2})", re.ASCII)
_SPANS = re.compile(r"(?:([0-9.]{1,30})d)?(?:([0-9.]{1,30})h)?(?:([0-9.]{1,30})m)?(?:([0-9.]{1,30})s)?", re.ASCII)
_TWO_PART = re.compile(r"([0-9]{1,12}):([0-9]{2})", re.ASCII)
_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def count(value: object, what: str, *, least: int = 0) -> int:
    """A whole number from `least` up. Text is read as decimal digits. Raises InputError."""
    if isinstance(value, str):
        text = value.strip()
        if not re.fullmatch(r"[+-]?[0-9]{1,30}", text, re.ASCII):
            raise InputError(f"{what} must be a whole number, not {shown(value)}")
        value = int(text)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{what} must be a whole number, not {shown(value)}")
    if value < least:
        raise InputError(f"{what} must be {least} or more, not {shown(value)}")
    if value > LARGEST:
        raise InputError(f"{what} is too large")
    return value


def _real(value: object, what: str) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, (int, float, Fraction)):
        raise InputError(f"{what} must be a number or a text, not {shown(value)}")
    if isinstance(value, float) and not isfinite(value):
        raise InputError(f"{what} must be finite, not {value}")
    if value < 0:
        raise InputError(f"{what} must not be negative, not {shown(value)}")
    return Fraction(value)


def _bounded(value: Fraction, what: str) -> int:
    if value > LARGEST:
        raise InputError(f"{what} is too large")
    return ceil(value)


def memory(value: object, what: str = "memory") -> int:
    """Bytes. A bare number is GB; GB, G and GiB all mean 1024^3; a fraction of a byte is rounded up."""
    if not isinstance(value, str):
        return _bounded(_real(value, what) * 2**30, what)
    match = _MEMORY_TEXT.fullmatch(value.strip())
    if not match:
        raise InputError(f"{what} is a number with B, KB, MB, GB, TB, PB or EB (bare: GB), not {shown(value)}")
    number, unit, plain = match.groups()
    return _bounded(Fraction(number) * _MEMORY[(unit or plain or "").upper()], what)


def memory_text(size: int) -> str:
    """The shortest exact text of a number of bytes: `8GB`, `512MB`, `1000B`."""
    for unit in "EPTGMK":
        if size and size % _MEMORY[unit] == 0:
            return f"{size // _MEMORY[unit]}{unit}B"
    return f"{size}B"


def memory_shown(size: int) -> str:
    """A number of bytes for people: exact where that is short, else with one decimal."""
    exact = memory_text(size)
    if len(exact) <= 7:
        return exact
    unit = next((unit for unit in "EPTGMK" if size >= _MEMORY[unit]), "B")
    return f"{size / _MEMORY[unit]:.1f}{unit}B"


def gigabytes(size: int) -> int | float:
    """Bytes as GB (1024^3): an int where it is whole."""
    whole, rest = divmod(size, 2**30)
    return size / 2**30 if rest else whole


def seconds(value: object, what: str = "walltime") -> int:
    """Seconds. A bare number is seconds; `[d-]hh:mm:ss`; `90s`, `15m`, `2h`, `1d`, `1d12h`. Rounded up."""
    if not isinstance(value, str):
        return _bounded(_real(value, what), what)
    text = value.strip()
    if match := _CLOCK.fullmatch(text):
        days, hours, minutes, secs = (int(part or 0) for part in match.groups())
        if minutes > 59 or secs > 59 or (match[1] is not None and hours > 23):
            raise InputError(
                f"{what} {shown(value)} is no time of day: minutes and seconds are 0-59, hours after days 0-23"
            )
        return _bounded(Fraction(((days * 24 + hours) * 60 + minutes) * 60 + secs), what)
    if match := _TWO_PART.fullmatch(text):
        first, last = int(match[1]), match[2]
        raise InputError(
            f"{what} {shown(value)} has two readings: write 0:{first:02d}:{last} for minutes and seconds,"
            f" or {first}:{last}:00 for hours and minutes"
        )
    if _NUMBER.fullmatch(text):
        return _bounded(Fraction(text), what)
    match = _SPANS.fullmatch(text.lower())
    parts = [(part, unit) for part, unit in zip(match.groups(), _SECONDS, strict=True) if part] if match else []
    if parts and all(_NUMBER.fullmatch(part) for part, _ in parts):
        return _bounded(sum((Fraction(part) * _SECONDS[unit] for part, unit in parts), Fraction()), what)
    raise InputError(f"{what} is seconds, [d-]hh:mm:ss, or 90s, 15m, 2h, 1d, not {shown(value)}")


def seconds_text(value: int) -> str:
    """`h:mm:ss`, with days in front from one day up."""
    minutes, secs = divmod(value, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{days}-{hours:02d}:{minutes:02d}:{secs:02d}" if days else f"{hours}:{minutes:02d}:{secs:02d}"


def shown(value: object) -> str:
    """A value as an error shows it: one line, never longer than a line should be."""
    try:
        text = repr(value)
    except ValueError:  # an int of more digits than Python converts
        text = f"a {type(value).__name__} of too many digits"
    return text if len(text) <= 60 else f"{text[:45]}... ({len(text)} characters)"


# Kubernetes: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
_QUANTITY = re.compile(
    r"([+-]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30}))(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?[0-9]{1,3}))?",
    re.ASCII,
)
_SUFFIX = {
    **{name: Fraction(10) ** power for name, power in zip("numkMGTPE", (-9, -6, -3, 3, 6, 9, 12, 15, 18), strict=True)},
    **{f"{name}i": Fraction(1024) ** power for power, name in enumerate("KMGTPE", 1)},
}


def quantity(text: object) -> Fraction:
    """A Kubernetes quantity, exactly: `2.7Gi`, `500m`, `1e3`. Raises InputError; negatives are refused."""
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        return _real(text, "quantity")
    match = _QUANTITY.fullmatch(text) if isinstance(text, str) else None
    if not match:
        raise InputError(
            f"{shown(text)} is no Kubernetes quantity (a number with n u m k M G T P E, Ki Mi Gi Ti Pi Ei, or e3)"
        )
    number, suffix, exponent = match.groups()
    # Exponents past 18 are out of range for the API; -9 is the finest that it holds.
    if exponent and not -99 <= int(exponent) <= 99:
        raise InputError(f"{shown(text)}: the exponent is out of range")
    scale = _SUFFIX[suffix] if suffix else Fraction(10) ** int(exponent or 0)
    value = Fraction(number) * scale
    if value < 0:
        raise InputError(f"{shown(text)} is negative")
    return value


def memory_from_quantity(text: object) -> int:
    """Bytes of a Kubernetes memory quantity, a fraction of a byte rounded up."""
    return _bounded(quantity(text), "memory")


def memory_quantity(size: int) -> str:
    """Bytes as a Kubernetes quantity: whole Mi, rounded up, so that nobody gets less than asked."""
    return f"{-(-size // 2**20)}Mi"


def cpu_quantity(cores: Fraction | int) -> str:
    """A number of CPUs as a Kubernetes quantity: whole, or in milli-CPUs rounded up."""
    milli = ceil(Fraction(cores) * 1000)
    return f"{milli // 1000}" if milli % 1000 == 0 else f"{milli}m"
