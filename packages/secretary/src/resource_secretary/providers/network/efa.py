"""Elastic Fabric Adapters (Amazon EC2): devices of the driver efa, which the kernel shows among those of InfiniBand."""

from __future__ import annotations

from dataclasses import dataclass

from resource_secretary.errors import CommandFailed
from resource_secretary.providers import Absent, Active, BaseProvider, Unreachable, secretary_tool
from resource_secretary.providers.network._libfabric import ask, tell
from resource_secretary.providers.network._rdma import FOLDER, Counters, Port, down, read_counters, read_ports
from resource_secretary.providers.network._rdma_text import Provider


@dataclass(frozen=True, slots=True)
class Efa:
    """ports: one of each adapter; empty where only libfabric tells. domains: the adapters by their libfabric names."""

    ports: tuple[Port, ...]
    domains: tuple[str, ...]
    source: str


class EfaProvider(BaseProvider):
    category = "network"
    name = "efa"
    description = "Elastic Fabric Adapters of Amazon EC2: adapters, their state and rate, counters, and NUMA nodes."

    def probe(self) -> Active[Efa] | Absent | Unreachable:
        ports = self.adapters()
        if any(port.up for port in ports):
            return Active(Efa(tuple(ports), (), FOLDER))
        if ports:
            return Unreachable(FOLDER, f"no adapter is up: {down(ports)}")
        told = tell(self.system, "efa", f"a device of the driver efa in {FOLDER}")
        if isinstance(told, tuple):
            domains = dict.fromkeys(one.domain.partition("-")[0] for one in told if one.domain)
            return Active(Efa((), tuple(domains), "fi_info -p efa"))
        return told

    @secretary_tool
    def adapters(self) -> list[Port]:
        """The adapters of this host with state, rate, firmware, and the NUMA node that each is near."""
        return [port for port in read_ports(self.system) if port.kind == "efa"]

    @secretary_tool
    def counters(self) -> list[Counters]:
        """Bytes and packets of each adapter, and its errors."""
        return read_counters(self.system, "efa")

    @secretary_tool
    def libfabric(self) -> list[Provider]:
        """What libfabric offers on these adapters, by fi_info: whether MPI libraries can use them."""
        found = ask(self.system, "efa")
        if found is None:
            raise CommandFailed("fi_info", "not found on PATH")
        return list(found)
