"""HyperQueue, through its Python API: a server that is there, or one of our own with workers on this machine.

Settings (below `member` in the file, beside `name`):

- `server_dir`: the directory of a running server. Else the one in HQ_SERVER_DIR, else ~/.hq-server where a server
  answers, else a server and workers of our own, which outlive the orchestrator so that a resumed run finds its jobs.
- `workers` (1) and `cores` (all): how many workers of our own, and the cores of each. For a server that is there,
  `cores` says how many its largest worker has: a job that needs more is refused, where it would wait for ever.
- `wait` (60): how many seconds a worker may take to come up. For a server that is there nobody asks, unless it is set.

What the Python API (0.27) can't do, and what is done about it:

- It tells no start, host, end or exit code, so each job runs below a small script (`_hyperqueue_job.py`) that writes
  these down in the run's folder, which all workers must see. HyperQueue is asked once in an interval, for all jobs,
  whether it knows of a failure that they don't tell of (a lost worker).
- It can't cancel. A job that runs is ended by its script within a second; one that waits is told of as cancelled at
  once, and does nothing when its turn comes.
- It can't list jobs by name. What was submitted is written down before and after. Where a run died between the two,
  a second submission is made and the script lets only one of the two run.
- It can't stop a worker: our own cluster grows, and does not shrink. It can't say which workers a server has, so a
  server that is there neither grows nor shrinks here, and hosts to avoid are not heeded.
- It runs a command on one node, so jobs of several nodes are refused. Our own workers know of cores alone: a job that
  needs GPUs is refused, and memory is not counted, but may not be more than the machine's.

A job that its worker loses is an exception `node-lost`; HyperQueue is not asked to run it again.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

from ensemble.errors import MemberError
from ensemble.events import Event
from ensemble.job import Job, Known
from ensemble.member import READ_LIMIT, Emit, Lost, Options, Unreachable
from ensemble.members._telling import Telling

BATCH = 5_000  # jobs that become the tasks of one job of HyperQueue
QUICKEST, SLOWEST = 0.03, 0.5  # seconds between two looks at the records of our own workers
PATIENCE = 60.0  # seconds for a worker of our own to come up
_LIBRARY = threading.Lock()  # one for all members of a process: see _alone
ANSWER = 30.0  # seconds for a server to answer
LATE_HERE, LATE = 2.0, 90.0  # seconds that a record may take to be seen, on this machine and over NFS
STILL = 3  # looks at the server that must agree before a job without a record is told of as lost
ENDING = 4.0  # seconds that jobs have to end when a member is closed
HERE = Path(__file__).parent
FOLDERS = ("records", "live", "output", "claims")
SETTINGS = ("server_dir", "workers", "cores", "wait")


@dataclass(slots=True)
class _Facts:
    """What the records tell of one attempt."""

    claims: dict[str, dict[str, Any]] = field(default_factory=dict)
    start: dict[str, Any] | None = None
    finish: dict[str, Any] | None = None

    def add(self, record: dict[str, Any]) -> None:
        what, task = record["what"], record["task"]
        if what == "claim":
            self.claims.setdefault(task, record)
        elif what == "void":
            self.claims.pop(task, None)
        elif what == "start":
            self.start = self.start or record
        elif what == "finish":
            self.finish = self.finish or record

    @property
    def claim(self) -> dict[str, Any] | None:
        winner = self.start or self.finish or {}
        return self.claims.get(winner.get("task", "")) or next(iter(self.claims.values()), None)


@dataclass(slots=True)
class _Entry:
    """An attempt that has not ended. told: the events of COURSE that were emitted. id: empty until it is submitted."""

    job: Job
    told: set[str]
    id: str = ""
    submitted: float = 0.0
    last: float = 0.0
    odd_since: float = 0.0
    odd: int = 0  # at how many looks HyperQueue had no use for it any more, while there was no record of its end


class HyperqueueMember(Telling[_Entry]):
    name: ClassVar[str] = "hyperqueue"
    takes_cores: ClassVar[bool] = True
    remote: ClassVar[bool] = True
    no_resize: ClassVar[str] = "HyperQueue's Python API can't start workers of a server that was there: use `hq alloc`"

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        settings = dict(options.settings)
        for key in settings:
            if key not in SETTINGS:
                raise self._error(f"there is no setting {key!r}; there are: {', '.join(SETTINGS)}")
        self._server_dir = str(settings.get("server_dir") or "")
        self._cores: int = self._count("cores", settings.get("cores"), options.cores or 0)
        self._workers: int = self._count("workers", settings.get("workers"), 1)
        self._wait: float | None = (
            None if settings.get("wait") is None else float(self._count("wait", settings["wait"]))
        )
        if self._server_dir and ("workers" in settings or options.cores is not None):
            raise self._error(
                "--cores and `workers` are for workers of our own, not for those of a server that is there"
            )
        self._temporary = options.folder is None
        self._folder = options.folder.absolute() if options.folder else Path()
        self._own = False
        self._client: Any = None
        self._thread: ThreadPoolExecutor | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._owner: Any = None
        self._forget()

    def _forget(self) -> None:
        self._entries: dict[str, _Entry] = {}  # by token
        self._tokens: dict[str, str] = {}  # name -> token
        self._facts: dict[str, _Facts] = {}  # by token; of what ended, only where its output is
        self._outputs: dict[str, dict[str, Any]] = {}  # by token: the place of each stream
        self._read: dict[Path, int] = {}
        self._batches: dict[int, list[str]] = {}  # HyperQueue's id -> tokens, of this server
        self._told: dict[int, int] = {}  # HyperQueue's id -> how many failures it was asked about
        self._settled: set[int] = set()
        self._ids: dict[str, str] = {}
        self._doubtful: set[str] = set()
        self._elsewhere: set[str] = set()
        self._cancelled: set[str] = set()
        self._number = 0

    @classmethod
    def unavailable(cls) -> str:
        from importlib.util import find_spec

        return (
            "" if find_spec("hyperqueue") else "its library is not installed: pip install 'ensemble-python[hyperqueue]'"
        )

    # Opening and closing

    async def open(self, emit: Emit, lost: Lost) -> None:
        self._emit_event, self._lost = emit, lost
        self._forget()
        if self._temporary:
            self._folder = Path(tempfile.mkdtemp(prefix="ensemble-hq-"))
        for name in FOLDERS:
            (self._folder / name).mkdir(mode=0o700, exist_ok=True)
        self._own_folder()
        self._thread = ThreadPoolExecutor(1, "hyperqueue")
        try:
            await self._connect()
            self._load()
        except BaseException:
            self._let_go()
            if self._temporary:
                shutil.rmtree(self._folder, ignore_errors=True)
            raise
        self._watcher = asyncio.get_running_loop().create_task(self._watch())

    def _own_folder(self) -> None:
        self._owner = (self._folder / "owner.lock").open("wb")
        try:
            fcntl.flock(self._owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._owner.close()
            raise self._error(f"{self._folder} is used by another run") from None

    async def _connect(self) -> None:
        """Connect to the server that this run had before, or to the one that is asked for or there, or to a new one."""
        choice = self._folder / "server_dir"
        if choice.exists():
            self._server_dir = choice.read_text() or ""
            self._own = not self._server_dir
        else:
            await self._choose()
            choice.write_text(self._server_dir)
        if not self._own:
            if self._temporary:
                raise self._error("a server that is there needs a run directory (--dir) that its workers can see")
            self._home = Path(self._server_dir)
            self._client = await self._reach(self._home)
            if self._wait is not None and (why := await self._call(_probe, self._client, self._wait)):
                raise self._error(f"{why}, says the server of {self._home}")
            return
        self._home = self._folder / "server"
        await self._start_own()
        self._client = await self._reach(self._home)
        known = self._known_server()
        self._cores, self._workers = known["cores"], known["workers"]

    async def _choose(self) -> None:
        asked = self._server_dir or os.environ.get("HQ_SERVER_DIR", "")
        if asked:
            self._server_dir, self._own = str(Path(asked).expanduser().absolute()), False
            return
        usual = Path.home() / ".hq-server"
        with suppress(MemberError, OSError):
            if (usual / "hq-current").exists() and not self._temporary and self.options.cores is None:
                await self._reach(usual)
                self._server_dir = str(usual)
        self._own = not self._server_dir

    async def _reach(self, home: Path) -> Any:
        """A client of the server in this directory. Raises Unreachable."""
        from hyperqueue import Client

        try:
            client = await self._call(Client, str(home))
            await self._call(_states, client, [1])
            return client
        except Exception as error:  # noqa: BLE001 - the library raises plain Exceptions
            raise Unreachable(self.name, f"no server of HyperQueue answers in {home}: {_line(error)}") from None

    def _known_server(self) -> dict[str, Any]:
        try:
            return dict(json.loads((self._folder / "server.json").read_text()))
        except (OSError, ValueError):
            return {}

    def _alive(self) -> bool:
        """Whether our own server runs on this machine. Raises Unreachable where it runs on another one."""
        known = self._known_server()
        if known and known["host"] != os.uname().nodename:
            raise Unreachable(self.name, f"its server runs on {known['host']} (process {known['pid']}): resume there")
        try:
            with (self._folder / "server.lock").open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    async def _start_own(self) -> None:
        if self._alive():
            return
        (self._folder / "server.json").unlink(missing_ok=True)
        cores = self._cores or len(os.sched_getaffinity(0))
        patience = self._wait if self._wait is not None else PATIENCE
        command = [sys.executable, "-P", str(HERE / "_hyperqueue_server.py")]
        process = await asyncio.create_subprocess_exec(
            *command,
            *(str(self._folder), str(cores), str(self._workers), f"{patience:g}"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(patience + ANSWER):
                _, said = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
            said = f"nothing was heard of it within {patience + ANSWER:g} s".encode()
        if process.returncode:
            lines = said.decode(errors="replace").strip().splitlines() or ["it ended without a word"]
            raise self._error(f"its server or worker did not come up: {lines[-1]} (see {self._folder}/server.log)")

    def _load(self) -> None:
        """What earlier members of this run have written down."""
        self._uid = self._server_uid()
        open_batches: dict[int, list[str]] = {}
        for entry in _lines(self._folder / "submitted.jsonl"):
            number = int(entry["batch"])
            self._number = max(self._number, number + 1)
            if "tokens" in entry:
                open_batches[number] = entry["tokens"]
                continue
            tokens = open_batches.pop(number, [])
            if entry["server"] == self._uid:
                self._note(int(entry["id"]), tokens)
            else:
                self._elsewhere.update(tokens)
        for tokens in open_batches.values():
            self._doubtful.update(tokens)
        self._doubtful.difference_update(self._ids)
        with suppress(OSError):
            for line in (self._folder / "orders").read_text().splitlines():
                order, _, token = line.partition(" ")
                if order == "cancel":
                    self._cancelled.add(token)
        self._look()

    def _server_uid(self) -> str:
        try:
            return str(json.loads((self._home / "hq-current" / "access.json").read_text())["server_uid"])
        except (OSError, ValueError, KeyError) as error:
            raise Unreachable(self.name, f"{self._home}: {_line(error)}") from None

    def _note(self, number: int, tokens: Sequence[str]) -> None:
        self._elsewhere.difference_update(tokens)
        self._batches[number] = list(tokens)
        self._ids |= {token: f"{number}@{index}" for index, token in enumerate(tokens)}

    async def close(self, *, leave: bool = False) -> None:
        if self._thread is None:
            return
        try:
            if not leave:
                await self._end_all()
        finally:
            self._stop_watching()
            if self._own and (not leave or self._temporary):
                self._order("stop")
                with suppress(MemberError):
                    await self._until(lambda: not self._alive(), ENDING)
            self._let_go()
            if self._temporary:
                shutil.rmtree(self._folder, ignore_errors=True)

    async def _end_all(self) -> None:
        with suppress(MemberError):
            await self.cancel([entry.job.name for entry in self._entries.values()])
        await self._until(lambda: not self._entries, ENDING)

    async def _until(self, done: Callable[[], bool], patience: float) -> bool:
        deadline = time.monotonic() + patience
        while not done():
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.05)
            self._look()
        return True

    def _stop_watching(self) -> None:
        if self._watcher:
            self._watcher.cancel()
            self._watcher = None

    def _let_go(self) -> None:
        self._client = None
        if self._thread:
            self._thread.shutdown(wait=False)
            self._thread = None
        if self._owner:
            self._owner.close()
            self._owner = None

    # Jobs

    async def submit(self, jobs: Sequence[Job]) -> None:
        fit: list[Job] = []
        for job in jobs:
            if why := self._misfit(job):
                self._emit_event(
                    Event("exception", time.time(), job.name, {"type": "alloc", "severity": 0, "note": why})
                )
                self._emit_event(Event("clean", time.time(), job.name))
            else:
                fit.append(job)
        for first in range(0, len(fit), BATCH):
            entries = [_Entry(job, set()) for job in fit[first : first + BATCH]]
            await self._send(entries)

    def _misfit(self, job: Job) -> str:
        """Why a job can never run here, empty where it may."""
        spec = job.spec
        need = spec.cores * spec.tasks
        if spec.nodes > 1:
            return (
                f"it needs {spec.nodes} nodes, and HyperQueue starts a command on one: use a member for several nodes"
            )
        if self._cores and need > self._cores:
            return f"it needs {need} cores, and the largest worker has {self._cores}"
        if self._own and spec.gpus:
            return "it needs GPUs, and workers of our own have none: start a server with workers that have (server_dir)"
        if self._own and spec.memory * spec.tasks > _memory():
            return f"it needs {spec.memory * spec.tasks >> 30} GB of memory, and this machine has {_memory() >> 30} GB"
        return ""

    async def _send(self, entries: Sequence[_Entry]) -> None:
        """Submit attempts as the tasks of one job of HyperQueue: written down before and after. Raises Unreachable."""
        tokens = [entry.job.token for entry in entries]
        for entry in entries:
            self._entries[entry.job.token] = entry
            self._tokens[entry.job.name] = entry.job.token
        number, self._number = self._number, self._number + 1
        submitted = time.time()
        self._write_down({"batch": number, "tokens": tokens})
        try:
            job_id = await self._call(self._build_and_submit, [entry.job for entry in entries])
        except Exception as error:  # noqa: BLE001 - the library raises plain Exceptions
            for token in tokens:
                self._entries.pop(token, None)
            raise Unreachable(self.name, f"submitting: {_line(error)}") from None
        self._write_down({"batch": number, "id": job_id, "server": self._uid})
        self._note(job_id, tokens)
        for entry in entries:
            entry.id, entry.submitted = self._ids[entry.job.token], submitted
            self._tell(entry)

    def _build_and_submit(self, jobs: Sequence[Job]) -> int:
        from hyperqueue import Job as Batch

        batch = Batch(name=f"{self.options.run}-{jobs[0].spec.group}", max_fails=None)
        start = [sys.executable, "-I", "-S", str(HERE / "_hyperqueue_job.py"), str(self._folder)]
        for job in jobs:
            batch.program(
                [*start, job.token],
                name=job.name,
                cwd=str(self._folder),
                stdin=_description(job),
                stdout=None,
                stderr=None,
                resources=_request(job),
                crash_limit=1,
            )
        return int(self._client.submit(batch).id)

    async def adopt(self, known: Sequence[Known]) -> Collection[str]:
        if self._client is None:
            raise Unreachable(self.name, "it is not open")
        doubtful = [entry.job.token for entry in known if self._unsure(entry.job.token)]
        self._order(*(f"doubt {token}" for token in doubtful))
        self._look()  # after the order: what has not claimed yet will see it
        states = await self._ask()
        absent: set[str] = set()
        again: list[_Entry] = []
        for item in known:
            token = item.job.token
            self._tokens[item.job.name] = token
            if item.seen == "clean":
                continue
            facts = self._facts.get(token)
            if token in self._doubtful and facts and facts.claim:  # it was submitted, and says itself as what
                self._ids[token] = facts.claim["task"]
                self._batches.setdefault(int(self._ids[token].partition("@")[0]), []).append(token)
            entry = _Entry(item.job, _seen(item.seen), self._ids.get(token, item.id), time.time())
            there = token in self._ids and int(self._ids[token].partition("@")[0]) in states
            begun = facts is not None and bool(facts.claims or facts.finish)
            if not (there or begun or token in self._cancelled):
                if self._own and item.seen == "submit" and token in self._elsewhere:
                    again.append(entry)  # our server died with it, and it had not begun
                else:
                    absent.add(item.job.name)
                    if item.seen:  # it counts as lost: see to it that it is
                        self._order(f"cancel {token}")
                continue
            self._entries[token] = entry
            if token in self._cancelled and not begun:
                self._drop_cancelled(entry)
            else:
                self._tell(entry)
        for first in range(0, len(again), BATCH):
            await self._send(again[first : first + BATCH])
        return absent

    def _unsure(self, token: str) -> bool:
        """Whether it may be in a queue without our knowledge of where."""
        return token not in self._ids and (token in self._doubtful or token in self._elsewhere)

    async def cancel(self, names: Sequence[str]) -> None:
        entries = [self._entries[self._tokens[name]] for name in names if self._tokens.get(name) in self._entries]
        fresh = [entry for entry in entries if entry.job.token not in self._cancelled]
        self._order(*(f"cancel {entry.job.token}" for entry in fresh))
        self._cancelled.update(entry.job.token for entry in fresh)
        self._look()  # after the order: what has not claimed yet will see it, and never run
        for entry in fresh:
            facts = self._facts.get(entry.job.token)
            if entry.job.token in self._entries and not (facts and (facts.claims or facts.finish)):
                self._drop_cancelled(entry)

    def _drop_cancelled(self, entry: _Entry) -> None:
        entry.id = entry.id or "unknown"
        self._tell(entry)
        self._fail(entry, "cancel", "it was cancelled before it started")

    async def resize(self, nodes: int) -> None:
        if not self._own:
            raise self._error(self.no_resize)
        if nodes < self._workers:
            raise self._error(f"HyperQueue's Python API can't stop workers: it stays at {self._workers}")
        if nodes == self._workers:
            return
        self._order(f"workers {nodes}")
        patience = self._wait if self._wait is not None else PATIENCE
        if not await self._until(lambda: self._answered(nodes), patience):
            raise self._error(f"no {nodes} workers within {patience:g} s: see {self._folder}/server.log")
        self._workers = self._known_server()["workers"]
        if self._workers != nodes:
            raise self._error(f"a worker did not come up: {self._known_server()['trouble']}")
        self._workers = nodes

    def _answered(self, workers: int) -> bool:
        known = self._known_server()
        return known.get("workers") == workers or bool(known.get("trouble"))

    @property
    def size(self) -> int | None:
        return self._workers if self._own and self._client else None

    @property
    def handle(self) -> Any:
        return self._client

    @property
    def output(self) -> str:
        return str(self._folder / "output")

    def _place(self, name: str, stream: str) -> tuple[str, int, int]:
        """File, offset and length (-1: all that there is) of a job's stream."""
        token = self._tokens.get(name, f"{self.options.run}-{name}")
        if token in self._outputs:
            path, offset, length = self._outputs[token][stream]
            return str(path), int(offset), int(length)
        entry = self._entries.get(token)
        if entry and entry.job.spec.output:
            out = str(Path(_workdir(entry.job), entry.job.spec.output))
            return (out if stream == "out" else out.removesuffix(".out") + ".err"), 0, -1
        return str(self._folder / "live" / f"{token}.{stream}"), 0, -1

    async def read(self, name: str, stream: str, offset: int, limit: int = READ_LIMIT) -> bytes:
        for _ in range(2):
            path, begin, length = self._place(name, stream)
            if length == 0:
                return b""
            try:
                with Path(path).open("rb") as file:
                    size = os.fstat(file.fileno()).st_size if length < 0 else length
                    begin += (at := max(0, offset + size if offset < 0 else offset))
                    file.seek(begin)
                    return file.read(max(0, min(limit, size - at)))
            except OSError:
                self._look()  # it may have ended just now, and its output be put away
        return b""

    def where(self, name: str) -> str:
        path, offset, length = self._place(name, "err")
        return path if length < 0 else f"tail -c +{offset + 1} {path} | head -c {length}" if length else ""

    # What becomes of jobs

    async def _watch(self) -> None:
        """Read the records as they grow, and ask HyperQueue once in an interval."""
        delay, asked = QUICKEST, time.monotonic()
        slowest = min(self.options.interval, SLOWEST) if self._own else self.options.interval
        try:
            while True:
                await asyncio.sleep(delay)
                delay = QUICKEST if self._look() else min(delay * 1.5, slowest)
                if time.monotonic() - asked >= self.options.interval:
                    asked = time.monotonic()
                    await self._check()
        except MemberError as error:
            self._watcher = None
            self._lost(error)
        except Exception as error:  # noqa: BLE001 - a bug must not become a silent wait
            self._watcher = None
            self._lost(self._error(f"{type(error).__name__}: {error}"))

    def _look(self) -> bool:
        """Take in what is new in the records; whether there was anything."""
        touched: dict[str, None] = {}
        for path in sorted((self._folder / "records").glob("*.jsonl")):
            try:
                with path.open("rb") as file:
                    file.seek(self._read.get(path, 0))
                    data = file.read()
            except OSError:
                continue
            data = data[: data.rfind(b"\n") + 1]
            self._read[path] = self._read.get(path, 0) + len(data)
            for line in data.splitlines():
                with suppress(ValueError, KeyError):
                    record = json.loads(line)
                    token = record["token"]
                    if token not in self._outputs or token in self._entries:
                        self._facts.setdefault(token, _Facts()).add(record)
                    if record["what"] == "finish" and "out" in record and token not in self._outputs:
                        self._outputs[token] = {"out": record["out"], "err": record["err"]}
                    touched[token] = None
        for token in touched:
            if entry := self._entries.get(token):
                self._tell(entry)
        return bool(touched)

    def _tell(self, entry: _Entry) -> None:
        """Emit what is known of a job and was not told yet, in order."""
        if not entry.id:
            return  # its submission is under way
        self._once(entry, "submit", entry.submitted, id=entry.id)
        facts = self._facts.get(entry.job.token)
        if facts is None:
            return
        if claim := facts.claim:
            self._once(entry, "alloc", claim["time"], hosts=[claim["host"]])
        if facts.start:
            self._once(entry, "start", facts.start["time"])
        if finish := facts.finish:
            if finish["type"] and "finish" not in entry.told:  # it comes before the finish
                self._emit(entry, "exception", finish["time"], type=finish["type"], severity=0, note=finish["note"])
            if finish["status"] is not None:
                self._once(entry, "finish", finish["time"], status=finish["status"])
            self._clean(entry)

    def _clean(self, entry: _Entry) -> None:
        self._entries.pop(entry.job.token, None)
        self._facts.pop(entry.job.token, None)
        self._once(entry, "clean", time.time())

    async def _check(self) -> None:
        """Ask HyperQueue what it knows, for jobs that can't tell themselves. Raises Unreachable."""
        if not self._entries:
            return
        asked = set(self._batches) - self._settled  # what is submitted meanwhile is for the next time
        states = await self._ask()
        self._look()
        errors: dict[int, dict[int, Any]] = {}
        failing = [number for number, state in states.items() if state["failed"] > self._told.get(number, 0)]
        if failing:
            self.calls["get_failed_tasks"] += 1
            errors = await self._question(self._client.connection.get_failed_tasks, failing)
            self._told |= {number: len(tasks) for number, tasks in errors.items()}
        for entry in list(self._entries.values()):
            place = self._ids.get(entry.job.token)
            number, task = map(int, place.split("@")) if place else (-1, -1)
            if number in asked or entry.job.token in self._elsewhere:
                self._doubt(entry, number, states.get(number), errors.get(number, {}).get(task))
        self._settled |= {n for n, s in states.items() if s["completed"] and not self._unfinished(n)}

    def _unfinished(self, number: int) -> bool:
        return any(token in self._entries for token in self._batches[number])

    def _doubt(self, entry: _Entry, number: int, state: dict[str, Any] | None, failure: Any) -> None:
        """Give up a job only where HyperQueue has ended it, and several looks have found no record of how.

        state: of its job in HyperQueue, None where its server is gone or has forgotten it. failure: what failed.
        """
        if state is not None and not state["completed"] and failure is None:
            entry.odd = 0
            return
        if not entry.odd:
            entry.odd_since = time.monotonic()
        entry.odd += 1
        self._told.pop(number, None)  # ask again: the failures of this one may be needed
        if entry.odd < STILL or time.monotonic() - entry.odd_since < (LATE_HERE if self._own else LATE):
            return
        facts = self._facts.get(entry.job.token)
        begun = bool(facts and facts.claims)
        self._order(f"cancel {entry.job.token}")
        if failure is not None:
            self._fail(entry, "node-lost" if begun else "boot", f"HyperQueue says: {_line(failure.error)}")
        elif begun:
            self._fail(entry, "node-lost", "HyperQueue has ended it, and it left no record of its end")
        else:
            self._fail(entry, "cancel", "it was cancelled in HyperQueue")

    async def _ask(self) -> dict[int, dict[str, Any]]:
        """The states of all jobs of HyperQueue that matter still, in one call. Raises Unreachable."""
        ids = [number for number in self._batches if number not in self._settled]
        if not ids:
            return {}
        self.calls["wait_for_jobs"] += 1
        return dict(await self._question(_states, self._client, ids))

    async def _question(self, function: Callable[..., Any], *args: Any) -> Any:
        """Ask the server. Raises Unreachable."""
        try:
            return await self._call(function, *args)
        except Exception as error:  # noqa: BLE001 - the library raises plain Exceptions
            raise Unreachable(self.name, f"its server does not answer: {_line(error)}") from None

    # Odds and ends

    async def _call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call the library in its own thread: its calls block."""
        if self._thread is None:
            raise Unreachable(self.name, "it is not open")
        async with asyncio.timeout(max(ANSWER, self._wait or 0) + ANSWER):
            return await asyncio.get_running_loop().run_in_executor(self._thread, _alone, function, *args)

    def _order(self, *orders: str) -> None:
        """Write down what jobs and the server are to do, for good."""
        if orders:
            _append(self._folder / "orders", "".join(f"{order}\n" for order in orders))

    def _write_down(self, entry: dict[str, Any]) -> None:
        _append(self._folder / "submitted.jsonl", json.dumps(entry) + "\n")

    def _count(self, key: str, value: Any, default: int = 0) -> int:
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise self._error(f"{key} is a number from 1, not {value!r}")
        return value

    def _error(self, message: str) -> MemberError:
        return MemberError(self.name, message)


def _append(path: Path, text: str) -> None:
    """Add lines to a file that must be there after a crash; what a crash cut off before is ended first."""
    data = text.encode()
    with path.open("a+b") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                data = b"\n" + data
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The JSON lines of a file, without one that was cut."""
    with suppress(OSError), path.open("rb") as file:
        for line in file:
            with suppress(ValueError):
                yield json.loads(line)


