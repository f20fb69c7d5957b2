"""The kinds of resources: one module each, found like any plugin. `KIND` is the class."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from resources.errors import BrokenPlugin, PluginConflict, UnknownKind, UnknownPlugin
from resources.plugins import Registry, plugin_name
from resources.units import shown

if TYPE_CHECKING:
    from types import ModuleType

    from resources.resource import Resource

MUST_HAVE = ("_request", "_alloc", "_dealloc", "_stat")  # the inherited _repr serves most kinds


def _read(module: ModuleType) -> type[Resource]:
    from resources.resource import Resource

    kind = getattr(module, "KIND", None)
    if not (isinstance(kind, type) and issubclass(kind, Resource)):
        raise TypeError("KIND is not a subclass of resources.Resource")
    name = plugin_name(module.__name__.rpartition(".")[2], "resources_")
    if kind.kind != name:
        raise ValueError(f"its kind is named {kind.kind!r}, its module says {name!r}")
    if missing := [method for method in MUST_HAVE if getattr(kind, method) is getattr(Resource, method)]:
        raise TypeError(f"KIND lacks {', '.join(missing)}")
    return kind


REGISTRY: Registry[type[Resource]] = Registry("resources_", _read, builtins=["resources.kinds"])


def kind_class(name: str) -> type[Resource]:
    """The class of a kind by its name. Raises UnknownKind; a broken plugin is an InputError too."""
    try:
        return REGISTRY.load(name)
    except UnknownPlugin:
        close = get_close_matches(name, REGISTRY.names(), 1)
        meant = f"; did you mean {close[0]!r}?" if close else f"; there are: {', '.join(REGISTRY.names())}"
        raise UnknownKind(f"unknown kind {shown(name)}{meant}") from None
    except (BrokenPlugin, PluginConflict) as error:
        raise UnknownKind(str(error)) from error
