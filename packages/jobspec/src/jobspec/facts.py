"""Facts that a host must have: how they are written, and whether a host has them.

A fact is a name with a value. The amounts and tags of `resources` (cores, threads, memory, gpus, disk, token) are
read in its language and mean "at least"; every other name is a site's own (`arch`, `io.type`), which a host
has where it bears the tag NAME=VALUE (NAME alone for true).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from resources import Resource, parse
from resources.errors import InputError
from resources.units import shown

from jobspec.errors import DocumentError
from jobspec.values import mapping_of

AMOUNTS = frozenset({"cores", "threads", "memory", "gpus", "disk"})
TAG = "token"
# What a job asks for, and what its shape says: no fact of one host.
_NOT_OF_A_HOST = frozenset({"nodes", "tasks", "walltime", "licenses"})


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact: a dotted name, its value as text, and its place in the file."""

    name: str
    value: str
    place: str

    def __str__(self) -> str:
        return f"{self.name}={self.value}"


def read_facts(value: object, place: str) -> tuple[Fact, ...]:
    """The facts of a mapping (name to value, values or facts below that name) or of a list of tags and mappings.

    `match` below a name groups facts and is no part of their names. Raises DocumentError with the place.
    """
    if isinstance(value, list):
        return tuple(_listed(value, TAG, place))
    return tuple(_read(mapping_of({} if value is None else value, place), "", place))


def _read(facts: dict[str, object], above: str, place: str) -> Iterator[Fact]:
    for key, value in facts.items():
        here = f"{place}.{key}"
        name = above if above and key == "match" else f"{above}.{key}".removeprefix(".")
        if isinstance(value, dict):
            yield from _read(value, name, here)
        elif isinstance(value, list):
            yield from _listed(value, name, here)
        else:
            yield _fact(name, value, here)


def _listed(values: list[object], name: str, place: str) -> Iterator[Fact]:
    for index, value in enumerate(values):
        here = f"{place}[{index}]"
        if isinstance(value, dict):
            yield from _read(value, "" if name == TAG else name, here)
        else:
            yield _fact(name, value, here)


def _fact(name: str, value: object, place: str) -> Fact:
    if isinstance(value, bool):
        value = "true" if value else "false"
    if not isinstance(value, (str, int, float)) or not str(value).isprintable() or not str(value):
        raise DocumentError(f"must be the value of a fact: text, a number, true or false, not {shown(value)}", place)
    if not name.isprintable() or not all(name.split(".")):
        raise DocumentError(f"{shown(name)} is no name of a fact", place)
    if name in _NOT_OF_A_HOST:
        raise DocumentError(f"{name} is no fact of one host", place)
    fact = Fact(name, str(value), place)
    try:
        _need(fact)
    except InputError as error:
        raise DocumentError(error.message, place) from None
    return fact


@cache
def _parsed(text: str) -> Resource:
    return parse(text)


def _need(fact: Fact) -> Resource | None:
    """The fact in the language of resources, None where it is a site's own."""
    return _parsed(str(fact)) if fact.name in AMOUNTS or fact.name == TAG else None


def met(fact: Fact, host: Resource, *, complete: bool = True) -> bool | None:
    """Whether a host that has all of this (its total) has the fact; None where what is known of it does not tell.

    complete: the host's amounts and tags are all there, as an inventory's are; what is absent it does not have.
    """
    tags = host.get("token")
    known: tuple[str, ...] = tags.tokens if tags else ()
    need = _need(fact)
    if need is not None:
        if fact.name == TAG:
            wanted = set(need.get(TAG).tokens)
            return True if wanted <= set(known) else (False if complete else None)
        own = host.get(fact.name)
        if own is None:
            return need.asks_nothing or (False if complete else None)
        return bool(own.request(need))
    if f"{fact.name}={fact.value}" in known or (fact.value == "true" and fact.name in known):
        return True
    return False if any(tag.startswith(f"{fact.name}=") for tag in known) else None


def tags_of(facts: tuple[Fact, ...]) -> tuple[str, ...]:
    """The bare tags among the facts: schedulers call them properties, features or constraints."""
    return tuple(dict.fromkeys(tag for fact in facts if fact.name == TAG for tag in _parsed(str(fact)).get(TAG).tokens))


def this_machine() -> Resource:
    """What is known of this machine: its cores and memory as far as this process may use them, and a few tags."""
    import platform

    from resources import Token, machine

    names = {"arch": platform.machine(), "os": platform.system().lower(), "host": machine.hostname()}
    return machine.provider() & Token([f"{name}={value}" for name, value in names.items() if value])


def met_here(fact: Fact, host: Resource) -> bool | None:
    """`met` for this machine, of which not everything is known; `command` is a program on the PATH."""
    import shutil

    if fact.name == "command":
        return shutil.which(fact.value) is not None
    return met(fact, host, complete=False)
