"""The command line on a real Flux: a job of three nodes, and brokers that come and go as processes of this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from growing import PATIENCE, RunningLead, until

from fluxburst.client import FluxBurst
from fluxburst.errors import HandleError
from fluxburst.handles.connection import Connection
from fluxburst.lead import environment

SLOTS = "local[0-3]"
SETTINGS = """
delay = 0
interval = 1
idle_timeout = 2
cooldown = 1
[plugins.local]
"""
PROGRAM = [sys.executable, "-c", "from fluxburst.cli import main; main(prog_name='flux-burst')"]


class Control:
    """`flux-burst` on a lead; the ledger of each test is its own."""

    def __init__(self, lead: RunningLead, state: Path) -> None:
        self.lead, self.state = lead, state
        self.started: list[subprocess.Popen[str]] = []
        self._environment = {**environment(), "FLUX_URI": lead.uri, "PYTHONPATH": os.pathsep.join(sys.path)}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [*PROGRAM, *arguments, "--state", str(self.state)]
        self.started.append(subprocess.Popen(command, text=True, stdout=subprocess.PIPE, env=self._environment))
        return self.started[-1]

    def __call__(self, *arguments: str, code: int = 0) -> Any:
        """The answer of a command as JSON."""
        process = self.start(*arguments, "--json")
        said, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == code, said
        return json.loads(said)

    def submit(self, *argv: str) -> str:
        return self.lead.submit(3, "--setattr=system.burstable=1", *argv)


@pytest.fixture
def control(lead: RunningLead, tmp_path: Path) -> Iterator[Control]:
    try:
        Connection(lead.uri)
    except HandleError as error:
        pytest.skip(f"no Python bindings of this Flux: {error}")
    settings = lead.lead.folder / "burst.toml"
    if "delay" not in settings.read_text():
        settings.write_text(settings.read_text() + SETTINGS)
    made = Control(lead, tmp_path)
    try:
        yield made
    finally:
        for process in made.started:
            if process.poll() is None:
                process.kill()
            process.communicate()
        lead.flux("cancel", "--all")
        subprocess.run(
            [*PROGRAM, "destroy", "--all", "--state", str(tmp_path)],
            env=made._environment,
            check=False,
            timeout=PATIENCE,
        )


def read_until(process: subprocess.Popen[str], true: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The first message of a controller that is meant."""
    assert process.stdout is not None
    for line in process.stdout:
        if true(message := json.loads(line)):
            return message
    raise AssertionError(f"it ended with {process.wait()}")


def states(control: Control) -> list[str]:
    return [row["state"] for row in control("history")["bursts"]]


def test_a_job_bursts_and_the_brokers_go_and_again_in_the_same_slots(control):
    for round in (1, 2):
        job = control.submit("echo", "ran")
        process = control.start("run", "--plugin", "local", "--until-idle", "--json")
        told = [json.loads(line) for line in process.communicate(timeout=PATIENCE)[0].splitlines()]
        assert process.returncode == 0, told
        assert control.lead.output(job) == ["ran"] * 3
        assert control.lead.up() == {"lead"}
        assert [one["state"] for one in told if one.get("burst")] == [
            "planned", "creating", "joining", "ready", "draining", "deleting", "gone",
        ]  # fmt: skip
        assert told[-1]["why"] == "idle"
        assert [tuple(one["hosts"]) for one in control("history")["bursts"]] == [("local0", "local1")] * round


def test_the_python_api_inside_a_lead_is_that_leads(control, lead, monkeypatch):
    monkeypatch.setenv("FLUX_URI", lead.uri)
    commands = Control(lead, lead.lead.folder)
    job = control.submit("echo", "ran")
    client = FluxBurst()
    try:
        client.load("local")
        (made,) = client.run_burst().created
        until(lambda: client.run_burst() and lead.flux("jobs", "--no-header", "--format={status}", job) == "COMPLETED")
        assert lead.output(job) == ["ran"] * 3
        assert [one["name"] for one in commands("status")["bursts"]] == [made.name]
    finally:
        client.close()
        commands("destroy", "--all")
    assert commands("history")["bursts"][0]["reason"] == "ended by hand"


def test_a_killed_controller_is_followed_by_another_and_nothing_is_doubled(control):
    job = control.submit("sleep", "3")
    first = control.start("run", "--plugin", "local", "--json")
    read_until(first, lambda one: one.get("state") == "creating")
    first.kill()
    first.wait()
    second = control.start("run", "--plugin", "local", "--until-idle")
    assert second.wait(PATIENCE) == 0
    assert control.lead.output(job) == []
    assert states(control) == ["gone"]
    assert control.lead.up() == {"lead"}
    assert control("gc")["found"] == []


def test_what_a_stopped_controller_leaves_is_ended_by_hand(control):
    control.submit("sleep", "60")
    process = control.start("run", "--plugin", "local", "--json")
    name = read_until(process, lambda one: one.get("state") == "ready")["burst"]
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 143
    until(lambda: control.lead.up() == {"lead", "local0", "local1"}, "its brokers stay")
    (left,) = control("status")["bursts"]
    assert (left["name"], left["joined"]) == (name, 2)
    assert control("destroy", "--all") == {"gone": [name], "left": []}
    until(lambda: control.lead.up() == {"lead"}, "its brokers go")
    control.submit("true")
    assert control("run", "--once", "--plugin", "local", code=1)["created"] == [], "stopped until resume"


def test_drain_through_the_controller_lets_the_job_finish(control):
    job = control.submit("sh", "-c", "sleep 4; echo ran")
    process = control.start("run", "--plugin", "local", "--json")
    name = read_until(process, lambda one: one.get("state") == "ready")["burst"]
    until(lambda: control.lead.flux("jobs", "-no", "{status_abbrev}", job) == "R", "the job runs")
    control("drain", name)
    read_until(process, lambda one: one.get("state") == "gone")
    assert control.lead.output(job) == ["ran"] * 3
