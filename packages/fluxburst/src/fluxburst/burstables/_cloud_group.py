"""One burst is some machines of a cloud: what they say together, which bursts have been missing for long, and what the
plugins of clouds share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fluxburst.burstables import _catalogue
from fluxburst.errors import ConfigurationError
from fluxburst.model import Burst, Seen, Sighting
from fluxburst.plugins import BurstPlugin

# A burst that the listing does not show may not show yet. Clouds promise no time for that; tens of seconds are the
# usual, and minutes have been seen.
ABSENT_SECONDS, ABSENT_LOOKS = 600.0, 3
CONSOLE_PERIOD, CONSOLE_SIZE = 120.0, 2000  # seconds between two looks at one; characters of it that are kept
_LIVE = ("pending", "running")


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine. index: its place among those of its burst. since: seconds since the epoch."""

    id: str
    index: int
    seen: Seen
    since: float = 0.0
    reason: str = ""
    preempted: bool = False


def together(name: str, machines: Sequence[Machine], burst: Burst | None, output: str = "") -> Sighting:
    """What the machines of one burst (at least one) say together.

    It runs only when every one that is left runs, and is gone only when every one is.
    """
    ordered = sorted(machines, key=lambda one: (one.index, one.id))
    live = [one for one in ordered if one.seen in _LIVE]
    dead = [one for one in ordered if one.seen not in _LIVE]
    if live:
        seen: Seen = "running" if all(one.seen == "running" for one in live) else "pending"
    else:
        seen = "ending" if any(one.seen == "ending" for one in dead) else "gone"
    hosts = None
    if burst is not None and live and len(live) < burst.nodes:
        hosts = tuple(burst.hosts[one.index] for one in live if one.index < burst.nodes)
    since = min((one.since for one in ordered if one.since), default=0.0)
    reason = next((one.reason for one in (*dead, *live) if one.reason), "")
    return Sighting(name, seen, ordered[0].id, since, reason, any(one.preempted for one in dead), output, hosts)


class Absences:
    """Since when, and in how many looks, known bursts have been missing from complete listings."""

    def __init__(self) -> None:
        self._missing: dict[str, tuple[float, int]] = {}

    def long(
        self, known: Iterable[Burst], seen: Iterable[str], now: float, ended: Callable[[Burst], bool]
    ) -> list[Sighting]:
        """Those that have certainly ended: missing for long, and `ended`, asked of each of them, agrees."""
        there = set(seen)
        absent = [burst for burst in known if burst.name not in there]
        self._missing = {
            burst.name: (first, looks + 1)
            for burst in absent
            for first, looks in [self._missing.get(burst.name, (now, 0))]
        }
        found = []
        for burst in absent:
            first, looks = self._missing[burst.name]
            if now - first >= ABSENT_SECONDS and looks >= ABSENT_LOOKS and ended(burst):
                found.append(Sighting(burst.name, "gone", burst.id, reason="its provider has no trace of it"))
        return found


class Consoles:
    """The end of the console of bursts that do not come up: looked at now and then, and only while they join."""

    def __init__(self) -> None:
        self._printed: dict[str, tuple[float, str]] = {}

    def of(self, burst: Burst | None, machines: Sequence[Machine], now: float, read: Callable[[str], str]) -> str:
        """What is known of it. read: gets the console of a machine, by its id, where it is time for that."""
        if burst is None:
            return ""
        if burst.state not in {"creating", "joining"}:
            return self._printed.pop(burst.name, (0.0, ""))[1]
        asked, text = self._printed.get(burst.name, (0.0, ""))
        over = [one for one in machines if one.seen not in _LIVE]
        slow = min((one.since for one in machines), default=now) + CONSOLE_PERIOD < now
        if (over or slow) and asked + CONSOLE_PERIOD < now:
            printed = "".join(one for one in read((over or list(machines))[0].id) if one.isprintable() or one == "\n")
            text = printed[-CONSOLE_SIZE:] or text
            self._printed[burst.name] = (now, text)
        return text


class CloudBurst(BurstPlugin):
    """A plugin whose bursts are machines of a catalogue. type_key: what the catalogue calls the type of a machine."""

    settle = 120.0

    def __init__(self, params: Any, type_key: str) -> None:
        super().__init__(params)
        self._entries = _catalogue.read(params.catalogue, type_key)
        self._absences, self._consoles = Absences(), Consoles()

    def _entry(self, burst: Burst) -> _catalogue.Entry:
        """What the machines of a burst that is to be made are. Raises ConfigurationError."""
        if burst.shape not in self._entries:
            raise ConfigurationError(f"the catalogue has no shape {burst.shape!r}")
        if burst.deadline <= self.clock():
            raise ConfigurationError(f"{burst.name}: an instance is started with a deadline that is to come")
        return self._entries[burst.shape]

    def _sightings(self, found: Mapping[str, Sequence[Machine]], known: Iterable[Burst]) -> list[Sighting]:
        """What the machines that were found say, by the names of their bursts."""
        now, bursts = self.clock(), {burst.name: burst for burst in known}
        return [
            together(name, all_of, bursts.get(name), self._consoles.of(bursts.get(name), all_of, now, self._console))
            for name, all_of in found.items()
        ]

    @abstractmethod
    def _console(self, id: str) -> str:
        """What the console of a machine shows; "" where that can't be had."""
