"""One job on its way: what its own records and the queue say of it, added up to events. No clock, no I/O."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ensemble.events import COURSE, Event
from ensemble.job import Job
from ensemble.slurmqueue.commands import Row
from ensemble.slurmqueue.records import Record
from ensemble.slurmqueue.states import HELD, State, never, state_of

# How a job's own record says that it never started, in words; the first field of them is of its Spec.
NOT_STARTED = {
    "workdir": "there is no directory {workdir}",
    "stdin": "{stdin} can't be read",
    "output": "{output} can't be written",
    "command": "there is no command {command}",
}


AGAIN = 3  # replies that show a job started over before its first attempt is given up without a word


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for what, in seconds, and how many good replies in a row are believed.

    absent: replies without a job before it may be gone; visible: how long a file that another machine wrote may stay
    unseen (NFS: acregmax, acdirmax are 60 s); verdict: how long a failed job's own record waits for the queue's word on
    the reason; stuck: replies with a state that can never pass; settle: how long a submission that was cut off may
    still be on its way; answer: what one command may take, a hung one has failed.
    """

    absent: int = 3
    visible: float = 60.0
    verdict: float = 60.0
    stuck: int = 2
    settle: float = 20.0
    answer: float = 60.0


@dataclass(slots=True)
class Track:
    """What is known of one attempt. told: how many of COURSE were told; restarts: those told by `requeue`."""

    job: Job
    id: str
    batch: str
    index: int  # in its batch
    called: str  # its job name in the queue, empty where that is not known: an id may be given out once more
    since: float  # when it was submitted or adopted, on the clock of the replies
    told: int = 0
    restarts: int = 0
    last: float = 0.0
    start: Record | None = None
    end: Record | None = None
    end_seen: float = 0.0
    row: Row | None = None
    account: Row | None = None
    asked: bool = False  # the accounting, since the queue did not show it
    missing: int = 0
    missing_since: float = 0.0
    placed: int = 0  # replies that showed it on nodes
    ended_rows: int = 0
    ended_since: float = 0.0
    stuck: int = 0
    again: int = 0  # replies that showed it started over
    noted: bool = False
    cancelling: bool = False
    cancelled_at: float = 0.0
    over: bool = False
    hopeless: bool = False  # it will never start: the member takes it out of the queue
    where: Callable[[str], str] = field(default=lambda name: "")

    def restarted(self, count: int, *, why: str, note: str, now: float) -> list[Event]:
        """The queue starts it over: the n-th time."""
        if count <= self.restarts or self.over:
            return []
        self.restarts, self.again = count, 0
        self.told = min(self.told, 1)
        context = {"type": why, "note": note}
        self.end, self.account, self.placed, self.ended_rows = None, None, 0, 0
        if self.start and self.start.restart < count:
            self.start = None
        return [self._event("requeue", now, now, context)]

    def on_record(self, record: Record, now: float) -> list[Event]:
        """A line that the job wrote."""
        if self.over or record.restart < self.restarts:
            return []
        told: list[Event] = []
        if record.restart > self.restarts:
            told = self.restarted(record.restart, now=now, **self._why_again())
        if record.kind == "end":
            self.end, self.end_seen = record, now
        else:
            self.start = record
            if self.told > COURSE.index("start"):  # told before, by the run that was here then
                self.last = max(self.last, min(record.time, now))
        return told

    def _why_again(self) -> dict[str, str]:
        hosts = self.start.hosts if self.start else self.row.hosts if self.row else ""
        at = f" on {hosts}" if hosts else ""
        if self.end and self.end.how == "term":
            return {"why": "preempted", "note": f"job {self.id}{at} was ended and put back into the queue by Slurm"}
        return {"why": "node-lost", "note": f"job {self.id}{at} was lost and put back into the queue by Slurm"}

    def on_row(self, row: Row, now: float) -> list[Event]:
        """A good reply of squeue has it. A state that is not known changes nothing."""
        state = state_of(row.state)
        if self.over or state is None:
            return []
        self.missing, self.missing_since, self.asked = 0, 0.0, False
        told: list[Event] = []
        if row.restarts is not None and row.restarts > self.restarts and state.phase not in ("done", "failed"):
            # The last word of the attempt before may still be on its way, and says why it ended.
            self.again += 1
            if not (self.again > AGAIN or (self.end and self.end.how == "term")):
                return []
            told = self.restarted(row.restarts, now=now, **self._why_again())
        self.row = row
        if state.phase in ("done", "failed"):
            self.ended_since = self.ended_since if self.ended_rows else now
            self.ended_rows += 1
        else:
            self.ended_rows = 0
        self.placed = self.placed + 1 if state.phase in ("placed", "runs") else self.placed
        hopeless = state.phase == "held" or (state.phase == "waits" and bool(never(row.reason)))
        self.stuck = self.stuck + 1 if hopeless else 0
        return told

    def is_of(self, row: Row) -> bool:
        """Whether a row of its id is about it: a slurmctld that lost its state counts from an earlier id on."""
        return not self.called or row.name == self.called

    def on_missing(self, now: float) -> None:
        """A good reply of squeue does not have it."""
        self.missing += 1
        if self.missing % 5 == 0:
            self.asked = False  # the accounting is written late: ask it again
        self.missing_since = self.missing_since or now

    def events(self, now: float, patience: Patience, *, absent: bool = False) -> list[Event]:
        """What follows from what is known by now. absent: slurmctld says that it knows no such job."""
        if self.over:
            return []
        told: list[Event] = []
        if self.start:
            told += self._go_to("start" if self.start.kind == "start" else "alloc", self.start.time, now)
        elif self.row and (state := state_of(self.row.state)) and state.phase in ("placed", "runs"):
            told += self._go_to("alloc", self.row.start or now, now)
            if state.phase == "runs" and self.placed > patience.absent:
                told += self._go_to("start", self.row.start or now, now)  # its records can't be seen from here
        if ended := self._ended(now, patience, absent=absent):
            told += ended
        elif self.row and self.row.reason in HELD and not self.missing and not self.noted:
            state = state_of(self.row.state)
            if state and state.phase == "waits":
                self.noted = True
                note = f"job {self.id} is held ({self.row.reason}): `scontrol release {self.id}` lets it go"
                told.append(self._event("exception", now, now, {"type": "alloc", "severity": 1, "note": note}))
        return told

    def _ended(self, now: float, patience: Patience, *, absent: bool) -> list[Event]:
        own = self._own_word()
        if own is not None:
            return self._close(*own, now=now)
        for row in (self.row if not self.missing else None, self.account):
            state = state_of(row.state) if row else None
            if row is None or state is None:
                continue
            if state.phase == "failed":
                return self._close(state.cause, self._note(row, state), now, row)
            if state.phase == "done":
                late = self.end is None and row is self.row and now - self.ended_since < min(patience.visible, 10.0)
                if late and (self.ended_rows <= patience.absent):
                    return []  # its own record is on its way, and knows more
                return self._close("", "", now, row)
            if state.phase in ("waits", "held") and self.stuck >= patience.stuck and row is self.row:
                self.hopeless = True
                cause = state.cause if state.phase == "held" else never(row.reason)
                return self._close(cause, self._note(row, state), now, row)
        return self._without_a_word(now, patience, absent=absent)

    def _own_word(self) -> tuple[str, str] | None:
        """Type and note of the exception from its own record, where nobody needs to be asked for the reason."""
        if self.end is None:
            return None
        if self.end.how in NOT_STARTED:
            spec = self.job.spec
            words = {"workdir": spec.workdir or "of the run", "stdin": spec.stdin, "output": spec.output}
            return "exec", self._said(NOT_STARTED[self.end.how].format(**words, command=spec.argv[0]))
        if self.end.how == "timeout":
            return "timeout", self._said(f"it ran longer than its duration of {self.job.spec.duration} s")
        return ("", "") if self.end.how == "exit" and self.end.code == 0 else None

    def _without_a_word(self, now: float, patience: Patience, *, absent: bool) -> list[Event]:
        """The queue does not show it, or says nothing of how it ended."""
        gone = self.missing >= 1 and (self.asked or self.missing >= patience.absent)
        if self.end and self.end.how == "exit" and (gone or now - self.end_seen > patience.verdict):
            return self._close("", "", now)
        if self.cancelling and self.missing >= 2 and (self.asked or self.missing >= patience.absent):
            return self._close("cancel", self._said("cancelled"), now)
        if self.end and gone:
            return self._close("preempted", self._said("it was told to end, and Slurm has no record of why"), now)
        if absent and self.missing >= patience.absent and now - self.missing_since >= patience.visible:
            note = f"Slurm has no record of job {self.id} any more, and the job wrote none of its end"
            return self._close("lost", self._said(note), now)
        return []

    def _note(self, row: Row, state: State) -> str:
        reason = f" ({row.reason})" if row.reason not in ("", "None") else ""
        return self._said(f"job {self.id} is {row.state}{reason}", row.hosts)

    def _said(self, note: str, hosts: str = "") -> str:
        """With node and log path, as far as they are known."""
        hosts = hosts or (self.start.hosts if self.start else "") or (self.row.hosts if self.row else "")
        parts = [note if self.id in note else f"job {self.id}: {note}"]
        parts += [f"on {hosts}"] if hosts else []
        if self.start and (place := self.where(self.job.name)):
            parts.append(f"its output: {place}")
        return ", ".join(parts)

    def _close(self, cause: str, note: str, now: float, row: Row | None = None) -> list[Event]:
        told: list[Event] = []
        at = self.end.time if self.end else row.end if row and row.end else now
        if not cause:
            began = self.start.time if self.start else row.start if row and row.start else at
            told += self._go_to("start", began, now)
        elif not self.start and row and row.start and row.hosts and cause not in ("boot", "alloc", "submit"):
            told += self._go_to("start", row.start, now)
        if cause:
            context = {"type": cause, "severity": 0, "note": note}
            told.append(self._event("exception", at, now, context))
        status = None
        if self.end and self.end.how not in NOT_STARTED:
            status = wait_status(self.end.code)
        elif not self.end and row and (row.status or not cause):
            status = row.status & 0x7F or wait_status(row.status >> 8)
        if status is not None and COURSE[self.told - 1] == "start":
            self.told += 1
            told.append(self._event("finish", at, now, {"status": status}))
        told.append(self._event("clean", at, now, {}))
        self.over = True
        return told

    def _go_to(self, name: str, time: float, now: float) -> list[Event]:
        """All of COURSE that was not told yet, up to `name`."""
        told: list[Event] = []
        for step in COURSE[self.told : COURSE.index(name) + 1]:
            context: dict[str, Any] = {}
            if step == "submit":
                context = {"id": self.id}
            elif step == "alloc":
                context = {"hosts": hosts_of((self.start.hosts if self.start else "") or (self.row or _NONE).hosts)}
            told.append(self._event(step, time, now, context))
            self.told += 1
        return told

    def submitted(self, time: float, now: float) -> list[Event]:
        return self._go_to("submit", time, now)

    def _event(self, name: str, time: float, now: float, context: dict[str, Any]) -> Event:
        """Clocks of nodes differ: a time is neither before the last one told nor in the future."""
        self.last = max(self.last, min(time, now))
        return Event(name, self.last, self.job.name, context)


_NONE = Row("", "")


def wait_status(code: int) -> int:
    """The exit code that a shell gives of a command, as wait(2) encodes it: 128 + n is signal n (POSIX sh, 2.8.2)."""
    if 128 < code <= 128 + int(signal.SIGRTMAX):
        return code - 128
    return (code & 0xFF) << 8


def hosts_of(text: str) -> list[str]:
    """`n[1-3],m4` as a list; a text that is no hostlist is one host."""
    from resources import hostlist
    from resources.errors import ResourcesError

    if not text:
        return []
    try:
        return list(hostlist.expand(text))
    except ResourcesError:
        return [text]
