"""What an earlier supervisor left, from events.jsonl and from the processes that still run.

A job that was taken in, and not begun, waits. One that was begun (line "I") is never started again: where its processes
are known (line "P") they are looked up; where the supervisor was killed between the two lines, every process has a mark
in its environment by which it is found. What is left: of a job that ended between that moment and
the next supervisor's start, nobody knows how it ended.
"""

from __future__ import annotations

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

    number, specs: the last ones given. started: how many jobs. time: of the last line.
    """

    tasks: list[Task] = field(default_factory=list)
    ended: dict[str, int] = field(default_factory=dict)
    number: int = 0
    specs: int = 0
    started: int = 0
    time: float = 0.0


def recover(log: Log, key: str) -> Found:
    """Raises OSError, and ValueError where the file was spoilt."""
    found, specs, live = Found(), dict[int, Spec](), dict[str, Task]()
    pids: dict[str, tuple[float, list[int]]] = {}
    here, alive = boot(), False
    for at, row in log.read():
        kind = row[0]
        if kind == "A":
            _, name, token, number, time, spec = row
            found.number = int(number)
            live[name] = Task(found.number, name, token, specs[spec], time)
        elif kind == "F":
            found.ended[row[1]] = at
            live.pop(row[1], None)
            time = row[8]
        elif kind == "S":
            found.specs = row[1]
            specs[row[1]] = Spec(**{**row[2], "argv": tuple(row[2]["argv"])})
            continue
        elif kind == "H":
            time, alive = row[4], row[3] == here
        else:
            time = row[2]
            task = live[row[1]]
            if kind == "I":
                task.state, task.allocated, task.place = RUNNING, time, row[3]
                found.started += 1
            elif kind == "P":
                task.started = task.allocated
                pids[task.name] = (time, row[3])
            elif kind == "X":
                task.exceptions.append(row[2:])
        found.time = max(found.time, time)
    found.tasks = list(live.values())
    running = [task for task in found.tasks if task.state == RUNNING]
    if alive:
        lost = {mark(key, task): task for task in running if task.name not in pids}
        marked = find_marked(lost) if lost else {}
        for task in running:
            time, known = pids.get(task.name, (found.time, marked.get(task.name, [])))
            watch(task, known, time if task.name in pids else None)
            if task.watched:
                task.started = task.allocated
    return found


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


