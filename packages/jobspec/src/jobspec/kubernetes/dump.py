"""Documents as YAML that every reader of YAML, of 1.1 and 1.2, takes for the same values."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import yaml

_Emitter: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
# What nobody takes for a number, a date or a boolean; all else is quoted.
_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./@+-]{0,200}", re.ASCII)
_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
_CONTROL = re.compile("[^\n\t\\x20-\\x7e\\xa0-\\ud7ff\\ue000-\\ufefe\\uff00-\\ufffd]|[\\u2028\\u2029]")


class _Dumper(_Emitter):  # type: ignore[misc]
    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: Any, text: str) -> Any:
    if "\n" in text and not _CONTROL.search(text):
        style = "|"
    elif _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        style = None
    else:
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def dump(documents: Iterable[Any], notes: Iterable[str] = ()) -> str:
    """The documents in one text, with notes as comments above them."""
    text: str = yaml.dump_all(
        documents, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100_000, default_flow_style=False
    )
    return "".join(f"# {note}\n" for note in notes) + text
