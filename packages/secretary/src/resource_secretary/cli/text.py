"""How texts of providers are shown: what they say must neither steer the terminal nor break a line of a listing."""

from __future__ import annotations

import json
from typing import Any

from resource_secretary.run import printable

_LONGEST = 300  # characters of a reason; an answer of unknown shape is part of it


def one_line(text: str) -> str:
    """A text for a listing; what is cut of it stands in the answer to --json."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def as_text(value: Any, *, compact: bool = False) -> str:
    """A value as JSON for people: one line, or indented with lists of plain values on a line of their own."""
    return escaped(json.dumps(value, ensure_ascii=False) if compact else _indented(value, ""))


def escaped(text: str) -> str:
    """JSON in which each character that is not shown as itself is written as `\\u....`."""
    return "".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text)


def _indented(value: Any, indent: str) -> str:
    inner = f"{indent}  "
    if isinstance(value, dict) and value:
        rows = [f"{json.dumps(key, ensure_ascii=False)}: {_indented(one, inner)}" for key, one in value.items()]
        return f"{{\n{inner}" + f",\n{inner}".join(rows) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(one, (dict, list)) for one in value):
        return f"[\n{inner}" + f",\n{inner}".join(_indented(one, inner) for one in value) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False)
