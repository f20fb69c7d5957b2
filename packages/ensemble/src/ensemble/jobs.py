"""The jobs that have not ended, as the engine knows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# How far an attempt has come: the places of ensemble.events.COURSE, from 1; 0: not submitted.
_KEPT = (
    ("group", ""),
    ("index", 0),
    ("attempt", 0),
    ("overrides", 0),
    ("seen", 0),
    ("id", ""),
    ("submitted", None),
    ("started", None),
    ("hosts", ()),
    ("exception", ""),
    ("note", ""),
    ("cancelling", ""),
    ("ended", False),
    ("held", False),
    ("foreign", False),
    ("retried", 0),
    ("rescued", 0),
    ("fired", None),
    ("read", None),
    ("told", ()),
    ("requeued", None),
    ("outcome", ""),
    ("status", None),
    ("finished", None),
)


class JobState:
    """One attempt.

    overrides: the number of the submission's overrides, 0 for none. exception, note: of the first fatal one.
    cancelling: why we cancel it (`rule`, `timeout`, `terminate`, `request`, `infrastructure`: it was requeued
    too often), empty where we don't.
    held: it waits for other groups. retried, rescued: how many attempts the application's and the infrastructure's
    failures have cost. fired: of each rule of its own (`per: job`), by the rule's number, how often it has fired, how
    many firings are still skipped, and whether it held when it was last looked at.
    read: up to where each source of metrics has been read, in bytes. told: the exceptions, `SEVERITY TYPE`.
    requeued: when the queue last started it over.
    """

    __slots__ = tuple(name for name, _ in _KEPT)
    group: str
    index: int
    attempt: int
    overrides: int
    seen: int
    id: str
    submitted: float | None
    started: float | None
    hosts: tuple[str, ...]
    exception: str
    note: str
    cancelling: str
    ended: bool
    held: bool
    foreign: bool
    retried: int
    rescued: int
    fired: dict[int, tuple[int, int, bool]] | None
    read: dict[str, int] | None
    told: tuple[str, ...]
    requeued: float | None
    outcome: str
    status: int | None
    finished: float | None

    def __init__(self, group: str, index: int, overrides: int = 0, attempt: int = 0) -> None:
        self.group = group
        self.index = index
        self.overrides = overrides
        self.attempt = attempt
        self.seen = 0
        self.id = self.exception = self.note = self.cancelling = self.outcome = ""
        self.submitted = self.started = self.finished = self.requeued = None
        self.status: int | None = None
        self.hosts = self.told = ()
        self.ended = self.held = self.foreign = False
        self.retried = self.rescued = 0
        self.fired = self.read = None

    def state(self) -> dict[str, Any]:
        """What differs from a new one."""
        return {name: value for name, default in _KEPT if (value := getattr(self, name)) != default}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> JobState:
        job = cls(state["group"], state.get("index", 0))
        for name, value in state.items():
            setattr(job, name, value)
        job.hosts, job.told = tuple(job.hosts), tuple(job.told)
        if job.fired is not None:
            job.fired = {int(rule): (count, skip, was) for rule, (count, skip, was) in job.fired.items()}
        return job


# The attempts that have not been cleaned up, by name, in the order in which they were made.
Jobs = dict[str, JobState]


def attempt_name(group: str, index: int, attempt: int) -> str:
    """`sleep.3`, and `sleep.3.1` for its second attempt."""
    return f"{group}.{index}.{attempt}" if attempt else f"{group}.{index}"
