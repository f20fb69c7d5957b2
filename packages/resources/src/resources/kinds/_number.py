"""Kinds that are a plain number which says how a request is laid out: tasks, nodes."""

from __future__ import annotations

from typing import TypeVar

from resources.resource import Resource
from resources.units import count

P = TypeVar("P", bound="Number")


class Number(Resource):
    """A number of places. It is no amount that a provider has: placement reads it."""

    __slots__ = ("_n",)
    unlimited = True

    def __init__(self, N: int) -> None:
        self._n = count(N, self.kind, least=1)

    @property
    def N(self) -> int:
        """How many."""
        return self._n

    def _request(self: P, res: P) -> bool:
        return True

    def _alloc(self: P, res: P) -> P:
        return type(self)(res._n)

    def _dealloc(self: P, res: P) -> None:
        """Nothing is used up."""

    def _stat(self) -> tuple[int, int]:
        return self._n, self._n

    @classmethod
    def from_text(cls: type[P], text: str) -> P:
        return cls(count(text, cls.kind, least=1))
