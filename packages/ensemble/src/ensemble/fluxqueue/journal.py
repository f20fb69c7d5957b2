"""From the job manager's journal to the events of this run's jobs.

`job-manager.events-journal` streams messages {id, events, jobspec with `submit`, R with `alloc`}; asked in full it
sends first one message for each job that the job manager knows, then one without events, then what happens from then
on. Everything here runs in the reactor's thread.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ensemble.events import FLUX_EVENTS, RAW, Event
from ensemble.fluxqueue import bindings, causes
from ensemble.job import Known

BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
NAMES = frozenset((*RAW, *FLUX_EVENTS))


@dataclass(slots=True)
class Course:
    """A job that has not ended, as far as it was told. last: the time of the last event told; limit: its duration."""

    name: str
    limit: float = 0.0
    last: float = 0.0
    started: float = 0.0


class Journal:
    """Keeps which job has which id, and tells each event once.

    tell: takes events. cancel: takes the id of a job that must not be. foreign: also tell of others' jobs, as
    jobs `GROUP.ID`, where GROUP is their attributes.user.group or else their name.
    """

    def __init__(
        self, run: str, tell: Callable[[Event], None], cancel: Callable[[int], None], foreign: bool = False
    ) -> None:
        self.run, self.tell, self.cancel, self.foreign = run, tell, cancel, foreign
        self.ids: dict[str, int] = {}  # of all jobs of this run, ended or not
        self.active: dict[int, Course] = {}
        self.ended: set[str] = set()
        self.before: dict[int, Course] = {}  # those of a connection before this one, until they are adopted
        self.over: set[str] = set()  # those that ended in connections before this one

    def bind(self, name: str, jobid: int) -> bool:
        """Take down a job's id. False, and it is cancelled, where the job has another one already.

        That can be where a submission showed only after it had been looked for in vain.
        """
        known = self.ids.setdefault(name, jobid)
        if known != jobid:
            self.cancel(jobid)
        return known == jobid

    def live(self, message: Mapping[str, Any]) -> None:
        """One message of what happens now."""
        jobid = message["id"]
        course = self.active.get(jobid)
        if course is None:
            jobspec = message.get("jobspec")
            if not jobspec or message["events"][0]["name"] != "submit":
                return
            if not (course := self._new(jobid, jobspec)):
                return
            self.active[jobid] = course
        self._tell(jobid, course, message)

    def _new(self, jobid: int, jobspec: Mapping[str, Any]) -> Course | None:
        mine = ours(jobspec)
        limit = float(jobspec["attributes"].get("system", {}).get("duration") or 0)
        if mine.get("run") == self.run:
            name = str(mine.get("job"))
            return Course(name, limit) if self.bind(name, jobid) else None
        group = group_of(jobspec) if self.foreign else ""
        return Course(f"{group}.{short(jobid)}", limit) if group else None

    def past(self, messages: Iterable[Mapping[str, Any]], known: Mapping[str, Known]) -> set[str]:
        """The history of this run's jobs: tell of those in `known` what came after `seen`. Their names, where found.

        Those that have ended, and that an instance has started over which was killed and knows no more than its last
        checkpoint, are cancelled.
        """
        found = set()
        for message in sorted(messages, key=lambda message: int(message["id"])):  # ids go up with time
            mine, jobid = ours(message.get("jobspec")), message["id"]
            name = str(mine.get("job", ""))
            if mine.get("run") == self.run and name in self.over and name not in known:
                if message["events"][-1]["name"] != "clean":
                    self.cancel(jobid)
                continue
            if mine.get("run") != self.run or name not in known or mine.get("token") != known[name].job.token:
                continue
            if not self.bind(name, jobid):
                continue
            found.add(name)
            self.tell_past(known[name], jobid, message)
        return found

    def tell_past(self, known: Known, jobid: int, message: Mapping[str, Any]) -> None:
        """One job's events from its beginning, as one message."""
        course = self.active.get(jobid) or self.before.pop(jobid, None)
        course = course or Course(known.job.name, float(known.job.spec.duration))
        if known.seen:
            for event in message["events"]:
                if event["name"] == "start":
                    course.started = event["timestamp"]
                if event["name"] == known.seen:
                    course.last = max(course.last, event["timestamp"])
        self.active[jobid] = course
        self._tell(jobid, course, message)

    def more(self, jobid: int, message: Mapping[str, Any]) -> None:
        """What is known of an active job by now, of which a part may have been told."""
        self._tell(jobid, self.active[jobid], message)

    def _tell(self, jobid: int, course: Course, message: Mapping[str, Any]) -> None:
        for event in message["events"]:
            name, time = event["name"], event["timestamp"]
            if time <= course.last:
                continue
            course.last = time
            if name == "start":
                course.started = time
            if name in NAMES:
                self.tell(Event(name, time, course.name, self._context(jobid, course, event, message)))
            if name == "clean":
                del self.active[jobid]
                self.ended.add(course.name)

    def _context(
        self, jobid: int, course: Course, event: Mapping[str, Any], message: Mapping[str, Any]
    ) -> dict[str, Any]:
        context = dict(event.get("context") or {})
        name = event["name"]
        if name == "submit":
            context["id"] = shown(jobid)
            if course.name not in self.ids:
                context |= {"foreign": True, "group": course.name.rpartition(".")[0]}
        elif name == "alloc":
            context["hosts"] = hosts(message.get("R"))
        elif name == "exception":
            kind, note = str(context.get("type", "")), str(context.get("note") or "")
            ours = causes.meant(kind, note)
            if kind == causes.EXPIRED and course.started:
                ours = causes.expired(event["timestamp"] - course.started, int(course.limit))
            context |= {"type": ours, "severity": int(context.get("severity", 0)), "note": note or kind}
            if ours != kind:
                context["flux"] = kind
        return context


