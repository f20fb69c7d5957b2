"""The journal of a run: what the engine was fed, in SQLite, written before anything follows from it.

The engine is deterministic: its events, fed again, give the same jobs by the same names, so that every submission is
recorded before it is made. A snapshot of its state now and then bounds what is kept.

WAL on a local disk; on a network file system, where shared memory does not work, a rollback journal (sqlite.org,
"Write-Ahead Logging", section 1: "WAL does not work over a network filesystem"). One process writes, and holds
DIR/lock; others read.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import socket
import sqlite3
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from ensemble.errors import EnsembleError
from ensemble.events import Event
from ensemble.filesystem import on_network
from ensemble.jobs import JobState
from ensemble.results import Command

DATABASE = "run.sqlite"
FORMAT = "1"
MOST_DECISIONS = 10_000
MOST_POINTS = 2_000  # of a series
MOST_TAILS = 1_000
MOST_ENDED = 500_000  # rows of attempts that have ended; older ones are only counted
SNAPSHOT_EVERY = 250_000  # events
LOCKED_FOR = 30.0  # seconds that another program may hold the database

_TABLES = """
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE events(seq INTEGER PRIMARY KEY, time REAL, name TEXT, job TEXT, context TEXT);
CREATE TABLE snapshot(seq INTEGER, state BLOB);
CREATE TABLE jobs(name TEXT PRIMARY KEY, grp TEXT, attempt INTEGER, id TEXT, state TEXT, submitted REAL, started REAL,
    ended REAL, outcome TEXT, status INTEGER, reason TEXT, hosts TEXT, nodes INTEGER, cores INTEGER);
CREATE TABLE decisions(seq INTEGER PRIMARY KEY, time REAL, rule INTEGER, shown TEXT, action TEXT, label TEXT,
    detail TEXT);
