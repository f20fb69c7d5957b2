"""What an earlier supervisor left, from events.jsonl and from the processes that still run.

A job that was taken in, and not begun, waits. One that was begun (line "I") is never started again: where its processes
are known (line "P") they are looked up; where the supervisor was killed between the two lines, every process has a mark
in its environment by which it is found. What is left: of a job that ended between that moment and
the next supervisor's start, nobody knows how it ended.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ensemble.job import Spec
from ensemble.supervisor.lines import Log
from ensemble.supervisor.meeting import boot, started
from ensemble.supervisor.spawn import MARK, mark
from ensemble.supervisor.task import RUNNING, Task, group_of

SLACK = 2.0  # seconds by which the clocks of the file and of /proc may differ


@dataclass(slots=True)
class Found:
    """tasks: that have not ended, in the order in which they came. ended: name -> offset of its line "F".

    number, specs: the last ones given. started: how many jobs. time, last: of the last line, and its offset.
    """

    tasks: list[Task] = field(default_factory=list)
    ended: dict[str, int] = field(default_factory=dict)
    number: int = 0
    specs: int = 0
    started: int = 0
    time: float = 0.0
    last: int = -1


def recover(log: Log, key: str) -> Found:
    """Raises OSError, and ValueError or LookupError where the file was spoilt."""
    found, specs, live = Found(), dict[int, int](), dict[str, Task]()
    # Most jobs have ended, most often: their lines are counted and not read.
    last = {b"A": -1, b"S": -1, b"H": -1}
    for at, text in log.read():
        kind = text[2:3]
        if kind == b"F":
            found.ended[name_in(text)] = at
        elif kind == b"I":
            found.started += 1
        elif kind == b"S":
            specs[int(text[5 : text.index(b",", 5)])] = at
        if kind in last:
            last[kind] = at
        found.last = at
    if last[b"A"] >= 0:
        found.number = int(log.at(last[b"A"])[3])
    if last[b"S"] >= 0:
        found.specs = int(log.at(last[b"S"])[1])
    alive = last[b"H"] >= 0 and log.at(last[b"H"])[3] == boot()
    pids: dict[str, tuple[float, list[int]]] = {}
    known: dict[int, Spec] = {}
    for at, text in log.read():
        if text[2:3] in b"SHF" or name_in(text) in found.ended:
            if at == found.last:
                found.time = max(found.time, time_of(log.at(at)))
            continue
        kind, name, *row = json.loads(text)
        found.time = max(found.time, time_of([kind, name, *row]))
        if kind == "A":
            token, number, time, spec = row
            if spec not in known:
                fields = log.at(specs[spec])[2]
                known[spec] = Spec(**{**fields, "argv": tuple(fields["argv"])})
            live[name] = Task(int(number), name, token, known[spec], time)
            continue
        task = live[name]
        if kind == "I":
            task.state, task.allocated, task.place = RUNNING, row[0], row[1]
        elif kind == "P":
            task.started = task.allocated
            pids[name] = (row[0], row[1])
        elif kind == "X":
            task.exceptions.append(row)
    found.tasks = list(live.values())
    running = [task for task in found.tasks if task.state == RUNNING]
    if alive:
        lost = {mark(key, task): task for task in running if task.name not in pids}
        marked = find_marked(lost) if lost else {}
        for task in running:
            until, processes = pids.get(task.name, (None, marked.get(task.name, [])))
            watch(task, processes, until)
            if task.watched:
                task.started = task.allocated
    return found


def name_in(text: bytes) -> str:
    """The job that a line is about."""
    return text[6 : text.index(b'"', 6)].decode()


def time_of(row: list[Any]) -> float:
    """When a line was written."""
    at = {"A": 4, "F": 8, "H": 4, "S": None}.get(row[0], 2)
    return 0.0 if at is None else float(row[at])


def watch(task: Task, pids: list[int], until: float | None) -> None:
    """Watch those processes that are the job's. until: when they were known to run; later ones are others."""
    for pid in pids:
        with suppress(OSError):
            fd = os.pidfd_open(pid)
            since = started(pid)  # looked up after the pidfd was opened: it is of this very process
            first = (task.allocated or 0.0) - SLACK
            if since is not None and first <= since and (until is None or since <= until + SLACK):
                task.watched[fd] = pid
            else:
                os.close(fd)
    if pids:
        task.leader = pids[0]


def find_marked(wanted: dict[str, Task]) -> dict[str, list[int]]:
    """Job -> its processes, the first of each group at the front, by the mark in their environment."""
    seen: dict[str, list[tuple[float, int]]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):
            environment = (entry / "environ").read_bytes()
            name = mark_in(environment)
            if name in wanted and (since := started(int(entry.name))) is not None:
                seen.setdefault(wanted[name].name, []).append((since, int(entry.name)))
    found: dict[str, list[int]] = {}
    for job, processes in seen.items():
        # The first leads the group, unless it has ended already; what else is in there was started by it.
        leader = group_of(min(processes)[1])
        found[job] = [pid for _, pid in sorted(processes) if pid == leader or group_of(pid) == leader]
    return found


def mark_in(environment: bytes) -> str:
    start = f"{MARK}=".encode()
    for entry in environment.split(b"\0"):
        if entry.startswith(start):
            return entry[len(start) :].decode(errors="replace")
    return ""
