"""`status`, `watch`, `cancel`, `logs` and `report`, as users see them; and the live view."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ensemble.reporting.live import LiveView
from ensemble.reporting.look import Group, Look
from ensemble.reporting.text import command_line, printable

Make = Callable[..., Path]
Run = Callable[..., "subprocess.CompletedProcess[str]"]
MAIN = [sys.executable, "-c", "from ensemble.cli import main; main(prog_name='ensemble')"]


def test_status_in_one_look(ensemble: Run, journal: Make) -> None:
    folder = journal(jobs=300, failing=0.1)
    done = ensemble("status", folder)
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "sweep.yaml: ended: it did not meet its rules"
    assert "GROUP    JOBS  SUCCESS  FAILED" in done.stdout
    assert "1       2/2  " in done.stdout  # a rule that fired twice, of two times
    assert "0/1  -                    mean.sweep-duration > 4000 → terminate" in done.stdout
    assert "ERROR: Lost atoms" in done.stdout
    assert "ensemble logs " in done.stdout
    answer = json.loads(ensemble("status", folder, "--json").stdout)
    assert answer["state"] == "ended"
    assert answer["met"] is False
    assert answer["failures"][0]["err"][-1].startswith("ERROR: Lost atoms")
    assert {"job", "id", "hosts", "reason", "where"} <= set(answer["failures"][0])


def test_status_in_the_directory_itself(journal: Make) -> None:
    folder = journal(jobs=3, failing=0)
    done = subprocess.run([*MAIN, "status"], cwd=folder, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "sweep.yaml: ended: it met its rules")


@pytest.mark.parametrize(("state", "code", "says"), [("running", 0, "runs as process"), ("dead", 1, "--resume")])
def test_status_of_a_run_that_has_not_ended(ensemble: Run, journal: Make, state: str, code: int, says: str) -> None:
    done = ensemble("status", journal(state=state, jobs=100))
    assert (done.returncode, says in done.stdout) == (code, True)


@pytest.mark.parametrize("command", [["status"], ["watch"], ["report"], ["cancel"], ["logs", "a.0"]])
def test_what_is_no_run_is_one_line(ensemble: Run, tmp_path: Path, command: list[str]) -> None:
    done = ensemble(command[0], tmp_path, *command[1:])
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "no run's directory" in done.stderr


def test_watch_of_a_run_that_has_ended(ensemble: Run, journal: Make) -> None:
    folder = journal(jobs=300, met=True)
    done = ensemble("watch", folder)
    assert done.returncode == 0
    assert done.stdout.startswith("""\
=> trigger start
   submit sweep (name:sweep),(command:lmp -in sweep.lmp -var T 300),(count:200),(nodes:1)
=> trigger count.sweep.finished
   submit analyse (name:analyse),(command:python analyse.py),(count:20),(nodes:1)
