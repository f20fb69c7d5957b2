"""What a rented machine runs first has a real broker join a real lead; only what is a cloud's or root's is stubbed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from growing import RunningLead, until

from fluxburst.burstables import _cloud_boot, ec2
from fluxburst.lead import environment
from fluxburst.model import Burst

SLOTS = "ec2-[0-2]"
STUBS = {
    "curl": 'case "$*" in */api/token) echo T ;; *) cat "$OUT/index" ;; esac',
    "shutdown": 'echo "shutdown $*" >>"$OUT/log"',
    "systemd-run": "",
    "setsid": "",
    "useradd": "exit 1",
    "runuser": 'shift 3; exec "$@"',
}


class Machine:
    """A folder and a process group in place of an instance."""

    def __init__(self, folder: Path, lead: RunningLead, burst: Burst, index: int) -> None:
        self.log, programs = folder / "log", folder / "bin"
        programs.mkdir(parents=True)
        self.log.touch()
        (folder / "index").write_text(str(index))
        for name, text in STUBS.items():
            (programs / name).write_text(f'#!/bin/sh\nOUT="{folder}"\n{text}\n')
            (programs / name).chmod(0o755)
        script = _cloud_boot.lease(burst.deadline, early=False) + _cloud_boot.join_script(
            lead.lead,
            burst,
            index=ec2._INDEX,
            secret=_cloud_boot.fetched(f"file:{lead.lead.certificate}"),
            over=ec2._OVER,
            folder=str(folder / "etc"),
        )
        with (folder / "console").open("wb") as console:
            self.process = subprocess.Popen(
                ["bash", "-c", script],
                env={**environment(), "PATH": f"{programs}:{os.environ['PATH']}"},
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )

    def end(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def machines(lead: RunningLead, tmp_path: Path) -> Iterator[list[Machine]]:
    hosts = ("ec2-0", "ec2-2")
    burst = Burst("test-1", "ec2", "small", hosts, deadline=time.time() + 600)
    made = [Machine(tmp_path / host, lead, burst, index) for index, host in enumerate(hosts)]
    yield made
    for one in made:
        one.end()


def test_brokers_join_run_a_job_and_switch_their_machines_off(lead, machines, tmp_path):
    job = lead.submit(3, "flux", "getattr", "hostname")
    until(lambda: lead.up() == {"lead", "ec2-0", "ec2-2"}, lambda: (tmp_path / "ec2-2" / "console").read_text())
    assert lead.output(job) == ["ec2-0", "ec2-2", "lead"]
    lead.flux("overlay", "disconnect", "ec2-2")
    until(lambda: "shutdown -h now" in machines[1].log.read_text(), (tmp_path / "ec2-2" / "console").read_text)
    assert "shutdown -h now" not in machines[0].log.read_text()
    assert "over, with status" in (tmp_path / "ec2-2" / "console").read_text()