CREATE TABLE points(series TEXT, n INTEGER, time REAL, value REAL, mean REAL);
CREATE TABLE tails(name TEXT PRIMARY KEY, out TEXT, err TEXT);
"""
_JOB = "INSERT OR REPLACE INTO jobs VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
_UNFINISHED = {"lock", "member", f"{DATABASE}.new"}  # what a run that was killed before its beginning leaves
_STATES = ("intent", "submitted", "submitted", "running", "running", "running")  # by how far it has come


class JournalError(EnsembleError):
    """A run's directory can't be used; the message says why and what to do."""


class Journal:
    """The writer's side. `create` and `open` give one that holds the lock of the directory."""

    def __init__(self, folder: Path, lock: int, database: sqlite3.Connection) -> None:
        self.folder = folder
        self.broken = False  # it could not be written: nothing more is
        self.hurry = False  # the run is to stop: a database that another program holds is not waited for
        self._lock = lock
        self._database = database
        self._events: list[tuple[float, str, str, str | None]] = []
        self._since_snapshot = 0
        self._decisions = self._count("decisions")
        self._tails = self._count("tails")
        self._strides: dict[str, list[int]] = {}  # of a series: how many there were, and every how many-th is kept
        self._points: list[tuple[str, int, float, float, float | None]] = []

    @classmethod
    def create(cls, folder: Path, meta: Mapping[str, str], *, durable: bool) -> Journal:
        """A new run in a directory that is new or empty. Raises JournalError.

        durable: each commit reaches the disk before it returns, so that it outlives this machine's power.
        """
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if (folder / DATABASE).exists():
                raise JournalError(f"{folder} has a run already: go on with it by --resume {folder}, or name another")
            if {path.name for path in folder.iterdir()} - _UNFINISHED:
                raise JournalError(f"{folder} is there and not empty: a run needs a directory of its own")
            folder.chmod(0o700)
            lock = _take(folder)
            (folder / "member").mkdir(mode=0o700, exist_ok=True)
            # It gets its name when it is whole: a run that was killed before has not begun.
            new = folder / f"{DATABASE}.new"
            new.unlink(missing_ok=True)
            os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            with closing(sqlite3.connect(new, isolation_level=None)) as database:
                database.executescript(f"PRAGMA journal_mode = MEMORY; BEGIN; {_TABLES} COMMIT;")
                entries = {"format": FORMAT, "ended": "", **meta}
                database.executemany("INSERT INTO meta VALUES(?,?)", list(entries.items()))
            new.rename(folder / DATABASE)
            return cls(folder, lock, _connect(folder, durable=durable))
        except OSError as error:
            why = error.strerror or error
            raise JournalError(
                f"can't make the directory of the run, {folder}: {why}; name another with --dir"
            ) from None
        except sqlite3.Error as error:
            raise JournalError(f"{folder / DATABASE} can't be written: {error}") from None

    @classmethod
    def open(cls, folder: Path, *, durable: bool = True) -> Journal:
        """The run that a directory has, to go on with it. Raises JournalError."""
        check_database(folder)
        lock = _take(folder)
        try:
            database = _connect(folder, durable=durable)
            [fault] = database.execute("PRAGMA quick_check(1)").fetchone()
            if fault != "ok":
                raise sqlite3.DatabaseError(fault)
            journal = cls(folder, lock, database)
            found = journal.meta.get("format")
        except sqlite3.OperationalError as error:  # its place, not what is in it
            os.close(lock)
            raise JournalError(f"{folder / DATABASE} can't be used: {error}") from None
        except sqlite3.Error as error:
            os.close(lock)
            raise damaged(folder, str(error)) from None
        if found != FORMAT:
            os.close(lock)
            raise JournalError(f"{folder} was written in format {found}; this version reads {FORMAT}")
        return journal

    @property
    def meta(self) -> dict[str, str]:
        return dict(self._database.execute("SELECT key, value FROM meta"))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """What can't be written is an error with what to do. What was half written is taken back, so that the journal
        is as it was before: nothing has followed yet from what is not in it.
        """
        try:
            if not self._database.in_transaction:
                self._patiently("BEGIN IMMEDIATE")
            yield
        except sqlite3.Error as error:
            self.broken = True
            with suppress(sqlite3.Error):
                self._database.rollback()
            when = "when no other program holds it" if _is_busy(error) else "when there is room"
            raise JournalError(
                f"{self.folder / DATABASE} can't be written: {error}. What was submitted is left to its queue; {when},"
                f" go on with: ensemble run --resume {shlex.quote(str(self.folder))}"
            ) from None

    def _patiently(self, statement: str) -> None:
        """Begin or commit. With a rollback journal a commit waits for those that read; it can be tried again
        (sqlite.org, "Transaction", section 3). SQLite's own wait would hold up a signal, so that it is a short one.
        """
        until = time.monotonic() + LOCKED_FOR
        while True:
            try:
                self._database.execute(statement)
                return
            except sqlite3.OperationalError as error:
                if self.hurry or not _is_busy(error) or time.monotonic() >= until:
                    raise

    def note(self, meta: Mapping[str, str]) -> None:
        """Write entries of meta, at once. Raises JournalError, as all that writes does."""
        with self._writing():
            self._database.executemany("INSERT OR REPLACE INTO meta VALUES(?,?)", list(meta.items()))
            self._patiently("COMMIT")

    def add(self, event: Event) -> None:
        """Take down what the engine is fed; written by `commit`."""
        context = json.dumps(event.context) if event.context else None
        self._events.append((event.time, event.name, event.job, context))

    def point(self, series: str, at: float, value: float, mean: float | None) -> None:
        """A value of a series: all of the first ones, then ever fewer."""
        stride = self._strides.get(series)
        if stride is None:
            [count] = self._database.execute("SELECT max(n) FROM points WHERE series = ?", (series,)).fetchone()
            stride = self._strides[series] = [(count or 0), 1]
        stride[0] += 1
        if stride[0] % stride[1] == 0:
            self._points.append((series, stride[0], at, value, mean))
            if stride[0] >= MOST_POINTS * stride[1]:
                stride[1] *= 2

    def decide(self, command: Command, at: float) -> None:
        """A rule has fired, or something was done; the first MOST_DECISIONS are kept."""
        if self._decisions >= MOST_DECISIONS:
            return
        self._decisions += 1
        detail: dict[str, Any] = {}
        if command.jobs:
            detail["jobs"] = len(command.jobs)
        if command.kind == "resize":
            detail["nodes"] = command.nodes
        if command.reason:
            detail["reason"] = command.reason
        shown = command.label if command.kind == "trigger" else command.rule.shown if command.rule else ""
        row = (at, command.number, shown, command.kind, command.label, json.dumps(detail))
        with self._writing():
            self._database.execute(
                "INSERT INTO decisions(time, rule, shown, action, label, detail) VALUES(?,?,?,?,?,?)", row
            )

    def tail(self, name: str, out: str, err: str) -> None:
        """The last lines of a failed job's output."""
        if self._tails < MOST_TAILS:
            self._tails += 1
            with self._writing():
                self._database.execute("INSERT OR REPLACE INTO tails VALUES(?,?,?)", (name, out, err))

    def tail_of(self, name: str) -> tuple[str, str] | None:
        """The last lines of a job's stdout and stderr, None where none are kept."""
        row = self._database.execute("SELECT out, err FROM tails WHERE name = ?", (name,)).fetchone()
        return (row[0], row[1]) if row else None

    def commit(self, changed: Iterable[tuple[str, JobState, tuple[int, int]]] = ()) -> None:
        """Write all that was taken down, and the rows of the attempts that changed, as one."""
        with self._writing():
            if self._events:
                self._database.executemany("INSERT INTO events(time, name, job, context) VALUES(?,?,?,?)", self._events)
                self._since_snapshot += len(self._events)
                self._events.clear()
            rows = [_row(name, job, amounts) for name, job, amounts in changed]
            if rows:
                self._database.executemany(_JOB, rows)
            if self._points:
                self._write_points()
            self._patiently("COMMIT")

    @property
    def wants_snapshot(self) -> bool:
        return self._since_snapshot >= SNAPSHOT_EVERY

    def snapshot(self, state: Mapping[str, Any]) -> None:
        """Keep the engine's state in place of the events so far, and of old ended attempts no rows."""
        packed = zlib.compress(json.dumps(state).encode(), 1)
        database = self._database
        with self._writing():
            [seq] = database.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()
            database.execute("DELETE FROM snapshot")
            database.execute("INSERT INTO snapshot VALUES(?,?)", (seq, packed))
            database.execute("DELETE FROM events WHERE seq < ?", (seq,))  # the last keeps the numbers going up
            old = database.execute(
                "DELETE FROM jobs WHERE state = 'ended' AND rowid <= (SELECT max(rowid) FROM jobs) - ?", (MOST_ENDED,)
            ).rowcount
            if old:
                dropped = int(self.meta.get("forgotten", "0")) + old
                database.execute("INSERT OR REPLACE INTO meta VALUES('forgotten', ?)", (str(dropped),))
            self._patiently("COMMIT")
        self._since_snapshot = 0

    def restored(self) -> tuple[dict[str, Any] | None, Iterator[Event]]:
        """The state of the last snapshot, if there is one, and the events since."""
        row = self._database.execute("SELECT seq, state FROM snapshot").fetchone()
        try:
            state = json.loads(zlib.decompress(row[1])) if row else None
        except (zlib.error, ValueError) as error:
            raise damaged(self.folder, f"its snapshot can't be read: {error}") from None
        return state, self._replay(row[0] if row else 0)

    def close(self) -> None:
        self._database.close()
        os.close(self._lock)

    def _replay(self, after: int) -> Iterator[Event]:
        query = "SELECT time, name, job, context FROM events WHERE seq > ? ORDER BY seq"
        for at, name, job, context in self._database.execute(query, (after,)):
            self._since_snapshot += 1
            yield Event(name, at, job, json.loads(context) if context else {})

    def _write_points(self) -> None:
        self._database.executemany("INSERT INTO points VALUES(?,?,?,?,?)", self._points)
        for series in {row[0] for row in self._points}:
            stride = self._strides[series][1]
            if stride > 1:
                self._database.execute("DELETE FROM points WHERE series = ? AND n % ? != 0", (series, stride))
        self._points.clear()

    def _count(self, table: str) -> int:
        [count] = self._database.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - a name of ours
        return int(count)


