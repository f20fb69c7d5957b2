"""The runner against real processes that hang, fork, flood, ignore SIGTERM, or are not there."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from resource_secretary.environment import for_commands, where
from resource_secretary.errors import CommandFailed
from resource_secretary.run import Ran, run
from resource_secretary.system import System

ENVIRON = {"PATH": os.environ["PATH"], "LC_ALL": "C"}


@pytest.fixture
def stub(tmp_path: Path):
    def make(name: str, body: str) -> str:
        path = tmp_path / name
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)
        return str(path)

    return make


def timed(argv: list[str], timeout: float = 0.4, **kwargs: int) -> tuple[Ran, float]:
    start = time.monotonic()
    ran = run(argv, environ=ENVIRON, timeout=timeout, **kwargs)
    return ran, time.monotonic() - start


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has reaped yet has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_gone(pid: int) -> bool:
    end = time.monotonic() + 2
    while not is_gone(pid) and time.monotonic() < end:
        time.sleep(0.01)
    return is_gone(pid)


def test_an_answer(stub):
    ran, _ = timed([stub("tool", "echo out; echo err >&2")], 5)
    assert ran.ok and ran.stdout == "out\n" and ran.stderr == "err\n" and ran.text() == "out\n"


def test_a_refusal_has_the_exit_code_and_the_first_line(stub):
    ran, _ = timed([stub("tool", "echo more; echo >&2; echo no server >&2; echo second >&2; exit 3")], 5)
    assert not ran.ok
    result = ran.unreachable()
    assert (result.asked, result.said, result.exit_code) == ("tool", "exit code 3: no server", 3)
    with pytest.raises(CommandFailed, match="tool: exit code 3: no server") as caught:
        ran.text()
    assert (caught.value.command, caught.value.said) == ("tool", "exit code 3: no server")


def test_what_it_says_cannot_steer_a_terminal(stub):
    ran, _ = timed([stub("tool", "printf '\\033[2Jgone\\n' >&2; exit 1")], 5)
    assert ran.said == "exit code 1: ?[2Jgone"


@pytest.mark.parametrize("trap", ["", "trap '' TERM INT HUP;"])
def test_one_that_hangs_costs_one_deadline_and_is_killed(stub, tmp_path, trap):
    pid = tmp_path / "pid"
    ran, seconds = timed([stub("tool", f"{trap} echo $$ > {pid}; while :; do sleep 30; done")], 0.5)
    assert ran.problem == "no answer in 0.5 s" and ran.code is None
    assert seconds < 1.0
    assert wait_gone(int(pid.read_text()))


def test_children_in_its_group_are_killed_with_it(stub, tmp_path):
    pid = tmp_path / "pid"
    ran, seconds = timed([stub("tool", f"sleep 30 & echo $! > {pid}; wait")], 0.5)
    assert ran.problem and seconds < 1.0
    assert wait_gone(int(pid.read_text()))


def test_a_child_that_holds_the_output_open_is_not_waited_for(stub, tmp_path):
    pid = tmp_path / "pid"
    ran, seconds = timed([stub("tool", f"sleep 30 & echo $! > {pid}; echo answer")], 5)
    assert ran.ok and ran.stdout == "answer\n" and seconds < 1
    assert wait_gone(int(pid.read_text()))


def test_one_that_left_its_session_is_left_behind(stub, tmp_path):
    pid = tmp_path / "pid"
    ran, seconds = timed([stub("tool", f"setsid bash -c 'echo $$ > {pid}; sleep 3' & sleep 0.2; echo answer")], 5)
    assert ran.ok and ran.stdout == "answer\n" and seconds < 2
    os.kill(int(pid.read_text()), 9)


def test_one_that_closes_its_output_and_hangs(stub):
    ran, seconds = timed([stub("tool", "exec >&- 2>&-; sleep 30")], 0.4)
    assert ran.problem == "no answer in 0.4 s" and seconds < 1


def test_a_flood_is_cut(stub):
    ran, seconds = timed([stub("tool", "exec yes")], 5, largest=100_000)
    assert ran.problem == "more than 100000 bytes of output" and seconds < 2


def test_stdin_is_closed():
    code = "import os; from resource_secretary.run import run; print(run(['/bin/cat'], environ=os.environ, timeout=5))"
    done = subprocess.run([sys.executable, "-c", code], input="secret", capture_output=True, text=True)
    assert "code=0, stdout=''" in done.stdout, done.stderr


def test_bytes_that_are_no_text(stub):
    ran, _ = timed([stub("tool", "printf '\\xff\\xfe'")], 5)
    assert ran.ok and ran.stdout == "\ufffd\ufffd"


@pytest.mark.parametrize("argument", ["a\0b", "\udcff\ud800"])
def test_an_argument_that_no_process_can_get(stub, argument):
    ran, _ = timed([stub("tool", "true"), argument], 5)
    assert ran.problem.startswith("can't be started: ")


def test_no_executable(tmp_path):
    (tmp_path / "tool").write_text("no program")
    ran, _ = timed([str(tmp_path / "tool")])
    assert ran.problem == "can't be started: Permission denied"


def test_arguments_are_never_a_shells(stub, tmp_path):
    nasty = ["$(touch pwned)", "; touch pwned", "`touch pwned`", "a\nb", "--opt", "*", "'\""]
    ran, _ = timed([stub("tool", 'printf "%s\\0" "$@"'), *nasty], 5)
    assert ran.stdout.split("\0")[:-1] == nasty


def test_the_environment_of_a_job_is_not_passed_on(stub, tmp_path):
    stub("tool", "env")
    enclosing = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "LANG": "de_DE.UTF-8",
        "LANGUAGE": "de",
        "SLURM_JOB_ID": "1",
        "SLURM_CONF": "/site/slurm.conf",
        "SINFO_FORMAT": "%all",
        "PBS_NODEFILE": "/x",
        "PBS_SERVER": "server",
        "PMIX_RANK": "0",
        "PMI_RANK": "0",
        "OMPI_COMM_WORLD_RANK": "0",
        "FLUX_URI": "local:///x",
    }
    seen = dict(line.split("=", 1) for line in System(environ=enclosing, timeout=5).run("tool").text().splitlines())
    assert seen["LC_ALL"] == "C" and seen["SLURM_CONF"] == "/site/slurm.conf" and seen["PBS_SERVER"] == "server"
    assert seen["FLUX_URI"] == "local:///x"
    gone = {"LANGUAGE", "SLURM_JOB_ID", "SINFO_FORMAT", "PBS_NODEFILE", "PMIX_RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK"}
    assert not gone & seen.keys()
    retry = "FLUX_LOCAL_CONNECTOR_RETRY_COUNT"
    assert for_commands({}) == {"LC_ALL": "C", retry: "1"} and for_commands({retry: "9"})[retry] == "9"


def test_the_commands_of_one_provider_share_its_time(stub, tmp_path):
    stub("slow", "sleep 30")
    system = System(environ={"PATH": f"{tmp_path}:{os.environ['PATH']}"}, timeout=0.5)
    assert system.run("slow").problem == "no answer in 0.5 s"
    assert system.run("slow").problem == "no time left of 0.5 s"
    assert system.within(0.3).run("slow").problem == "no answer in 0.3 s"


def test_a_folder_that_may_not_be_listed_still_has_commands(stub, tmp_path, monkeypatch):
    from resource_secretary import commands

    stub("tool", "true")
    (tmp_path / "data").write_text("")
    (tmp_path / "folder").mkdir()
    for names in (commands._names, lambda folder: None):
        monkeypatch.setattr(commands, "_names", names)
        system = System(environ={"PATH": f"/nonexistent:{tmp_path}"})
        assert system.which("tool") == str(tmp_path / "tool") == system.which(str(tmp_path / "tool"))
        assert [system.which(name) for name in ("data", "folder", "other", "/nonexistent/tool")] == [None] * 4


def test_relative_entries_of_path_are_not_looked_at(stub, tmp_path, monkeypatch):
    stub("tool", "true")
    monkeypatch.chdir(tmp_path)
    system = System(environ={"PATH": f".:{os.curdir}::"})
    assert system.which("tool") is None
    assert system.run("tool").problem == "not found on PATH"


def test_where_this_runs():
    nothing = lambda path: False  # noqa: E731
    assert where("host1", {}, nothing, nothing) == "host1"
    assert where("login1", {}, nothing, lambda name: name == "qsub") == "login1, login node"
    assert where("n7", {"SLURM_JOB_ID": "42"}, nothing, lambda name: True) == "n7, inside Slurm job 42"
    assert (
        where("n7", {"PBS_JOBID": "1.srv"}, lambda path: path == "/.dockerenv", nothing)
        == "n7, inside PBS job 1.srv, in a container"
    )


def test_a_folder_of_path_that_does_not_answer_hides_no_other(stub, tmp_path, monkeypatch):
    from resource_secretary import commands

    stub("tool", "echo $PATH")
    hangs = threading.Event()
    names = commands._names
    monkeypatch.setattr(commands, "_names", lambda folder: hangs.wait(20) if folder == "/dead" else names(folder))
    system = System(environ={"PATH": f"/dead:{tmp_path}"})
    assert system.run("tool").stdout == f"{tmp_path}\n"
    assert system.where().endswith("; without /dead of PATH, which does not answer")
    hangs.set()


def test_one_that_a_signal_ends(stub):
    assert timed([stub("tool", "kill -SEGV $$")], 5)[0].said == "ended by SIGSEGV: it said nothing"


def test_a_program_that_ignores_the_end_of_its_children(stub):
    code = (
        "import signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); from resource_secretary.run import run;"
        "print(run(sys.argv[1:], environ={}, timeout=5))"
    )
    done = subprocess.run([sys.executable, "-c", code, stub("tool", "exit 3")], capture_output=True, text=True)
    assert "code=None" in done.stdout and "its exit code is not known" in done.stdout, done.stderr


def test_variables_of_a_job_cannot_steer_a_terminal():
    assert where("n7", {"SLURM_JOB_ID": "4\x1b[2J\n"}, lambda path: False, lambda name: None) == (
        "n7, inside Slurm job 4?[2J?"
    )
