"""GPUs, with or without a type."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from resources import idset
from resources.errors import AllocationError, InputError
from resources.lexer import comma_list, quote, unquote
from resources.resource import Resource
from resources.units import count, shown

_ELEMENT = re.compile(r'(\[[^\]]*\]|[^",:\[]+)(?::("(?:[^"\\]|\\.)*"|[^",]+))?')

ANY = ""  # the type of a request that takes any GPU, and of a provider that does not say


class Gpus(Resource):
    """N GPUs of a type, or of any where none is given; a mapping names several types.

    Types match exactly. Once allocated `.g` lists the ids. A provider of several types numbers its GPUs
    through, in the order of the types' names. A combination shows `.gpus` (how many) and `.gpu_type`.
    """

    __slots__ = ("_masks", "_taken", "_types")
    kind = "gpus"
    about = "GPUs: a number, 2:a100 with a type, ids as [0-1]:a100"
    order = 45
    shows = ("g", "gpu_type", "gpus")

    def __init__(self, N: int | Iterable[int] | Mapping[str, Any], type: str | None = None) -> None:
        if isinstance(N, Mapping):
            if type is not None:
                raise InputError("Gpus takes a mapping of types, or a number and a type, not both")
            given = dict(N)
        else:
            given = {ANY if type is None else type: N}
        if not given or (ANY in given and len(given) > 1):
            raise InputError("Gpus of several types names each of them")
        for name in given:
            if not isinstance(name, str) or not name.isprintable():
                raise InputError(f"a GPU type is a text of printable characters, not {shown(name)}")
        if type == "":
            raise InputError("a GPU type is not empty; leave it out for any type")
        self._taken = 0
        self._types: tuple[tuple[str, int], ...] = ()
        self._masks: tuple[tuple[str, int], ...] | None = None
        listed = [isinstance(n, Iterable) and not isinstance(n, (str, bytes, Mapping)) for n in given.values()]
        if all(listed):
            masks = tuple((name, idset.mask_of(ids, "GPU")) for name, ids in sorted(given.items()))
            self._set_masks(masks)
        elif any(listed):
            raise InputError("Gpus names ids for all of its types, or for none")
        else:
            self._types = tuple((name, count(n, "gpus")) for name, n in sorted(given.items()))

    def _set_masks(self, masks: tuple[tuple[str, int], ...]) -> None:
        seen = 0
        for _, mask in masks:
            if seen & mask:
                raise InputError(f"GPU ids {idset.text(seen & mask)} are of two types")
            seen |= mask
        self._masks = masks
        self._types = tuple((name, mask.bit_count()) for name, mask in masks)

    @classmethod
    def of_masks(cls, masks: Iterable[tuple[str, int]]) -> Gpus:
        """Exactly the ids of (type, bit mask) pairs."""
        made = cls(0)
        made._set_masks(tuple(sorted(masks)) or ((ANY, 0),))
        return made

    def of_nothing(self) -> Gpus:
        """The same kind with no id."""
        return Gpus.of_masks([])

    @property
    def N(self) -> int:
        """How many, of all types."""
        return sum(n for _, n in self._types)

    gpus = N

    @property
    def asks_nothing(self) -> bool:
        return not self.N

    @property
    def type(self) -> str | None:
        """The type, None where none or several are named."""
        return self._types[0][0] or None if len(self._types) == 1 else None

    gpu_type = type

    @property
    def types(self) -> dict[str, int]:
        """type ("" for any) -> how many."""
        return dict(self._types)

    @property
    def is_list(self) -> bool:
        """Whether it names ids."""
        return self._masks is not None

    @property
    def g(self) -> list[int]:
        """The ids of the allocated GPUs, ascending."""
        if self._masks is None:
            raise AttributeError(f"{self!r} is a request: which GPUs is known once it is allocated")
        return idset.ids_of(self.mask)

    @property
    def masks(self) -> dict[str, int]:
        """type -> ids as bits."""
        if self._masks is not None:
            return dict(self._masks)
        masks, start = {}, 0
        for name, n in self._types:
            if start + n > idset.LARGEST_ID:
                raise InputError(f"{self!r} can't be provided: a host has at most {idset.LARGEST_ID} GPU ids")
            masks[name] = ((1 << n) - 1) << start
            start += n
        return masks

    @property
    def mask(self) -> int:
        """All ids as bits."""
        return sum(self.masks.values())

    def free_of(self, name: str) -> int:
        """The free ids of a type (ANY: of all) as bits."""
        return (self.mask if name == ANY else self.masks.get(name, 0)) & ~self._taken

    def _request(self, res: Gpus) -> bool:
        return all(n <= self.free_of(name).bit_count() for name, n in res._types)

    def _alloc(self, res: Gpus) -> Gpus:
        granted = sum(idset.lowest(self.free_of(name), n) for name, n in res._types)
        self._taken |= granted
        return self.part(granted)

    def part(self, mask: int) -> Gpus:
        """Those of its ids that are in a bit mask, with their types."""
        return Gpus.of_masks((name, own & mask) for name, own in self.masks.items() if own & mask)

    def _dealloc(self, res: Gpus) -> None:
        if res.mask & ~self._taken:
            raise AllocationError(f"{res!r} holds GPUs that were not taken from {self!r}")
        self._taken ^= res.mask

    def _stat(self) -> tuple[int, int]:
        return self.N - self._taken.bit_count(), self.N

    def _times(self, n: int) -> Gpus:
        return Gpus({name: own * n for name, own in self._types})

    def _repr(self) -> str:
        parts: dict[str, Any] = (
            dict(self._types) if self._masks is None else {name: idset.ids_of(mask) for name, mask in self._masks}
        )
        if len(parts) > 1:
            return f"Gpus({parts!r})"
        [(name, amount)] = parts.items()
        return f"Gpus({amount!r}, {name!r})" if name else f"Gpus({amount!r})"

    @classmethod
    def from_text(cls, text: str) -> Gpus:
        counts: dict[str, int] = {}
        masks: dict[str, int] = {}
        for match in comma_list(_ELEMENT, text):
            amount, name = match[1], unquote(match[2]) if match[2] else ANY
            if name in counts or name in masks:
                raise InputError(f"GPUs of type {shown(name)} are given twice")
            if amount.startswith("["):
                masks[name] = idset.parse(amount, "GPU")
            else:
                counts[name] = count(amount, "gpus")
        if counts and masks:
            raise InputError("gpus names ids for all of its types, or for none")
        return cls(counts) if counts else cls({name: idset.ids_of(mask) for name, mask in masks.items()})

    def to_text(self) -> str:
        amounts = (
            [(name, str(n)) for name, n in self._types]
            if self._masks is None
            else [(name, f"[{idset.text(mask)}]") for name, mask in self._masks]
        )
        return ",".join(f"{amount}:{quote(name)}" if name else amount for name, amount in amounts)

    @classmethod
    def from_json(cls, value: object) -> Gpus:
        if isinstance(value, str):
            return cls.from_text(value)
        if isinstance(value, int):
            return cls(value)
        parts: dict[str, Any] = {}
        for part in value if isinstance(value, list) else [value]:
            if not isinstance(part, dict) or not part.keys() <= {"count", "ids", "type"}:
                raise InputError(f"gpus is a number, or an object of count or ids, and type, not {shown(part)}")
            name = part.get("type", ANY)
            if not isinstance(name, str) or ("type" in part and not name) or name in parts:
                raise InputError(f"a GPU type is a text that occurs once, not {shown(name)}")
            if ("count" in part) == ("ids" in part):
                raise InputError("gpus has either count or ids")
            if "ids" in part:
                if not isinstance(part["ids"], str):
                    raise InputError(f"ids is a text such as 0-3, not {shown(part['ids'])}")
                parts[name] = idset.ids_of(idset.parse(part["ids"], "GPU"))
            else:
                parts[name] = count(part["count"], "gpus.count")
        return cls(parts)

    def to_json(self) -> Any:
        if self._masks is None and self.type is None and len(self._types) == 1:
            return self.N
        parts: list[dict[str, Any]] = []
        for name, n in self._types:
            part: dict[str, Any] = {"count": n} if self._masks is None else {"ids": idset.text(dict(self._masks)[name])}
            parts.append({**part, "type": name} if name else part)
        return parts[0] if len(parts) == 1 else parts


KIND = Gpus
