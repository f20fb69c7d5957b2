"""The ledger: what was decided, before it is done, in SQLite. One controller holds it; others read, and leave wishes.

It has a rollback journal and full synchronization: steps are few, and it may lie on a network file system.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import sqlite3
import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, Self

from fluxburst.errors import HeldError, LedgerError
from fluxburst.model import Burst, State

FORMAT = "1"
Wish = Literal["drain", "destroy", "stop", "resume"]

_TAKEN: dict[int, str] = {}  # files that this process has locked, by descriptor
_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE bursts (
    number INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, plugin TEXT NOT NULL, shape TEXT NOT NULL,
    place TEXT NOT NULL, price REAL NOT NULL, namespace TEXT NOT NULL, hosts TEXT NOT NULL, jobs TEXT NOT NULL,
    state TEXT NOT NULL, id TEXT NOT NULL, planned REAL NOT NULL, asked REAL NOT NULL, began REAL NOT NULL,
    joined REAL NOT NULL, used REAL NOT NULL, idle REAL NOT NULL, ending REAL NOT NULL, ended REAL NOT NULL,
    deadline REAL NOT NULL, failure TEXT NOT NULL, reason TEXT NOT NULL, output TEXT NOT NULL, missing TEXT NOT NULL
);
CREATE INDEX open_bursts ON bursts (state) WHERE state NOT IN ('gone', 'failed');
CREATE TABLE events (
    seq INTEGER PRIMARY KEY, time REAL NOT NULL, burst TEXT NOT NULL, state TEXT NOT NULL, note TEXT NOT NULL
);
CREATE TABLE pauses (
    plugin TEXT NOT NULL, shape TEXT NOT NULL, place TEXT NOT NULL, until REAL NOT NULL, kind TEXT NOT NULL,
    reason TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (plugin, shape, place)
) WITHOUT ROWID;
CREATE TABLE strays (name TEXT, plugin TEXT, first REAL NOT NULL, last REAL NOT NULL, times INTEGER NOT NULL,
    PRIMARY KEY (name, plugin)) WITHOUT ROWID;
CREATE TABLE learnt (
    plugin TEXT, shape TEXT, cores INTEGER NOT NULL, gpus INTEGER NOT NULL, PRIMARY KEY (plugin, shape)
) WITHOUT ROWID;
CREATE TABLE wishes (seq INTEGER PRIMARY KEY, wish TEXT NOT NULL, name TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One burst in the ledger. Times are seconds since the epoch, 0 where it has not come to that.

    price: of a node for an hour. asked: when the plugin was asked for it last. began: when the provider first showed
    it running. joined: when its brokers had. used: when something first ran on it. idle: since when nothing does.
    ending: when its end was asked for last. failure: why it is to end as `failed`, "" if as `gone`. reason: the latest
    remark. output: the end of what its brokers printed, where they did not join. missing: hosts of it that never
    joined, or have left.
    """

    name: str
    plugin: str
    shape: str
    hosts: tuple[str, ...]
    jobs: tuple[str, ...] = ()
    state: State = "planned"
    place: str = ""
    price: float = 0.0
    namespace: str = ""
    id: str = ""
    planned: float = 0.0
    asked: float = 0.0
    began: float = 0.0
    joined: float = 0.0
    used: float = 0.0
    idle: float = 0.0
    ending: float = 0.0
    ended: float = 0.0
    deadline: float = 0.0
    failure: str = ""
    reason: str = ""
    output: str = ""
    missing: tuple[str, ...] = ()
    number: int = 0

    @property
    def closed(self) -> bool:
        return self.state in ("gone", "failed")

    @property
    def burst(self) -> Burst:
        """As plugins get it."""
        return Burst(
            self.name,
            self.plugin,
            self.shape,
            self.hosts,
            self.jobs,
            self.state,
            self.deadline,
            self.namespace,
            self.id,
        )

    def node_hours(self, until: float) -> float:
        """Of all its nodes, from its plan on until `until`, or its end if that is known; none if never asked for."""
        if not self.asked:
            return 0.0
        return len(self.hosts) * max(0.0, (self.ended or until) - self.planned) / 3600

    def as_dict(self) -> dict[str, Any]:
        return {one.name: getattr(self, one.name) for one in fields(self)}


@dataclass(frozen=True, slots=True)
class Pause:
    """A plugin, or one shape of it at one place, that makes nothing until then. count: failures in a row."""

    plugin: str
    shape: str
    place: str
    until: float
    kind: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class Stray:
    """What a provider shows under our mark and the ledger does not know as open."""

    name: str
    plugin: str
    first: float
    last: float
    times: int


