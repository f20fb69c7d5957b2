"""Software licenses, counted over a whole pool."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from resources.errors import AllocationError, InputError
from resources.lexer import named, quote
from resources.resource import Resource
from resources.units import count, shown


class Licenses(Resource):
    """N licenses of a name, or several names as a mapping. They are per job, not per task or host."""

    __slots__ = ("_counts", "_taken")
    kind = "licenses"
    about = "licenses per job, of the whole pool: matlab:2, or matlab:2,ansys:1"
    order = 60
    shows = ("licenses",)

    def __init__(self, name: str | Mapping[str, int], N: int = 1) -> None:
        counts = {name: N} if isinstance(name, str) else name
        if not isinstance(counts, Mapping) or not counts:
            raise InputError(f"Licenses takes a name and a number, or a mapping of them, not {shown(name)}")
        for key, number in counts.items():
            if not isinstance(key, str) or not key or not key.isprintable():
                raise InputError(f"a license name is a text of printable characters, not {shown(key)}")
            count(number, f"licenses of {shown(key)}")
        self._counts = dict(sorted(counts.items()))
        self._taken = dict.fromkeys(self._counts, 0)

    @property
    def licenses(self) -> dict[str, int]:
        """name -> how many."""
        return dict(self._counts)

    def free_of(self, name: str) -> int:
        """How many of a name are free; 0 where there are none of that name."""
        return self._counts.get(name, 0) - self._taken.get(name, 0)

    def _request(self, res: Licenses) -> bool:
        return all(n <= self.free_of(name) for name, n in res._counts.items())

    def _alloc(self, res: Licenses) -> Licenses:
        for name, n in res._counts.items():
            if n:
                self._taken[name] += n
        return Licenses(res._counts)

    def _dealloc(self, res: Licenses) -> None:
        if any(n > self._taken.get(name, 0) for name, n in res._counts.items()):
            raise AllocationError(f"{res!r} is more than was taken from {self!r}")
        for name, n in res._counts.items():
            if n:
                self._taken[name] -= n

    def _stat(self) -> tuple[int, int]:
        total = sum(self._counts.values())
        return total - sum(self._taken.values()), total

    def _times(self, n: int) -> Licenses:
        return self  # per job, as Slurm's --licenses are

    def _repr(self) -> str:
        if len(self._counts) == 1:
            [(name, n)] = self._counts.items()
            return f"Licenses({name!r}, {n})"
        return f"Licenses({self._counts!r})"

    @classmethod
    def from_text(cls, text: str) -> Licenses:
        counts: dict[str, int] = {}
        for name, number in named(text):
            if name in counts:
                raise InputError(f"license {shown(name)} occurs twice")
            counts[name] = count(number, f"licenses of {shown(name)}") if number else 1
        return cls(counts)

    def to_text(self) -> str:
        return ",".join(f"{quote(name)}:{n}" for name, n in self._counts.items())

    @classmethod
    def from_json(cls, value: object) -> Licenses:
        if isinstance(value, str):
            return cls.from_text(value)
        if not isinstance(value, dict):
            raise InputError(f"licenses is an object of name and number, not {shown(value)}")
        return cls(value)

    def to_json(self) -> Any:
        return dict(self._counts)


KIND = Licenses
