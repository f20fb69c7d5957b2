"""Kubernetes quantities, exactly: `100m`, `1.5Gi`, `2k`, `1e3`.

Kubernetes API reference, "Quantity": a decimal number with a suffix of powers of 1000 (n u m k M G T P E), of 1024
(Ki Mi Gi Ti Pi Ei), or a decimal exponent. `E` alone is 10^18, `E3` an exponent.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from functools import lru_cache

_QUANTITY = re.compile(
    r"([+-]?)([0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})([a-zA-Z]{0,2}|[eE][+-]?[0-9]{1,2})", re.ASCII
)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_LARGEST = 2**63 - 1  # "No fraction digits ... no value larger than 2^63-1"


def quantity(text: str) -> Fraction:
    """The number that a quantity means, not negative. Raises ValueError."""
    match = _QUANTITY.fullmatch(text)
    if not match:
        raise ValueError(f"{text[:40]!r} is no quantity such as 100m, 1.5Gi or 2k")
    sign, number, suffix = match.groups()
    value = Fraction(number)
    if suffix in _DECIMAL:
        value *= Fraction(10) ** _DECIMAL[suffix]
    elif suffix in _BINARY:
        value *= 2 ** _BINARY[suffix]
    elif suffix[0] in "eE" and suffix[-1].isdigit():
        value *= Fraction(10) ** int(suffix[1:])
    else:
        raise ValueError(f"{text[:40]!r} has the unknown suffix {suffix!r}")
    if sign == "-" and value:
        raise ValueError(f"{text[:40]!r} is negative")
    if value > _LARGEST:
        raise ValueError(f"{text[:40]!r} is larger than a quantity can be")
    return value


# A cluster writes the same few quantities ten thousand times.
@lru_cache(maxsize=4096)
def millis(text: str, *, up: bool) -> int:
    """Thousandths, such as millicores: rounded up for what is asked for, down for what there is."""
    return (math.ceil if up else math.floor)(quantity(text) * 1000)


@lru_cache(maxsize=4096)
def whole(text: str, *, up: bool) -> int:
    """A whole number, such as bytes: rounded up for what is asked for, down for what there is."""
    return (math.ceil if up else math.floor)(quantity(text))