class Ledger:
    """`path`: the file; None: in memory. version: grows with each change that a plan depends on.

    writable: whether this is the controller, of which there is one at a time. To be used by one thread at a time.
    """

    def __init__(self, path: Path | None, database: sqlite3.Connection, *locks: int) -> None:
        self._path, self._db, self._locks = path, database, locks
        self.version = 0
        self._open: dict[str, Row] | None = None
        meta = self.meta()
        if meta.get("format") != FORMAT:
            raise LedgerError(f"{path}: a ledger of format {meta.get('format')}, and this version reads {FORMAT}")
        self.owner, self.series = meta["owner"], meta["series"]

    @classmethod
    def open(cls, path: Path | None, owner: str = "", *, writable: bool = True, lead: Path | None = None) -> Self:
        """Open a ledger, and make it where it is to be written and does not exist.

        lead: the lead's folder; a controller takes that, too, for what another ledger's made bears the same mark.
        Raises LedgerError: another controller holds it, it can't be read, or it is not this owner's.
        """
        locks: list[int] = []
        if path is not None:
            if writable:
                locks.append(_take(path))
            elif not path.exists():
                raise LedgerError(f"{path}: there is no ledger: nothing was ever burst from here")
        try:
            if path is not None and writable and lead is not None:
                locks.append(_take_lead(lead, path))
            database = _connect(path)
            if writable:
                _create(database, owner)
            ledger = cls(path, database, *locks)
            if owner and ledger.owner != owner:
                raise LedgerError(
                    f"{path}: the ledger of {ledger.owner!r}, not of {owner!r}: set that owner again, or, if nothing of"
                    " it exists any more, name another state folder"
                )
        except (OSError, sqlite3.Error, KeyError) as error:
            _close(locks)
            cure = "if it stays so, move it away: then flux-burst gc finds by its mark what it knew of"
            raise LedgerError(f"{path}: no ledger can be read there: {error}; {cure}") from error
        except LedgerError:
            _close(locks)
            raise
        return ledger

    def close(self) -> None:
        self._db.close()
        _close(self._locks)
        self._locks = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def meta(self) -> dict[str, str]:
        return dict(self._read("SELECT key, value FROM meta"))

    # Bursts

    def rows(self) -> tuple[Row, ...]:
        """The bursts that have not ended, in the order in which they were planned."""
        if self._open is None:
            found = self._read("SELECT * FROM bursts WHERE state NOT IN ('gone', 'failed') ORDER BY number")
            self._open = {row.name: row for row in map(_row, found)}
        return tuple(self._open.values())

    def refresh(self) -> None:
        """See what another process has written: for those who read while a controller runs."""
        self._open = None

    def row(self, name: str) -> Row | None:
        """A burst, ended or not."""
        return next((_row(found) for found in self._read("SELECT * FROM bursts WHERE name = ?", name)), None)

    def history(self, most: int = 1000) -> list[Row]:
        """The latest bursts, ended or not, the latest first."""
        return [_row(one) for one in self._read("SELECT * FROM bursts ORDER BY number DESC LIMIT ?", most)]

    def events(self, burst: str = "", most: int = 1000) -> list[tuple[float, str, str, str]]:
        """(time, burst, state, note) of the latest steps, in order."""
        query = "SELECT time, burst, state, note FROM events WHERE ? IN ('', burst) ORDER BY seq DESC LIMIT ?"
        return self._read(query, burst, most)[::-1]

    def events_after(self, seq: int) -> list[tuple[int, float, str, str, str]]:
        """(seq, time, burst, state, note) of the steps after one, in order."""
        query = "SELECT seq, time, burst, state, note FROM events WHERE seq > ? ORDER BY seq"
        return self._read(query, seq)

    @property
    def last_event(self) -> int:
        return int(self._read("SELECT coalesce(max(seq), 0) FROM events")[0][0])

    @property
    def next_number(self) -> int:
        return int(self._read("SELECT coalesce(max(number), 0) + 1 FROM bursts")[0][0])

    def name(self, number: int) -> str:
        """The name of a burst: of this owner, of this ledger, and never the same again."""
        return f"{self.owner}-{self.series}-{number}"

    def plan(self, rows: Iterable[Row]) -> None:
        """Record bursts before anything is done about them."""
        with self._change():
            for row in rows:
                self._put(row)
                self._event(row.planned, row.name, row.state, row.reason)

    def change(self, name: str, now: float, **values: Any) -> Row:
        """Record what has become of a burst. A new state is an event, and so is a new reason."""
        (before,) = [row for row in self.rows() if row.name == name]
        row = replace(before, **values)
        if row == before:
            return row
        with self._change(quiet=(row.state, row.missing) == (before.state, before.missing)):
            self._put(row)
            if (row.state, row.reason) != (before.state, before.reason):
                self._event(now, name, row.state, row.reason)
        return row

    def note(self, now: float, burst: str, note: str) -> None:
        """A remark on a burst, or on none; what was the last one is not repeated."""
        if self._read("SELECT note FROM events WHERE burst = ? ORDER BY seq DESC LIMIT 1", burst) == [(note,)]:
            return
        with self._change(quiet=True):
            self._event(now, burst, "", note)

    def spent(self) -> dict[str, tuple[float, float]]:
        """(node-hours, cost) of the bursts that have ended, by plugin."""
        found = self._read(
            "SELECT plugin, sum(hours), sum(hours * price) FROM (SELECT plugin, price,"
            " json_array_length(hosts) * max(0, ended - planned) / 3600 AS hours FROM bursts"
            " WHERE state IN ('gone', 'failed') AND asked > 0) GROUP BY plugin"
        )
        return {plugin: (hours, cost) for plugin, hours, cost in found}

    # Pauses, strays, sizes, wishes

    def pauses(self) -> list[Pause]:
        return [Pause(*one) for one in self._read("SELECT * FROM pauses ORDER BY plugin, shape, place")]

    def pause(self, pause: Pause) -> None:
        with self._change():
            self._db.execute("INSERT OR REPLACE INTO pauses VALUES (?, ?, ?, ?, ?, ?, ?)", _values(pause))

    def resume(self, plugin: str, shape: str | None = None, keep: str = "") -> None:
        """Forget the pauses of a plugin; shape: of one shape of it alone, "" for those of the whole; keep: a kind."""
        over = [
            one for one in self.pauses() if one.plugin == plugin and shape in (None, one.shape) and one.kind != keep
        ]
        if over:
            with self._change():
                keys = [(one.plugin, one.shape, one.place) for one in over]
                self._db.executemany("DELETE FROM pauses WHERE plugin = ? AND shape = ? AND place = ?", keys)

    def strays(self) -> list[Stray]:
        return [Stray(*one) for one in self._read("SELECT name, plugin, first, last, times FROM strays")]

    def set_strays(self, plugin: str, strays: Iterable[Stray]) -> None:
        """What a plugin shows now that is nobody's."""
        rows = [(one.name, plugin, one.first, one.last, one.times) for one in strays]
        if rows or any(one.plugin == plugin for one in self.strays()):
            with self._change(quiet=True):
                self._db.execute("DELETE FROM strays WHERE plugin = ?", (plugin,))
                self._db.executemany("INSERT INTO strays VALUES (?, ?, ?, ?, ?)", rows)

    def learnt(self) -> dict[tuple[str, str], tuple[int, int]]:
        """(cores, GPUs) that nodes turned out to have, by (plugin, shape), where that is less than promised."""
        found = self._read("SELECT plugin, shape, cores, gpus FROM learnt")
        return {(plugin, shape): (cores, gpus) for plugin, shape, cores, gpus in found}

    def learn(self, plugin: str, shape: str, cores: int, gpus: int) -> None:
        with self._change():
            self._db.execute("INSERT OR REPLACE INTO learnt VALUES (?, ?, ?, ?)", (plugin, shape, cores, gpus))

    def wish(self, wish: Wish, names: Iterable[str]) -> None:
        """Leave a request for the controller; anybody may who may write here."""
        with self._change(quiet=True):
            self._db.executemany("INSERT INTO wishes (wish, name) VALUES (?, ?)", [(wish, name) for name in names])

    def wishes(self) -> list[tuple[int, str, str]]:
        """(number, wish, name) of the requests that were left, in order."""
        return self._read("SELECT seq, wish, name FROM wishes ORDER BY seq")

    def fulfilled(self, seq: int) -> None:
        with self._change(quiet=True):
            self._db.execute("DELETE FROM wishes WHERE seq = ?", (seq,))

    def remember(self, key: str, value: str) -> None:
        """Keep a text for those who read (what the last plan said); not what steps depend on."""
        with self._change(quiet=True):
            self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    # From the file, and to it

    def _read(self, query: str, *values: object) -> list[Any]:
        try:
            return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise LedgerError(f"{self._path}: the ledger can't be read: {error}") from error

    @contextmanager
    def _change(self, *, quiet: bool = False) -> Iterator[None]:
        try:
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                yield
        except sqlite3.Error as error:
            self._open = None
            raise LedgerError(f"{self._path}: the ledger can't be written: {error}") from error
        except BaseException:
            self._open = None
            raise
        if not quiet:
            self.version += 1

    def _put(self, row: Row) -> None:
        self.rows()
        values = {key: json.dumps(value) if isinstance(value, tuple) else value for key, value in row.as_dict().items()}
        names = ", ".join(values)
        marks = ", ".join(f":{key}" for key in values)
        updates = ", ".join(f"{key} = :{key}" for key in values if key != "number")
        self._db.execute(
            f"INSERT INTO bursts ({names}) VALUES ({marks}) ON CONFLICT (number) DO UPDATE SET {updates}",  # noqa: S608
            values,
        )
        if self._open is not None:
            self._open.pop(row.name, None) if row.closed else self._open.__setitem__(row.name, row)

    def _event(self, time: float, burst: str, state: str, note: str) -> None:
        self._db.execute(
            "INSERT INTO events (time, burst, state, note) VALUES (?, ?, ?, ?)", (time, burst, state, note)
        )


