"""Hosts on which several different jobs failed for the infrastructure's sake: they are avoided for a while."""

from __future__ import annotations

from typing import Any

MANY = 3  # different jobs
WITHIN = 3600.0  # seconds in which they failed
AVOIDED_FOR = 1800.0  # seconds


class Suspects:
    """`avoided` has the hosts that jobs should not run on now, and until when."""

    __slots__ = ("_failed", "avoided", "hosts")

    def __init__(self) -> None:
        self.hosts: set[str] = set()  # every host that a job has been given
        self.avoided: dict[str, float] = {}
        self._failed: dict[str, dict[str, float]] = {}  # host -> job -> when

    def failed(self, host: str, job: str, now: float) -> bool:
        """A job failed there; whether the host is avoided from now on. It never is the last one."""
        jobs = self._failed.setdefault(host, {})
        jobs[job] = now
        for old in [name for name, when in jobs.items() if when < now - WITHIN]:
            del jobs[old]
        if len(jobs) < MANY or host in self.avoided or len(self.avoided) + 1 >= len(self.hosts):
            for old in list(jobs)[:-MANY]:
                del jobs[old]
            return False
        del self._failed[host]
        self.avoided[host] = now + AVOIDED_FOR
        return True

    def state(self) -> dict[str, Any]:
        return {"hosts": sorted(self.hosts), "avoided": self.avoided, "failed": self._failed}

    def restore(self, state: dict[str, Any]) -> None:
        self.hosts = set(state["hosts"])
        self.avoided = dict(state["avoided"])
        self._failed = {host: dict(jobs) for host, jobs in state["failed"].items()}
