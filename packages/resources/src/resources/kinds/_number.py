"""Kinds that are a plain number which says how a request is laid out: tasks, nodes."""

from __future__ import annotations

from typing import TypeVar

from resources.errors import AllocationError
from resources.resource import Resource
from resources.units import count

P = TypeVar("P", bound="Number")


class Number(Resource):
    """A number of places. A provider need not mention it; one that does grants no more than that."""

    __slots__ = ("_n", "_taken")
    unlimited = True

    def __init__(self, N: int) -> None:
        self._n = count(N, self.kind, least=1)
        self._taken = 0

    @property
    def N(self) -> int:
        """How many."""
        return self._n

    def _request(self: P, res: P) -> bool:
        return res._n <= self._n - self._taken

    def _alloc(self: P, res: P) -> P:
        self._taken += res._n
        return type(self)(res._n)

    def _dealloc(self: P, res: P) -> None:
        if res._n > self._taken:
            raise AllocationError(f"{res!r} is more than was taken from {self!r}")
        self._taken -= res._n

    def _stat(self) -> tuple[int, int]:
        return self._n - self._taken, self._n

    @classmethod
    def from_text(cls: type[P], text: str) -> P:
        return cls(count(text, cls.kind, least=1))