def ours(jobspec: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """What the jobspec's attributes.user.ensemble has; empty for jobs that are none of an ensemble."""
    mine = _user(jobspec).get("ensemble")
    return mine if isinstance(mine, dict) else {}


def group_of(jobspec: Mapping[str, Any]) -> str:
    """The group that a foreign job counts to."""
    group = _user(jobspec).get("group")
    if isinstance(group, str) and group:
        return group
    return str((jobspec["attributes"].get("system", {}).get("job") or {}).get("name") or "")


def _user(jobspec: Mapping[str, Any] | None) -> Mapping[str, Any]:
    user = ((jobspec or {}).get("attributes") or {}).get("user") or {}
    return user if isinstance(user, dict) else {}


def shown(jobid: int) -> str:
    """An id as people know it: `ƒ2CwF82T` (RFC 19, "F58")."""
    return f"ƒ{short(jobid)[1:]}"


def short(jobid: int) -> str:
    """The same in letters and digits alone: `f2CwF82T`."""
    digits = ""
    while jobid or not digits:
        jobid, digit = divmod(jobid, 58)
        digits = BASE58[digit] + digits
    return f"f{digits}"


def hosts(allocated: Mapping[str, Any] | None) -> list[str]:
    """The hosts of an R (RFC 20), one for each rank."""
    listed = ((allocated or {}).get("execution") or {}).get("nodelist") or []
    return hosts_of(",".join(map(str, listed)))


def hosts_of(text: str) -> list[str]:
    """The hosts of a hostlist (RFC 29)."""
    return list(_decoded(text))


@lru_cache(maxsize=1024)  # most jobs run where others did
def _decoded(text: str) -> tuple[str, ...]:
    return tuple(map(str, bindings.load().hostlist.decode(text))) if text else ()


def of_eventlog(text: str) -> list[dict[str, Any]]:
    """The events of an eventlog (RFC 18)."""
    return [json.loads(line) for line in text.splitlines()]