def _row(values: Iterable[Any]) -> Row:
    found: dict[str, Any] = dict(zip(_COLUMNS, values, strict=True))
    for key in ("hosts", "jobs", "missing"):
        found[key] = tuple(json.loads(found[key]))
    return Row(**found)


_COLUMNS = (
    *("number", "name", "plugin", "shape", "place", "price", "namespace", "hosts", "jobs", "state", "id", "planned"),
    *(
        "asked",
        "began",
        "joined",
        "used",
        "idle",
        "ending",
        "ended",
        "deadline",
        "failure",
        "reason",
        "output",
        "missing",
    ),
)


def _values(one: Pause) -> tuple[Any, ...]:
    return tuple(getattr(one, each.name) for each in fields(one))


def _connect(path: Path | None) -> sqlite3.Connection:
    if path is not None and not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    database = sqlite3.connect(
        ":memory:" if path is None else path, isolation_level=None, timeout=30, check_same_thread=False
    )
    database.execute("PRAGMA synchronous = FULL")
    return database


def _create(database: sqlite3.Connection, owner: str) -> None:
    database.execute("BEGIN IMMEDIATE")
    try:
        if not database.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
            for statement in _SCHEMA.split(";\n"):
                database.execute(statement)
            meta: Mapping[str, str] = {
                "format": FORMAT,
                "owner": owner or f"burst{secrets.token_hex(4)}",
                "series": secrets.token_hex(3),
            }
            database.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
        database.execute("COMMIT")
    except BaseException:
        database.execute("ROLLBACK")
        raise


