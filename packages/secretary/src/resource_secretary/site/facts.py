"""The facts of a site's profile; each is there, or is not known for a reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Value = str | int | dict[str, str]


@dataclass(frozen=True, slots=True)
class Fact:
    """A value of a profile's key. about: of the whole, one line; each: of the entries of a mapping, by name."""

    value: Value
    about: str = ""
    each: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Site:
    """manager: whose site it is, or `host`. facts: key of the profile -> what is known. missing: key -> why it is not.

    Both in the order in which they are written.
    """

    manager: str
    observed_at: str
    observed_on: str
    facts: dict[str, Fact]
    missing: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        return {
            "manager": self.manager,
            "observed_at": self.observed_at,
            "observed_on": self.observed_on,
            "profile": {key: fact.value for key, fact in self.facts.items()},
            "missing": self.missing,
        }
