"""The Ethernet interfaces of this host: physical ones that are up. Loopback, virtual and wireless ones do not count."""

from __future__ import annotations

from dataclasses import dataclass

from resource_secretary.providers import Absent, Active, BaseProvider, secretary_tool
from resource_secretary.system import System

_FOLDER = "/sys/class/net"
_ETHER = "1"  # ARPHRD_ETHER of include/uapi/linux/if_arp.h; 32 is InfiniBand, 772 loopback


@dataclass(frozen=True, slots=True)
class Interface:
    """speed: Mb/s, None where the driver doesn't say (virtual machines). excluded: why it doesn't count, or ""."""

    name: str
    state: str
    speed: int | None
    mtu: int | None
    driver: str | None
    excluded: str


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


def _interface(system: System, name: str) -> Interface:
    folder = f"{_FOLDER}/{name}"
    state = system.read(f"{folder}/operstate") or "unknown"
    driver = system.target(f"{folder}/device/driver")
    speed = _number(system.read(f"{folder}/speed"))
    return Interface(
        name=name,
        state=state,
        speed=speed if speed and speed > 0 else None,
        mtu=_number(system.read(f"{folder}/mtu")),
        driver=driver.rsplit("/", 1)[-1] if driver else None,
        excluded=_excluded(system, folder, state),
    )


def _excluded(system: System, folder: str, state: str) -> str:
    kind = system.read(f"{folder}/type")
    if kind == "772":
        return "loopback"
    if kind != _ETHER:
        return f"of link type {kind or 'unknown'}, not Ethernet"
    if system.exists(f"{folder}/wireless") or system.exists(f"{folder}/phy80211"):
        return "wireless"
    # The kernel keeps what no device stands behind (bridges, veth, ifb, tunnels) below devices/virtual.
    if "/virtual/" in (system.target(folder) or "") or not system.exists(f"{folder}/device"):
        return "virtual"
    # RFC 2863 states; a driver that keeps none says "unknown", and then the carrier tells.
    if state == "up" or (state == "unknown" and system.read(f"{folder}/carrier") == "1"):
        return ""
    return state if state != "unknown" else "down (no carrier)"


def _number(text: str | None) -> int | None:
    try:
        return int(text) if text else None
    except ValueError:
        return None
