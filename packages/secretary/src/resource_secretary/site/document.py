"""A site as YAML with comments: the file that `jobspec convert --profile` reads."""

from __future__ import annotations

import json
import re

from resource_secretary.run import printable
from resource_secretary.site.facts import Fact, Site
from resource_secretary.site.managers import system_name

# Anything else is put into quotes, as are the words that some readers of YAML take for values.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*", re.ASCII)
_VALUES = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


def to_yaml(site: Site) -> str:
    """The profile; what is not known is a comment that says why."""
    whose = "this host" if site.manager == "host" else site.manager
    lines = [
        f"# A profile of {whose} for `jobspec convert --to {_target(site)} --profile FILE`:",
        f"# seen from {_line(site.observed_on)} at {site.observed_at}. Names are mapped from old to new.",
    ]
    for key, fact in site.facts.items():
        lines += ["", *_entry(key, fact)]
    if site.missing:
        lines += ["", "# Not known:", *(f"# {key}: {_line(why)}" for key, why in site.missing.items())]
    return "\n".join(lines) + "\n"


def _entry(key: str, fact: Fact) -> list[str]:
    about = f"  # {_line(fact.about)}" if fact.about else ""
    if not isinstance(fact.value, dict):
        return [f"{key}: {_scalar(fact.value)}{about}"]
    lines = [f"{key}:{about}"]
    for old, new in fact.value.items():
        note = f"  # {_line(fact.each[old])}" if fact.each.get(old) else ""
        lines.append(f"  {_scalar(old)}: {_scalar(new)}{note}")
    return lines


def _scalar(value: str | int) -> str:
    if isinstance(value, int):
        return str(value)
    if _PLAIN.fullmatch(value) and value.lower() not in _VALUES:
        return value
    return json.dumps(value, ensure_ascii=False)


def _target(site: Site) -> str:
    return "SYSTEM" if site.manager == "host" else system_name(site.manager)


def _line(text: str) -> str:
    """A comment ends with its line."""
    return printable(" ".join(text.split()))[:500]
