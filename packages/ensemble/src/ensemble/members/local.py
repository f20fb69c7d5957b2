"""The embedded member: real processes on this machine, as many at a time as its cores allow.

They run under a supervisor (`ensemble.supervisor`), a process of its own that outlives the run: what it was given
goes on when the run is killed, and a resume learns how it ended. It starts when the run does, and ends by itself
a minute after its last job and its last client.

Jobs start first come, first served; one that does not fit now is overtaken by others for a minute at most.
Each has a process group of its own and is told what it was given (`resources.current()`). One that runs longer than
its duration gets SIGTERM, and SIGKILL two seconds later. A job with several tasks is so many processes in one group;
its status is their largest. What a job leaves running in its group is ended with it.

Where Spec.output has no place for it, output goes to out/ in the folder of the member: the first 200 jobs have files
of their own, later ones share some (`Member.read` finds theirs). `workdir` is, where it is empty, the directory of
the run's start; `stdin` and `output` are relative to it, and stderr is beside `output` with `.err` behind its name.

Settings:
- `bind` (false): whether jobs are bound to the cores that they were granted. Two runs on one machine don't know of
  each other, and would bind to the same ones.
- `grace` (2): seconds from SIGTERM to SIGKILL.
- `linger` (60): seconds that the supervisor stays without a job and without a client.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from resources.machine import hostname

from ensemble.errors import MemberError
from ensemble.events import COURSE, Event
from ensemble.job import Job, Known, Spec
from ensemble.member import READ_LIMIT, Emit, Lost, Member, Options, Unreachable
from ensemble.supervisor import meeting
from ensemble.supervisor.lines import FILE, VERSION, line
from ensemble.supervisor.output import Outputs

PATIENCE = 10.0  # seconds for the supervisor to come up, or to answer
PARTING = 2.0  # seconds, on top of the grace, for jobs to end when the run is closed
SETTINGS: dict[str, bool | float] = {"bind": False, "grace": 2.0, "linger": 60.0}
ANSWER = 60.0  # seconds for it to look up a batch of jobs
BATCH = 1000  # jobs in one message
NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,199}")
RANK = {name: rank for rank, name in enumerate(COURSE, 1)}


class LocalMember(Member):
    """Runs jobs on a pool of this machine's cores, or `--cores N` of them. It never polls."""

    name = "local"
    takes_cores = True
    remote = False
    no_resize = "it is one node, this machine; how many cores it uses is said with --cores"

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._folder: Path | None = options.folder
        self._outputs: Outputs | None = None
        self._link: _Link | None = None
        self._told: dict[str, list[int]] = {}  # job -> rank of the last event that was told, exceptions told
        self._asked = 0
        self._questions: dict[int, tuple[asyncio.Future[list[str]], dict[str, int]]] = {}

    @classmethod
    def unavailable(cls) -> str:
        return "" if hasattr(os, "pidfd_open") else "it needs Linux 5.3 or later (pidfd_open)"

    async def open(self, emit: Emit, lost: Lost) -> None:
        self._emit, self._lost = emit, lost
        self._hosts = [hostname()]
        self._link = None
        self._told.clear()
        self._link = await self._meet()

    async def _meet(self) -> _Link:
        """A connection to the supervisor, which is started where there is none. Raises MemberError."""
        settings = self._settings()
        folder = self._make_folder()
        if self._outputs is None:
            self._outputs = Outputs(folder)
        try:
            key = meeting.key(folder)
        except (OSError, ValueError) as error:
            raise MemberError(self.name, f"can't use the folder of the run: {error}") from None
        hello = line(
            "hello",
            {
                "version": VERSION,
                "cores": self.options.cores,
                "environment": dict(os.environ),
                "workdir": str(Path.cwd()),
                **settings,
            },
        )
        deadline = time.monotonic() + PATIENCE
        while True:
            link = await self._connect(key)
            if link is not None:
                link.write(hello)
                try:
                    if await asyncio.wait_for(link.welcome, PATIENCE):
                        return link
                except TimeoutError:
                    link.expected = True
                    link.abort()
            else:
                self._elsewhere(folder)
                if await self._start(folder) == "ready":
                    continue
            if time.monotonic() > deadline:
                raise Unreachable(self.name, f"its supervisor does not answer within {PATIENCE:.0f} s{_log(folder)}")
            await asyncio.sleep(0.05)  # another supervisor is just ending, or just starting

    def _settings(self) -> dict[str, Any]:
        made: dict[str, Any] = dict(SETTINGS)
        for key, value in self.options.settings.items():
            if key not in SETTINGS:
                raise MemberError(self.name, f"it has no setting {key!r}; there are: {', '.join(SETTINGS)}")
            if key == "bind":
                if not isinstance(value, bool):
                    raise MemberError(self.name, f"bind is true or false, not {value!r}")
            elif isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 86400:
                raise MemberError(self.name, f"{key} is a number of seconds, at most a day, not {value!r}")
            made[key] = value
        return made

    def _make_folder(self) -> Path:
        try:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="ensemble-"))
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folder = self._folder.absolute()
        except OSError as error:
            raise MemberError(self.name, f"can't make its folder: {error}") from None
        return self._folder

    async def _connect(self, key: str) -> _Link | None:
        """A connection to the supervisor, None where there is none at work."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(meeting.address(key))
            if meeting.peer(connection)[1] != os.getuid():
                connection.close()
                raise MemberError(self.name, "its socket is another user's")
        except OSError:
            connection.close()
            return None
        loop = asyncio.get_running_loop()
        _, link = await loop.create_unix_connection(lambda: _Link(self), sock=connection)
        return link

    def _elsewhere(self, folder: Path) -> None:
        """Raises MemberError where a supervisor may be at work that can't be reached from here."""
        record = meeting.record(folder)
        if record is None:
            return
        host, pid = record.get("host"), record.get("pid")
        note = f"; if that is gone for good, remove {folder / meeting.RECORD}"
        if host != socket.gethostname():
            raise MemberError(
                self.name, f"the jobs of this run are with a supervisor on {host} (pid {pid}): resume there{note}"
            )
        if record.get("boot") == meeting.boot() and isinstance(pid, int):
            with suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if b"ensemble.supervisor" in words and os.fsencode(folder) in words and meeting.started(pid):
                    raise Unreachable(self.name, f"its supervisor (pid {pid}) can't be reached{note}")

    async def _start(self, folder: Path) -> str:
        """Start a supervisor; `ready` or `taken`. Raises MemberError."""
        # Where this package was found, it is found again; nothing is picked up from the current directory.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        # It reads what an earlier one wrote; some 5 MB a second are read, many more where nothing else is busy.
        patience = PATIENCE + _size(folder / FILE) / 1e6
        command = [sys.executable, "-P", "-m", "ensemble.supervisor", str(folder)]
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
            )
        except OSError as error:
            raise MemberError(self.name, f"its supervisor can't be started: {error}") from None
        try:
            out, err = await asyncio.wait_for(process.communicate(), patience)
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise MemberError(
                self.name, f"its supervisor did not come up within {patience:.0f} s{_log(folder)}"
            ) from None
        answer = out.decode(errors="replace").strip()
        if answer not in ("ready", "taken"):
            said = err.decode(errors="replace").strip().splitlines()
            raise MemberError(self.name, f"its supervisor did not come up: {answer or (said or ['no word'])[-1]}")
        return answer

    async def submit(self, jobs: Sequence[Job]) -> None:
        for start in range(0, len(jobs), BATCH):
            link = self._linked()
            specs: list[dict[str, Any]] = []
            places: dict[int, int] = {}
            rows = []
            for job in jobs[start : start + BATCH]:
                if problem := _problem(job):
                    self._refuse(job, problem)
                    continue
                place = places.get(id(job.spec))
                if place is None:
                    place = places[id(job.spec)] = len(specs)
                    specs.append(_fields(job.spec))
                rows.append((job.name, job.token, place))
                self._told[job.name] = [0, 0]
            if rows:
                link.write(line("submit", specs, rows))
                await link.drain()
        self._linked()

    def _refuse(self, job: Job, problem: str) -> None:
        now = time.time()
        self._emit(Event("exception", now, job.name, {"type": "submit", "severity": 0, "note": problem}))
        self._emit(Event("clean", now, job.name))

    async def adopt(self, known: Sequence[Known]) -> Collection[str]:
        absent: list[str] = []
        for start in range(0, len(known), BATCH):
            link = self._linked()
            part = known[start : start + BATCH]
            self._asked += 1
            number = self._asked
            answer: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
            seen = {entry.job.name: RANK.get(entry.seen, 0) for entry in part}
            self._questions[number] = (answer, seen)
            link.write(line("adopt", number, [(entry.job.name, entry.job.token) for entry in part]))
            try:
                absent += await asyncio.wait_for(answer, ANSWER)
            except TimeoutError:
                raise Unreachable(self.name, f"its supervisor does not answer{_log(self._folder)}") from None
            finally:
                self._questions.pop(number, None)
        return absent

    async def cancel(self, names: Sequence[str]) -> None:
        wanted = [name for name in names if name in self._told]
        if wanted:
            link = self._linked()
            link.write(line("cancel", wanted))
            await link.drain()

    async def close(self, *, leave: bool = False) -> None:
        link, self._link = self._link, None
        if link is None:
            return
        link.expected = True
        if link.closed.done() and not leave:
            # Its supervisor was lost, and what it started may still run: another one ends that.
            try:
                link = await self._meet()
            except MemberError:
                return
            link.expected = True
        if leave:
            link.close()
        else:
            link.write(line("stop"))
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(link.closed), min(self._settings()["grace"], 2.0) + PARTING)
        link.abort()
        await link.closed
        if self._outputs is not None:
            self._outputs.close()

    def _linked(self) -> _Link:
        if self._link is None or self._link.closed.done():
            raise Unreachable(self.name, f"its supervisor is gone{_log(self._folder)}")
        return self._link

    @property
    def size(self) -> int:
        return 1

    @property
    def output(self) -> str:
        return str(self._folder / "out") if self._folder else ""

    async def read(self, name: str, stream: str, offset: int, limit: int = READ_LIMIT) -> bytes:
        if self._folder is None:
            return b""
        if self._outputs is None:
            self._outputs = Outputs(self._folder)
        try:
            return self._outputs.read(name, stream, offset, limit)
        except OSError as error:
            raise MemberError(self.name, f"can't read the output of {name}: {error}") from None

    def where(self, name: str) -> str:
        """The file that has the stderr of a job, and which part of it; empty where nothing is known of the job."""
        if self._outputs is None:
            return ""
        with suppress(OSError):
            return self._outputs.where(name)
        return ""

    # What the supervisor tells

    def _take(self, row: list[Any]) -> None:
        kind = row[0]
        if kind == "adopted":
            question = self._questions.get(row[1])
            if question is not None and not question[0].done():
                question[0].set_result(row[2])
            return
        name = row[1]
        if kind == "C":
            for _, seen in self._questions.values():
                if name in seen:
                    self._told[name] = [seen[name], 0]
        told = self._told.get(name)
        if told is None:
            return
        if kind == "I":
            self._tell("alloc", row[2], name, told, {"hosts": self._hosts})
            self._tell("start", row[2], name, told, {})
        elif kind in ("F", "C"):
            self._course(row, told)
        elif kind == "A":
            self._tell("submit", row[4], name, told, {"id": row[3]})
        elif kind == "X":
            self._exception(name, told, row[2:])

    def _course(self, row: list[Any], told: list[int]) -> None:
        """All events of a job that were not told yet."""
        _, name, _, number, submitted, allocated, started, exceptions, ended, status, *_ = row
        self._tell("submit", submitted, name, told, {"id": number})
        if allocated is not None:
            self._tell("alloc", allocated, name, told, {"hosts": self._hosts})
        if started is not None:
            self._tell("start", started, name, told, {})
        if told[0] < RANK["finish"]:
            for exception in exceptions[told[1] :]:
                self._exception(name, told, exception)
        if ended is not None:
            if status is not None and started is not None:
                self._tell("finish", ended, name, told, {"status": status})
            self._tell("clean", ended, name, told, {})
            del self._told[name]

    def _tell(self, event: str, when: float, name: str, told: list[int], context: dict[str, Any]) -> None:
        rank = RANK[event]
        if told[0] < rank:
            told[0] = rank
            self._emit(Event(event, when, name, context))

    def _exception(self, name: str, told: list[int], exception: list[Any]) -> None:
        told[1] += 1
        when, kind, note = exception
        self._emit(Event("exception", when, name, {"type": kind, "severity": 0, "note": note}))

    def _ended(self, link: _Link) -> None:
        """The connection is no more."""
        for answer, _ in self._questions.values():
            if not answer.done():
                answer.set_exception(Unreachable(self.name, f"its supervisor is gone{_log(self._folder)}"))
        if link is self._link and not link.expected:
            self._lost(Unreachable(self.name, f"its supervisor is gone{_log(self._folder)}"))


