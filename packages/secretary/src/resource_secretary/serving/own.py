"""The secretary's own tools, beside those of the providers: manifest, offer, ask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta

from resource_secretary.asking import Answer
from resource_secretary.manifest import Entry, Manifest
from resource_secretary.tools import secretary_tool
from resource_secretary.values import Name

if TYPE_CHECKING:
    from collections.abc import Callable

    from resources.documents import Group, Inventory

    from resource_secretary.secretary import Secretary

Request = Annotated[
    str,
    Meta(
        min_length=1, max_length=8192, description="such as `nodes=2 cores=4 memory=8GB gpus=2:a100 walltime=1:00:00`"
    ),
]
_HOSTS = 4000  # characters of the names in one entry of an offer


@dataclass(frozen=True, slots=True)
class Listed:
    """A provider. state: active, absent, unreachable, broken; reason: why it is not active. metadata: what does not
    change, or slowly. tools: those that can be called. seen: when and from where."""

    category: str
    name: str
    description: str
    active: bool
    state: str
    reason: str | None
    metadata: dict[str, Any] | None
    tools: list[str]
    observed_at: str
    observed_on: str


@dataclass(frozen=True, slots=True)
class Hosts:
    """Hosts that are alike. hosts: their names, as n[1-3,7]. count: how many. total: what each has; free: what of it is
    free on each, null where that is unknown; both as a request says it (`cores=4 memory=8GB`)."""

    state: Literal["up", "down", "drained", "unknown"]
    count: int
    hosts: str
    total: str
    free: str | None


class Own:
    """The methods are tools as those of a provider are; `tools_of` describes them."""

    def __init__(
        self, secretary: Secretary, timeout: float, manifest: Callable[[], Manifest], name: Callable[[str, str], str]
    ) -> None:
        self._secretary, self._timeout, self._manifest, self._name = secretary, timeout, manifest, name

    @secretary_tool
    def manifest(
        self,
        active: bool = True,
        category: Name | None = None,
    ) -> list[Listed]:
        """What this machine or cluster has: the providers that were detected, their static metadata and their tools.
        active: those that are active only; false gives the others too, each with the reason why it is not active.
        category: one of workload, software, container, storage, network, hardware, parallel; null for all."""
        names = {known.name for known in self._secretary.catalog.select(category)}
        return [
            listed(entry, self._name)
            for entry in self._manifest().entries
            if (entry.active or not active) and entry.known.name in names
        ]

    @secretary_tool
    def offer(self, manager: Name | None = None) -> list[Hosts]:
        """What there is to give and what of it is free: hosts in groups that are alike, the hosts that are up first.
        manager: the workload manager whose cluster is meant, such as slurm or flux; null for this host alone."""
        return [one for group in _sorted(self._secretary.offer(manager, self._timeout)) for one in _hosts(group)]

    @secretary_tool
    def ask(self, request: Request, manager: Name | None = None) -> Answer:
        """Whether a job would fit: READY now, BUSY later, INCOMPATIBLE never, UNKNOWN if nobody could say; and why.
        request: what the job needs, per node where there are nodes, per task where there are tasks.
        manager: the workload manager to ask, `host` for this host alone; null for the best of those that are active."""
        return self._secretary.ask(request, manager, self._timeout)


def listed(entry: Entry, name: Callable[[str, str], str]) -> Listed:
    """An entry of the manifest as a row, with the names that tools have for clients."""
    known = entry.known
    return Listed(
        category=known.category,
        name=known.name,
        description=known.description,
        active=entry.active,
        state=entry.result.state,
        reason=entry.result.reason or None,
        metadata=entry.metadata,
        tools=[name(known.name, tool.name) for tool in entry.tools],
        observed_at=entry.observed_at,
        observed_on=entry.observed_on,
    )


def _sorted(inventory: Inventory) -> list[Group]:
    """Groups that are alike as one, whatever lies between them; those that are up first, then in their order."""
    from dataclasses import replace

    alike: dict[str, list[Group]] = {}
    for group in inventory.groups:
        alike.setdefault(f"{group.state} {group.total} {group.free}", []).append(group)
    made = []
    for same in alike.values():
        rows = sorted((rank, host) for group in same for rank, host in zip(group.ranks, group.hosts, strict=True))
        made.append(replace(same[0], hosts=tuple(row[1] for row in rows), ranks=tuple(row[0] for row in rows)))
    return sorted(made, key=lambda group: group.state != "up")


def _hosts(group: Group) -> Iterator[Hosts]:
    """The entries of a group: one, or several where the names are too long for one."""
    from resources import hostlist

    total, free = str(group.total), None if group.free is None else str(group.free)
    rest = list(group.hosts)
    while rest:
        some = rest
        while len(text := hostlist.compress(some)) > _HOSTS and len(some) > 1:
            some = some[: max(1, min(len(some) // 2, len(some) * _HOSTS // len(text)))]
        rest = rest[len(some) :]
        yield Hosts(group.state, len(some), text, total, free)  # type: ignore[arg-type]  # one of STATES