def _take(path: Path) -> int:
    """The lock of the controller, an open file; it goes with the process. Raises LedgerError."""
    name = str(path.resolve())
    if name in _TAKEN.values():  # fcntl(2) keeps other processes off alone, and forgets a lock when such a file closes
        raise HeldError(f"{path}: this process controls this lead already (it holds the ledger)")
    try:
        lock = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LedgerError(f"{path.parent}: the ledger can't be kept here: {error.strerror}") from error
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        process = _holder(lock)
        os.close(lock)
        who = f"process {process}" if process > 0 else "it"
        raise HeldError(f"{path}: another flux-burst controls this lead ({who} holds the ledger)", process) from error
    _TAKEN[lock] = name
    return lock


def _take_lead(folder: Path, path: Path) -> int:
    """The lock of a lead, which tells of the ledger that its bursts are in. Raises LedgerError.

    A second ledger would take the bursts of the first for nobody's, and end them.
    """
    file = folder / "controller"
    try:
        lock = _take(file)
    except HeldError as error:
        who = f" (process {error.process})" if error.process > 0 else ""
        raise LedgerError(f"another flux-burst{who} controls the lead of {folder}, with another ledger") from None
    try:
        before, now = Path(os.fsdecode(os.pread(lock, 4096, 0))), path.resolve()
        if before not in {Path(), now} and before.exists():
            with Ledger.open(before, writable=False) as other:
                open_ = len(other.rows())
            if open_:
                raise LedgerError(
                    f"{before} has open bursts of this lead ({open_}): go on with --state {before.parent}"
                )
        if before != now:
            os.ftruncate(lock, 0)
            os.pwrite(lock, os.fsencode(now), 0)
    except BaseException:
        _close([lock])
        raise
    return lock


def _close(locks: Iterable[int]) -> None:
    for lock in locks:
        os.close(lock)
        _TAKEN.pop(lock, None)


def holder(path: Path) -> int:
    """The process that holds a ledger as its controller, 0 if none does; another machine's may be told as -1.

    Nothing is locked by asking (fcntl(2), F_GETLK). Not for a process that may hold it itself: to close any
    descriptor of a file gives up all of one's locks on it.
    """
    try:
        with path.with_name(f"{path.name}.lock").open("rb") as file:
            return _holder(file.fileno())
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise LedgerError(f"{path}: can't see who holds the ledger: {error.strerror}") from None


def _holder(lock: int) -> int:
    flock = struct.Struct("hhqqi0q")  # struct flock of 64-bit Linux: type, whence, start, length, process
    answer = fcntl.fcntl(lock, fcntl.F_GETLK, flock.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    kind, *_, process = flock.unpack(answer)
    return 0 if kind == fcntl.F_UNLCK else process or -1
