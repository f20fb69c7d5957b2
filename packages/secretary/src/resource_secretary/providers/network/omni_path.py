"""Omni-Path (Intel, Cornelis Networks): devices of the driver hfi1, among those of InfiniBand in the kernel."""

from __future__ import annotations

from dataclasses import dataclass

from resource_secretary.errors import OutputError
from resource_secretary.providers import Absent, Active, BaseProvider, Unreachable, secretary_tool
from resource_secretary.providers.network._rdma import FOLDER, Counters, Port, down, read_counters, read_ports


@dataclass(frozen=True, slots=True)
class OmniPath:
    """ports: all, up or not. rate: Gb/s of all that are up; null where one does not tell its own."""

    ports: tuple[Port, ...]
    up: int
    rate: float | None
    source: str


class OmniPathProvider(BaseProvider):
    category = "network"
    name = "omni-path"
    description = "Omni-Path: host fabric interfaces (hfi1), their state and rate, counters and errors, and NUMA nodes."

    def probe(self) -> Active[OmniPath] | Absent | Unreachable:
        source, ports, failed = self._ports()
        up = [port for port in ports if port.up]
        if up:
            rates = [port.rate for port in up if port.rate is not None]
            return Active(OmniPath(tuple(ports), len(up), sum(rates) if len(rates) == len(up) else None, source))
        if ports:
            return Unreachable(source, f"no port is up: {down(ports)}")
        return failed or Absent(f"a device of the driver hfi1 in {FOLDER}")

    @secretary_tool
    def ports(self) -> list[Port]:
        """The Omni-Path ports of this host with link state, rate, device, and the NUMA node that each is near."""
        return self._ports()[1]

    @secretary_tool
    def counters(self) -> list[Counters]:
        """Bytes and packets of each port, how often its link went down, and its errors."""
        return read_counters(self.system, "omni-path")

    def _ports(self) -> tuple[str, list[Port], Unreachable | None]:
        ports = [port for port in read_ports(self.system) if port.kind == "omni-path"]
        if ports or self.system.exists("/sys/class") or not self.system.which("opainfo"):
            return FOLDER, ports, None
        from resource_secretary.providers.network._rdma_text import read_opainfo

        ran = self.system.run("opainfo")
        if not ran.ok:
            return "opainfo", [], ran.unreachable()
        if not ran.stdout.strip():
            return "opainfo", [], None
        try:
            return "opainfo", list(read_opainfo(ran.stdout).ports), None
        except OutputError as error:
            return "opainfo", [], Unreachable("opainfo", str(error).removeprefix("opainfo: "), ran.code)