class _Link(asyncio.Protocol):
    """The connection to a supervisor: lines of JSON, both ways."""

    def __init__(self, member: LocalMember) -> None:
        self._member = member
        self._rest = b""
        loop = asyncio.get_running_loop()
        self.welcome: asyncio.Future[bool] = loop.create_future()  # False: it ended before it said hello
        self.closed: asyncio.Future[None] = loop.create_future()
        self.expected = False
        self._room = asyncio.Event()
        self._room.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        text, found, rest = (self._rest + data).rpartition(b"\n")
        self._rest = rest
        if not found:
            return
        for row in json.loads(b"[" + text.replace(b"\n", b",") + b"]"):
            if row[0] == "hello":
                self.welcome.set_result(True)
            elif row[0] == "no":
                self.welcome.set_exception(MemberError(self._member.name, f"its supervisor refuses: {row[1]}"))
            elif row[0] != "bye":
                self._member._take(row)

    def connection_lost(self, error: Exception | None) -> None:
        self._room.set()
        if not self.welcome.done():
            self.welcome.set_result(False)
        self.closed.set_result(None)
        self._member._ended(self)

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    async def drain(self) -> None:
        await self._room.wait()

    def close(self) -> None:
        """Once everything is sent."""
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()


def _problem(job: Job) -> str:
    """Why a job can't be taken in, empty where it can."""
    if not NAME.fullmatch(job.name):
        return f"a job's name is of letters, digits, - _ and . (not in front), at most 200, not {job.name!r}"
    if not NAME.fullmatch(job.token):
        return f"a job's token has the same characters as its name, not {job.token!r}"
    if not job.spec.argv or not job.spec.argv[0]:
        return "it has no command"
    return ""


def _fields(spec: Spec) -> dict[str, Any]:
    """What the supervisor needs of a spec, as plain data."""
    return {
        "group": spec.group,
        "argv": spec.argv,
        "nodes": spec.nodes,
        "tasks": spec.tasks,
        "cores": spec.cores,
        "gpus": spec.gpus,
        "memory": spec.memory,
        "duration": spec.duration,
        "workdir": spec.workdir,
        "environment": dict(spec.environment),
        "stdin": spec.stdin,
        "output": spec.output,
    }


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _log(folder: Path | None) -> str:
    """Where more is said, and its last line."""
    if folder is None:
        return ""
    path = folder / meeting.LOG
    with suppress(OSError):
        said = path.read_text(errors="replace").strip().splitlines()
        if said:
            return f" (see {path}: {said[-1][:300]})"
    return ""


MEMBER = LocalMember
