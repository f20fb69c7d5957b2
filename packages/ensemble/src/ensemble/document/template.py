"""Texts with `{NAME}` in them, filled in without a shell. Braces around anything else stay as they are."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches

_BRACES = re.compile(r"\{\{([A-Za-z_][A-Za-z0-9_-]*)\}\}|\{([A-Za-z_][A-Za-z0-9_-]*)\}", re.ASCII)
_NEAR = 0.85  # of difflib's ratio: how alike a mistyped name is


def fill(text: str, values: Mapping[str, str]) -> str:
    """`{lr}` becomes the value of lr, `{{lr}}` becomes `{lr}`; names that are not in `values` stay as they are."""
    if "{" not in text:
        return text

    def one(match: re.Match[str]) -> str:
        literal, name = match[1], match[2]
        if literal is not None:
            return f"{{{literal}}}" if literal in values else match[0]
        return values.get(name, match[0])

    return _BRACES.sub(one, text)


def near_misses(text: str, names: Collection[str]) -> list[tuple[str, str]]:
    """Each name in braces that is none of `names` but much like one, with the one that was meant."""
    found = []
    small = {name.lower(): name for name in names}
    for match in _BRACES.finditer(text):
        name = match[2]
        if name is None or name in names:
            continue
        close = [small[name.lower()]] if name.lower() in small else get_close_matches(name, names, n=1, cutoff=_NEAR)
        if close:
            found.append((name, close[0]))
    return found
