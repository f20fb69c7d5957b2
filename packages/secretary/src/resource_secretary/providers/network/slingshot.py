"""HPE Slingshot: Cassini network cards, which their driver shows in /sys/class/cxi, each with an interface hsnN.

Properties of a card are in device/properties (nid, rev, cassini_version, link_speed and others, as the release has
them). Slingshot 10 is RoCE on other cards, and has none of these.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from resource_secretary.errors import CommandFailed
from resource_secretary.providers import Absent, Active, BaseProvider, Unreachable, secretary_tool
from resource_secretary.providers.network._libfabric import ask, tell
from resource_secretary.providers.network._rdma_text import Provider

_FOLDER = "/sys/class/cxi"
_ERRORS = re.compile(r"error|drop|discard|uncorrectable|llr|pfc|timeout|nack", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Card:
    """A card. state: of its interface (RFC 2863): up, down. rate: Gb/s. nid: its address in the fabric. up: whether it
    can carry traffic. A value that the driver does not tell is null.
    """

    device: str
    interface: str | None
    state: str | None
    up: bool
    rate: float | None
    mtu: int | None
    nid: str | None
    cassini: str | None
    bus: str | None
    numa_node: int | None


@dataclass(frozen=True, slots=True)
class CardCounters:
    """Since the driver was loaded: bytes of the interface, and its errors that are not 0, by name."""

    device: str
    sent: int | None
    received: int | None
    errors: dict[str, int]


@dataclass(frozen=True, slots=True)
class Slingshot:
    """cards: all, up or not; empty where only libfabric tells. rate: Gb/s of all that are up; null where not told."""

    cards: tuple[Card, ...]
    up: int
    rate: float | None
    domains: tuple[str, ...]
    source: str


class SlingshotProvider(BaseProvider):
    category = "network"
    name = "slingshot"
    description = "HPE Slingshot: Cassini cards (cxi), their state and rate, counters and errors, and NUMA nodes."

    def probe(self) -> Active[Slingshot] | Absent | Unreachable:
        cards = self.cards()
        up = [card for card in cards if card.up]
        if up:
            rates = [card.rate for card in up if card.rate is not None]
            rate = sum(rates) if len(rates) == len(up) else None
            names = tuple(card.device for card in up)
            return Active(Slingshot(tuple(cards), len(up), rate, names, _FOLDER))
        if cards:
            said = ", ".join(f"{card.device} is {card.state or 'without an interface'}" for card in cards)
            return Unreachable(_FOLDER, f"no card is up: {said}")
        told = tell(self.system, "cxi", f"a card in {_FOLDER}")
        if isinstance(told, tuple):
            names = tuple(dict.fromkeys(one.domain for one in told if one.domain))
            return Active(Slingshot((), len(names), None, names, "fi_info -p cxi"))
        return told

    @secretary_tool
    def cards(self) -> list[Card]:
        """The cards of this host with link state, rate, fabric address, and the NUMA node that each is near."""
        return [self._card(name) for name in self.system.entries(_FOLDER) if re.fullmatch(r"cxi[0-9]{1,3}", name)]

    @secretary_tool
    def counters(self) -> list[CardCounters]:
        """Bytes of each card's interface, and its errors."""
        made = []
        for card in self.cards():
            folder = f"/sys/class/net/{card.interface}/statistics"
            told = {name: _number(self.system.read(f"{folder}/{name}")) for name in self.system.entries(folder)}
            errors = {name: value for name, value in sorted(told.items()) if value and _ERRORS.search(name)}
            made.append(CardCounters(card.device, told.get("tx_bytes"), told.get("rx_bytes"), errors))
        return made

    @secretary_tool
    def libfabric(self) -> list[Provider]:
        """What libfabric offers on these cards, by fi_info: whether MPI libraries can use them."""
        found = ask(self.system, "cxi")
        if found is None:
            raise CommandFailed("fi_info", "not found on PATH")
        return list(found)

    def _card(self, name: str) -> Card:
        device = f"{_FOLDER}/{name}/device"
        interface = next(iter(self.system.entries(f"{device}/net")), None)
        net = f"/sys/class/net/{interface}"
        state = self.system.read(f"{net}/operstate") if interface else None
        speed = _number(self.system.read(f"{net}/speed")) if interface else None  # Mb/s
        place = self.system.target(device)
        return Card(
            device=name,
            interface=interface,
            state=state,
            up=state == "up",
            rate=speed / 1000 if speed and speed < 10**7 else None,
            mtu=_number(self.system.read(f"{net}/mtu")) if interface else None,
            nid=self._property(device, "nid"),
            cassini=self._property(device, "cassini_version") or self._property(device, "rev"),
            bus=place.rpartition("/")[2] if place else None,
            numa_node=_number(self.system.read(f"{device}/numa_node")),
        )

    def _property(self, device: str, name: str) -> str | None:
        text = self.system.read(f"{device}/properties/{name}")
        return text[:80] if text and text.isprintable() else None


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 21 else None
