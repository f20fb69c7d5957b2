"""The embedded member: real processes on this machine, as many at a time as its cores allow.

Each job has a process group of its own, which is what is cancelled. Output goes to JOB.out and
JOB.err in the run's folder. Nothing polls: the end of a process is a pidfd that becomes readable.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from resources import Cores, InfeasibleRequest, InsufficientResources, Nodes, Pool, Resource, Tasks

from ensemble.errors import MemberError
from ensemble.events import Event
from ensemble.member import Job, Member, Options

GRACE = 2.0  # seconds between SIGTERM and SIGKILL


@dataclass(slots=True, eq=False)
class _Run:
    """A job that runs: one process per task, all in the process group of the first."""

    job: Job
    granted: Any
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    watched: dict[int, int] = field(default_factory=dict)  # pidfd -> pid, of those that have not ended
    timers: list[asyncio.TimerHandle] = field(default_factory=list)
    ending: bool = False


class LocalMember(Member):
    """Runs jobs first come, first served, on a pool of this machine's cores (or `--cores N` of them)."""

    takes_cores = True

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._waiting: OrderedDict[str, Job] = OrderedDict()  # a dict would get slower at its front
        self._needs: dict[str, Resource] = {}  # by group
        self._runs: dict[str, _Run] = {}

    @classmethod
    def unavailable(cls) -> str:
        return "" if hasattr(os, "pidfd_open") else "it needs Linux 5.3 or later (pidfd_open)"

    async def open(self, emit: Callable[[Event], None], lost: Callable[[Exception], None]) -> None:
        self._send = emit
        self._loop = asyncio.get_running_loop()
        self._idle = asyncio.Event()
        # Times are told from a clock that does not jump: a duration is never negative.
        self._epoch = time.time() - time.monotonic()
        self.pool = Pool.this_machine(cores=self.options.cores)
        try:
            if self.options.outputs is None:
                self.outputs = Path(tempfile.mkdtemp(prefix="ensemble-"))
            else:
                self.outputs = self.options.outputs
                self.outputs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MemberError("local", f"can't make the folder for the output: {error}") from None

    async def submit(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            self._emit("submit", job.name)
            self._waiting[job.name] = job
        self._schedule()

    async def cancel(self, names: Sequence[str]) -> None:
        for name in names:
            if name in self._waiting:
                self._drop(self._waiting[name], "cancel", "cancelled before it started")
            elif name in self._runs:
                self._end(self._runs[name], "cancel", "cancelled")

    async def close(self) -> None:
        await self.cancel([*self._waiting, *self._runs])
        if self._runs:
            self._idle.clear()
            # SIGKILL can't be refused; a process in uninterruptible sleep is not waited for.
            with suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), GRACE + 2)

    @property
    def output(self) -> str:
        return str(self.outputs)

    def where(self, name: str) -> str:
        return str(self.outputs / f"{name}.err")

    def _emit(self, event: str, job: str, **context: Any) -> None:
        self._send(Event(event, self._epoch + time.monotonic(), job, context))

    def _schedule(self) -> None:
        while self._waiting:
            job = next(iter(self._waiting.values()))
            group = job.group
            if group.name not in self._needs:
                self._needs[group.name] = Nodes(group.nodes) & Tasks(group.tasks) & Cores(1)
            try:
                granted = self.pool.alloc(self._needs[group.name])
            except InsufficientResources:
                return  # first come, first served: what waits behind it waits too
            except InfeasibleRequest as error:
                self._drop(job, "alloc", f"it can never run here: {error}")
                continue
            del self._waiting[job.name]
            self._emit("alloc", job.name, hosts=list(granted.hosts))
            self._launch(_Run(job, granted))

    def _drop(self, job: Job, kind: str, note: str) -> None:
        del self._waiting[job.name]
        self._emit("exception", job.name, type=kind, severity=0, note=note)
        self._emit("clean", job.name)

    def _launch(self, run: _Run) -> None:
        name, group = run.job.name, run.job.group
        self._runs[name] = run
        environment = {**os.environ, **run.granted.environ()}
        failed = ""
        try:
            with ExitStack() as files:
                out = files.enter_context((self.outputs / f"{name}.out").open("xb"))
                err = files.enter_context((self.outputs / f"{name}.err").open("xb"))
                for _ in range(group.tasks):
                    process = subprocess.Popen(
                        group.argv,
                        stdin=subprocess.DEVNULL,
                        stdout=out,
                        stderr=err,
                        cwd=group.workdir or None,
                        env=environment,
                        process_group=run.processes[0].pid if run.processes else 0,
                    )
                    run.processes.append(process)
                    run.watched[os.pidfd_open(process.pid)] = process.pid
        except (OSError, ValueError) as error:
            failed = f"it can't be started: {error}"
        if failed:
            self._emit("exception", name, type="exec", severity=0, note=failed)
            run.ending = True
            self._signal(run, signal.SIGKILL)
        if not run.processes:
            self._clean(run)
            return
        if not failed:
            self._emit("start", name)
        for fd in run.watched:
            self._loop.add_reader(fd, self._ended, run, fd)
        if group.duration and not failed:
            note = f"it ran longer than {group.duration} s"
            run.timers.append(self._loop.call_later(group.duration, self._end, run, "timeout", note))

    def _end(self, run: _Run, kind: str, note: str) -> None:
        """End a running job before its time: SIGTERM, and SIGKILL for what is left later."""
        if run.ending:
            return
        run.ending = True
        self._emit("exception", run.job.name, type=kind, severity=0, note=note)
        self._signal(run, signal.SIGTERM)
        run.timers.append(self._loop.call_later(GRACE, self._signal, run, signal.SIGKILL))

    @staticmethod
    def _signal(run: _Run, number: signal.Signals) -> None:
        # The group's id can't have been given away: its leader is reaped last (see _ended).
        if run.processes:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(run.processes[0].pid, number)

    def _ended(self, run: _Run, fd: int) -> None:
        self._loop.remove_reader(fd)
        os.close(fd)
        del run.watched[fd]
        if run.watched:
            return
        # What the job left running in its group goes with it, while the group still has its leader.
        self._signal(run, signal.SIGKILL)
        codes = [process.wait() for process in run.processes]
        # As wait(2) has it; of several tasks the largest, as Flux tells it.
        status = max(-code if code < 0 else code << 8 for code in codes)
        self._emit("finish", run.job.name, status=status)
        self._clean(run)

    def _clean(self, run: _Run) -> None:
        for timer in run.timers:
            timer.cancel()
        del self._runs[run.job.name]
        self.pool.dealloc(run.granted)
        self._emit("clean", run.job.name)
        self._loop.call_soon(self._schedule)
        if not self._runs:
            self._idle.set()


MEMBER = LocalMember
