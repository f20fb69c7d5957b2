"""The look at what is left finds it: else the tests that rely on it would prove nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest
from desk import Desk, desk

# A process that has left its session, its group, its parent, its environment and its folder; it ends by itself.
ESCAPE = """
import os, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.chdir("/")
        for number in range(3):
            os.dup2(os.open("/dev/null", os.O_RDWR), number)
        os.execve("/bin/sleep", ["sleep", "60"], {"HOME": os.environ["HOME"]} if sys.argv[1:] else {})
"""


def left(found: pytest.ExceptionInfo[AssertionError]) -> str:
    return str(found.value)


def test_a_process_that_is_left_is_found_and_ended() -> None:
    with pytest.raises(AssertionError, match="processes are left") as found, desk({}, patience=1) as user:
        user(sys.executable, "-c", ESCAPE, "home")
        [process] = user.processes()
    assert str(process) in left(found) and "sleep 60" in left(found)
    assert not user.processes()


def test_a_process_that_hides_is_found_by_its_group() -> None:
    with desk({}) as probe:
        if probe.group is None:
            pytest.skip("only root can give a process a group of its own")
    with pytest.raises(AssertionError, match="processes are left"), desk({}, patience=1) as user:
        user(sys.executable, "-c", ESCAPE)


@pytest.mark.parametrize("name", ["home/.x", "tmp/a/b", "cache/x", "state/x", "x"])
def test_a_file_that_is_left_is_found(name: str) -> None:
    with pytest.raises(AssertionError, match="files are left") as found, desk({}, patience=0) as user:
        user("mkdir", "-p", str((user.folder / name).parent))
        user("touch", str(user.folder / name))
    assert name in left(found)


def test_a_file_where_everybody_writes_is_found() -> None:
    with pytest.raises(AssertionError, match="files are left") as found, desk({}, patience=0) as user:
        name = user("mktemp", "--tmpdir=/tmp", "jobspec-XXXXXX").strip()
    subprocess.run(["rm", name], check=True)
    assert name in left(found)


def test_what_is_asked_for_may_stay() -> None:
    with desk({}, keeps=["cache/kept"]) as user:
        assert isinstance(user, Desk)
        user("touch", "mine", "../cache/kept")
