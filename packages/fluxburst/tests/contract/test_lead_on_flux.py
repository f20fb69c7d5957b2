"""What `init` writes, on a real Flux: the lead starts as it says, slots join it, and `check` tells what would not."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from growing import free_port, until

from fluxburst.lead import SOCKET, Lead, environment
from fluxburst.setup.check import problems

pytestmark = pytest.mark.skipif(not shutil.which("flux"), reason="there is no Flux on this machine")

PATIENCE = 60.0


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder with a short name: sockets are in it."""
    with tempfile.TemporaryDirectory(prefix="fb") as name:
        yield Path(name)


@pytest.fixture
def start(place: Path) -> Iterator[Callable[[list[str]], subprocess.Popen[bytes]]]:
    """Starts brokers; those that are left are ended, the last first."""
    started: list[subprocess.Popen[bytes]] = []

    def call(command: list[str]) -> subprocess.Popen[bytes]:
        with (place / f"log{len(started)}").open("wb") as log:
            process = subprocess.Popen(
                command, env=environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        started.append(process)
        return process

    yield call
    for process in reversed(started):
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class Started:
    """A lead that runs, started by the very command that `init` gave."""

    def __init__(self, said: dict, start: Callable[[list[str]], subprocess.Popen[bytes]]) -> None:
        self.lead = Lead.open(said["folder"])
        self._start = start
        self.process = start(said["start"]["background"])
        self.environment = {**environment(), "FLUX_URI": f"local://{self.lead.folder / SOCKET}"}
        until(lambda: (self.lead.folder / SOCKET).exists() and "lead" in self.hosts("free"), "the lead starts")

    def flux(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            ["flux", *arguments], env=self.environment, capture_output=True, text=True, timeout=PATIENCE, cwd="/"
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout.strip()

    def hosts(self, state: str) -> list[str]:
        from resources.hostlist import expand

        return expand(self.flux("resource", "list", "-s", state, "-no", "{nodelist}", check=False).replace("\n", ","))

    def join(self, host: str, **options: str) -> subprocess.Popen[bytes]:
        process = self._start(self.lead.broker(host, **options))
        until(lambda: host in self.hosts("free") or host in self.hosts("allocated"), f"{host} joins")
        return process


@pytest.fixture
def init(run, place: Path):
    def call(*arguments: str) -> dict:
        result = run("init", "--lead", "lead", "--json", *arguments, str(place / "d"))
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return call


def checks(run, *arguments: str) -> tuple[int, dict[str, str]]:
    result = run("check", "--json", *arguments)
    return result.exit_code, {
        one["check"]: one["state"] for one in reversed(json.loads(result.stdout)["checks"]) if one["state"] != "ok"
    }


def test_a_slot_joins_and_the_job_that_waited_runs(init, start, run, place, monkeypatch):
    said = init("--slots", "local:40", "--port", str(free_port()))
    folder = place / "d"
    assert checks(run, str(folder)) == (0, {})  # nothing runs yet, and nothing would keep it from running
    lead = Started(said, start)
    assert checks(run, str(folder)) == (0, {})
    job = lead.flux("submit", "-N2", "--output=none", "hostname")
    rundir = place / "r"
    last = lead.join("local39", rundir=str(rundir))  # every other slot is down: its parent is the lead itself
    lead.flux("job", "wait-event", f"--timeout={PATIENCE}", job, "clean")
    assert lead.flux("jobs", "-no", "{status} {nodelist}", job) == "COMPLETED lead,local39"
    assert not lead.flux("resource", "drain", "-no", "{nodelist}")
    monkeypatch.setenv("FLUX_URI", lead.environment["FLUX_URI"])
    assert checks(run) == (0, {})  # inside the lead its folder is known
    assert Lead.current() == lead.lead
    if find_spec("flux"):
        from fluxburst.handles.flux import FluxHandle

        assert Lead.current(FluxHandle()) == lead.lead
        assert problems(lead.lead, FluxHandle()) == []
    end(last)
    until(lambda: "local39" in lead.hosts("down"), "the lead sees it go")
    assert not rundir.exists()


def test_a_machine_that_has_only_the_files(init, start, place):
    """No R, other paths: what `files` and `secrets` give is enough."""
    lead = Started(
        init("--slots", "slurm:2:cores=64,gpus=4", "--port", str(free_port()), "--connect", "127.0.0.1"), start
    )
    far = copy(lead.lead, place / "far")
    lead.join("slurm1", folder=str(far))
    assert "slurm1" in lead.hosts("free")
    assert not lead.flux("resource", "drain", "-no", "{nodelist}")


def copy(lead: Lead, far: Path) -> Path:
    far.mkdir(mode=0o700)
    for name, text in {**lead.files(far), **lead.secrets()}.items():
        (far / name).touch(0o600)
        (far / name).write_text(text)
    return far


def test_a_lead_that_reads_its_whole_folder(init, start, run, place, monkeypatch):
    """As a system instance does: burst.toml is no trouble to Flux, and flux-burst finds it all the same."""
    said = init("--slots", "local:1", "--port", str(free_port()))
    said["start"]["background"][2] = f"--config-path={said['folder']}"
    lead = Started(said, start)
    monkeypatch.setenv("FLUX_URI", lead.environment["FLUX_URI"])
    assert checks(run) == (0, {})
    lead.join("local0")


def test_a_broker_that_has_lost_its_lead_leaves(init, start, place):
    """With what the files say elsewhere: flux-config-heartbeat(5). By default it would wait for five minutes."""
    said = init("--slots", "local:1", "--port", str(free_port()))
    config = place / "d" / "system.toml"
    text = config.read_text()
    assert 'timeout = "1m"' in text
    config.write_text(text.replace('timeout = "1m"', 'timeout = "4s"'))
    lead = Started(said, start)
    broker = lead.join("local0", folder=str(copy(lead.lead, place / "far")))
    lead.process.kill()
    assert broker.wait(PATIENCE) != 0


def test_what_waits_survives_a_lead_that_is_killed(init, start, place):
    """By flux-config-kvs(5), checkpoint-period; by default Flux writes its queue down when it ends in order."""
    said = init("--slots", "local:1", "--port", str(free_port()))
    lead = Started(said, start)
    job = lead.flux("submit", "--nodes=2", "true")
    before = lead.flux("dmesg").count("checkpoint-put")
    until(lambda: lead.flux("dmesg").count("checkpoint-put") > before, "the queue is written down")
    lead.process.kill()
    lead.process.wait()
    (place / "d" / SOCKET).unlink()
    lead = Started(said, start)
    assert lead.flux("jobs", "-no", "{id} {state}") == f"{job} SCHED"


def test_check_tells_before_what_a_broker_would_fail_at(init, start, run, place):
    said = init("--slots", "local:2", "--port", str(free_port()))
    far = copy(Lead.open(said["folder"]), place / "far")
    assert checks(run, "--join", "local1", str(far)) == (1, {"port": "problem"})  # nobody is there yet
    start(["flux", "broker", *Lead.open(said["folder"]).broker("local1", folder=far)[2:]])
    lead = Started(said, start)
    until(lambda: "local1" in lead.hosts("free"), "a broker that came first joins")
    assert checks(run, "--join", "local0", str(far)) == (0, {})

    assert checks(run, "--join", "local7", str(far)) == (1, {"host": "problem"})
    wrong = start([one.replace("local0", "local7") for one in lead.lead.broker("local0", folder=far)])
    assert wrong.wait(PATIENCE) != 0

    (far / "curve.cert").unlink()
    subprocess.run(["flux", "keygen", str(far / "curve.cert")], check=True, timeout=PATIENCE)
    assert checks(run, "--join", "local0", str(far)) == (1, {"certificate": "problem"})


def test_more_slots_are_known_when_the_lead_is_started_anew(init, start, run, place):
    port = str(free_port())
    lead = Started(init("--slots", "local:1", "--port", port), start)
    job = lead.flux("submit", "-N2", "--output=none", "hostname")
    said = init("--slots", "local:2")
    assert checks(run, str(place / "d")) == (1, {"lead": "problem"})
    end(lead.process)
    lead = Started(said, start)
    assert checks(run, str(place / "d")) == (0, {})
    lead.join("local1")
    lead.flux("job", "wait-event", f"--timeout={PATIENCE}", job, "clean")  # the queue was kept


def test_a_port_that_is_taken_is_told(init, run, place):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        init("--slots", "local:1", "--port", str(other.getsockname()[1]))
        assert checks(run, str(place / "d")) == (1, {"port": "problem"})


def test_an_instance_without_slots_is_told_what_to_do(run, place, start, monkeypatch):
    start(["flux", "start", f"-Slocal-uri=local://{place}/s", "sleep", "inf"])
    monkeypatch.setenv("FLUX_URI", f"local://{place}/s")
    until(lambda: not subprocess.run(["flux", "uptime"], capture_output=True, timeout=PATIENCE).returncode, "it starts")
    result = run("check")
    assert result.exit_code == 1
    assert "flux-burst init" in result.stdout
    assert result.stdout.count("\n") == 1


def test_flux_finds_the_command(place):
    """flux(1): FLUX_EXEC_PATH_PREPEND, its own commands, FLUX_EXEC_PATH, then PATH."""
    if not shutil.which("flux-burst"):
        pytest.skip("flux-burst is not installed as a command")
    done = subprocess.run(["flux", "burst", "--version"], capture_output=True, text=True, timeout=PATIENCE)
    assert done.stdout.startswith("flux-burst")


def test_init_asks_no_instance(run, place, monkeypatch):
    monkeypatch.setenv("FLUX_URI", f"local://{place}/has-ended")
    result = run("init", "--slots", "local:1", str(place / "lead"))
    assert result.exit_code == 0, result.output