def _description(job: Job) -> bytes:
    spec = job.spec
    stdin = str(Path(_workdir(job), spec.stdin)) if spec.stdin else ""
    return json.dumps(
        {
            "argv": list(spec.argv),
            "tasks": spec.tasks,
            "workdir": _workdir(job),
            "environment": dict(spec.environment),
            "stdin": stdin,
            "output": spec.output,
            "duration": spec.duration,
        }
    ).encode()


def _request(job: Job) -> Any:
    from hyperqueue.ffi.protocol import ResourceRequest

    spec = job.spec
    others: dict[str, Any] = {"gpus/nvidia": spec.gpus * spec.tasks} if spec.gpus else {}
    # A worker that goes before the job's limit is not for it.
    return ResourceRequest(
        cpus=spec.cores * spec.tasks,
        resources=others,
        min_time=timedelta(seconds=spec.duration) if spec.duration else None,
    )


def _workdir(job: Job) -> str:
    return str(Path(job.spec.workdir or ".").absolute())


def _memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _seen(last: str) -> set[str]:
    from ensemble.events import COURSE

    return set(COURSE[: COURSE.index(last) + 1]) if last else set()


def _alone(function: Callable[..., Any], *args: Any) -> Any:
    """Call the library in no two threads at a time, those of a member that was closed included.

    Some of its calls (0.27) keep Python's lock while they wait for the server, and others call back, which takes that
    lock: all of them share what reads from the servers, so two at a time can wait for each other for ever.
    """
    with _LIBRARY:
        return function(*args)


def _states(client: Any, ids: list[int]) -> dict[int, dict[str, Any]]:
    from ensemble.members._hyperqueue_server import states

    return states(client, ids)


def _probe(client: Any, patience: float) -> str:
    from ensemble.members._hyperqueue_server import probe

    return probe(client, patience)


def _line(error: object) -> str:
    from ensemble.members._hyperqueue_server import first_line

    return first_line(error)


MEMBER = HyperqueueMember
