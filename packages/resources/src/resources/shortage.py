"""What a provider lacks of a request, part by part."""

from __future__ import annotations

from typing import Any

from resources.answer import Shortage
from resources.kinds.gpus import ANY
from resources.resource import Resource, expired, lacks, matched


def shortages(provider: Resource, need: Resource) -> list[Shortage]:
    """What is short of a request on one host, or of any other single provider."""
    if expired(provider):
        return [Shortage("refused", 1, 0, "the provider's own time is up")]
    return [shortage(own, leaf) for own, leaf in matched(provider, need) if lacks(own, leaf)]


def shortage(own: Any, leaf: Any) -> Shortage:
    """What is short of one part of a request; `own` is the provider's part of that kind as it is now, or None."""
    own_free = 0 if own is None else own._stat()[0]
    kind = leaf.kind
    if kind == "gpus":
        for name, n in leaf.types.items():
            free = 0 if own is None else own.free_of(name).bit_count()
            if free < n:
                return Shortage(kind, n, free, "" if name == ANY else f"type {name}{_types(own)}")
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
        return Shortage("refused", 1, 0, f"{leaf._repr()} does not fit ({_offered(own)})")
    return Shortage(kind, amount, own_free)


def _types(own: Any) -> str:
    """Which types there are instead: the name may be spelt otherwise, or nobody told the types (Flux R has none)."""
    if own is None or not own.N:
        return ""
    return f" (there are: {', '.join(f'{n} of {t}' if t else f'{n} without a type' for t, n in own.types.items())})"


def _offered(own: Any) -> str:
    if own is None:
        return "there is: none"
    free, total = own._stat()
    return f"free: {free} of {total}" if free < total else f"there is: {own._repr()}"


def _amount(leaf: Any) -> int | None:
    """The amount of a kind that is one number: bytes, or a count."""
    for name in ("size", "N"):
        value = getattr(leaf, name, None)
        if isinstance(value, int):
            return value
    return None