def check_database(folder: Path) -> None:
    """That a directory has something that looks like a run. Raises JournalError with what to do."""
    path = folder / DATABASE
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except FileNotFoundError:
        raise JournalError(f"{folder} has no run: there is no {DATABASE} in it") from None
    except OSError as error:
        hint = "; it is private to the user who started the run" if isinstance(error, PermissionError) else ""
        raise JournalError(f"{path}: {error.strerror}{hint}") from None
    if head != b"SQLite format 3\0":
        raise damaged(folder, "it is empty" if not head.strip(b"\0") else "it is no SQLite database")


def damaged(folder: Path, why: str) -> JournalError:
    """The error for a database that can't be trusted."""
    return JournalError(
        f"{folder / DATABASE} is damaged ({why}); nothing was changed. Put back a copy of it, or try"
        f" `sqlite3 {DATABASE} .recover` into a new file; the jobs that were submitted may still run in their queue"
    )


def _take(folder: Path) -> int:
    """The lock that makes this process the only writer. A dead owner's lock is the kernel's to release."""
    try:
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise JournalError(f"{folder}/lock: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.read(descriptor, 200).decode(errors="replace").strip()
        os.close(descriptor)
        if isinstance(error, BlockingIOError | PermissionError):
            raise JournalError(
                f"{folder} is being run{f' by {owner}' if owner else ''}: `ensemble watch {folder}` follows it,"
                f" `ensemble cancel {folder}` ends it"
            ) from None
        what = f"{folder}/lock can't be locked: {error.strerror}; use a directory on another file system"
        raise JournalError(what) from None
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
    return descriptor


def _connect(folder: Path, *, durable: bool) -> sqlite3.Connection:
    database = sqlite3.connect(folder / DATABASE, timeout=1.0, isolation_level=None)
    database.execute(f"PRAGMA journal_mode = {'TRUNCATE' if on_network(folder) else 'WAL'}")
    database.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
    return database


def _is_busy(error: sqlite3.Error) -> bool:
    return bool(getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY)


def _row(name: str, job: JobState, amounts: tuple[int, int]) -> Sequence[Any]:
    if job.ended:
        state = "ended"
    else:
        state = "held" if job.held else _STATES[job.seen]
    reason = job.note or job.exception
    hosts = json.dumps(job.hosts) if job.hosts else None
    return (
        name, job.group, job.attempt, job.id, state, job.submitted, job.started, job.finished,
        job.outcome, job.status, reason, hosts, *amounts,
    )  # fmt: skip


def started_meta() -> dict[str, str]:
    """The entries of meta that say who runs it."""
    owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()}
    return {"owner": json.dumps(owner)}
