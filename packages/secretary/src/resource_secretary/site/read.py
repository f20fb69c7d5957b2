"""A site, read from its workload manager: the nodes, the queues and the rest side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from resource_secretary.asking import HOST
from resource_secretary.errors import SecretaryError
from resource_secretary.sidebyside import first_line, side_by_side
from resource_secretary.site import managers
from resource_secretary.site.facts import Fact, Site
from resource_secretary.site.nodes import Known, node_facts
from resource_secretary.site.queues import environment_facts, queue_facts

if TYPE_CHECKING:
    from resources.documents import Inventory

    from resource_secretary.providers import Offering
    from resource_secretary.system import System

# The keys of a profile that can be found out here, in the order in which they are written.
_NODES = ("cores_per_node", "gpus_per_node", "memory_per_node", "gpu_types")
KEYS = ("default_queue", "queues", "parallel_environments", *_NODES, "memory_units", "memory_per", "array_cap")


def manager_site(provider: Offering) -> Site:
    """The site of a manager, in the time that `provider.system` has left. What fails is missing, with its reason."""
    name, system = provider.name, provider.system
    asked: dict[tuple[str, ...], Callable[[], Known]] = {
        _NODES: lambda: node_facts(provider.inventory()),
        ("default_queue", "queues"): lambda: queue_facts(provider),
        ("parallel_environments",): lambda: environment_facts(provider),
        ("memory_units",): lambda: {"memory_units": managers.memory_units(name, system)},
        ("memory_per",): lambda: {"memory_per": managers.memory_per(name, system)},
        ("array_cap",): lambda: {"array_cap": managers.array_cap(name, system)},
    }
    found: Known = {}
    for keys, outcome in zip(asked, side_by_side(list(asked.values()), system.left()), strict=True):
        if outcome is None:
            found |= dict.fromkeys(keys, f"no answer in {system.timeout:g} s")
        elif outcome.error is not None:
            error = outcome.error
            found |= dict.fromkeys(keys, str(error) if isinstance(error, SecretaryError) else first_line(error))
        else:
            found |= outcome.value or {}
    return _site(name, found, system)


def host_site(inventory: Inventory, system: System) -> Site:
    """What a profile can say of this very host."""
    none = dict.fromkeys(("default_queue", "queues"), "no workload manager is active here")
    return _site(HOST, {**none, **node_facts(inventory)}, system)


def _site(name: str, found: Known, system: System) -> Site:
    facts = {key: value for key in KEYS if isinstance(value := found.get(key), Fact)}
    missing = {key: value for key in KEYS if isinstance(value := found.get(key), str) and value}
    return Site(name, system.now(), system.where(), facts, missing)
