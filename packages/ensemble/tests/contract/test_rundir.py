"""The directory of a run, read by others while it is written, and when it is damaged."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from ensemble.errors import RunDirError
from ensemble.rundir import RunDir, base_name, duration, earlier_attempt

Make = Callable[..., Path]


def test_what_it_says(journal: Make) -> None:
    with RunDir(journal(jobs=300, failing=0.1)) as run:
        counts = run.counts()
        assert sum(group["jobs"] for group in counts.values()) == 300
        for group in counts.values():  # each job counts once, by its last attempt
            assert group["jobs"] == sum(n for what, n in group.items() if what not in ("jobs", "retried"))
        later = run.superseded()
        assert sum(group.get("retried", 0) for group in counts.values()) == len(later) > 0
        assert all(earlier_attempt(after) == before for before, after in later.items())
        assert run.state().word == "ended"
        assert run.met is False


def test_names_and_lengths() -> None:
    assert [earlier_attempt(name) for name in ("a.3", "a.3.1", "a.3.2")] == ["", "a.3", "a.3.1"]
    assert base_name("a-b.3.12") == "a-b.3"
    shown = [duration(s) for s in (0, 0.214, 59.6, 184, 7500, 270000)]
    assert shown == ["0s", "0.21s", "1m 00s", "3m 04s", "2h 05m", "3d 03h"]


def test_a_failure_has_a_reason_in_words(journal: Make) -> None:
    rows = [
        (f"x.{n}", "x", 0, "", "ended", 1.0, 2.0, 3.0, "failed", status, "", "", 1, 1)
        for n, status in ((0, 768), (1, 9), (2, None))
    ]
    with RunDir(journal(rows=rows)) as run:
        assert [row.why for row in run.jobs("WHERE grp = 'x'")] == ["exit code 3", "killed by SIGKILL", "it never ran"]


@pytest.mark.parametrize("mode", ["WAL", "TRUNCATE"])
def test_a_run_that_lives_is_read_while_it_writes(journal: Make, mode: str) -> None:
    folder = journal(jobs=20, state="running", journal=mode)
    writer = sqlite3.connect(folder / "run.sqlite")
    with RunDir(folder) as run:
        assert run.state().word == "running"
        with run.at_once():
            before = run.rows("SELECT count(*) FROM events")
            if mode == "WAL":  # a rollback journal makes the writer wait for the reader
                writer.execute("INSERT INTO events(name) VALUES ('start')")
                writer.commit()
            assert run.rows("SELECT count(*) FROM events") == before
        writer.execute("INSERT INTO events(name) VALUES ('start')")
        writer.commit()
        assert run.rows("SELECT count(*) FROM events") > before
    writer.close()


@pytest.mark.parametrize(
    ("state", "word", "says"), [("dead", "dead", "--resume"), ("elsewhere", "elsewhere", "login9")]
)
def test_who_runs_it(journal: Make, state: str, word: str, says: str) -> None:
    with RunDir(journal(state=state)) as run:
        found = run.state()
        assert (found.word, says in found.text) == (word, True)


def test_a_later_process_of_the_same_number_is_not_the_owner(journal: Make) -> None:
    folder = journal(state="running")
    database = sqlite3.connect(folder / "run.sqlite")
    database.execute("UPDATE meta SET value = json_set(value, '$.since', 1000000000) WHERE key = 'owner'")
    database.commit()
    database.close()
    with RunDir(folder) as run:
        assert run.state().word == "dead"


def _die_writing(path: str) -> None:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA cache_size = 1")  # so that the pages go to the file before the commit
    database.execute("BEGIN IMMEDIATE")
    database.execute("UPDATE jobs SET reason = hex(zeroblob(2000))")
    os._exit(0)


def test_what_a_killed_writer_left_half_written_is_undone_for_the_reader(journal: Make) -> None:
    folder = journal(jobs=400, journal="DELETE", state="dead")
    child = multiprocessing.get_context("fork").Process(target=_die_writing, args=(str(folder / "run.sqlite"),))
    child.start()
    child.join(30)
    left = (folder / "run.sqlite-journal").stat().st_size
    assert left > 512
    with RunDir(folder) as run:
        assert run.rows("SELECT count(*) FROM jobs WHERE reason LIKE '0000%'") == [(0,)]
        assert run.state().word == "dead"
    assert (folder / "run.sqlite-journal").stat().st_size == left  # that is for the writer to undo


def test_what_a_killed_writer_left_in_the_log_is_read(journal: Make) -> None:
    folder = journal(state="dead")
    writer = sqlite3.connect(folder / "run.sqlite")
    writer.execute("UPDATE meta SET value = 'seen' WHERE key = 'run'")
    writer.commit()
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy)  # as a kill leaves it: the log is there, nobody has it open
    writer.close()
    assert (copy / "run.sqlite-wal").stat().st_size
    with RunDir(copy) as run:
        assert run.value("run") == "seen"


def zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def zero_the_middle(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(bytes(path.stat().st_size - 4096))


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda path: path.unlink(), "no run.sqlite"),
        (lambda path: os.truncate(path, 0), "is empty"),
        (lambda path: os.truncate(path, 20480), "20480 of"),
        (zero, "has been zeroed"),
        (zero_the_middle, "is damaged"),
        (lambda path: path.write_text("once upon a time"), "is no SQLite database"),
        (lambda path: sqlite3.connect(path).execute("DROP TABLE meta"), "no table meta"),
        (lambda path: sqlite3.connect(path, isolation_level=None).execute("UPDATE meta SET value = '9'"), "format '9'"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:unclosed database")
def test_damage_is_one_line_that_says_what_to_do(journal: Make, harm: Callable[[Path], object], says: str) -> None:
    folder = journal(jobs=200)
    database = sqlite3.connect(folder / "run.sqlite")
    database.execute("PRAGMA journal_mode=DELETE")
    database.close()
    harm(folder / "run.sqlite")
    before = sorted((path.name, path.stat().st_size) for path in folder.iterdir())
    with pytest.raises(RunDirError) as caught, RunDir(folder) as run:
        for _ in run.jobs():
            pass
        run.counts()
    text = str(caught.value)
    assert says in text
    assert "\n" not in text
    assert any(word in text for word in ("give the one", "backup", "again", "version that"))
    assert sorted((path.name, path.stat().st_size) for path in folder.iterdir()) == before


def test_a_lock_of_a_dead_owner_is_told(journal: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ensemble.rundir.BUSY_SECONDS", 0.1)
    folder = journal(journal="DELETE")
    holder = sqlite3.connect(folder / "run.sqlite", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(RunDirError, match=r"locked for .* try again.*fuser"), RunDir(folder):
        pass
    holder.close()


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder, says in (
        (tmp_path / "none", "no such directory"),
        (tmp_path / "file", "no directory"),
        (tmp_path, "no run.sqlite"),
    ):
        with pytest.raises(RunDirError, match=says):
            RunDir(folder)
