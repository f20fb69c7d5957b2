"""Values that are no values yet: `${CPUS}`, `{cpus}`, `@@X@@`, `<nodes>`, `%%X%%`, `{{x}}`, `getenv(X)`."""

from __future__ import annotations

import re

FILL_IN = "a template: fill it in first"
_TEMPLATE = re.compile(
    r"\$\{?[A-Za-z_]|\$\(|`|\{\{|\{%|\{[A-Za-z_]\w{0,60}\}|(?<![\w.])@@?[A-Za-z_]|<[A-Za-z_][\w -]{0,60}>"
    r"|%%[A-Za-z_]\w{0,60}%%|%[A-Z]{3}[A-Z0-9_]{0,60}%|!TBG_|getenv(_nospace)?\("
)


_SHOUTED = re.compile(r"[A-Z][A-Z0-9_]{1,60}")


def is_template(text: str) -> bool:
    """Whether a program or a person has yet to put a value in."""
    return bool(_TEMPLATE.search(text))


def meant(text: str) -> str:
    """The remedy for a bad value that is a template, or a name in capitals; "" where it is none."""
    return FILL_IN if is_template(text) or _SHOUTED.fullmatch(text) else ""
