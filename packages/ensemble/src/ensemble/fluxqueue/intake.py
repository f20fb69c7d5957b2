"""Submissions: a bounded number in flight, and what each answer means. In the reactor's thread."""

from __future__ import annotations

import errno
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from ensemble.events import Event
from ensemble.fluxqueue import causes
from ensemble.fluxqueue.answers import id_of
from ensemble.fluxqueue.connection import Connection
from ensemble.fluxqueue.jobspec import Writer
from ensemble.job import Job
from ensemble.member import SubmitLimit, Unreachable

IN_FLIGHT = 1024
# A refusal of these says nothing of the job: the service is not there (any more), or the way to it.
AWAY = frozenset(
    {errno.ENOSYS, errno.EHOSTUNREACH, errno.ECONNRESET, errno.EPIPE, errno.ETIMEDOUT, errno.ENOTCONN, errno.EAGAIN}
)


class Intake:
    """One batch of jobs. answer: gets None once all are answered, or Unreachable or SubmitLimit."""

    def __init__(
        self,
        connection: Connection,
        jobs: Sequence[Job],
        writer: Writer,
        taken: Callable[[str, int], object],
        tell: Callable[[Event], None],
        answer: Callable[[Exception | None], None],
    ) -> None:
        self._connection, self._jobs, self._writer = connection, deque(jobs), writer
        self._taken, self._tell, self._answer = taken, tell, answer
        self._flying = 0
        self._failure: Exception | None = None

    def go(self) -> None:
        while self._jobs and self._flying < IN_FLIGHT and self._failure is None:
            job = self._jobs.popleft()
            try:
                text = self._writer.text(job)
            except ValueError as error:
                self._refused(job, str(error))
                continue
            try:
                self._connection.submit(text, self._answered, job)
            except OSError as error:
                self._failure = Unreachable("flux", f"it can't be submitted to: {error.strerror or error}")
                break
            self._flying += 1
        if not self._flying:
            self._answer(self._failure)

    def _answered(self, future: Any, job: Job) -> None:
        self._flying -= 1
        try:
            self._taken(job.name, id_of(future))
        except OSError as error:
            text = " ".join(str(error.strerror or error).split())
            if error.errno in AWAY:
                self._failure = Unreachable("flux", f"it takes no job now: {text}")
            elif causes.LATER.search(text):
                self._failure = SubmitLimit("flux", text)
            else:
                self._refused(job, text)
        # Not for each answer: the window is filled again when half of it is free.
        if not self._flying or (self._jobs and self._flying <= IN_FLIGHT // 2):
            self.go()

    def _refused(self, job: Job, why: str) -> None:
        now = time.time()
        context = {"type": "submit", "severity": 0, "note": f"Flux refused it: {why}"}
        self._tell(Event("exception", now, job.name, context))
        self._tell(Event("clean", now, job.name))
