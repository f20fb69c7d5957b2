"""InfiniBand: ports whose link layer is InfiniBand. RoCE, Omni-Path and EFA devices stand beside them in the kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from resource_secretary.errors import OutputError
from resource_secretary.providers import Absent, Active, BaseProvider, Unreachable, secretary_tool
from resource_secretary.providers.network._rdma import FOLDER, Counters, Port, down, read_counters, read_ports

_TOOLS = (("ibstat",), ("ibv_devinfo",), ("rdma", "-j", "link"))
_NO_DEVICE = (1, 255)


@dataclass(frozen=True, slots=True)
class InfiniBand:
    """ports: those of InfiniBand, up or not. rate: Gb/s of all that are up; null where one does not tell its own.

    source: who told. others: RDMA devices that are no InfiniBand, with what they are.
    """

    ports: tuple[Port, ...]
    up: int
    rate: float | None
    source: str
    others: dict[str, str]
    unread: tuple[str, ...] = ()


class InfinibandProvider(BaseProvider):
    category = "network"
    name = "infiniband"
    description = "InfiniBand: ports, their state and rate, counters and errors, and the NUMA node that each is near."

    def probe(self) -> Active[InfiniBand] | Absent | Unreachable:
        source, every, unread, failed = self._every()
        ours = tuple(port for port in every if port.kind == "infiniband")
        others: dict[str, str] = {port.device: port.kind for port in every if port.kind != "infiniband"}
        up = [port for port in ours if port.up]
        if up:
            rates = [port.rate for port in up if port.rate is not None]
            rate = sum(rates) if len(rates) == len(up) else None
            return Active(InfiniBand(ours, len(up), rate, source, others, unread))
        if ours:
            return Unreachable(source, f"no port is up: {down(list(ours))}")
        if failed is not None:
            return failed
        kinds = ", ".join(f"{name} is {kind}" for name, kind in sorted(others.items()))
        return Absent(f"an InfiniBand port in {FOLDER}{f': {kinds}' if kinds else ''}")

    @secretary_tool
    def ports(
        self, kind: Literal["any", "infiniband", "omni-path", "efa", "roce", "iwarp", "unknown"] = "infiniband"
    ) -> list[Port]:
        """The RDMA ports of this host with link state, rate, device, and the NUMA node that each is near.
        kind: those of this kind only; any lists also RoCE, Omni-Path and EFA devices."""
        return [port for port in self._every()[1] if kind in ("any", port.kind)]

    @secretary_tool
    def counters(self) -> list[Counters]:
        """Bytes and packets of each InfiniBand port, how often its link went down, and its errors."""
        return read_counters(self.system, "infiniband")

    def _every(self) -> tuple[str, list[Port], tuple[str, ...], Unreachable | None]:
        """All RDMA ports: by sysfs, else by a tool. The last is what a tool that failed said."""
        found = read_ports(self.system)
        words = next((words for words in _TOOLS if self.system.which(words[0])), None)
        # Where the kernel's classes of devices can be seen, they are believed: nothing is run to learn of no device.
        if found or words is None or self.system.exists("/sys/class"):
            return FOLDER, found, (), None
        from resource_secretary.providers.network import _rdma_text as text

        readers = {"ibstat": text.read_ibstat, "ibv_devinfo": text.read_devinfo, "rdma": text.read_rdma_link}
        ran = self.system.run(*words)
        source = " ".join(words)
        if not ran.ok and not ran.stdout.strip():
            # Without any device ibstat ends well and says nothing, the other two fail.
            none = words[0] != "ibstat" and ran.code in _NO_DEVICE
            return source, [], (), None if none else ran.unreachable()
        try:
            told = readers[words[0]](ran.stdout)
        except OutputError as error:
            return source, [], (), Unreachable(source, str(error).removeprefix(f"{error.source}: "), ran.code)
        # ibstat stops at a device that it can't read: what it told before is true.
        failed = (
            None if ran.ok and not told.unread else Unreachable(source, told.unread[0] if told.unread else ran.said)
        )
        return source, list(told.ports), told.unread, failed
