"""What becomes of the bursts that exist: what was observed gives steps. Pure: no clock, no files, nothing is called.

A burst goes through planned, creating, joining, ready, draining, deleting to `gone` or `failed`. It is closed only when
its provider confirms the end. What a provider does not show is unknown, and an unknown burst goes on to count.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fluxburst.ledger import Pause, Row
from fluxburst.model import Sighting
from fluxburst.settings import Settings

DRAIN_MARK = "flux-burst: "  # the reason of our drains, before the burst's name
LONGEST_BACKOFF = 3600.0  # seconds
LAST_PART = 10, 300.0  # a burst is drained for this part of its lease, or so many seconds, before it ends
IDLE = "it is idle"
AGAIN = 60.0  # seconds between two requests to end one burst
COMING = ("planned", "creating", "joining")


@dataclass(frozen=True, slots=True)
class Change:
    """Record values of a burst."""

    row: Row
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Destroy:
    """Record that a burst is to end, then have its plugin end it. failure: what is wrong with it, "" if nothing."""

    row: Row
    reason: str
    failure: str = ""
    output: str = ""


@dataclass(frozen=True, slots=True)
class Drain:
    """Have no more jobs start on these hosts of a burst."""

    row: Row
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Undrain:
    """Undo our drains of these hosts."""

    hosts: tuple[str, ...]


Step = Change | Destroy | Drain | Undrain | Pause


@dataclass(frozen=True, slots=True)
class Look:
    """What was observed. Times are seconds since the epoch.

    seen: what the plugins that answered show, by burst. settle: of each plugin. up, busy: hosts of the lead that are
    up (drained or not), and of these the ones on which something runs; None: the lead is not known. drains: reasons
    by host; None: the lead drains nothing. started: when this controller was; what it reads in the ledger may be of
    another's clock. pending: ids of the jobs that wait. unused: nodes on their way that no job needs, by (plugin,
    shape).
    """

    now: float
    rows: tuple[Row, ...]
    seen: Mapping[str, Mapping[str, Sighting]]
    settle: Mapping[str, float]
    up: frozenset[str] | None
    busy: frozenset[str]
    drains: Mapping[str, str] | None
    owner: str
    started: float = 0.0
    pending: frozenset[str] = frozenset()
    unused: Mapping[tuple[str, str], int] = field(default_factory=dict)
    pauses: tuple[Pause, ...] = ()


def decide(look: Look, settings: Settings) -> Iterator[Step]:
    """The steps that what was observed asks for."""
    coming = any(_is_expected(row, settings, look.now) for row in look.rows)
    for row in look.rows:
        yield from _Life(row, look, settings, coming).steps()
    yield from _leftover_drains(look)


def pause(
    before: Iterable[Pause],
    settings: Settings,
    now: float,
    plugin: str,
    kind: str,
    reason: str,
    shape: str = "",
    place: str = "",
) -> Pause:
    """A pause of a plugin, or of one shape at one place, longer with each failure in a row."""
    count = 1 + next((one.count for one in before if (one.plugin, one.shape, one.place) == (plugin, shape, place)), 0)
    wait = min(LONGEST_BACKOFF, settings.backoff * 2.0 ** min(count - 1, 20))
    return Pause(plugin, shape, place, now + wait, kind, reason, count)


def _is_expected(row: Row, settings: Settings, now: float) -> bool:
    """Whether the nodes of a burst may still come: not for ever, where its provider does not answer."""
    if row.state == "joining":
        return now <= row.began + settings.of(row.plugin).join_timeout
    return row.state in COMING and now <= row.asked + settings.start_timeout


def is_over(row: Row, look: Look) -> bool:
    """Whether nothing is to become of a burst but its end, whatever its lead says."""
    sighting = look.seen.get(row.plugin, {}).get(row.name)
    gone = sighting is not None and sighting.seen == "gone"
    return gone or row.state in {"planned", "draining", "deleting"} or look.now >= row.deadline > 0


def _leftover_drains(look: Look) -> Iterator[Undrain]:
    """Our own drains that are no ending burst's, of hosts whose brokers are gone or which a burst is to use."""
    ending = {(host, row.name) for row in look.rows if row.state in {"draining", "deleting"} for host in row.hosts}
    used = {host for row in look.rows if row.state in {*COMING, "ready"} for host in row.hosts}
    left = [
        host
        for host, reason in (look.drains or {}).items()
        if reason.startswith(f"{DRAIN_MARK}{look.owner}-")
        and (host, reason.removeprefix(DRAIN_MARK)) not in ending
        and (host in used or (look.up is not None and host not in look.up))
    ]
    if left:
        yield Undrain(tuple(sorted(left)))


