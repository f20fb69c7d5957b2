"""Which policies there are: the built-in ones, and those of installed modules named `resource_secretary_*`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, cast

from resources.plugins import BUILT_IN, Registry

from resource_secretary.errors import SecretaryError
from resource_secretary.hub.policies import POLICIES
from resource_secretary.hub.policy import Policy

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)
Policies = Mapping[str, Policy]


class UnknownPolicy(SecretaryError):
    """No policy of this name can be used; `known` are those that can."""

    def __init__(self, name: str, why: str, known: list[str]) -> None:
        self.name, self.known = name, known
        super().__init__(f"{why}; there are: {', '.join(known)}")


@dataclass(frozen=True, slots=True)
class Known:
    """A policy of the listing. `policy` is None where it can't be used, and `reason` says why."""

    name: str
    description: str
    origin: str
    policy: Policy | None = None
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "description": self.description,
            "origin": self.origin,
            "usable": self.policy is not None,
            "reason": self.reason or None,
        }


def read_policies(module: ModuleType) -> Policies:
    """The policies of a module, none where it has no POLICIES. Raises TypeError for what are none."""
    given: Any = getattr(module, "POLICIES", {})
    if not isinstance(given, Mapping):
        raise TypeError(f"POLICIES is a mapping of names to functions, not {type(given).__name__}")
    for name, policy in given.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise TypeError(f"POLICIES: the name {name!r} is not lower case with '-'")
        if not callable(policy):
            raise TypeError(f"POLICIES: {name} can't be called")
    return {name: cast(Policy, one() if inspect.isclass(one) else one) for name, one in given.items()}


def registry() -> Registry[Policies]:
    return Registry("resource_secretary_", read_policies)


def listing(source: Registry[Policies] | None = None) -> list[Known]:
    """All policies, sorted by name; a module that can't be used changes only its own lines.

    An installed one wins over a built-in one of its name; two installed ones are unusable, and the reason names both.
    """
    found: dict[str, list[Known]] = {}
    broken: list[Known] = []
    for line in (source or registry()).listing():
        if line.plugin is None:
            broken.append(Known(line.name, "", line.found.origin, None, line.reason))
        for name, policy in (line.plugin or {}).items():
            found.setdefault(name, []).append(Known(name, _description(policy), line.found.origin, policy))
    for name, same in found.items():
        if len(same) > 1:
            reason = f"two policies are named {name!r}, of {' and '.join(one.origin for one in same)}; remove one"
            found[name] = [Known(name, "", same[0].origin, None, reason)]
        elif name in POLICIES:
            origin = f"{same[0].origin} (replaces the built-in one)"
            found[name] = [Known(name, same[0].description, origin, same[0].policy)]
    for name, policy in POLICIES.items():
        found.setdefault(name, [Known(name, _description(policy), BUILT_IN, policy)])
    return sorted([*(one for same in found.values() for one in same), *broken], key=lambda one: one.name)


def policy_named(name: str, source: Registry[Policies] | None = None) -> Policy:
    """The policy of that name. Raises UnknownPolicy that says why it can't be used."""
    every = listing(source)
    why = f"no policy named {name!r}"
    for one in every:
        if one.name == name.lower():
            if one.policy is not None:
                return one.policy
            why = one.reason
    raise UnknownPolicy(name, why, [one.name for one in every if one.policy is not None])


def _description(policy: Policy) -> str:
    return (inspect.getdoc(policy) or "").partition("\n")[0]
