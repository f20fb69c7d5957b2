"""What a job says of its own burst: `attributes.system.burst` of its jobspec."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fluxburst.model import JobRules

PLACE = "spec.attributes.system.burst"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Wishes:
    """plugin, shape, namespace: "" where all the same to it. max_cost: of the nodes that it needs, for their lease.

    deadline: seconds within which those end, 0 where it says none. problem: what can't be read, each with its place.
    given: the keys that it has.
    """

    plugin: str = ""
    shape: str = ""
    max_cost: float = inf
    deadline: int = 0
    namespace: str = ""
    problem: str = ""
    given: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join(f"{key}={getattr(self, key)}" for key in self.given)


NONE = Wishes()


def read_wishes(value: object) -> Wishes:
    """The wishes of a job. What can't be read becomes their `problem`: the job says nothing wrong to its lead."""
    from resources.units import shown

    if value is None:
        return NONE
    if not isinstance(value, Mapping):
        return Wishes(problem=f"{PLACE}: an object belongs here, not {shown(value)}")
    read: dict[str, Any] = {}
    problems = []
    for key, found in value.items():
        if key not in _READ:
            problems.append(f"{PLACE}: unknown key {shown(key)}; there are: {', '.join(_READ)}")
        else:
            try:
                read[key] = _READ[key](found)
            except ValueError as error:
                problems.append(f"{PLACE}.{key}: {error}")
    more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
    return Wishes(**read, problem="; ".join(problems[:5]) + more, given=tuple(key for key in _READ if key in read))


def against(wishes: Wishes, rules: JobRules) -> str:
    """What the rules do not allow of a job's wishes, "" where they allow all."""
    refused = [f"{PLACE}.{key}: jobs may not say this here" for key in wishes.given if key not in rules.allow]
    allowed = rules.namespaces if "namespace" in rules.allow else None
    if wishes.namespace and allowed is not None and wishes.namespace not in allowed:
        there = ", ".join(sorted(allowed)) or "none"
        refused.append(f"{PLACE}.namespace: {wishes.namespace} is not allowed; there are: {there}")
    return "; ".join(refused)


def _text(value: object) -> str:
    from resources.units import shown

    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError(f"a name of letters, digits, '.', '_' and '-' belongs here, not {shown(value)}")
    return value


def _plugin(value: object) -> str:
    return _text(value).lower().replace("_", "-")


def _cost(value: object) -> float:
    from resources.units import shown

    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1e15:
        raise ValueError(f"an amount from 0 up belongs here, not {shown(value)}")
    return float(value)


def _deadline(value: object) -> int:
    from resources.units import seconds, shown

    read = seconds(value, "it") if isinstance(value, (int, float, str)) and not isinstance(value, bool) else 0
    if read < 1:
        raise ValueError(f"a duration such as 3600 or 4h belongs here, not {shown(value)}")
    return read


_READ: dict[str, Callable[[object], Any]] = {
    "plugin": _plugin,
    "shape": _text,
    "max_cost": _cost,
    "deadline": _deadline,
    "namespace": _text,
}
