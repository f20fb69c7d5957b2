"""Sets of ids as text (`0-3,7`) and as bit masks.

Text: Flux RFC 22, "Implementation": unique ids and ranges in decimal without leading zeros, brackets around
it optional. Written ascending; read in any order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from resources.errors import InputError
from resources.units import shown

LARGEST_ID = 2**20 - 1  # a host of a million cores: beyond every machine, and a mask of 128 kB
_RANGE = re.compile(r"(0|[1-9][0-9]{0,9})(?:-(0|[1-9][0-9]{0,9}))?", re.ASCII)


def mask_of(ids: Iterable[object], what: str = "id") -> int:
    """The bit mask of ids. Raises InputError for what is no id, too large, or there twice."""
    mask = 0
    for one in ids:
        if isinstance(one, bool) or not isinstance(one, int):
            raise InputError(f"{what} ids are whole numbers, not {shown(one)}")
        if not 0 <= one <= LARGEST_ID:
            raise InputError(f"{what} id {shown(one)} is not in 0-{LARGEST_ID}")
        bit = 1 << one
        if mask & bit:
            raise InputError(f"{what} id {one} occurs twice")
        mask |= bit
    return mask


def ids_of(mask: int) -> list[int]:
    """The ids of a bit mask, ascending."""
    low = mask & -mask
    if (
        mask and not (mask + low) & mask
    ):  # one run of neighbours, the usual grant: adding the lowest carries through all
        return list(range(low.bit_length() - 1, mask.bit_length()))
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
    mask = 0
    for part in body.split(",") if body else ():
        match = _RANGE.fullmatch(part)
        if not match:
            raise InputError(f"{shown(text)} is no set of {what} ids such as 0-3,7")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first or last > LARGEST_ID:
            raise InputError(f"{shown(part)} in {shown(text)} is no range in 0-{LARGEST_ID}")
        span = ((1 << (last - first + 1)) - 1) << first
        if mask & span:
            raise InputError(f"{what} ids of {shown(part)} occur twice in {shown(text)}")
        mask |= span
    return mask


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
    taken = 0
    for _ in range(n):
        low = mask & -mask
        taken |= low
        mask ^= low
    return taken
