"""What has become of the parts of a script so far."""

from __future__ import annotations

from typing import Any

from jobspec.job import Native, Where
from jobspec.lsf.parts import Part, Parts
from jobspec.profile import Profile
from jobspec.reading import Problem


class Held:
    """The fields of the job so far, and where each was asked for."""

    def __init__(self, parts: Parts, profile: Profile) -> None:
        self.parts = parts
        self.profile = profile
        self.fields: dict[str, Any] = {}
        self.where: dict[str, Where] = {}
        self.native: list[Native] = []
        self.warnings: list[Problem] = []
        self.unit = profile.memory_units.get("lsf", "")
        self.taken: set[str] = set()

    def part(self, key: str) -> Part | None:
        """The part of a key, which is then dealt with."""
        self.taken.add(key)
        return self.parts.last.get(key)

    def hold(self, part: Part, *names: str) -> None:
        """The part went into these fields."""
        part.fields = (*part.fields, *(name for name in names if name not in part.fields))
        for name in names:
            if name != "native":
                self.where.setdefault(name, Where(part.line, part.column))

    def keep(self, part: Part, option: str, value: str | None, *, told: bool = True) -> None:
        """The part, or some of it, is a matter of LSF alone; not `told`: other fields say it too."""
        self.native.append(Native(option, value))
        if told:
            self.hold(part, "native")

    def aside(self, part: Part, offset: int, text: str, option: str, value: str | None) -> None:
        """What of the part only LSF has, as a directive of its own, `offset` columns behind the option."""
        self.native.append(Native(option, value))
        own = Part(part.line, part.column + offset, text, part.option, fields=("native",))
        self.parts.all.insert(self.parts.all.index(part) + 1, own)

    def warn(self, part: Part, message: str, meant: str = "") -> None:
        self.warnings.append(Problem(part.line, part.column, message, meant))
