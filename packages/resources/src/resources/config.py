"""Pools from a table (a dict, a TOML file) and from an inventory, and back to an inventory."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resources import hostlist
from resources.errors import InputError
from resources.kinds.licenses import Licenses
from resources.language import resources_from_json
from resources.resource import ZERO, Resource, combine
from resources.units import shown

if TYPE_CHECKING:
    from resources.documents import Inventory
    from resources.pool import Pool

Groups = list[tuple[list[str], Resource]]


def load_toml(source: str | Path) -> dict[str, Any]:
    """The table of a TOML text, or of a file where a Path is given. Raises InputError."""
    try:
        text = source.read_text() if isinstance(source, Path) else source
        return tomllib.loads(text)
    except OSError as error:
        raise InputError(f"can't read {source}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # no TOML, no UTF-8, or an integer of too many digits
        raise InputError(f"no TOML: {error}", str(source) if isinstance(source, Path) else "") from None


def pool_arguments(table: Mapping[str, Any]) -> tuple[Groups, Resource]:
    """(groups, shared) of a table.

    A key is a registered kind with its value as in text or JSON (`cores = 64`, `memory = "256GB"`,
    `walltime = "24:00:00"`), `tokens` (a list), `hosts` (a hostlist; this machine where it is missing), or
    `groups`: a list of such tables, for hosts that differ. `licenses` stand at the top and are shared.
    """
    if not isinstance(table, Mapping):
        raise InputError(f"a pool's configuration is a table, not {shown(table)}")
    rows = dict(table)
    shared: Resource = ZERO
    if "licenses" in rows:
        try:
            shared = Licenses.from_json(rows.pop("licenses"))
        except InputError as error:
            raise error.at("licenses") from None
    if "groups" not in rows:
        return [_group(rows, "")], shared
    groups = rows.pop("groups")
    if rows:
        raise InputError(f"beside groups there is only licenses, not {', '.join(map(shown, rows))}")
    if not isinstance(groups, list):
        raise InputError(f"groups is a list of tables, not {shown(groups)}")
    return [_group(row, f"groups[{at}]") for at, row in enumerate(groups)], shared


def _group(row: object, place: str) -> tuple[list[str], Resource]:
    if not isinstance(row, Mapping):
        raise InputError(f"expected a table, not {shown(row)}", place)
    values = dict(row)
    if "tokens" in values:
        if "token" in values:
            raise InputError("give token or tokens, not both", place)
        values["token"] = values.pop("tokens")
    hosts = values.pop("hosts", None)
    if hosts is None:
        from resources.machine import hostname

        hosts = hostname()
    if not isinstance(hosts, str):
        raise InputError(f"hosts is a hostlist text, not {shown(hosts)}", place)
    try:
        names = hostlist.expand(hosts)
    except InputError as error:
        raise error.at(f"{place}.hosts" if place else "hosts") from None
    return names, resources_from_json(values, place)


def limited(pool: Pool, inventory: Inventory) -> None:
    """Take from a pool of an inventory's totals what the inventory does not have free."""
    at = 0
    pool.ranks = [rank for group in inventory.groups for rank in group.ranks]
    for group in inventory.groups:
        for host in range(at, at + len(group.hosts)):
            bit = 1 << host
            if group.state == "unknown" or (group.state == "up" and group.free is None):
                pool.unknown |= bit
            if group.state != "up" or group.free is None:
                pool.up &= ~bit
            if group.free is not None and group.free != group.total:
                _limit(pool, host, group.free, group.total)  # of a drained host too: it may be undrained
        at += len(group.hosts)
    if inventory.shared_free is None or inventory.shared_free != inventory.shared_total:
        _limit_shared(pool, inventory)


def _limit(pool: Pool, host: int, free: Resource, total: Resource) -> None:
    for kind, column in pool.columns.items():
        if (own := total.get(kind)) is not None:
            # A kind that is not mentioned as free is not free at all.
            column.limit(host, free.get(kind) or own.of_nothing())
    for kind, kept in pool.custom.items():
        if host in kept and (leaf := free.get(kind)) is not None:
            kept[host] = copy.deepcopy(leaf)  # each host's own: what is taken of one stays on the others


def _limit_shared(pool: Pool, inventory: Inventory) -> None:
    total = inventory.shared_total.get("licenses")
    if total is None:
        return
    free = inventory.shared_free.get("licenses") if inventory.shared_free is not None else None
    left = free.licenses if free is not None else {}
    used = {name: n - left.get(name, 0) for name, n in total.licenses.items()}
    pool.shared.alloc(Licenses(used))


def inventory_of(pool: Pool) -> Inventory:
    """A pool as a document: totals, and what is free now."""
    from resources.documents import Group, Inventory

    rows = []
    for host, (name, rank) in enumerate(zip(pool.names, pool.ranks, strict=True)):
        total, bit = pool.of_host[host], 1 << host
        state = "up" if pool.up & bit else "unknown" if pool.unknown & bit else "drained"
        free = None if state == "unknown" else _as_total(pool.free_on(host), total)
        rows.append(Group((name,), (rank,), total, free, state))
    shared = pool.shared.fresh
    left: Resource = ZERO
    if (licenses := pool.shared.get("licenses")) is not None:
        left = Licenses({name: licenses.free_of(name) for name in licenses.licenses})
    return Inventory(tuple(rows), shared_total=shared, shared_free=left).merged()


def _as_total(free: Resource, total: Resource) -> Resource:
    """What is free, written as the total is where nothing is taken, so that equal parts read alike."""
    leaves = []
    for leaf in free.leaves:
        own: Any = total.get(leaf.kind)
        full = hasattr(leaf, "mask") and leaf.mask == own.mask
        leaves.append(own if full else leaf)
    return combine(leaves)
