"""Kinds that are an amount of bytes: memory, disk."""

from __future__ import annotations

from typing import TypeVar

from resources.errors import AllocationError
from resources.resource import Resource
from resources.units import LARGEST, count, gigabytes, memory, memory_text

A = TypeVar("A", bound="Bytes")


class Bytes(Resource):
    """An amount of bytes, given as GB (1024^3) or as text with a unit; whole bytes inside."""

    __slots__ = ("_size", "_taken")
    _size: int

    def __init__(self, M: int | float | str) -> None:
        self._size = memory(M, self.kind)
        self._taken = 0

    @classmethod
    def of_bytes(cls: type[A], size: int) -> A:
        """Exactly this many bytes."""
        made = object.__new__(cls)
        made._size, made._taken = count(size, cls.kind), 0
        return made

    def of_nothing(self: A) -> A:
        """The same kind with no byte."""
        return self.of_bytes(0)

    @property
    def size(self) -> int:
        """In bytes."""
        return self._size

    @property
    def M(self) -> int | float:
        """In GB (1024^3 bytes)."""
        return gigabytes(self._size)

    def _request(self: A, res: A) -> bool:
        return res._size <= self._size - self._taken

    def _alloc(self: A, res: A) -> A:
        self._taken += res._size
        return self.of_bytes(res._size)

    def _dealloc(self: A, res: A) -> None:
        if res._size > self._taken:
            raise AllocationError(f"{res!r} is more than was taken from {self!r}")
        self._taken -= res._size

    def _stat(self) -> tuple[int, int]:
        return self._size - self._taken, self._size

    def _times(self: A, n: int) -> A:
        return self.of_bytes(min(self._size * n, LARGEST))

    def _repr(self) -> str:
        amount = self.M
        exact = amount * 2**30 == self._size
        return f"{type(self).__name__}({amount if exact else repr(memory_text(self._size))})"

    @classmethod
    def from_text(cls: type[A], text: str) -> A:
        return cls(text)

    def to_text(self) -> str:
        return memory_text(self._size)

    def to_json(self) -> str:
        return self.to_text()
