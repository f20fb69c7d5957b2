"""The directory of a run, read only: what its journal `run.sqlite` says of the jobs, the rules and the run itself.

A run writes it at the same time (one writer; a write-ahead log on a local disk, a rollback journal on a network file
system). What can't be read raises RunDirError in one line that says what to do; nothing is ever shown as empty instead.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import quote

from ensemble.errors import RunDirError
from ensemble.events import status_text

DATABASE = "run.sqlite"
LOCK = "lock"
FORMAT = "1"
BUSY_SECONDS = 5.0
MAGIC = b"SQLite format 3\x00"  # https://www.sqlite.org/fileformat.html, section 1.3
_LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_MARGIN = 10.0  # seconds that the clock of the kernel and ours may differ

JOB_COLUMNS = (
    "name",
    "grp",
    "attempt",
    "id",
    "state",
    "submitted",
    "started",
    "ended",
    "outcome",
    "status",
    "reason",
    "hosts",
    "nodes",
    "cores",
)


class JobRow(NamedTuple):
    """One attempt of a job. Times in seconds since the epoch, None where not known; `cores` in all."""

    name: str
    grp: str
    attempt: int
    id: str
    state: str
    submitted: float | None
    started: float | None
    ended: float | None
    outcome: str
    status: int | None
    reason: str
    hosts: str
    nodes: int
    cores: int

    @property
    def why(self) -> str:
        """Why it ended otherwise than well, in words: the reason that was told, else from its wait status."""
        if self.reason or self.outcome in ("", "success"):
            return self.reason
        return status_text(self.status) if self.status is not None else "it never ran"

    @property
    def host_list(self) -> list[str]:
        found = loads(self.hosts, [])
        return [str(host) for host in found] if isinstance(found, list) else []


class Decision(NamedTuple):
    """A rule that fired (`rule` its place in the file, -1: none of it) and what was done."""

    seq: int
    time: float
    rule: int
    shown: str
    action: str
    label: str
    detail: str


@dataclass(frozen=True, slots=True)
class State:
    """word: `running`, `elsewhere` (an owner on another host, which can't be looked at from here), `dead` (its
    process is gone), `stopped` (let go of in order, may be resumed) or `ended`. text: for people, with what to do.
    """

    word: str
    text: str

    @property
    def lives(self) -> bool:
        """Whether somebody may still take requests."""
        return self.word in ("running", "elsewhere")


def loads(text: object, default: Any) -> Any:
    """JSON of a column, or `default` where it is none."""
    if not isinstance(text, str) or not text:
        return default
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return default


def base_name(name: str) -> str:
    """The job of an attempt: `sleep.3` for `sleep.3.1`; names of groups have no dots."""
    return ".".join(name.split(".")[:2])


def earlier_attempt(name: str) -> str:
    """The attempt before this one: `sleep.3.1` for `sleep.3.2`, `sleep.3` for `sleep.3.1`, "" for a first."""
    parts = name.split(".")
    if len(parts) < 3 or not parts[2].isdigit():
        return ""
    number = int(parts[2])
    return ".".join(parts[:2] + ([str(number - 1)] if number > 1 else []))


class RunDir:
    """A run's directory, open for reading; a context manager. `path` is the directory."""

    def __init__(self, folder: Path) -> None:
        """Raises RunDirError where it is not there, is no run's, or can't be read."""
        self.path = folder
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        self._check(folder)
        self._db = self._connect("?mode=ro")
        try:
            self.meta = self._first_look()
        except BaseException:
            self.close()
            raise
        found = self.meta.get("format", "")
        if found != FORMAT:
            self.close()
            by = self.meta.get("version", "")
            raise RunDirError(
                folder,
                f"its journal has format {found!r} and this version reads {FORMAT!r}; read it with the version that"
                f" wrote it{f', {by}' if by else ''}",
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._db.close()
        if self._copy:
            self._copy.cleanup()
            self._copy = None

    # --- what it says

    def refresh(self) -> None:
        """Read `meta` again."""
        self.meta = dict(self.rows("SELECT key, value FROM meta"))

    def value(self, key: str) -> str:
        return str(self.meta.get(key) or "")

    def number(self, key: str) -> float | None:
        """A number of `meta`, None where there is none."""
        try:
            return float(self.meta.get(key) or "")
        except (TypeError, ValueError):
            return None

    @property
    def result(self) -> dict[str, Any]:
        """What the run said at its end; empty while it has not ended."""
        found = loads(self.meta.get("result"), {})
        return found if isinstance(found, dict) else {}

    @property
    def met(self) -> bool | None:
        """Whether the ensemble met its rules, None while that is open."""
        if not self.value("ended"):
            return None
        return bool(self.result.get("met")) and (self.result.get("ended_by") or "") in ("", "terminate")

    @property
    def member_folder(self) -> Path:
        return self.path / "member"

    def state(self) -> State:
        """Whether it runs, as far as can be told from here."""
        if self.value("ended"):
            by = self.result.get("ended_by")
            how = "it met its rules" if self.met else "it did not meet its rules"
            return State("ended", f"ended{f' by {by}' if by else ''}: {how}")
        owner = loads(self.meta.get("owner"), {})
        pid, host = (owner.get("pid"), str(owner.get("host", ""))) if isinstance(owner, dict) else (None, "")
        resume = f"resume it with: ensemble run --resume {self.path}"
        if not isinstance(pid, int):
            return State("stopped", f"stopped before its end, what it left may still run; {resume}")
        if host != socket.gethostname():
            ago = duration(max(0.0, time.time() - self.last_write()))
            return State("elsewhere", f"runs on {host} as process {pid}, by what it wrote {ago} ago")
        if _alive(pid, _number(owner.get("since"))):
            return State("running", f"runs as process {pid}")
        if _locked(self.path / LOCK):
            return State("running", "runs, by the lock that its process holds")
        return State("dead", f"its process {pid} is gone and it had not ended, its jobs may still run; {resume}")

    def last_write(self) -> float:
        """When the journal was last written to, as the file system says."""
        times = [0.0]
        for name in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-journal"):
            try:
                times.append((self.path / name).stat().st_mtime)
            except OSError:
                continue
        return max(times)

    def jobs(self, where: str = "", *values: Any, order: str = "rowid") -> Iterator[JobRow]:
        """The attempts of jobs, as they were recorded; `where` and `order` are SQL of ours."""
        sql = f"SELECT {', '.join(JOB_COLUMNS)} FROM jobs {where} ORDER BY {order}"  # noqa: S608 - never a user's text
        for row in self.each(sql, *values):
            job = JobRow._make(row)
            if None in row:
                texts: dict[str, Any] = {key: getattr(job, key) or "" for key in _TEXTS}
                job = job._replace(cores=job.cores or 0, **texts)
            yield job

    def counts(self) -> dict[str, dict[str, int]]:
        """For each group how many jobs there are (`jobs`), wait (`held`, `pending`), run, and ended in each way.

        A job counts by its last attempt; `retried` is how many attempts were followed by another.
        """
        found: dict[str, dict[str, int]] = {}
        for group, state, started, outcome, number in self.rows(
            "SELECT grp, state, started IS NOT NULL, outcome, count(*) FROM jobs"
            " GROUP BY 1, 2, 3, 4 ORDER BY min(rowid)"
        ):
            counts = found.setdefault(group, {"jobs": 0})
            what = kind_of(state, bool(started), outcome)
            counts["jobs"] += number
            counts[what] = counts.get(what, 0) + number
        for name in self.superseded():
            row = next(self.jobs("WHERE name = ?", name), None)
            if row is not None:
                counts = found[row.grp]
                counts["jobs"] -= 1
                counts["retried"] = counts.get("retried", 0) + 1
                counts[kind_of(row.state, row.started is not None, row.outcome)] -= 1
        return found

    def superseded(self) -> dict[str, str]:
        """The attempts that were followed by another, each with that one's name."""
        later = self.rows("SELECT name FROM jobs WHERE instr(substr(name, instr(name, '.') + 1), '.') > 0")
        return {earlier_attempt(name): name for (name,) in later if earlier_attempt(name)}

    def decisions(self, after: int = -1, limit: int = 10_000) -> list[Decision]:
        """What was done after the decision `after`, oldest first."""
        sql = "SELECT seq, time, rule, shown, action, label, detail FROM decisions WHERE seq > ? ORDER BY seq LIMIT ?"
        return [
            Decision(seq, when, -1 if rule is None else rule, shown or "", action or "", label or "", detail or "")
            for seq, when, rule, shown, action, label, detail in self.rows(sql, after, limit)
        ]

    def tail(self, job: str) -> tuple[str, str]:
        """The last lines of stdout and stderr of a job that failed, empty where they were not kept."""
        if not self.has("tails"):
            return "", ""
        found = self.rows("SELECT out, err FROM tails WHERE name = ?", job)
        return (_text(found[0][0]), _text(found[0][1])) if found else ("", "")

    def tails(self) -> Iterator[tuple[str, str, str]]:
        """All of them: job, stdout, stderr."""
        if self.has("tails"):
            for name, out, err in self.each("SELECT name, out, err FROM tails"):
                yield name, _text(out), _text(err)

    def has(self, table: str) -> bool:
        return bool(self.rows("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", table))

    def rows(self, sql: str, *values: Any) -> list[Any]:
        """The rows of a query. Raises RunDirError."""
        return list(self.each(sql, *values))

    def each(self, sql: str, *values: Any) -> Iterator[Any]:
        """The rows of a query, one by one. Raises RunDirError."""
        with self._guard():
            cursor = self._db.execute(sql, values)
        while True:
            with self._guard():
                row = cursor.fetchone()
            if row is None:
                return
            yield row

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """All that is read within is of one moment, whatever the run writes meanwhile."""
        with self._guard():
            self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.rollback()

    # --- opening, and what may be wrong with it

    def _check(self, folder: Path) -> None:
        path = folder / DATABASE
        try:
            if not folder.is_dir():
                why = "is no directory" if folder.exists() else "there is no such directory"
                raise RunDirError(folder, f"{why}; give the one that ensemble run --dir was given")
            if not path.exists():
                raise RunDirError(
                    folder, f"no run's directory, it has no {DATABASE}; give the one that ensemble run --dir was given"
                )
            with path.open("rb") as file:
                head = file.read(len(MAGIC))
        except OSError as error:
            hint = "; it is private to the user who started the run" if isinstance(error, PermissionError) else ""
            raise RunDirError(folder, f"can't be read: {error.strerror}{hint}") from None
        wal = path.with_name(f"{DATABASE}-wal")
        if not head and not (wal.exists() and wal.stat().st_size):
            raise RunDirError(
                folder,
                f"{DATABASE} is empty: the run was killed before it wrote anything, or the file was emptied since;"
                " if it has run, take the file from a backup, else start it again with another --dir",
            )
        if head and head != MAGIC:
            what = "has been zeroed" if not head.strip(b"\x00") else "is no SQLite database"
            raise RunDirError(folder, f"{DATABASE} {what}; {_RESCUE}")

    def _connect(self, mode: str, path: Path | None = None) -> sqlite3.Connection:
        uri = f"file:{quote(str((path or self.path / DATABASE).absolute()))}{mode}"
        try:
            return sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
        except sqlite3.Error as error:
            raise self._error(error) from None

    def _first_look(self) -> dict[str, str]:
        try:
            return self._meta(self._db)
        except sqlite3.Error as error:
            code = error.sqlite_errorcode & 0xFF
            if code == sqlite3.SQLITE_READONLY:
                # A rollback journal that a dead writer left: only a writer can undo it, so we do it on a copy.
                return self._instead(self._copied)
            if code == sqlite3.SQLITE_CANTOPEN and not (self.path / f"{DATABASE}-wal").exists():
                # A write-ahead log's files can't be made in a folder that is read only; nobody writes there.
                return self._instead(lambda: self._connect("?mode=ro&immutable=1"))
            raise self._error(error) from None

    def _instead(self, connect: Callable[[], sqlite3.Connection]) -> dict[str, str]:
        self._db.close()
        self._db = connect()
        try:
            return self._meta(self._db)
        except sqlite3.Error as error:
            raise self._error(error) from None

    def _copied(self) -> sqlite3.Connection:
        self._copy = tempfile.TemporaryDirectory(prefix="ensemble-")
        try:
            for name in (DATABASE, f"{DATABASE}-journal", f"{DATABASE}-wal"):
                if (self.path / name).exists():
                    shutil.copyfile(self.path / name, Path(self._copy.name) / name)
        except OSError as error:
            raise RunDirError(self.path, f"its process died while it wrote, and it can't be copied: {error}") from None
        return self._connect("?mode=rw", Path(self._copy.name) / DATABASE)

    def _meta(self, db: sqlite3.Connection) -> dict[str, str]:
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
            raise RunDirError(
                self.path,
                f"{DATABASE} has no table meta: it is no run's, or the run has only just started; then try again",
            )
        return dict(db.execute("SELECT key, value FROM meta").fetchall())

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._error(error) from None

    def _error(self, error: sqlite3.Error) -> RunDirError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _LOCKED:
            text = (
                f"{DATABASE} has been locked for {BUSY_SECONDS:.0f} s; try again, and if no run is alive look for who"
                f" holds it (fuser {self.path / DATABASE}): a lock on a network file system can outlive its owner"
            )
        elif code in _DAMAGED:
            text = f"{DATABASE} is damaged{_cut(self.path / DATABASE)} ({error}); {_RESCUE}"
        elif "no such" in str(error):
            text = f"{DATABASE} is no journal that this version knows ({error}); {_RESCUE}"
        else:
            text = f"{DATABASE} can't be read: {error}"
        return RunDirError(self.path, text)


_TEXTS = ("id", "state", "outcome", "reason", "hosts")
_RESCUE = "keep the directory, take the file from a backup, or see what is left of it with: sqlite3 run.sqlite .recover"


def kind_of(state: str, started: bool, outcome: str) -> str:
    """What a row counts as: held, pending, running, or its outcome."""
    if state == "ended":
        return outcome or "lost"
    if state == "held":
        return "held"
    return "running" if started or state == "running" else "pending"


def duration(seconds: float) -> str:
    """A length of time for people: `0.21s`, `42s`, `3m 04s`, `2h 05m`, `3d 04h`."""
    if seconds < 10:
        return f"{seconds:.2f}".rstrip("0").rstrip(".") + "s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02}s"
    if whole < 86400:
        return f"{whole // 3600}h {whole % 3600 // 60:02}m"
    return f"{whole // 86400}d {whole % 86400 // 3600:02}h"


def document_of(text: str) -> Mapping[str, Any]:
    """The file of a run as plain data, for showing: empty where it can't be read, since it was checked when it ran."""
    import yaml

    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value or "")


def _cut(path: Path) -> str:
    """`, 4096 of 81920 bytes are there`, where the header tells (file format, 1.3.8: pages of the database)."""
    try:
        with path.open("rb") as file:
            head = file.read(100)
        size = path.stat().st_size
    except OSError:
        return ""
    page = int.from_bytes(head[16:18], "big")
    whole = (65536 if page == 1 else page) * int.from_bytes(head[28:32], "big")
    return f", {size} of {whole} bytes are there" if size < whole else ""


def _locked(path: Path) -> bool:
    """Whether somebody holds the lock of a run's directory; asked only where its owner seems gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _alive(pid: int, since: float | None) -> bool:
    """Whether that process runs on this host, and is no other one that got its number later."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass  # another user's, or no such number
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime"))
    except (OSError, StopIteration):
        return True
    if fields[0] == "Z":
        return False
    began = int(boot.split()[1]) + int(fields[19]) / os.sysconf("SC_CLK_TCK")  # proc(5), field 22
    return since is None or began <= since + _MARGIN
