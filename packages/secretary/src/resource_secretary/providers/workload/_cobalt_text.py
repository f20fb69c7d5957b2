"""Read what Cobalt prints: records one under another (`qstat -l`), and tables (`nodelist`, `partlist`); qstat(1),
partlist(1), nodelist(1) of Cobalt."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from resource_secretary.errors import OutputError
from resource_secretary.providers.workload._batch import (
    Job,
    JobState,
    Queue,
    QueueState,
    seconds,
    unknown_format,
    unread_job,
    unread_queue,
    whole,
)

# qstat(1), "State": stopped takes jobs and starts none, draining the other way round, dead neither.
_QUEUES: dict[str, QueueState] = {"running": "up", "stopped": "stopped", "draining": "closed", "dead": "down"}
_JOBS: dict[str, JobState] = {
    **dict.fromkeys(("queued", "ready", "pending"), "pending"),
    **dict.fromkeys(("running", "starting", "exiting", "killing", "resource_epilogue", "job_epilogue"), "running"),
    **dict.fromkeys(("user_hold", "admin_hold", "dep_hold", "dep_fail", "maxrun_hold", "hold", "hasty_hold"), "held"),
    **dict.fromkeys(("preempted", "preempting"), "suspended"),
    **dict.fromkeys(("done", "terminal"), "finished"),
}
_BUSY = ("busy", "allocated", "starting", "cleanup", "blocked", "allocating", "rebooting")
_DOWN = ("down", "admindown", "hardware offline", "diagnostics", "software failure")


@dataclass(frozen=True, slots=True)
class Place:
    """A node, or a partition of a Blue Gene (partitions overlap: one that is blocked has parts in use by another).

    free: whether a job could start on it now. backfill: seconds for which it is free until a job that needs more
    takes it, None without such a bound.
    """

    name: str
    kind: Literal["node", "partition"]
    state: Literal["up", "down", "unknown"]
    raw_state: str
    free: bool
    queues: tuple[str, ...]
    backfill: int | None


def read_vertical(text: str, first: str, source: str) -> list[dict[str, str]]:
    """The records, each beginning with `FIRST: value`. Raises OutputError."""
    records: list[dict[str, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        key, colon, value = line.partition(":")
        if line.startswith(first) and key.strip() == first:
            records.append({})
        if not colon or not records:
            raise unknown_format(source, f"line {number}", f"{first}: expected, not {line[:40]!r}", text)
        records[-1].setdefault(key.strip(), value.strip())
    return records


def read_queues(text: str) -> list[Queue]:
    """The queues of `qstat -Q -l`. Raises OutputError."""
    queues = []
    for record in read_vertical(text, "Name", "qstat -Q -l"):
        name = record["Name"]
        try:
            queues.append(_queue(name, record))
        except ValueError as error:
            queues.append(unread_queue(name, OutputError("qstat -Q -l", name, str(error))))
    return queues


def _queue(name: str, record: dict[str, str]) -> Queue:
    raw = record.get("State", "")
    state = _QUEUES.get(raw, "unknown")
    longest = record.get("MaxTime", "None")
    return Queue(
        name=name,
        state=state,
        raw_state=raw,
        enabled=None if state == "unknown" else state in ("up", "stopped"),
        default=name == "default",  # where qsub sends a job that names no queue
        max_walltime=None if longest in ("None", "-", "") else seconds(longest),
        limits={
            key: value for key, value in record.items() if key not in ("Name", "State") and value not in ("None", "")
        },
    )


def read_jobs(text: str) -> list[Job]:
    """The jobs of `qstat -l`. Raises OutputError."""
    jobs = []
    for record in read_vertical(text, "JobID", "qstat -l"):
        name = record["JobID"]
        try:
            jobs.append(_job(name, record))
        except ValueError as error:
            jobs.append(unread_job(name, OutputError("qstat -l", name, str(error))))
    return jobs


def _job(name: str, record: dict[str, str]) -> Job:
    raw = record.get("State", "")
    state = _JOBS.get(raw.lower(), "unknown")

    def told(key: str) -> str:
        value = record.get(key, "")
        return "" if value in ("None", "N/A", "-", "*") else value

    procs, nodes = told("Procs"), told("Nodes")
    return Job(
        id=str(whole(name)),
        name=told("JobName")[:200],
        user=told("User"),
        queue=told("Queue"),
        state=state,
        raw_state=raw,
        cores=whole(procs) if procs else None,
        nodes=whole(nodes) if nodes else None,
        max_walltime=seconds(told("WallTime")) if told("WallTime") else None,
        submitted=told("SubmitTime")[:40],
        started=told("StartTime")[:40] if state == "running" else "",
        hosts=told("Location")[:300],
        reason=raw if state == "held" else "",
    )


def read_places(text: str, source: str) -> list[Place]:
    """The lines of `nodelist` or `partlist`, by the columns of its head. Raises OutputError."""
    lines = text.splitlines()
    at = next((number for number, line in enumerate(lines) if set(line.strip()) == {"="}), 0)
    head = [(match[0].lower(), match.start()) for match in re.finditer(r"\S+", lines[at - 1])] if at else []
    names = {name for name, _ in head}
    if not {"host", "name"} & names or not {"state", "status"} & names:
        raise unknown_format(source, "", "a head with a name and a state expected", text)
    ends = [start for _, start in head[1:]] + [None]
    places = []
    for line in lines[at + 1 :]:
        if line.strip():
            cells = {name: line[start:end].strip() for (name, start), end in zip(head, ends, strict=True)}
            places.append(_place(cells, "partition" if source == "partlist" else "node", source))
    return places


def _place(cells: dict[str, str], kind: Literal["node", "partition"], source: str) -> Place:
    name = cells.get("host") or cells.get("name", "")
    raw = cells.get("state") or cells.get("status", "")
    if not name or not raw:
        raise OutputError(source, name, "a name and a state expected")
    word = raw.lower()
    backfill = cells.get("backfill", "-")
    try:
        left = None if backfill in ("-", "") else seconds(f"{backfill}:0" if backfill.count(":") == 1 else backfill)
    except ValueError as error:
        raise OutputError(source, name, str(error)) from None
    up = word == "idle" or word.startswith(_BUSY)
    return Place(
        name=name,
        kind=kind,
        state="up" if up else "down" if word.startswith(_DOWN) else "unknown",
        raw_state=raw,
        free=word == "idle",
        queues=tuple(part for part in (cells.get("queue") or cells.get("queues") or "").split(":") if part),
        backfill=left,
    )
