"""Flux: jobs of the instance whose handle opens, told by the job manager's journal.

The journal (`job-manager.events-journal`) streams every job's events; those of other people's jobs
and of other runs are left out by the token in the jobspec's user attributes (RFC 25, attributes.user).
No module of the instance is loaded, removed or set.

`python -m ensemble.members.flux` prints the events of all jobs, as JSON Lines.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import signal
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from ensemble.errors import MemberError
from ensemble.events import RAW, Event
from ensemble.member import Job, Member, Options

INSTALL = (
    "the Python bindings of Flux can't be imported ({}); install flux-python and ply, flux-python in the version"
    " that `flux version` shows, or use the Python that Flux was built with"
)


def _bindings() -> Any:
    """The module flux, with flux.job in it. Raises MemberError that says what to install."""
    try:
        importlib.import_module("flux.job")
    except ImportError as error:
        raise MemberError("flux", INSTALL.format(error)) from None
    return sys.modules["flux"]


def _open() -> Any:
    """A new handle. Raises MemberError that says what is missing."""
    try:
        return _bindings().Flux()
    except OSError as error:
        raise MemberError("flux", f"no Flux instance can be reached: {error.strerror or error}") from None


class FluxMember(Member):
    """Submits to the Flux instance around it. Output stays in Flux (`flux job attach ID`) unless a folder was named."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._run = uuid.uuid4().hex
        self._ids: dict[str, int] = {}  # of jobs that have not ended
        self._names: dict[int, str] = {}
        self._last: dict[str, str] = {}  # job -> the id that people know it by
        self._orders: deque[Callable[[Any], None]] = deque()
        self._cancelled: set[str] = set()  # asked for before the id was known
        self._closing = False
        self._handle: Any = None

    @classmethod
    def unavailable(cls) -> str:
        try:
            _open()
        except MemberError as error:
            return str(error).removeprefix("member flux: ")
        return ""

    @property
    def handle(self) -> Any:
        if self._handle is None:
            self._handle = _open()  # not the reactor's: a handle serves one thread
        return self._handle

    def where(self, name: str) -> str:
        if self.options.outputs:
            return str(self.options.outputs / f"{name}.err")
        return f"flux job attach {self._last[name]}" if name in self._last else ""

    async def open(self, emit: Callable[[Event], None], lost: Callable[[Exception], None]) -> None:
        loop = asyncio.get_running_loop()
        self._call: Callable[..., object] = loop.call_soon_threadsafe
        self._tell, self._tell_lost = emit, lost
        self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        if self.options.outputs:
            self.options.outputs.mkdir(parents=True, exist_ok=True)
        ready: asyncio.Future[None] = loop.create_future()
        self._thread = threading.Thread(target=self._react, args=(loop, ready), name="flux", daemon=True)
        self._thread.start()
        await ready

    async def submit(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            self._order(partial(self._submit, job))

    async def cancel(self, names: Sequence[str]) -> None:
        for name in names:
            self._order(partial(self._cancel, name))

    async def close(self) -> None:
        if not self._thread.is_alive():
            return
        self._order(self._finish)
        await asyncio.to_thread(self._thread.join, 1)
        for fd in self._wake:
            os.close(fd)

    # Everything from here on runs in the reactor's thread, on its handle.

    def _order(self, order: Callable[[Any], None]) -> None:
        self._orders.append(order)
        with suppress(BlockingIOError):  # the pipe is full of wake-up calls already
            os.write(self._wake[1], b"x")

    def _react(self, loop: asyncio.AbstractEventLoop, ready: asyncio.Future[None]) -> None:
        try:
            handle = _open()
            flux = _bindings()
            journal = flux.job.JournalConsumer(handle, full=False)
            journal.set_callback(self._journal)
            journal.start()
            watcher = handle.fd_watcher_create(self._wake[0], lambda *_: self._obey(handle), flux.constants.FLUX_POLLIN)
            watcher.start()
        except (MemberError, OSError) as error:
            failure = error if isinstance(error, MemberError) else MemberError("flux", f"no journal: {error}")
            loop.call_soon_threadsafe(ready.set_exception, failure)
            return
        loop.call_soon_threadsafe(ready.set_result, None)
        why = "the connection was lost"
        try:
            handle.reactor_run()  # returns without an error, too, when the broker has gone
        except Exception as error:  # noqa: BLE001 - whatever ends the reactor ends the run, with its reason
            why = f"{why}: {error}"
        if not self._closing:
            self._call(self._tell_lost, MemberError("flux", why))

    def _obey(self, handle: Any) -> None:
        os.read(self._wake[0], 65536)
        while self._orders:
            self._orders.popleft()(handle)

    def _submit(self, job: Job, handle: Any) -> None:
        try:
            _bindings().job.submit_async(handle, self._jobspec(job)).then(self._submitted, job.name)
        except (OSError, ValueError, TypeError) as error:
            self._refused(job.name, error)

    def _jobspec(self, job: Job) -> Any:
        flux, group = _bindings(), job.group
        spec = flux.job.JobspecV1.from_command(
            list(group.argv),
            num_tasks=group.tasks,
            num_nodes=group.nodes,
            cores_per_task=1,
            duration=float(group.duration),
            environment=dict(os.environ),
            cwd=group.workdir or str(Path.cwd()),
            name=group.name,
        )
        spec.setattr("attributes.user.group", group.name)
        spec.setattr("attributes.user.ensemble", {"run": self._run, "job": job.name})
        if self.options.outputs:
            spec.stdout = str(self.options.outputs.absolute() / f"{job.name}.out")
            spec.stderr = str(self.options.outputs.absolute() / f"{job.name}.err")
        return spec

    def _finish(self, handle: Any) -> None:
        """Cancel what still runs, and leave the reactor when all the answers are there."""
        self._closing = True
        ids = set(self._ids.values())
        if not ids:
            handle.reactor_stop()

        def answered(future: Any, jobid: int) -> None:
            _ignore(future)
            ids.discard(jobid)
            if not ids:
                handle.reactor_stop()

        for jobid in list(ids):
            _bindings().job.cancel_async(handle, jobid).then(answered, jobid)

    def _submitted(self, future: Any, name: str) -> None:
        try:
            future.get_id()
        except OSError as error:
            self._refused(name, error)

    def _refused(self, name: str, error: Exception) -> None:
        note = f"Flux refused it: {getattr(error, 'strerror', None) or error}"
        context = {"type": "submit", "severity": 0, "note": " ".join(note.split())}
        self._call(self._tell, Event("exception", time.time(), name, context))
        self._call(self._tell, Event("clean", time.time(), name))

    def _cancel(self, name: str, handle: Any) -> None:
        if name in self._ids:
            _bindings().job.cancel_async(handle, self._ids[name]).then(_ignore)
        elif name not in self._last:
            self._cancelled.add(name)

    def _journal(self, entry: Any) -> None:
        if entry is None:
            self._call(self._tell_lost, MemberError("flux", "the journal ended"))
            return
        if entry.name == "submit":
            mine = _ours(entry.jobspec)
            if mine.get("run") != self._run:
                return
            name = self._names[entry.jobid] = mine["job"]
            self._ids[name] = entry.jobid
            self._last[name] = str(entry.jobid.f58)
            if name in self._cancelled:
                self._order(partial(self._cancel, name))
        job = self._names.get(entry.jobid)
        if job is None:
            return
        if entry.name == "clean":
            del self._names[entry.jobid], self._ids[job]
        if entry.name in RAW:
            context = dict(entry.context)
            if entry.name == "submit":
                context["id"] = str(entry.jobid.f58)
            self._call(self._tell, Event(entry.name, entry.timestamp, job, context))


def _ours(jobspec: Any) -> dict[str, str]:
    user = ((jobspec or {}).get("attributes") or {}).get("user") or {}
    mine = user.get("ensemble") if isinstance(user, dict) else None
    return mine if isinstance(mine, dict) else {}


def _ignore(future: Any) -> None:
    """Take the answer to a cancel: a job that has ended meanwhile is no error."""
    try:
        future.get()
    except OSError:
        return


def watch() -> None:
    """Print every event of every job on the instance, from its start, until interrupted. Raises MemberError."""
    journal = _bindings().job.JournalConsumer(_open(), full=True, include_sentinel=True).start()
    while (entry := journal.poll()) is not None:
        if entry.is_empty():
            sys.stderr.write("The history ends here; what follows happens now.\n")
            continue
        event = {"timestamp": entry.timestamp, "name": entry.name, "context": entry.context}
        more = {key: value for key, value in (("jobspec", entry.jobspec), ("R", entry.R)) if value}
        sys.stdout.write(json.dumps({"id": int(entry.jobid), "events": [event], **more}) + "\n")
        sys.stdout.flush()


def _main() -> int:
    for number in (signal.SIGINT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)  # poll() waits in C, where Python's handlers don't run
    try:
        watch()
    except MemberError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


MEMBER = FluxMember

if __name__ == "__main__":
    raise SystemExit(_main())
