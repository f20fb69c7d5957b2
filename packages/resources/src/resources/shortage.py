"""What a provider lacks of a request, part by part."""

from __future__ import annotations

from typing import Any

from resources.answer import Shortage
from resources.kinds.gpus import ANY
from resources.resource import Resource


def shortages(provider: Resource, need: Resource) -> list[Shortage]:
    """What is short of a request on one host, or of any other single provider."""
    if any(getattr(leaf, "expired", False) for leaf in provider.leaves):
        return [Shortage("refused", 1, 0, "the provider's own time is up")]
    pairs = [(provider.get(leaf.kind), leaf) for leaf in need.leaves]
    return [
        shortage(own, leaf)
        for own, leaf in pairs
        if (own is None and not leaf.unlimited) or (own is not None and not own._request(leaf))
    ]


def shortage(own: Any, leaf: Any) -> Shortage:
    """What is short of one part of a request; `own` is the provider's part of that kind as it is now, or None."""
    own_free = 0 if own is None else own._stat()[0]
    kind = leaf.kind
    if kind == "gpus":
        for name, n in leaf.types.items():
            free = 0 if own is None else own.free_of(name).bit_count()
            if free < n:
                return Shortage(kind, n, free, "" if name == ANY else f"type {name}")
    if kind == "licenses":
        for name, n in leaf.licenses.items():
            free = 0 if own is None else own.free_of(name)
            if free < n:
                return Shortage(kind, n, free, name)
    if kind == "token":
        has = "none" if own is None else own.token
        return Shortage(kind, 1, 0, f"token {leaf.token} is not offered (there is: {has})")
    if kind == "walltime":
        left = int(own.remaining()) if own is not None else 0
        return Shortage(kind, leaf.softT or 0, left)
    amount = _amount(leaf)
    if not amount:  # no number, or none of a kind that is not there at all
        has = "none" if own is None else own._repr()
        return Shortage("refused", 1, 0, f"{leaf._repr()} does not fit (there is: {has})")
    return Shortage(kind, amount, own_free)


def _amount(leaf: Any) -> int | None:
    """The amount of a kind that is one number: bytes, or a count."""
    for name in ("size", "N"):
        value = getattr(leaf, name, None)
        if isinstance(value, int):
            return value
    return None
