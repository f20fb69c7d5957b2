"""The Ethernet interfaces of this host: physical ones that are up, and bonds of them, each link once.

Loopback, virtual and wireless ones do not count, nor those that carry another network: Slingshot, Omni-Path.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from resource_secretary.providers import Absent, Active, BaseProvider, secretary_tool
from resource_secretary.system import System

_FOLDER = "/sys/class/net"
_BUS = re.compile(r"[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$")
_ERRORS = re.compile(r"error|drop|fifo|missed|collision|over")
_ETHER = "1"  # ARPHRD_ETHER of include/uapi/linux/if_arp.h; 32 is InfiniBand, 772 loopback


@dataclass(frozen=True, slots=True)
class Interface:
    """speed: Mb/s, None where the driver doesn't say (virtual machines). excluded: why it doesn't count, or "".

    members: the interfaces of a bond, and of a VLAN the one that it is on. numa_node: the one that the card is near.
    rdma: the RDMA devices of the card, by which it speaks RoCE or iWARP.
    """

    name: str
    state: str
    speed: int | None
    mtu: int | None
    driver: str | None
    excluded: str
    members: tuple[str, ...] = ()
    bus: str | None = None
    numa_node: int | None = None
    rdma: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Traffic:
    """Since the driver was loaded. sent, received: bytes. errors: those that are not 0, by the kernel's names."""

    name: str
    sent: int | None
    received: int | None
    sent_packets: int | None
    received_packets: int | None
    errors: dict[str, int]


@dataclass(frozen=True, slots=True)
class Ethernet:
    interfaces: tuple[Interface, ...]


class EthernetProvider(BaseProvider):
    category = "network"
    name = "ethernet"
    description = "Ethernet: the physical interfaces that are up, with link speed and driver."

    def probe(self) -> Active[Ethernet] | Absent:
        every = self.interfaces()
        found = tuple(one for one in every if not one.excluded)
        if found:
            return Active(Ethernet(found))
        seen = ", ".join(f"{one.name} is {one.excluded}" for one in every) or f"{_FOLDER} has none"
        return Absent(f"a physical Ethernet interface that is up: {seen}")

    @secretary_tool
    def interfaces(self) -> list[Interface]:
        """All network interfaces, with the reason why one does not count as Ethernet that is up."""
        return [_interface(self.system, name) for name in self.system.entries(_FOLDER)]

    @secretary_tool
    def counters(self) -> list[Traffic]:
        """Bytes and packets of each interface that is not virtual, and its errors and drops."""
        made = []
        for one in self.interfaces():
            if one.excluded in ("loopback", "virtual"):
                continue
            folder = f"{_FOLDER}/{one.name}/statistics"
            told = {name: _number(self.system.read(f"{folder}/{name}")) for name in self.system.entries(folder)}
            errors = {name: value for name, value in sorted(told.items()) if value and _ERRORS.search(name)}
            sent, received = told.get("tx_bytes"), told.get("rx_bytes")
            packets = told.get("tx_packets"), told.get("rx_packets")
            made.append(Traffic(one.name, sent, received, *packets, errors))
        return made


def _interface(system: System, name: str) -> Interface:
    folder = f"{_FOLDER}/{name}"
    state = system.read(f"{folder}/operstate") or "unknown"
    driver = system.target(f"{folder}/device/driver")
    speed = _number(system.read(f"{folder}/speed"))
    place = system.target(f"{folder}/device")
    return Interface(
        name=name,
        state=state,
        speed=speed or None,
        mtu=_number(system.read(f"{folder}/mtu")),
        driver=driver.rsplit("/", 1)[-1] if driver else None,
        excluded=_excluded(system, folder, state),
        members=_members(system, folder),
        bus=place.rsplit("/", 1)[-1] if place and _BUS.search(place) else None,
        numa_node=_number(system.read(f"{folder}/device/numa_node")),
        rdma=tuple(system.entries(f"{folder}/device/infiniband")),
    )


def _members(system: System, folder: str) -> tuple[str, ...]:
    """The interfaces below this one: the kernel links them as lower_NAME."""
    return tuple(name[6:] for name in system.entries(folder) if name.startswith("lower_"))


def _excluded(system: System, folder: str, state: str) -> str:
    kind = system.read(f"{folder}/type")
    if kind == "772":
        return "loopback"
    if kind != _ETHER:
        return f"of link type {kind or 'unknown'}, not Ethernet"
    if system.exists(f"{folder}/wireless") or system.exists(f"{folder}/phy80211"):
        return "wireless"
    if why := _counted_elsewhere(system, folder):
        return why
    # RFC 2863 states; a driver that keeps none says "unknown", and then the carrier tells.
    if state == "up" or (state == "unknown" and system.read(f"{folder}/carrier") == "1"):
        return ""
    return state if state != "unknown" else "down (no carrier)"


def _counted_elsewhere(system: System, folder: str) -> str:
    """Why an interface is not a link of its own: virtual, a VLAN, of a bond, of a card that is another network."""
    master = (system.target(f"{folder}/master") or "").rpartition("/")[2]
    if master and system.exists(f"{_FOLDER}/{master}/bonding"):
        return f"a member of the bond {master}"
    if system.exists(f"{folder}/bonding"):
        real = [name for name in _members(system, folder) if _physical(system, f"{_FOLDER}/{name}")]
        return "" if real else "virtual: a bond of no physical interface"
    if "DEVTYPE=vlan" in (system.read(f"{folder}/uevent") or "").split():
        return f"a VLAN of {', '.join(_members(system, folder)) or 'an interface that is not told'}"
    # The kernel keeps what no device stands behind (bridges, veth, ifb, tunnels) below devices/virtual.
    if not _physical(system, folder):
        return "virtual"
    driver = (system.target(f"{folder}/device/driver") or "").rpartition("/")[2]
    if driver.startswith("cxi") or system.entries(f"{folder}/device/cxi"):
        return "of Slingshot"
    if system.entries(f"{folder}/device/physfn/net"):
        return f"a virtual function of {system.entries(f'{folder}/device/physfn/net')[0]}"
    return ""


def _physical(system: System, folder: str) -> bool:
    return "/virtual/" not in (system.target(folder) or "") and system.exists(f"{folder}/device")


def _number(text: str | None) -> int | None:
    """A number of sysfs; None for what is none and for -1, with which drivers say that they do not know."""
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 21 else None
