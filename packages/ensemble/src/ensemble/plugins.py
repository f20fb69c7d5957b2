"""Find what installed modules named `ensemble_NAME` add, and choose the member of a run.

A module has one or more of
- MEMBER: a subclass of ensemble.member.Member; used as `member: NAME`.
- ACTIONS: a mapping of names to functions; used as `{name: custom, label: NAME.ACTION}`.
- READERS: a mapping of names to readers of application metrics; used as `metrics: {t: {reader: NAME.READER}}`.
  A reader is a function `line -> float | None`, or, where it keeps state, a class whose objects have such a method
  `feed`: one object is made, without arguments, for each attempt of a job.
- RULES: a mapping of names to functions that return a list of rules, as mappings or ensemble.document.Rule; used in the
  list of rules as `{use: NAME.RULES, with: {...}}`: `with` are the keyword arguments.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from resources.errors import PluginError, UnknownPlugin
from resources.plugins import Registry

from ensemble.errors import MemberError
from ensemble.member import Member
from ensemble.metrics import did_you_mean

TABLES = ("ACTIONS", "READERS", "RULES")
Function = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Plugin:
    """What a module gives: a member, and functions by name."""

    member: type[Member] | None
    actions: Mapping[str, Function]
    readers: Mapping[str, Function]
    rules: Mapping[str, Function]


def _read(module: ModuleType) -> Plugin:
    member = getattr(module, "MEMBER", None)
    if member is None and all(getattr(module, table, None) is None for table in TABLES):
        raise AttributeError(f"it has none of MEMBER, {', '.join(TABLES)}")
    if member is not None and not (isinstance(member, type) and issubclass(member, Member)):
        raise TypeError("its MEMBER is no subclass of ensemble.member.Member")
    if member is not None and inspect.isabstract(member):
        raise TypeError(f"its MEMBER lacks {', '.join(sorted(member.__abstractmethods__))}")
    actions, readers, rules = (_table(module, table) for table in TABLES)
    for name, reader in readers.items():
        if isinstance(reader, type) and not callable(getattr(reader, "feed", None)):
            raise TypeError(f"its reader {name!r} has no method feed(line)")
    return Plugin(member, actions, readers, rules)


def _table(module: ModuleType, name: str) -> Mapping[str, Function]:
    table = getattr(module, name, None)
    if table is None:
        return {}
    if not isinstance(table, Mapping) or not all(isinstance(k, str) and callable(v) for k, v in table.items()):
        raise TypeError(f"its {name} is no mapping of names to functions")
    return table


def registry() -> Registry[Plugin]:
    """The plugins of this package, built-in and installed."""
    return Registry("ensemble_", _read, builtins=("ensemble.members",))


def find_action(label: str, plugins: Registry[Plugin]) -> Function:
    """The custom action `PLUGIN.NAME`. Raises PluginError."""
    return _find(label, "action", lambda plugin: plugin.actions, plugins)


def find_reader(label: str, plugins: Registry[Plugin]) -> Function:
    """The reader `PLUGIN.NAME`: a function, or a class of objects with `feed`. Raises PluginError."""
    return _find(label, "reader", lambda plugin: plugin.readers, plugins)


def find_rules(label: str, plugins: Registry[Plugin]) -> Function:
    """The rule set `PLUGIN.NAME`: a function that returns rules. Raises PluginError."""
    return _find(label, "rule set", lambda plugin: plugin.rules, plugins)


def _find(
    label: str, what: str, table: Callable[[Plugin], Mapping[str, Function]], plugins: Registry[Plugin]
) -> Function:
    plugin, _, name = label.partition(".")
    found = table(plugins.load(plugin))
    if name not in found:
        hint = did_you_mean(name, list(found)) if found else "; there are: none"
        raise PluginError(plugin, f"plugin {plugin!r} has no {what} {name!r}{hint}")
    return found[name]


def why_no_action(label: str, plugins: Registry[Plugin]) -> str:
    """Why there is no custom action of that name; empty where there is."""
    return _why(find_action, label, plugins)


def why_no_reader(label: str, plugins: Registry[Plugin]) -> str:
    """Why there is no reader of that name; empty where there is."""
    return _why(find_reader, label, plugins)


def _why(find: Callable[[str, Registry[Plugin]], Function], label: str, plugins: Registry[Plugin]) -> str:
    try:
        find(label, plugins)
    except PluginError as error:
        return str(error)
    return ""


def why_unavailable(member: type[Member]) -> str:
    """Why a member can't be used here; a stranger's that fails to say so can't be either."""
    try:
        return member.unavailable()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - see above
        return f"{type(error).__name__}: {error}"


def choose(asked: str, plugins: Registry[Plugin], *, cores: int | None = None) -> tuple[str, type[Member]]:
    """The member of a run, by name and as a class: the one asked for, else Flux if it can be used, else local.

    cores: what --cores says, which not every member takes. Raises MemberError where it can't be used and says why;
    PluginError where there is none of that name.
    """
    if not asked:
        asked = "local" if why_unavailable(_member("flux", plugins)) else "flux"
    kind = _member(asked, plugins)
    if why := why_unavailable(kind):
        raise MemberError(asked, why)
    if cores is not None and not kind.takes_cores:
        raise MemberError(asked, "--cores is for members that run on this machine, such as local")
    return asked, kind


def _member(name: str, plugins: Registry[Plugin]) -> type[Member]:
    try:
        member = plugins.load(name).member
    except UnknownPlugin:
        raise UnknownPlugin(name, f"no member named {name!r}{did_you_mean(name, plugins.names())}") from None
    if member is None:
        raise PluginError(name, f"plugin {name!r} is no member: it has actions, readers or rules only")
    return member