""")
    assert "\x1b" not in done.stdout
    told = [json.loads(line) for line in ensemble("watch", folder, "--json").stdout.splitlines()]
    assert [line["type"] for line in told if line["type"] == "trigger"] == ["trigger"] * 4
    assert (told[-1]["type"], told[-1]["met"]) == ("end", True)
    assert sum(line["type"] == "event" for line in told) == 50


def test_watch_says_that_the_owner_has_gone(ensemble: Run, journal: Make) -> None:
    done = ensemble("watch", journal(state="dead"))
    assert done.returncode == 1
    assert "is gone" in done.stderr
    assert "ensemble run --resume" in done.stderr


def test_watch_follows_until_the_end(journal: Make) -> None:
    folder = journal(state="running", jobs=20)
    process = subprocess.Popen([*MAIN, "watch", "--json", folder], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    lines = []
    while not lines or lines[-1]["type"] != "submit":
        lines.append(json.loads(process.stdout.readline()))
    database = sqlite3.connect(folder / "run.sqlite")
    database.execute("INSERT INTO decisions VALUES (999, 1.0, 3, 'late', 'trigger', 'late', '{}')")
    database.execute("UPDATE meta SET value = '2000000000' WHERE key = 'ended'")
    database.execute("""UPDATE meta SET value = '{"met": true, "ended_by": null}' WHERE key = 'result'""")
    database.commit()
    database.close()
    out, _ = process.communicate(timeout=60)
    rest = [json.loads(line) for line in out.splitlines()]
    assert [line["name"] for line in rest if line["type"] == "trigger"][-1] == "late"
    assert (rest[-1]["type"], process.returncode) == ("end", 0)


def take_requests(folder: Path, into: list[Any], stop: threading.Event) -> None:
    while not stop.is_set():
        for path in folder.glob("requests/*.json"):
            into.append((json.loads(path.read_text()), path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777))
            path.unlink()
        time.sleep(0.02)


def test_cancel_asks_the_run(ensemble: Run, journal: Make) -> None:
    folder = journal(state="running", jobs=100)
    database = sqlite3.connect(folder / "run.sqlite")
    [live] = database.execute(
        "SELECT name FROM jobs WHERE state = 'running' AND name NOT LIKE '%.%.%' LIMIT 1"
    ).fetchone()
    [over] = database.execute("SELECT name FROM jobs WHERE outcome = 'success' LIMIT 1").fetchone()
    database.close()
    taken: list[Any] = []
    stop = threading.Event()
    thread = threading.Thread(target=take_requests, args=(folder, taken, stop))
    thread.start()
    try:
        assert ensemble("cancel", folder, "plot", live).returncode == 0
        assert ensemble("cancel", folder).stderr == "the run cancels all of it\n"
    finally:
        stop.set()
        thread.join()
    assert taken[0] == ({"cancel": ["plot", live]}, 0o600, 0o700)
    assert list(taken[1][0]) == ["stop"]
    for name, says in (("swep", "did you mean 'sweep'?"), (over, "has ended already"), ("sweep.99999", "no job")):
        done = ensemble("cancel", folder, name)
        assert (done.returncode, says in done.stderr, done.stderr.count("\n")) == (1, True, 1), done.stderr


@pytest.mark.parametrize(
    ("state", "name", "says"), [("dead", "plot", "ensemble run --resume"), ("ended", "", "nothing to cancel")]
)
def test_cancel_where_nobody_takes_it(ensemble: Run, journal: Make, state: str, name: str, says: str) -> None:
    folder = journal(state=state)
    done = ensemble("cancel", folder, *filter(None, [name]))
    assert (done.returncode, says in done.stderr) == (1, True)
    assert not (folder / "requests").exists()


def test_logs(ensemble: Run, journal: Make) -> None:
    folder = journal(jobs=300, failing=0.3)
    database = sqlite3.connect(folder / "run.sqlite")
    [failed] = database.execute("SELECT name FROM tails WHERE name LIKE '%.%.1' LIMIT 1").fetchone()
    [ident] = database.execute("SELECT id FROM jobs WHERE name = ?", (failed,)).fetchone()
    database.close()
    for name in (failed, failed.removesuffix(".1"), ident):
        done = ensemble("logs", folder, name, "--err")
        assert (done.returncode, "ERROR: Lost atoms" in done.stdout) == (0, True)
        assert f"only the end of what {failed} wrote" in done.stderr
    (folder / "member").mkdir()
    (folder / f"member/{failed}.out").write_bytes(b"\xff whole\n")
    shown = subprocess.run([*MAIN, "logs", folder, failed], capture_output=True, timeout=60)
    assert shown.stdout == b"\xff whole\n"
    done = ensemble("logs", folder, "sweep")
    assert (done.returncode, "that is a group" in done.stderr, done.stderr.count("\n")) == (1, True, 1)


def test_report_writes_a_file_or_says_why_not(ensemble: Run, journal: Make, tmp_path: Path) -> None:
    folder = journal()
    assert ensemble("report", folder, "-o", "r.html").returncode == 0
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")
    assert ensemble("report", folder, "-o", "-").stdout.endswith("</html>\n")
    done = ensemble("report", folder, "-o", "none/r.html")
    assert (done.returncode, done.stderr) == (1, "ensemble: can't write none/r.html: No such file or directory\n")
    done = ensemble("report", folder, "-o", ".")
    assert (done.returncode, done.stderr) == (1, "ensemble: can't write .: Is a directory\n")


def test_lines_of_what_is_done() -> None:
    group = {"name": "a", "command": ["x", "y"], "count": 5, "tasks": 4, "duration": 60}
    assert command_line("submit", "a", {}, group) == (
        "   submit a (name:a),(command:x y),(count:5),(nodes:1),(tasks:4),(duration:60)"
    )
    assert command_line("cancel", "a", {"jobs": 3}, None) == "   cancel a (jobs:3)"
    assert command_line("terminate", "", {"leave": True}, None, ["a.0"]) == "   terminate (jobs:1) (left running)"
    assert command_line("resize", "", {"nodes": 4}, None) == "   resize (nodes:4)"
    assert command_line("avoid", "n3", {"reason": "3 jobs failed"}, None) == "   avoid n3 (3 jobs failed)"


def test_what_jobs_write_does_not_command_a_terminal() -> None:
    assert printable("a\x1b[2J\tb\r\n") == "a\\x1b[2J\tb\\x0d\n"


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 50), (30, 6)])
def test_the_live_view_fits(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int, height: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("LINES", str(height))
    groups = tuple(Group(f"group-{n}-{'x' * n}", 1_000_000, 400_000, 100_000, 499_999, 1) for n in range(40))
    view = LiveView(lambda: Look(groups, 3, ("a message\nof two lines " * 20,)))
    view.refresh()
    view.close()
    lines = capsys.readouterr().out.partition("\x1b[")[0].splitlines()
    assert len(lines) < height + 1
    assert max(len(line) for line in lines) < width
    assert any("group-39" in line for line in lines) or height < 10
