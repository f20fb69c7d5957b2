"""Contracts that plugins must pass, for the test suites of those who write them."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Callable
from typing import Any

from resources.errors import PluginError, Unavailable
from resources.plugins import Registry, plugin_name
from resources.resource import ZERO, Resource, combine


def check_registry(registry: Registry[Any]) -> None:
    """Raise AssertionError unless a registry keeps the rules that all five packages' listings rely on.

    Finding imports nothing; names are lower case with '-', and sorted; every line of a listing either has
    its plugin or says why not; an unknown name is an error that lists the known ones.
    """
    before = set(sys.modules)
    names = registry.names()
    imported = {name for name in set(sys.modules) - before if name.startswith(registry.prefix)}
    _must(not imported, f"finding plugins imported {sorted(imported)}")
    _must(names == sorted(names), f"the names are not sorted: {names}")
    _must(all(name == plugin_name(name) for name in names), f"a name is not lower case with '-': {names}")
    for line in registry.listing():
        _must((line.plugin is None) == bool(line.reason), f"{line.name} has neither plugin nor reason, or both")
        _must(bool(line.found.origin), f"{line.name} does not say where it comes from")
    try:
        registry.load("no-such-plugin")
    except PluginError as error:
        _must(all(name in str(error) for name in names), "the error for an unknown name does not list the known ones")
    else:
        raise AssertionError("an unknown name was loaded")


def check_kind(make: Callable[[int], Resource]) -> None:
    """Raise AssertionError unless a kind keeps the interface's rules.

    make: gives a resource of the kind with an amount of about n, for n = 1, 2, 8; `make(8)` as a provider
        must hold `make(2)` and `make(1)` at once.
    """
    provider, two, one = make(8), make(2), make(1)
    kind = type(provider)
    _must(kind.kind == kind.kind.lower() and bool(kind.kind), f"{kind!r} has no kind name in lower case")
    for resource in (provider, two, one):
        _must(kind.from_text(resource.to_text()) == resource, f"text does not read back: {resource}")
        value = json.loads(json.dumps(resource.to_json()))
        _must(kind.from_json(value) == resource, f"JSON does not read back: {resource}")
        _must(isinstance(hash(resource), int), "it is not hashable")
    before = copy.deepcopy(provider)
    _must(combine([provider]) & ZERO == provider, "ZERO is not the identity of '&'")
    free, total = provider.stat()[kind.kind]
    _must(0 <= free <= total, f"_stat says {free} of {total}")
    first = provider.alloc(two)
    second = provider.alloc(one)
    _must(isinstance(first, kind), f"_alloc gave {type(first).__name__}, not {kind.__name__}")
    _must(make(8).request(first), "what _alloc gives can't be requested elsewhere")
    provider.dealloc(first)
    provider.dealloc(second)
    _must(provider == before, f"freed in another order it is {provider!r}, it was {before!r}")
    try:
        small = make(1)
        if not small.request(make(8)):
            small.alloc(make(8))
            raise AssertionError("_request says no and _alloc grants")
    except Unavailable as error:
        _must(bool(str(error)), "a refusal has no reason")


def _must(true: bool, message: str) -> None:
    if not true:
        raise AssertionError(message)
