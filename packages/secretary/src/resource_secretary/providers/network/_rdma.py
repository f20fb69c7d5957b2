"""The RDMA devices of this host, as /sys/class/infiniband shows them: InfiniBand, and what only looks like it.

Documentation/ABI/stable/sysfs-class-infiniband: node_type (`1: CA`), ports/N/link_layer (InfiniBand, Ethernet), state
(`4: ACTIVE`), phys_state (`5: LinkUp`), rate (`100 Gb/sec (4X EDR)`). A device of the driver hfi1 says `InfiniBand` as
its link layer and is Omni-Path; one of the driver efa says `Unspecified`; a link layer `Ethernet` is RoCE, or iWARP
where the node type is RNIC.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from resource_secretary.system import System

FOLDER = "/sys/class/infiniband"
Kind = Literal["infiniband", "omni-path", "efa", "roce", "iwarp", "unknown"]
_OMNI_PATH = ("hfi1", "hfi2", "hfi")
_STATE = re.compile(r"(?:\d{1,2}:\s*)?([A-Za-z_ ]{1,40})")
_RATE = re.compile(r"(\d{1,5}(?:\.\d{1,2})?)(?:\s*Gb/sec)?(?:\s*\(([^)]{1,40})\))?", re.ASCII)
_NETDEV = "device/net"


@dataclass(frozen=True, slots=True)
class Port:
    """A port of an RDMA device. state: ACTIVE, INIT, ARMED, DOWN. physical_state: LinkUp, Polling, Disabled.

    rate: Gb/s. kind: what it really is. up: whether it can carry traffic; `reason` says why not. What is not told is
    null.
    """

    device: str
    port: int
    kind: Kind
    up: bool
    state: str | None
    physical_state: str | None
    rate: float | None
    width: str | None
    link_layer: str | None
    lid: int | None
    driver: str | None
    firmware: str | None
    board: str | None
    bus: str | None
    numa_node: int | None
    interfaces: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Counters:
    """Since the driver was loaded or they were reset. sent, received: bytes. errors: those that are not 0, by name.

    A value that the driver does not count is null.
    """

    device: str
    port: int
    sent: int | None
    received: int | None
    sent_packets: int | None
    received_packets: int | None
    link_downed: int | None
    errors: dict[str, int]


def read_ports(system: System) -> list[Port]:
    """Every port of every RDMA device, of whichever kind. A device without ports is left out: it is being set up."""
    return [
        _port(system, name, int(port))
        for name in system.entries(FOLDER)
        for port in sorted(system.entries(f"{FOLDER}/{name}/ports"))
        if port.isascii() and port.isdecimal() and len(port) < 4
    ]


def _port(system: System, name: str, number: int) -> Port:
    device, folder = f"{FOLDER}/{name}", f"{FOLDER}/{name}/ports/{number}"
    driver = (system.target(f"{device}/device/driver") or "").rpartition("/")[2] or None
    node_type = system.read(f"{device}/node_type") or ""
    layer = system.read(f"{folder}/link_layer") or None
    rate, width = rate_of(system.read(f"{folder}/rate"))
    node = system.read(f"{device}/device/numa_node") or ""
    place = system.target(f"{device}/device")
    return make_port(
        device=name,
        port=number,
        kind=kind_of(name, driver, node_type, layer, system.read(f"{device}/device/vendor")),
        state=state_of(system.read(f"{folder}/state")),
        physical_state=state_of(system.read(f"{folder}/phys_state")),
        rate=rate,
        width=width,
        link_layer=layer,
        lid=_lid(system.read(f"{folder}/lid")),
        driver=driver,
        firmware=system.read(f"{device}/fw_ver") or None,
        board=system.read(f"{device}/board_id") or system.read(f"{device}/hca_type") or None,
        bus=place.rpartition("/")[2] if place else None,
        numa_node=int(node) if node.isascii() and node.isdecimal() and len(node) < 5 else None,
        interfaces=tuple(system.entries(f"{device}/{_NETDEV}")),
    )


def make_port(
    *,
    device: str,
    port: int,
    kind: Kind,
    state: str | None,
    physical_state: str | None = None,
    rate: float | None = None,
    width: str | None = None,
    link_layer: str | None = None,
    lid: int | None = None,
    driver: str | None = None,
    firmware: str | None = None,
    board: str | None = None,
    bus: str | None = None,
    numa_node: int | None = None,
    interfaces: tuple[str, ...] = (),
) -> Port:
    """A port, with whether it is up."""
    up = (state or "").upper() in ("ACTIVE", "ACTIVE_DEFER")
    said = " ".join(word for word in (state, f"({physical_state})" if physical_state else "") if word)
    return Port(
        device,
        port,
        kind,
        up,
        state,
        physical_state,
        rate,
        width,
        link_layer,
        lid,
        driver,
        firmware,
        board,
        bus,
        numa_node,
        interfaces,
        "" if up else f"{device} port {port} is {said or 'in a state that is not told'}",
    )


def kind_of(name: str, driver: str | None, node_type: str, layer: str | None, vendor: str | None = None) -> Kind:
    """What a device really is."""
    if driver in _OMNI_PATH or re.match(r"(hfi\d?|opap?)[_\d]", name):
        return "omni-path"
    # 0x1d0f is Amazon's number of PCI; the kernel's names are efa_0, or rdmap0s6 with rdma-core's udev rules.
    if driver == "efa" or name.startswith("efa_") or vendor == "0x1d0f":
        return "efa"
    if node_type.startswith("4"):
        return "iwarp"
    if layer == "InfiniBand":
        return "infiniband"
    return "roce" if layer == "Ethernet" else "unknown"


def state_of(text: str | None) -> str | None:
    """`4: ACTIVE` is ACTIVE, `5: LinkUp` is LinkUp."""
    match = _STATE.fullmatch(text.strip()) if text else None
    return match[1].strip() if match else None


def rate_of(text: str | None) -> tuple[float | None, str | None]:
    """`100 Gb/sec (4X EDR)` is 100.0 and 4X EDR."""
    match = _RATE.fullmatch(text.strip()) if text else None
    if not match or not 0 < float(match[1]) <= 10_000:
        return None, None
    return float(match[1]), match[2]


def _lid(text: str | None) -> int | None:
    return int(text, 16) if text and re.fullmatch(r"0x[0-9a-fA-F]{1,8}", text) else None


def read_counters(system: System, kind: Kind) -> list[Counters]:
    """The counters of the ports of a kind. port_xmit_data and port_rcv_data count words of four bytes."""
    made = []
    for port in read_ports(system):
        if port.kind != kind:
            continue
        folder = f"{FOLDER}/{port.device}/ports/{port.port}"
        told = {
            name: value
            for sub in ("hw_counters", "counters")
            for name in system.entries(f"{folder}/{sub}")
            if (value := _count(system.read(f"{folder}/{sub}/{name}"))) is not None
        }
        sent, received = (told.get(f"port_{way}_data") for way in ("xmit", "rcv"))
        made.append(
            Counters(
                port.device,
                port.port,
                told.get("tx_bytes") if sent is None else 4 * sent,
                told.get("rx_bytes") if received is None else 4 * received,
                told.get("port_xmit_packets", told.get("tx_pkts")),
                told.get("port_rcv_packets", told.get("rx_pkts")),
                told.get("link_downed"),
                {name: value for name, value in sorted(told.items()) if value and _ERRORS.search(name)},
            )
        )
    return made


_ERRORS = re.compile(r"error|discard|drop|err$|_err_|integrity|overrun|downed|out_of_|timeout|cnp_|nak")


def _count(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 21 else None


def down(ports: list[Port]) -> str:
    """Why none of these ports is a network."""
    return "; ".join(port.reason for port in ports[:8]) + (f"; and {len(ports) - 8} more" if len(ports) > 8 else "")
