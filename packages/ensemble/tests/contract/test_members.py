"""One suite over all members: the local one here, Flux inside an instance that is started for it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ensemble.member import Options
from ensemble.members.local import LocalMember
from ensemble.testing import SCENARIOS, Scenario, Session, check_member


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_local(scenario: Scenario, tmp_path: Path) -> None:
    check_member(scenario, lambda: LocalMember(Options(cores=2, outputs=tmp_path / "out")))


FLUX_SUITE = """
import sys
from pathlib import Path
from ensemble.member import Options
from ensemble.members.flux import FluxMember
from ensemble.testing import SCENARIOS, check_member

for number, scenario in enumerate(SCENARIOS):
    outputs = Path(sys.argv[1]) if number % 2 else None
    check_member(scenario, lambda: FluxMember(Options(outputs=outputs)))
    print(scenario.__name__, flush=True)
"""


def test_flux(flux: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [*flux, sys.executable, "-c", FLUX_SUITE, str(tmp_path)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(SCENARIOS)
    assert list(tmp_path.glob("*.out"))


async def output_is_in_files(session: Session) -> None:
    member = session.member
    names = await session.submit(["sh", "-c", "echo out; echo err >&2; pwd"], workdir="/")
    assert await session.outcomes(names) == {"success"}
    folder = Path(member.where(names[0])).parent
    assert (folder / f"{names[0]}.out").read_text() == "out\n/\n"
    assert (folder / f"{names[0]}.err").read_text() == "err\n"


async def tasks_all_run_and_the_worst_counts(session: Session) -> None:
    script = 'mkdir "$0" 2>/dev/null && exit 7; exit 0'
    folder = Path(session.member.options.outputs or ".") / "mine"
    names = await session.submit(["sh", "-c", script, str(folder)], tasks=2)
    assert await session.outcomes(names) == {"failed"}
    assert [event.context["status"] for event in session.events if event.name == "finish"] == [7 << 8]


async def a_job_is_told_what_it_was_given(session: Session) -> None:
    names = await session.submit(["sh", "-c", "echo $RESOURCES_ALLOCATION"])
    await session.outcomes(names)
    given = json.loads(Path(session.member.where(names[0])).with_suffix(".out").read_text())
    assert given["parts"][0]["resources"] == {"cores": "[0]"}


async def a_missing_workdir_is_named(session: Session) -> None:
    names = await session.submit(["true"], workdir="/no/such/folder")
    assert await session.outcomes(names) == {"exception"}
    (note,) = [event.context["note"] for event in session.events if event.name == "exception"]
    assert "/no/such/folder" in note


async def no_more_run_than_there_are_cores(session: Session) -> None:
    names = await session.submit(["sleep", "0.2"], count=6)
    await session.outcomes(names)
    running = most = 0
    for event in session.events:
        running += {"alloc": 1, "clean": -1}.get(event.name, 0)
        most = max(most, running)
    assert most == 2


@pytest.mark.parametrize(
    "scenario",
    [
        output_is_in_files,
        tasks_all_run_and_the_worst_counts,
        a_job_is_told_what_it_was_given,
        a_missing_workdir_is_named,
        no_more_run_than_there_are_cores,
    ],
    ids=lambda scenario: scenario.__name__,
)
def test_local_alone(scenario: Scenario, tmp_path: Path) -> None:
    check_member(scenario, lambda: LocalMember(Options(cores=2, outputs=tmp_path / "out")))


def test_a_job_goes_with_its_whole_group_even_if_it_ignores_sigterm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ensemble.members.local.GRACE", 0.3)
    pids = tmp_path / "pids"
    script = f"trap '' TERM; sleep 61 & echo $$ $! > {pids}; wait; sleep 62"

    async def cancelled(session: Session) -> None:
        names = await session.submit(["sh", "-c", script])
        await session.until("start", names)
        while not pids.exists() or not pids.read_text().strip():
            time.sleep(0.01)
        await session.member.cancel(names)
        assert await session.outcomes(names) == {"cancelled"}

    check_member(cancelled, lambda: LocalMember(Options(cores=1, outputs=tmp_path / "out")))
    for pid in map(int, pids.read_text().split()):
        assert not _alive(pid)


def test_closing_ends_what_runs(tmp_path: Path) -> None:
    async def leaves(session: Session) -> None:
        names = await session.submit(["sh", "-c", f"echo $$ > {tmp_path / 'pid'}; exec sleep 61"])
        await session.until("start", names)
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            time.sleep(0.01)

    check_member(leaves, lambda: LocalMember(Options(cores=1, outputs=tmp_path / "out")))
    assert not _alive(int((tmp_path / "pid").read_text()))


def _alive(pid: int) -> bool:
    for _ in range(100):  # a killed grandchild is reaped by init, in its own time
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return False
        except (ProcessLookupError, FileNotFoundError):
            return False
        time.sleep(0.01)
    return True


def test_flux_leaves_other_jobs_alone_and_stops_in_order(flux: list[str], tmp_path: Path, examples: Path) -> None:
    """Foreign jobs are neither counted nor cancelled, and SIGTERM cancels what is ours within 5 s."""
    script = tmp_path / "script.sh"
    script.write_text(
        f"""
        flux submit --quiet sleep 300 >/dev/null
        {sys.executable} -m ensemble.members.flux > {tmp_path}/watch.jsonl 2>/dev/null & watch=$!
        ensemble() {{ exec timeout 20 {sys.executable} -c 'from ensemble.cli import main; main()' "$@"; }}
        (ensemble run --json {examples}/terminate.yaml) > {tmp_path}/run.jsonl
        echo rc=$?
        ensemble run --member flux {tmp_path}/long.yaml & run=$!  # its function asks the handle, too
        for i in $(seq 100); do flux jobs -no {{name}} | grep -q long && break; sleep 0.1; done
        kill -TERM $run; wait $run; echo rc=$?
        kill $watch
        flux jobs -no '{{name}} {{state}}'
        flux cancel --all 2>/dev/null
        """
    )
    (tmp_path / "long.yaml").write_text(
        "jobs: [{name: long, command: sleep 299}]\n"
        "rules: [{trigger: start, action: {name: custom, label: f}}]\n"
        "custom: |\n"
        "  def f(*, handle, **kwargs):\n"
        "      return Action(name='submit', label='long') if handle.attr_get('size') == '2' else None\n"
    )
    started = time.monotonic()
    done = subprocess.run([*flux, "bash", str(script)], capture_output=True, text=True, timeout=60)
    assert time.monotonic() - started < 30
    assert "rc=0" in done.stdout, done.stderr
    assert "rc=1" in done.stdout
    assert "stopping (SIGTERM): 1 jobs are cancelled" in done.stderr
    assert done.stdout.strip().splitlines()[-1] == "sleep RUN"
    assert '"counts": {"hit": {"submitted": 1, "finished": 1, "success": 1}' in (tmp_path / "run.jsonl").read_text()
    assert '"name": "submit"' in (tmp_path / "watch.jsonl").read_text()


def test_a_broker_that_dies_ends_the_run_with_one_line(flux: list[str], tmp_path: Path) -> None:
    (tmp_path / "long.yaml").write_text(
        "jobs: [{name: long, command: sleep 8}]\nrules: [{trigger: start, action: {name: submit, label: long}}]\n"
    )
    command = (
        f"{sys.executable} -c 'from ensemble.cli import main; main(prog_name=\"ensemble\")' run {tmp_path}/long.yaml"
    )
    script = f"""
        ({command} > {tmp_path}/out 2>&1; echo rc=$? >> {tmp_path}/out) &
        for i in $(seq 100); do grep -q submit {tmp_path}/out && break; sleep 0.1; done
        kill -9 $(flux getattr broker.pid)
    """
    instance = subprocess.Popen([*flux, "bash", "-c", script], stderr=subprocess.DEVNULL, start_new_session=True)
    out, deadline = tmp_path / "out", time.monotonic() + 20
    while not (out.exists() and "rc=" in out.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(instance.pid, signal.SIGKILL)
    instance.wait()
    assert out.read_text().splitlines()[-2:] == ["ensemble: member flux: the connection was lost", "rc=1"]


@pytest.fixture(scope="session")
def flux() -> list[str]:
    """The start of a command line that runs the rest of it inside a throwaway Flux instance."""
    program = shutil.which("flux")
    if not program:
        pytest.skip("no flux on this machine")
    probe = subprocess.run([sys.executable, "-c", "import flux.job"], capture_output=True, text=True)
    if probe.returncode:
        pytest.skip("flux is here, but its Python bindings are not: pip install flux-python of its version, and ply")
    return [program, "start", "--test-size=2"]
