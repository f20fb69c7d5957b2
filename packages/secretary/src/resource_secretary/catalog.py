"""The catalogue: which providers there are, by category and name, and which of them can't be used."""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from resources.plugins import BUILT_IN, Registry

from resource_secretary import providers
from resource_secretary.errors import UnknownProvider
from resource_secretary.run import printable
from resource_secretary.tools import check_tools

if TYPE_CHECKING:
    from types import ModuleType

    from resource_secretary.providers import BaseProvider

# The order of listings; a category that only a plugin has comes after them.
CATEGORIES = ("workload", "software", "container", "storage", "network", "hardware", "parallel")
_PLUGIN = "plugin"  # the category of a plugin that can't be imported, and so can't say its own
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)

Classes = tuple[type["BaseProvider"], ...]


@dataclass(frozen=True, slots=True)
class Known:
    """A provider of the catalogue. `provider` is None where it can't be used, and `reason` says why."""

    category: str
    name: str
    description: str
    origin: str
    provider: type[BaseProvider] | None = None
    reason: str = ""


def read_module(module: ModuleType) -> Classes:
    """The provider classes that a module defines; one whose name starts with `_` is a base that they share.

    A plugin may have policies of the hub and no provider; else TypeError is raised, or as by `read_classes`.
    """
    found = tuple(
        one
        for name, one in vars(module).items()
        if inspect.isclass(one)
        and not name.startswith("_")
        and issubclass(one, providers.BaseProvider)
        and not inspect.isabstract(one)
        and (one.__module__ == module.__name__ or one.__module__.startswith(f"{module.__name__}."))
    )
    if not found and hasattr(module, "POLICIES"):
        return ()
    if not found:
        raise TypeError("it defines no subclass of resource_secretary.providers.BaseProvider")
    return read_classes(found)


def read_classes(found: Sequence[type[BaseProvider]]) -> Classes:
    """The classes, if each says who it is and has tools that can be called. Raises TypeError."""
    for one in found:
        for attribute in ("category", "name", "description"):
            if not isinstance(getattr(one, attribute, None), str) or not getattr(one, attribute).strip():
                raise TypeError(f"{one.__name__} does not say its {attribute}")
        for attribute in ("category", "name"):
            if not _NAME.fullmatch(getattr(one, attribute)):
                raise TypeError(
                    f"{one.__name__}: the {attribute} {getattr(one, attribute)!r} is not lower case with '-'"
                )
        if not one.__module__.startswith(f"{providers.__name__}."):  # the built-in ones are known to be right
            check_tools(one)  # a tool without type hints makes its provider unusable, and says so at once
    return tuple(found)


def built_in_folders() -> list[str]:
    """The packages of the built-in providers: the folders below `resource_secretary.providers`."""
    folder = Path(providers.__file__).parent
    return [f"{providers.__name__}.{one.parent.name}" for one in sorted(folder.glob("*/__init__.py"))]


def registry() -> Registry[Classes]:
    return Registry("resource_secretary_", read_module, builtins=built_in_folders())


class Catalog:
    """All providers, sorted by category and name. Making it imports their modules, not the libraries they use."""

    _note = ""  # what an error says of a catalogue from which some were left out

    def __init__(self, source: Registry[Classes] | None = None) -> None:
        self.entries = sorted(_without_conflicts(_entries(source or registry())), key=_order)

    def without(self, only: Sequence[str], skip: Sequence[str]) -> Catalog:
        """Of its providers those that `only` names (all where it is empty) and `skip` does not.

        A pattern is a name, a category, or CATEGORY.NAME; case is ignored. Raises UnknownProvider for one that is none.
        """
        if not only and not skip:
            return self
        chosen, left_out = (self._named(patterns) for patterns in (only, skip))
        made = copy.copy(self)
        made._note = "the others are left out (only, skip)"
        made.entries = [
            entry for entry in self.entries if (not only or entry.name in chosen) and entry.name not in left_out
        ]
        return made

    def _named(self, patterns: Sequence[str]) -> set[str]:
        names: set[str] = set()
        for pattern in patterns:
            found = {
                entry.name
                for entry in self.entries
                if pattern.lower() in (entry.name, entry.category, f"{entry.category}.{entry.name}")
            }
            if not found:
                raise UnknownProvider("provider or category", pattern, [entry.name for entry in self.entries])
            names |= found
        return names

    def categories(self) -> list[str]:
        return list(dict.fromkeys(entry.category for entry in self.entries))

    def select(self, category: str | None = None, name: str | None = None) -> list[Known]:
        """Those of a category, of a name, or all; case is ignored. Raises UnknownProvider that lists what there is."""
        found = self.entries
        if category is not None:
            found = [entry for entry in found if entry.category == category.lower()]
            if not found:
                raise UnknownProvider("category", category, self.categories(), self._note)
        if name is not None:
            known = [entry.name for entry in found]
            found = [entry for entry in found if entry.name == name.lower()]
            if not found:
                what = f"{category.lower()} provider" if category else "provider"
                raise UnknownProvider(what, name, known, self._note)
        return found


def _entries(source: Registry[Classes]) -> list[Known]:
    entries: list[Known] = []
    for line in source.listing():
        found = line.found
        origin = f"{found.origin} (replaces the built-in one)" if found.replaces else found.origin
        classes = line.plugin or ()
        described = [(one, printable(" ".join(one.description.split()))) for one in classes]
        entries += [Known(one.category, one.name, text, origin, one) for one, text in described]
        if line.plugin is None:
            category = found.module.split(".")[-2] if found.origin == BUILT_IN else _PLUGIN
            entries.append(Known(category, found.name, "", origin, None, line.reason))
    return entries


def _without_conflicts(entries: list[Known]) -> list[Known]:
    """The entries, each name once: modules of different names can define providers of one name.

    An installed one wins over a built-in one; two installed ones are both unusable, and the reason names both.
    """
    by_name: dict[str, list[Known]] = {}
    for entry in entries:
        by_name.setdefault(entry.name, []).append(entry)
    unique = []
    for name, same in by_name.items():
        installed = [entry for entry in same if entry.origin != BUILT_IN] or same
        if len(installed) > 1:
            places = (f"{getattr(entry.provider, '__module__', entry.name)} ({entry.origin})" for entry in installed)
            reason = f"two providers are named {name!r}: {' and '.join(places)}; remove one of them"
            unique.append(replace(installed[0], provider=None, reason=reason))
        elif len(same) > 1:
            unique.append(replace(installed[0], origin=f"{installed[0].origin} (replaces the built-in one)"))
        else:
            unique += same
    return unique


def _order(entry: Known) -> tuple[int, str, str]:
    rank = CATEGORIES.index(entry.category) if entry.category in CATEGORIES else len(CATEGORIES)
    return rank, entry.category, entry.name
