"""Values that are no values yet: `${CPUS}`, `{cpus}`, `@@X@@`, `<nodes>`, `%%X%%`, `{{x}}`, `getenv(X)`."""

from __future__ import annotations

import re
from dataclasses import replace

from jobspec.reading import Problem, Reading

FILL_IN = "a template: fill it in first"
_TEMPLATE = re.compile(
    r"\$\{?[A-Za-z_]|\$\(|`|\{\{|\{%|\{[A-Za-z_]\w{0,60}\}|(?<![\w.])@@?[A-Za-z_]|<[A-Za-z_][\w -]{0,60}>"
    r"|%%[A-Za-z_]\w{0,60}%%|%[A-Z]{3}[A-Z0-9_]{0,60}%|!TBG_|getenv(_nospace)?\("
)


_SHOUTED = re.compile(r"[A-Z][A-Z0-9_]{1,60}")


def is_template(text: str) -> bool:
    """Whether a program or a person has yet to put a value in."""
    return bool(_TEMPLATE.search(text))


# Of these a value is taken as it stands; in paths and the like a sign of a template may be a pattern of the system.
_PLAIN = frozenset(
    {"name", "queue", "account", "qos", "reservation", "constraint", "hosts", "exclude_hosts", "dependency", "licenses"}
)
_MOST = 4000  # characters of a directive that are looked at
_SIGNS = frozenset("$`{@<%!")


def unfilled(reading: Reading) -> Reading:
    """The reading with a warning for each name in it that is a template, where there is none yet."""
    known = {problem.line for problem in reading.warnings}
    found = [
        Problem(one.line, one.column, f"{one.text[:80]}: it is taken as it stands", FILL_IN)
        for one in reading.directives
        if one.state == "obeyed"
        and not _PLAIN.isdisjoint(one.fields)
        and not _SIGNS.isdisjoint(one.text[:_MOST])
        and one.line not in known
        and is_template(one.text[:_MOST])
    ]
    if reading.system == "gridengine":  # @ begins a group of hosts
        found = [problem for problem in found if is_template(problem.message.replace("@", " "))]
    if not found:
        return reading
    ordered = sorted((*reading.warnings, *found), key=lambda one: (one.line, one.column))
    return replace(reading, warnings=tuple(ordered))


def meant(text: str) -> str:
    """The remedy for a bad value that is a template, or a name in capitals; "" where it is none."""
    return FILL_IN if is_template(text) or _SHOUTED.fullmatch(text) else ""