class _Life:
    """One burst at one look."""

    def __init__(self, row: Row, look: Look, settings: Settings, coming: bool) -> None:
        self.row, self.look, self.settings, self.coming = row, look, settings, coming
        self.now = look.now
        answered = look.seen.get(row.plugin)
        self.sighting = answered.get(row.name) if answered is not None else None
        self.asked = answered is not None
        self.up = tuple(host for host in row.hosts if look.up is not None and host in look.up)

    def steps(self) -> Iterator[Step]:
        row, sighting = self.row, self.sighting
        if row.state == "planned":
            yield self.close("it was planned and never asked for")
        elif sighting is not None and sighting.seen == "gone":
            yield from self._ended(sighting)
        elif row.state == "deleting":
            yield from self._deleting()
        elif self.now >= row.deadline > 0:
            yield Destroy(row, "its lease has ended")
        elif sighting is not None and sighting.seen == "ending":
            failure = "" if row.state in {"ready", "draining"} or sighting.preempted else "it ended before it was ready"
            yield Destroy(row, sighting.reason or "its provider ends it", failure, sighting.output)
        else:
            follow = {"creating": self._creating, "joining": self._joining, "ready": self._ready}
            yield from follow.get(row.state, self._draining)()

    def close(self, reason: str, **values: Any) -> Change:
        failure = values.get("failure", self.row.failure)
        return Change(
            self.row,
            {**values, "state": "failed" if failure else "gone", "reason": failure or reason, "ended": self.now},
        )

    def _ended(self, sighting: Sighting) -> Iterator[Step]:
        """The provider confirms that there is nothing (any more)."""
        row = self.row
        asked = max(row.asked, self.look.started)
        if row.state in {"creating", "deleting"} and not row.began and self._settles(asked):
            return  # it may not show yet what it was asked for
        over = self.now >= row.deadline > 0  # nobody looked while it was there
        if row.state in {"creating", "joining"} and not sighting.preempted and not over:
            never = row.state == "creating" and not (sighting.reason or sighting.output)
            what = "it never came to be" if never else "boot failed: it ended before its brokers joined"
            failure = f"{what}: {sighting.reason}" if sighting.reason else what
            yield self.close(failure, failure=failure, output=sighting.output or row.output)
            yield self._pause("failed", failure)
            return
        if row.state in {"ready", "draining"}:
            yield self.close(
                sighting.reason or ("it was preempted" if sighting.preempted else "it has ended by itself")
            )
        elif row.state == "deleting":
            yield self.close(row.reason)
        else:
            why = "its lease has ended" if over else "it was preempted before it was ready"
            yield self.close(sighting.reason or why)

    def _settles(self, asked: float) -> bool:
        return self.now < asked + self.look.settle[self.row.plugin]

    def _deleting(self) -> Iterator[Step]:
        row = self.row
        if self.sighting is None and self.asked and self.now > row.deadline + self.settings.grace and row.deadline:
            yield self.close("its lease has ended, and its provider does not show it")
        elif self.now >= row.ending + AGAIN:
            yield Destroy(row, row.reason, row.failure)

    def _creating(self) -> Iterator[Step]:
        row, sighting = self.row, self.sighting
        if sighting is None:
            if self.asked and self.now > row.asked + self.settings.of(row.plugin).join_timeout:
                yield from self._fail("its provider has not shown it in time", "")
            return
        values: dict[str, Any] = {"id": sighting.id or row.id}
        if sighting.seen == "running" or self.up:
            yield Change(row, {**values, "state": "joining", "began": self.now, "idle": 0.0, "reason": sighting.reason})
            return
        if self.now > row.asked + self.settings.start_timeout:
            yield from self._fail(
                f"it did not start in time: {sighting.reason or 'no reason is told'}", sighting.output
            )
            return
        unused = self.look.unused.get((row.plugin, row.shape), 0) >= len(row.hosts)
        if unused and row.idle and self.now > row.idle + self.settings.idle_timeout:
            yield from self._drain("no job needs it any more")
            return
        values["idle"] = (row.idle or self.now) if unused else 0.0
        yield Change(row, {**values, "reason": sighting.reason or row.reason})

    def _joining(self) -> Iterator[Step]:
        row, sighting = self.row, self.sighting
        expected = row.hosts if sighting is None or sighting.hosts is None else sighting.hosts
        late = self.now > row.began + self.settings.of(row.plugin).join_timeout
        if self.up and (late or len(self.up) == len(row.hosts)):
            missing = tuple(host for host in row.hosts if host not in self.up)
            reason = f"boot failed on {', '.join(missing)}" if missing else ""
            output = sighting.output if sighting is not None and missing else ""
            values = {"joined": self.now, "missing": missing, "reason": reason, "output": output, "idle": 0.0}
            yield Change(row, {**values, "state": "ready"})
        elif late:
            output = sighting.output if sighting is not None else ""
            what = f"boot failed: none of {len(row.hosts)} brokers joined in time"
            if expected != row.hosts:
                what += f" ({len(expected)} exist)"
            yield from self._fail(what, output)

    def _ready(self) -> Iterator[Step]:
        row, look = self.row, self.look
        part, most = LAST_PART
        if row.deadline and self.now >= row.deadline - min(most, (row.deadline - row.asked) / part):
            yield from self._drain("its lease ends soon")
            return
        if look.up is None:
            return
        missing = tuple(host for host in row.hosts if host not in self.up)
        busy = any(host in look.busy for host in self.up)
        values: dict[str, Any] = {"missing": missing, "idle": row.idle or self.now}
        if missing and missing != row.missing:
            values["reason"] = f"{', '.join(missing)} left the lead"
        if busy:
            values |= {"idle": 0.0, "used": row.used or self.now}
        elif self.coming and self.up:
            values["idle"] = 0.0  # a job may wait for these nodes and for others
        elif row.idle and self.now > row.idle + self.settings.idle_timeout:
            waiting = not look.pending.isdisjoint(row.jobs)  # if none does, they were too short to be seen
            if self.up and not row.used and waiting:
                why = "its nodes joined and nothing ran on them: `flux jobs -a` shows what the jobs wait for"
                yield self._pause("unused", why)
            elif self.settings.cooldown:
                until = look.now + self.settings.cooldown
                yield Pause(row.plugin, row.shape, row.place, until, "cooldown", "an idle burst has just ended", 0)
            yield from self._drain(IDLE)
            return
        yield Change(row, values)

    def _drain(self, reason: str, **values: Any) -> Iterator[Step]:
        yield Change(self.row, {**values, "state": "draining", "reason": reason})
        yield Drain(self.row, self.row.hosts)

    def _draining(self) -> Iterator[Step]:
        """Drain, look again, delete: a job that was placed in between finishes first."""
        row, look = self.row, self.look
        if look.up is None:
            return  # nobody knows what runs there
        undrained = tuple(host for host in row.hosts if look.drains is not None and host not in look.drains)
        if undrained:
            yield Drain(row, undrained)
        elif not any(host in look.busy for host in self.up):
            yield Destroy(row, row.reason, row.failure)

    def _fail(self, failure: str, output: str) -> Iterator[Step]:
        yield from self._drain(failure, failure=failure, output=output or self.row.output)
        yield self._pause("failed", failure)

    def _pause(self, kind: str, reason: str) -> Pause:
        return pause(self.look.pauses, self.settings, self.now, self.row.plugin, kind, reason)
