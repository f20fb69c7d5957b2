"""A lead's nodes from what its resource module says, and a broker's from its hwloc topology."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from fluxburst.errors import HandleError

if TYPE_CHECKING:
    from resources import Resource
    from resources.documents import Inventory

_GPU_BACKENDS = frozenset({"CUDA", "NVML", "OpenCL", "RSMI"})  # hwloc's names of what computes


class Ranks:
    """The answer to `resource.status`: hosts by rank, and which are there, drained or left out."""

    def __init__(self, status: Mapping[str, Any]) -> None:
        from resources.flux_r import from_flux_r

        self.hosts = {rank: host for rank, host, _ in from_flux_r(status["R"]).hosts()}
        self.online = _ids(status["online"])
        # A broker that has long been silent gets no new jobs, but those that it has may complete: flux-config-tbon(5).
        self._torpid = _ids(status.get("torpid", ""))
        self.excluded = _ids(status["exclude"])
        self.reasons: dict[int, str] = {
            rank: str(why["reason"] or "") for ranks, why in status["drain"].items() for rank in _ids(ranks)
        }

    def state(self, rank: int) -> str:
        if rank not in self.online:
            return "down"
        return "drained" if rank in self.reasons or rank in self._torpid else "up"

    def named(self, hosts: Collection[str]) -> dict[int, str]:
        """Those of these hosts that are declared, by rank. A name that several ranks bear stands for all of them."""
        wanted = frozenset(hosts)
        return {rank: host for rank, host in self.hosts.items() if host in wanted}

    def drains(self) -> dict[str, str]:
        return {self.hosts[rank]: reason for rank, reason in self.reasons.items() if rank in self.hosts}


def inventory(ranks: Ranks, sched: Mapping[str, Any]) -> Inventory:
    """The nodes of `resource.sched-status`, which leaves excluded ones out.

    What jobs, their clean-up and housekeeping hold is not free. Nothing is free on a host that is down; a drained
    one tells what is idle on it, though nothing new starts there.
    """
    from resources import ZERO
    from resources.documents import Group, Inventory

    busy = {rank: group.total for rank, _, group in _hosts(sched["allocated"])}
    groups: list[Group] = []
    for rank, host, whole in _hosts(sched["all"]):
        state = ranks.state(rank)
        free = ZERO if state == "down" else _rest(whole.total, busy.get(rank))
        groups.append(Group((host,), (rank,), whole.total, free, state))
    return Inventory(tuple(groups)).merged()


def found(xml: str) -> tuple[int, int] | None:
    """(cores, GPUs) of a machine as its broker found them; None where its hwloc topology does not tell.

    A GPU that several backends know is one; one that a backend shows as several parts is as many.
    """
    if "<!ENTITY" in xml:
        return None
    try:
        top = ElementTree.fromstring(xml)  # noqa: S314  - from our own brokers, without entities
    except ElementTree.ParseError:
        return None
    cores = sum(one.get("type") == "Core" for one in top.iter("object"))
    gpus = 0
    for device in (one for one in top.iter("object") if one.get("type") == "PCIDev"):
        seen = [info.get("value") for info in device.iter("info") if info.get("name") == "Backend"]
        first = next((backend for backend in seen if backend in _GPU_BACKENDS), None)
        gpus += seen.count(first) if first else 0
    return (cores, gpus) if cores else None


def _rest(total: Resource, busy: Resource | None) -> Resource:
    """What is left of a host. One without free cores has nothing that a job could take."""
    from resources import ZERO
    from resources.resource import combine

    if busy is None:
        return total
    left = []
    leaf: Any
    for leaf in total.leaves:
        taken = busy.get(leaf.kind)
        if leaf.kind == "cores" and taken is not None:
            if not (mask := leaf.mask & ~taken.mask):
                return ZERO
            left.append(type(leaf).of_mask(mask))
        elif leaf.kind == "gpus" and taken is not None:
            if mask := leaf.mask & ~taken.mask:
                left.append(leaf.part(mask))
        else:
            left.append(leaf)
    return combine(left)


def _hosts(document: Mapping[str, Any]) -> list[tuple[int, str, Any]]:
    from resources.flux_r import from_flux_r

    if not document["execution"]["R_lite"]:
        return []  # Flux writes an empty set with one host without a name
    return list(from_flux_r(document).hosts())


def _ids(text: str) -> frozenset[int]:
    from resources import idset

    return frozenset(idset.ids_of(idset.parse(text))) if text else frozenset()


def idset_text(ranks: Collection[int]) -> str:
    """Ranks as Flux writes them (RFC 22)."""
    from resources import idset

    return idset.text(idset.mask_of(ranks))


def declared(ranks: Ranks, hosts: Collection[str]) -> dict[int, str]:
    """These hosts by rank. Raises HandleError where the lead has not declared one."""
    found = ranks.named(hosts)
    if missing := sorted(set(hosts) - set(found.values())):
        raise HandleError(f"the lead has no host {', '.join(missing[:5])}{' ...' if len(missing) > 5 else ''}")
    return found
