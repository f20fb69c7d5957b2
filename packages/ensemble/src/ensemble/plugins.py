"""Find members and packaged custom actions, and choose the member of a run."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from resources.errors import PluginError
from resources.plugins import Registry

from ensemble.errors import MemberError
from ensemble.member import Member, Options


@dataclass(frozen=True, slots=True)
class Plugin:
    """What a module gives: a member, custom actions by name, or both."""

    member: type[Member] | None
    actions: Mapping[str, Callable[..., Any]]


def _read(module: ModuleType) -> Plugin:
    member, actions = getattr(module, "MEMBER", None), getattr(module, "ACTIONS", None)
    if member is None and actions is None:
        raise AttributeError("it has neither MEMBER nor ACTIONS")
    if member is not None and not (isinstance(member, type) and issubclass(member, Member)):
        raise TypeError("its MEMBER is no subclass of ensemble.member.Member")
    if member is not None and inspect.isabstract(member):
        raise TypeError(f"its MEMBER lacks {', '.join(sorted(member.__abstractmethods__))}")
    actions = {} if actions is None else actions
    if not isinstance(actions, Mapping) or not all(isinstance(k, str) and callable(v) for k, v in actions.items()):
        raise TypeError("its ACTIONS is no mapping of names to functions")
    return Plugin(member, actions)


def registry() -> Registry[Plugin]:
    """The plugins of this package, built-in and installed."""
    return Registry("ensemble_", _read, builtins=("ensemble.members",))


def find_action(label: str, plugins: Registry[Plugin]) -> Callable[..., Any]:
    """The custom action `PLUGIN.NAME`. Raises PluginError."""
    plugin, _, name = label.partition(".")
    actions = plugins.load(plugin).actions
    if name not in actions:
        raise PluginError(
            plugin, f"plugin {plugin!r} has no action {name!r}; there are: {', '.join(actions) or 'none'}"
        )
    return actions[name]


def why_no_action(label: str, plugins: Registry[Plugin]) -> str:
    """Why there is no custom action of that name; empty where there is."""
    try:
        find_action(label, plugins)
    except PluginError as error:
        return str(error)
    return ""


def why_unavailable(member: type[Member]) -> str:
    """Why a member can't be used here; a stranger's that fails to say so can't be either."""
    try:
        return member.unavailable()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - see above
        return f"{type(error).__name__}: {error}"


def choose(asked: str, options: Options, plugins: Registry[Plugin]) -> tuple[str, Member]:
    """The member of a run by name and as an object: the one asked for, else Flux if it can be used, else local.

    Raises MemberError where it can't be used and says why; PluginError where there is none of that name.
    """
    if not asked:
        asked = "local" if why_unavailable(_member("flux", plugins)) else "flux"
    kind = _member(asked, plugins)
    if why := why_unavailable(kind):
        raise MemberError(asked, why)
    if options.cores is not None and not kind.takes_cores:
        raise MemberError(asked, "--cores is for members that run on this machine, such as local")
    return asked, kind(options)


def _member(name: str, plugins: Registry[Plugin]) -> type[Member]:
    member = plugins.load(name).member
    if member is None:
        raise PluginError(name, f"plugin {name!r} has actions only, it is no member")
    return member
