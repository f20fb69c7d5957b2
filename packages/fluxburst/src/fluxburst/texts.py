"""Amounts, times and names as people read them: in sentences, and in the cells of tables."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection
from math import inf


def count(number: int, what: str) -> str:
    """How many: `1 node`, `2 nodes`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def money(amount: float) -> str:
    """An amount in the currency of the prices; small ones keep two digits."""
    return f"{amount:.2f}" if amount >= 0.01 or not amount else f"{amount:.2g}"


def span(seconds: float) -> str:
    """A time in a sentence: `45 s`, `90 min`, `4 h`, `1.5 h`."""
    if seconds == inf:
        return "no end"
    if seconds < 120:
        return f"{round(seconds, 1):g} s"
    if seconds < 7200 and seconds % 3600:
        return f"{round(seconds / 60, 1):g} min"
    return f"{round(seconds / 3600, 1):g} h"


def hint(name: str, known: Collection[str]) -> str:
    """What may have been meant by an unknown name."""
    import difflib

    near = difflib.get_close_matches(name, known, 1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"there are: {', '.join(known)}" if known else "there are none"


def one_line(text: str, most: int = 400) -> str:
    """Foreign text on one line, of at most so many characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 3] + "..."


# Cells


def number_cell(value: float | None) -> str:
    """A number with the digits that matter, "-" where there is none."""
    if value is None:
        return "-"
    return f"{value:.2f}".rstrip("0").rstrip(".") if value >= 0.01 or not value else f"{value:.1g}"


def span_cell(seconds: float | None) -> str:
    """A time in two units, such as `2h05m`, "-" where there is none."""
    if seconds is None:
        return "-"
    whole = int(seconds)
    for unit, size, part, fine in (("d", 86400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1)):
        if whole >= size:
            return f"{whole // size}{unit}{whole % size // fine:02}{part}"
    return f"{whole}s"


def clock(seconds: float) -> str:
    """A time of day, with the date where it is not today. seconds: since the epoch."""
    then, now = time.localtime(seconds), time.localtime()
    return time.strftime("%H:%M:%S" if then[:3] == now[:3] else "%Y-%m-%d %H:%M", then)


def clean(text: str) -> str:
    """Foreign text as one line that any stdout can take, without characters that a terminal would obey."""
    encoding = sys.stdout.encoding or "utf-8"
    return "".join(char if char.isprintable() else "?" for char in text).encode(encoding, "replace").decode(encoding)
