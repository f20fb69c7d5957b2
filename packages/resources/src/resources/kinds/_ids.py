"""Kinds that are counted, and once allocated are known by their ids: cores, hardware threads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar, TypeVar

from resources import idset
from resources.errors import AllocationError, InputError
from resources.resource import Resource
from resources.units import count, shown

I = TypeVar("I", bound="Ids")  # noqa: E741 - the type of the class itself


class Ids(Resource):
    """A count where it is requested, ids where it is allocated; a provider of N has the ids 0 to N-1."""

    __slots__ = ("_mask", "_n", "_taken")
    one: ClassVar[str]
    _n: int
    _mask: int | None

    def __init__(self, N: int | Iterable[int]) -> None:
        self._taken = 0
        if isinstance(N, Iterable) and not isinstance(N, (str, bytes, Mapping)):
            self._mask = idset.mask_of(N, self.one)
            self._n = self._mask.bit_count()
        elif isinstance(N, (int, float)):
            self._n, self._mask = count(N, self.kind), None
        else:
            raise InputError(f"{type(self).__name__} takes a number or ids, not {shown(N)}")

    @classmethod
    def of_mask(cls: type[I], mask: int) -> I:
        """Exactly the ids of a bit mask."""
        made = object.__new__(cls)
        made._mask, made._n, made._taken = mask, mask.bit_count(), 0
        return made

    def of_nothing(self: I) -> I:
        """The same kind with no id."""
        return self.of_mask(0)

    @property
    def N(self) -> int:
        """How many."""
        return self._n

    @property
    def asks_nothing(self) -> bool:
        return not self._n

    @property
    def mask(self) -> int:
        """The ids as bits; of a provider that was given a number, the lowest ones."""
        if self._mask is not None:
            return self._mask
        if self._n > idset.LARGEST_ID:
            raise InputError(f"{self!r} can't be provided: a host has at most {idset.LARGEST_ID} {self.one} ids")
        return (1 << self._n) - 1

    @property
    def is_list(self) -> bool:
        """Whether it names ids."""
        return self._mask is not None

    def _ids(self) -> list[int]:
        if self._mask is None:
            raise AttributeError(f"{self!r} is a request: which {self.one}s is known once it is allocated")
        return idset.ids_of(self._mask)

    def _request(self: I, res: I) -> bool:
        return res._n <= (self.mask & ~self._taken).bit_count()

    def _alloc(self: I, res: I) -> I:
        granted = idset.lowest(self.mask & ~self._taken, res._n)
        self._taken |= granted
        return self.of_mask(granted)

    def _dealloc(self: I, res: I) -> None:
        if res.mask & ~self._taken:
            raise AllocationError(f"{res!r} holds {self.one}s that were not taken from {self!r}")
        self._taken ^= res.mask

    def _stat(self) -> tuple[int, int]:
        return self._n - self._taken.bit_count(), self._n

    def _times(self: I, n: int) -> I:
        return type(self)(self._n * n)

    def _repr(self) -> str:
        return f"{type(self).__name__}({self._n if self._mask is None else idset.ids_of(self._mask)})"

    @classmethod
    def from_text(cls: type[I], text: str) -> I:
        if text.startswith("["):
            return cls.of_mask(idset.parse(text, cls.one))
        return cls(count(text, cls.kind))

    def to_text(self) -> str:
        return str(self._n) if self._mask is None else f"[{idset.text(self._mask)}]"
