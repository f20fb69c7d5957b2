"""The events of jobs from `job-list`, for those who may not hear the job manager's journal.

One call tells of all of a user's jobs, however many: when each came to which state, not each event. What happened
together bears times a microsecond apart, in the order of the events.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ensemble.fluxqueue.answers import text_of
from ensemble.fluxqueue.connection import Connection
from ensemble.fluxqueue.journal import Course, Journal
from ensemble.job import Known

SKEW = 300.0  # seconds by which the clocks of this machine and of the instance may differ
MARGIN = 30.0  # seconds for which jobs that have ended are asked for again
STEP = 1e-6


def message_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What job-list says of a job (attributes `all`), as the journal would tell it."""
    events = [_event("submit", entry["t_submit"])]
    if run := entry.get("t_run"):
        events += [_event("alloc", run), _event("start", run + STEP)]
    if inactive := entry.get("t_inactive"):  # before that it does not say whether there was an exception
        end = entry.get("t_cleanup") or inactive
        if entry.get("exception_occurred"):
            context = {key: entry.get(f"exception_{key}") for key in ("type", "severity", "note")}
            events.append(_event("exception", end + STEP, context))
        if run and "waitstatus" in entry:
            events.append(_event("finish", end + 2 * STEP, {"status": entry["waitstatus"]}))
        events.append(_event("clean", max(inactive, end + 3 * STEP)))
    return {"id": entry["id"], "events": events, "R": {"execution": {"nodelist": [entry.get("nodelist") or ""]}}}


def _event(name: str, time: float, context: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {"name": name, "timestamp": time, "context": context or {}}


class Listing:
    """What is asked, and what it means for the jobs of `journal`. In the reactor's thread, but for `__init__`."""

    def __init__(self, journal: Journal, now: float) -> None:
        self._journal = journal
        self._since = now - SKEW
        self._names: dict[int, str] = {}  # of jobs that have not ended

    @property
    def idle(self) -> bool:
        """Whether there is nothing to be asked for."""
        return not self._names

    def track(self, name: str, jobid: int) -> None:
        if name not in self._journal.ended:
            self._names[jobid] = name

    def look(self, known: Mapping[str, Known], connection: Connection, answer: Callable[[Any], None]) -> None:
        """Tell what is new of all jobs; answers with the names of those that were in the list, or OSError.

        known: of jobs that were not told of yet by this member.
        """

        def heard(entries: Any) -> None:
            answer(entries if isinstance(entries, OSError) else self._told(entries, known))

        ask(connection, {"attrs": ["all"], "since": self._since}, heard)

    def find(self, tokens: Mapping[str, str], connection: Connection, answer: Callable[[Any], None]) -> None:
        """Ids by the names of jobs, the first ones first, whose tokens (token -> name) are the names that Flux has."""

        def heard(entries: Any) -> None:
            if isinstance(entries, OSError):
                answer(entries)
                return
            found = sorted(entries, key=lambda entry: int(entry["id"]))
            answer([(tokens[entry["name"]], entry["id"]) for entry in found if entry.get("name") in tokens])

        ask(connection, {"attrs": ["name"], "since": 0.0}, heard)

    def _told(self, entries: Sequence[Mapping[str, Any]], known: Mapping[str, Known]) -> set[str]:
        found = set()
        ended = self._since
        for entry in entries:
            ended = max(ended, (entry.get("t_inactive") or 0.0) - MARGIN)
            jobid = entry["id"]
            name = self._names.get(jobid)
            if name is None:
                continue
            found.add(name)
            if jobid not in self._journal.active:
                if name in known:
                    self._journal.tell_past(known[name], jobid, message_of(entry))
                else:
                    self._journal.active[jobid] = Course(name, float(entry.get("duration") or 0))
            if jobid in self._journal.active:
                self._journal.more(jobid, message_of(entry))
            if name in self._journal.ended:
                del self._names[jobid]
        self._since = ended
        return found


def ask(connection: Connection, payload: Mapping[str, Any], answer: Callable[[Any], None]) -> None:
    """All jobs of this user by `job-list.list`, as a list, or OSError."""
    entries: list[Any] = []
    streams = False

    def heard(future: Any) -> bool:
        nonlocal streams
        try:
            page = json.loads(text_of(future))
        except OSError as error:
            answer(entries if error.errno == errno.ENODATA else error)
            return False
        entries.extend(page["jobs"])
        streams = streams or bool(page.get("version"))  # the first page has it; an older service answers once
        if not streams:
            answer(entries)
        return streams

    whole = {"max_entries": 0, "constraint": {"and": [{"userid": [os.getuid()]}]}, **payload}
    connection.stream("job-list.list", whole, heard)
