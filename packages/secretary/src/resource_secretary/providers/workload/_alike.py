"""An inventory of hosts: those that are alike become one group."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from resource_secretary.errors import OutputError

if TYPE_CHECKING:
    from resources.documents import Inventory
    from resources.resource import Resource

    from resource_secretary.system import System


def inventory_of(source: str, rows: Iterable[tuple[str, str, Resource, Resource | None]], system: System) -> Inventory:
    """The inventory of hosts (name, state, total, free) as `source` told them, ranks in their order.

    Raises OutputError where what is free is not within what there is, or a name is no name of a host.
    """
    from resources import hostlist
    from resources.documents import Group, Inventory
    from resources.errors import InputError

    alike: dict[tuple[str, str, str], list[tuple[int, str, Resource, Resource | None]]] = {}
    for rank, (name, state, total, free) in enumerate(rows):
        alike.setdefault((state, str(total), str(free)), []).append((rank, name, total, free))
    try:
        groups = tuple(
            Group(tuple(row[1] for row in rows), tuple(row[0] for row in rows), rows[0][2], rows[0][3], state)
            for (state, _, _), rows in alike.items()
        )
        for group in groups:
            hostlist.checked(group.hosts)  # raises for names that no list of hosts can hold
        return Inventory(groups, observed_at=system.now(), observed_on=system.where())
    except InputError as error:
        raise OutputError(source, error.place, error.message) from None
