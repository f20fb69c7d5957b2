"""A site's profile: what a script can't tell, and how names change on the way from one site to another.

A file of YAML; every key may be left out. docs/converting.md documents each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from resources.errors import InputError
from resources.units import memory, shown

from jobspec.errors import DocumentError
from jobspec.safeyaml import load_yaml

_UNITS = ("KB", "MB", "GB", "TB")


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of the sites.

    Names, old to new: queues, accounts, qos, constraints, gpu_types, nodes, modules, parallel_environments
    (from "mpi", "smp" or a source's own name to the target's). A name that maps to "" is dropped, and reported.
    Of the target's nodes, None where not known: cores_per_node, gpus_per_node, memory_per_node
    (bytes).
    memory_units: for a system the unit of its bare numbers; memory_per: what they are counted by.
    options: for a system the options that site plug-ins add (Slurm's SPANK), so that readers accept them.
    clusters: names that `--clusters` may have; None accepts none. array_cap: the largest index + 1 of the target.
    """

    queues: Mapping[str, str] = field(default_factory=dict)
    accounts: Mapping[str, str] = field(default_factory=dict)
    qos: Mapping[str, str] = field(default_factory=dict)
    constraints: Mapping[str, str] = field(default_factory=dict)
    gpu_types: Mapping[str, str] = field(default_factory=dict)
    nodes: Mapping[str, str] = field(default_factory=dict)
    modules: Mapping[str, str] = field(default_factory=dict)
    parallel_environments: Mapping[str, str] = field(default_factory=dict)
    default_queue: str = ""
    default_account: str = ""
    cores_per_node: int | None = None
    gpus_per_node: int | None = None
    memory_per_node: int | None = None
    memory_units: Mapping[str, str] = field(default_factory=dict)
    memory_per: Mapping[str, str] = field(default_factory=dict)
    gpus_as: Literal["gpus", "gres"] = "gpus"
    array_cap: int | None = None
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    clusters: tuple[str, ...] | None = None
    image: str = ""


DEFAULT = Profile()
_KEYS = {one.name for one in fields(Profile)}
_WORDS = {"default_queue", "default_account", "image"}
_COUNTS = {"cores_per_node", "gpus_per_node", "array_cap"}


def load_profile(text: str) -> Profile:
    """Read a profile. Raises DocumentError with the dotted path of what is wrong."""
    top = load_yaml(text)
    if top is None:
        return DEFAULT
    if not isinstance(top, dict):
        raise DocumentError(f"a profile is a mapping, not {shown(top)}")
    return Profile(**{key: _value(key, value) for key, value in top.items() if value is not None})


def _value(key: object, value: Any) -> Any:
    if key not in _KEYS:
        raise DocumentError(f"unknown key {shown(key)}; known: {', '.join(sorted(_KEYS))}")
    name = str(key)
    if name in _WORDS:
        return _text(value, name)
    if name in _COUNTS:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**31:
            raise DocumentError(f"must be a whole number from 1 up, not {shown(value)}", name)
        return value
    if name == "memory_per_node":
        try:
            return memory(value)
        except InputError as error:
            raise DocumentError(error.message, name) from None
    if name == "gpus_as":
        return _one_of(value, ("gpus", "gres"), name)
    if name == "clusters":
        return _names(value, name)
    if not isinstance(value, dict):
        raise DocumentError(f"must be a mapping, not {shown(value)}", name)
    return {_text(old, name): _entry(name, f"{name}.{old}", new) for old, new in value.items()}


def _entry(key: str, place: str, value: Any) -> Any:
    if key == "options":
        return _names(value, place)
    if key == "memory_units":
        return _one_of(value, _UNITS, place)
    if key == "memory_per":
        return _one_of(value, ("slot", "node", "job", "task"), place)
    return "" if value is None else _text(value, place, empty=True)


def _names(value: object, place: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise DocumentError(f"must be a list, not {shown(value)}", place)
    return tuple(_text(item, place) for item in value)


def _one_of(value: object, known: tuple[str, ...], place: str) -> str:
    if value not in known:
        raise DocumentError(f"must be one of {', '.join(known)}, not {shown(value)}", place)
    return str(value)


def _text(value: object, place: str, *, empty: bool = False) -> str:
    """One line of text; it goes into directives."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not (value or empty) or not value.isprintable():
        raise DocumentError(f"must be one line of text, not {shown(value)}", place)
    return value
