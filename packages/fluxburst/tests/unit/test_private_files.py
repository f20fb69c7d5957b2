from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from fluxburst.burstables import _local_processes as processes
from fluxburst.burstables import _private_files as files
from fluxburst.commands import call
from fluxburst.errors import ConfigurationError


def test_a_file_is_replaced_as_a_whole_and_is_its_owners_alone(tmp_path):
    path = tmp_path / "one.json"
    files.write(path, {"a": 1})
    files.write(path, {"a": 2})
    assert files.read(path) == {"a": 2}
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"a": \x00}'])
def test_a_damaged_file_says_nothing(tmp_path, text):
    (tmp_path / "one.json").write_text(text)
    assert files.read(tmp_path / "one.json") == {}
    assert files.read(tmp_path / "none.json") == {}


def test_what_can_t_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"can't write .*file"):
        files.private(tmp_path / "file" / "folder")
    with pytest.raises(ConfigurationError, match="can't write"):
        files.write(tmp_path / "none" / "one.json", {})


def test_a_folder_of_others_is_refused(tmp_path):
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "link").symlink_to(files.private(tmp_path / "mine"))
    for name in ("open", "link"):
        with pytest.raises(ConfigurationError, match="must be a folder that only this user can use"):
            files.private(tmp_path / name)


def test_the_end_of_a_text_begins_with_a_line(tmp_path):
    path = tmp_path / "log"
    path.write_text("first line\nsecond\nthird\n")
    assert files.tail(path, 100) == "first line\nsecond\nthird\n"
    assert files.tail(path, 15) == "second\nthird\n"
    assert files.tail(tmp_path / "none", 15) == ""


def test_a_lock_is_held_by_whoever_inherits_it(tmp_path):
    path = tmp_path / "lock"
    ready, release = os.pipe(), os.pipe()
    with files.locked(path, 0) as lock:
        child = os.fork()
        if not child:
            os.write(ready[1], b"x")
            os.read(release[0], 1)
            os._exit(0)
        assert lock >= 0
        os.read(ready[0], 1)
    with files.locked(path, 0) as other:
        assert other == -1
    os.write(release[1], b"x")
    os.waitpid(child, 0)
    with files.locked(path, 0) as other:
        assert other >= 0
    for end in (*ready, *release):
        os.close(end)


def test_a_command_that_hangs_is_killed_with_its_children(tmp_path):
    script = f"echo begun; sleep 1000 & echo $! >{tmp_path}/pid; wait"
    said = call(["sh", "-c", script], os.environ, timeout=1)
    assert (said.status, said.output) == (None, "begun\n")
    child = int((tmp_path / "pid").read_text())
    end = time.monotonic() + 30
    while processes._read(child) is not None and time.monotonic() < end:
        time.sleep(0.05)
    assert processes._read(child) is None


def test_a_command_is_given_its_input_and_nothing_else():
    said = call([sys.executable, "-c", "import os, sys; print(sys.stdin.read(), sorted(os.environ))"], {"A": "1"}, "hi")
    assert said.status == 0
    assert said.output.startswith("hi ")
    assert "HOME" not in said.output
    with pytest.raises(FileNotFoundError):
        call(["no-such-command"], os.environ)


def test_a_later_process_of_the_same_pid_is_left_alone():
    child = os.fork()
    if not child:
        time.sleep(60)
        os._exit(0)
    found = processes._read(child)
    assert found is not None
    assert abs(found.since - time.time()) < 30
    processes.Process(found.pid, found.parent, found.start - 1).signal(9)
    assert processes._read(child) is not None
    found.signal(9)
    os.waitpid(child, 0)
    assert processes._read(child) is None
    found.signal(9)


def test_a_machine_without_proc_is_told(monkeypatch):
    monkeypatch.setattr(processes, "PROC", Path("/nowhere"))
    for question in (processes.machine, lambda: processes.look(["A"], bool)):
        with pytest.raises(ConfigurationError, match="/proc can't be read"):
            question()
