"""A real lead: a Flux instance whose configuration declares slots, written by hand as flux-config-bootstrap(5) says."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fluxburst.lead import Lead, environment

PATIENCE = 90.0  # seconds: this machine may be busy

CONFIG = """
[bootstrap]
curve_cert = "{folder}/curve.cert"
hosts = [
    {{ host = "lead", bind = "tcp://127.0.0.1:{port}", connect = "tcp://127.0.0.1:{port}" }},
    {{ host = "{slots}" }},
]
[tbon]
topo = "kary:0"
[resource]
path = "{folder}/R"
noverify = true
"""


def until(true: Callable[[], Any], what: object = "", patience: float = PATIENCE) -> Any:
    """Wait for something to become true, and give it. Raises TimeoutError."""
    end = time.monotonic() + patience
    while not (value := true()):
        if time.monotonic() > end:
            raise TimeoutError(f"never: {what() if callable(what) else what}")
        time.sleep(0.05)
    return value


@dataclass
class RunningLead:
    """A lead that runs, and what Flux's own commands say of it."""

    lead: Lead
    uri: str

    def flux(self, *argv: str) -> str:
        return subprocess.check_output(
            ["flux", *argv],
            env={**environment(), "FLUX_URI": self.uri},
            text=True,
            timeout=60,
            stderr=subprocess.STDOUT,
        ).strip()

    def answers(self) -> bool:
        try:
            return self.up() == {"lead"}
        except subprocess.CalledProcessError:
            return False

    def up(self) -> set[str]:
        """The hosts whose brokers are there."""
        said = self.flux("resource", "list", "--states=up", "--no-header", "--format={nodelist}")
        return set(self.flux("hostlist", "--expand", "--delimiter= ", said).split()) if said else set()

    def submit(self, nodes: int, *argv: str) -> str:
        """A job of whole nodes; it waits until there are so many."""
        return self.flux("submit", f"--nodes={nodes}", "--exclusive", *argv)

    def output(self, job: str) -> list[str]:
        return sorted(self.flux("job", "attach", job).split())


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def end(process: subprocess.Popen[bytes], patience: float = 20.0) -> None:
    """End a process that leads a group, and what is left of the group then."""
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def running(lead: Lead) -> Iterator[RunningLead]:
    """Start the lead of a folder, and end it."""
    run_folder, log = lead.folder / "run", lead.folder / "lead.log"
    argv = [
        "flux", "broker", f"--config-path={lead.folder}/system.toml", "-Shostname=lead", "-Sbroker.quorum=1",
        "-Sbroker.boot-method=config", f"-Srundir={run_folder}", "sleep", "infinity",
    ]  # fmt: skip
    with log.open("wb") as file:
        process = subprocess.Popen(argv, env=environment(), stdout=file, stderr=file, start_new_session=True)
    try:
        made = RunningLead(lead, f"local://{run_folder}/local-0")
        until(made.answers, log.read_text)
        yield made
    finally:
        end(process)


@contextmanager
def running_lead(folder: Path, slots: str) -> Iterator[RunningLead]:
    """Start a lead with two cores and these slots (a hostlist), each of two cores, and end it."""
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    port = free_port()
    run = {"env": environment(), "timeout": 60, "check": True, "cwd": folder}
    subprocess.run(["flux", "keygen", "curve.cert"], **run)
    encode = ["flux", "R", "encode", f"--hosts=lead,{slots}", "--cores=0-1"]
    (folder / "R").write_bytes(subprocess.run(encode, capture_output=True, **run).stdout)
    (folder / "system.toml").write_text(CONFIG.format(folder=folder, port=port, slots=slots))
    (folder / "burst.toml").write_text(f"owner = {json.dumps(f'test{port}')}\n")
    with running(Lead.open(folder)) as made:
        yield made
