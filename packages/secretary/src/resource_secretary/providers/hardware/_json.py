"""JSON of the makers' tools, which may write warnings before it on the same stream."""

from __future__ import annotations

import json
import re
from typing import Any

from resource_secretary.errors import OutputError

_SHOWN = 2000  # characters of an answer that can't be read


def decode(source: str, text: str) -> Any:
    """The JSON of an answer, whatever stands before it. Raises OutputError with the beginning of the answer."""
    for start in re.finditer(r"^[ \t]*[\[{]", text, re.MULTILINE):
        rest = text[start.end() - 1 :]
        try:
            value, _ = json.JSONDecoder().raw_decode(rest)
        except json.JSONDecodeError as error:
            if "\n" not in rest[: error.pos]:
                continue  # such as `[WARNING] ...`
            raise unknown(source, text, f"no JSON: {str(error)[:80]}") from None
        except (ValueError, RecursionError) as error:
            raise unknown(source, text, f"no JSON: {str(error)[:80]}") from None
        return value
    raise unknown(source, text, "no JSON")


def unknown(source: str, text: str, why: str) -> OutputError:
    shown = "".join(char if char.isprintable() or char == "\n" else "?" for char in text[:_SHOWN])
    return OutputError(source, "", f"{why}; it said: {shown or 'nothing'}")
