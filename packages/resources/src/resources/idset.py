"""Sets of ids as text (`0-3,7`) and as bit masks.

Text: Flux RFC 22, "Implementation": unique ids and ranges in decimal without leading zeros, brackets around
it optional. Written ascending; read in any order.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from resources.errors import InputError
from resources.units import shown

LARGEST_ID = 2**20 - 1  # a host of a million cores: beyond every machine, and a mask of 128 kB
_LONG = 4096  # bits from which on a walk over the digits is faster than arithmetic on whole masks
_ONE = ord("1")
_RANGE = re.compile(r"(0|[1-9][0-9]{0,9})(?:-(0|[1-9][0-9]{0,9}))?", re.ASCII)


def mask_of(ids: Iterable[object], what: str = "id") -> int:
    """The bit mask of ids. Raises InputError for what is no id, too large, or there twice."""
    seen: set[int] = set()
    for one in ids:
        if isinstance(one, bool) or not isinstance(one, int):
            raise InputError(f"{what} ids are whole numbers, not {shown(one)}")
        if not 0 <= one <= LARGEST_ID:
            raise InputError(f"{what} id {shown(one)} is not in 0-{LARGEST_ID}")
        if one in seen:
            raise InputError(f"{what} id {one} occurs twice")
        seen.add(one)
    return joined(seen)


def joined(ids: Collection[int]) -> int:
    """The bit mask of ids that are known to be good, in time linear in the largest."""
    if not ids:
        return 0
    digits = bytearray(b"0") * (max(ids) + 1)
    for one in ids:
        digits[~one] = _ONE
    return int(digits, 2)


def ids_of(mask: int) -> list[int]:
    """The ids of a bit mask, ascending."""
    low = mask & -mask
    if (
        mask and not (mask + low) & mask
    ):  # one run of neighbours, the usual grant: adding the lowest carries through all
        return list(range(low.bit_length() - 1, mask.bit_length()))
    if mask.bit_length() > _LONG:
        return [at for at, digit in enumerate(bin(mask)[:1:-1]) if digit == "1"]
    ids: list[int] = []
    while mask:
        low = mask & -mask
        run = mask // low + 1  # adding one carries through the run of ones that starts here
        length = (run & -run).bit_length() - 1
        start = low.bit_length() - 1
        ids.extend(range(start, start + length))
        mask ^= ((1 << length) - 1) << start
    return ids


def parse(text: str, what: str = "id") -> int:
    """The bit mask of an idset's text. Raises InputError."""
    body = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    digits = bytearray()
    for part in body.split(",") if body else ():
        match = _RANGE.fullmatch(part)
        if not match:
            raise InputError(f"{shown(text)} is no set of {what} ids such as 0-3,7")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first or last > LARGEST_ID:
            raise InputError(f"{shown(part)} in {shown(text)} is no range in 0-{LARGEST_ID}")
        digits.extend(b"0" * (last + 1 - len(digits)))
        if _ONE in digits[first : last + 1]:
            raise InputError(f"{what} ids of {shown(part)} occur twice in {shown(text)}")
        digits[first : last + 1] = b"1" * (last - first + 1)
    return int(digits[::-1] or b"0", 2)


def text(mask: int) -> str:
    """The idset text of a bit mask, without brackets; "" for none."""
    parts: list[str] = []
    ids = ids_of(mask)
    at = 0
    while at < len(ids):
        end = at
        while end + 1 < len(ids) and ids[end + 1] == ids[end] + 1:
            end += 1
        parts.append(f"{ids[at]}" if at == end else f"{ids[at]}-{ids[end]}")
        at = end + 1
    return ",".join(parts)


def lowest(mask: int, n: int) -> int:
    """The mask of the n lowest ids of a mask that has as many."""
    run = ((1 << n) - 1) * (mask & -mask)
    if mask & run == run:
        return run
    if mask.bit_length() > _LONG:
        return joined(ids_of(mask)[:n])
    taken = 0
    for _ in range(n):
        low = mask & -mask
        taken |= low
        mask ^= low
    return taken
