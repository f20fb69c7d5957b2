"""The commands that control: on a fake lead, with a plugin whose bursts are files."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from fluxburst.cli import common, wishes
from fluxburst.demand import Demand
from fluxburst.errors import HandleError
from fluxburst.handles.fake import FakeHandle
from fluxburst.lead import Lead, LeadError
from fluxburst.ledger import Ledger, Row, holder
from fluxburst.plugins import REGISTRY
from fluxburst.setup import check

PLUGIN = '''
"""Bursts that are files in a folder."""
import time
from dataclasses import dataclass
from pathlib import Path
from fluxburst.errors import CapacityError
from fluxburst.model import NodeShape, Sighting
from fluxburst.plugins import BurstPlugin

@dataclass
class BurstParameters:
    folder: Path
    refuse: bool = False
    hang: bool = False
    max_nodes: int = 4

class Plugin(BurstPlugin):
    settle = 0.0
    def shapes(self):
        return [NodeShape.from_text("file: cores=4")]
    def create(self, burst):
        if self.params.refuse:
            raise CapacityError("no file is to be had")
        (self.params.folder / burst.name).touch()
    def status(self, known=()):
        if self.params.hang:
            (self.params.folder / "asked").touch()
            time.sleep(600)
        there = {path.name for path in self.params.folder.iterdir()}
        return [Sighting(name, "pending", since=1.0) for name in sorted(there) if name.startswith("test-")] + [
            Sighting(one.name, "gone") for one in known if one.name not in there]
    def destroy(self, burst):
        if not (self.params.folder / "stubborn").exists():
            (self.params.folder / burst.name).unlink(missing_ok=True)

def init(params: BurstParameters):
    return Plugin(params)
'''
SYSTEM = """
[bootstrap]
default_connect = "tcp://127.0.0.1:%p"
default_port = 9999
hosts = [{ host = "lead" }, { host = "file[0-3]" }]
"""
SETTINGS = """
owner = "test"
delay = 0
interval = 0
grace = 0
limits = {{ node_hours = 100 }}
[plugins.file]
folder = "{folder}"
"""
NAME = "test-"


class World:
    """A lead's folder, its lead, and the folder of the plugin's files."""

    def __init__(self, place: Path, run) -> None:
        self.folder, self.files = place / "lead", place / "files"
        self.folder.mkdir()
        self.files.mkdir()
        (self.folder / "system.toml").write_text(SYSTEM)
        self.set()
        self.lead = FakeHandle({"lead": (2, 0), **{f"file{at}": (4, 0) for at in range(4)}}, up=["lead"])
        self._run = run

    def set(self, more: str = "") -> None:
        (self.folder / "burst.toml").write_text(SETTINGS.format(folder=self.files) + more)

    def __call__(self, command: str, *arguments: str):
        return self._run(command, "--state", str(self.folder), *arguments)

    def json(self, command: str, *arguments: str, code: int = 0):
        result = self(command, "--json", *arguments)
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)

    def bursts(self) -> list[str]:
        return sorted(path.name for path in self.files.iterdir() if path.name.startswith(NAME))

    def burst(self, nodes: int = 2) -> str:
        """Have one burst made, and give its name."""
        self.lead.submit(Demand(nodes=nodes, slots=1, cores=4, gpus=0))
        self.json("run", "--once")
        (name,) = self.bursts()
        return name


@pytest.fixture
def world(tmp_path, monkeypatch, run):
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    (plugins / "fluxburst_file.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(plugins))
    REGISTRY.refresh()
    made = World(tmp_path, run)

    def none() -> Lead:
        raise LeadError("no lead is running around this process; name the lead's folder")

    monkeypatch.setattr(Lead, "current", none)
    for module in (common, wishes):
        monkeypatch.setattr(module, "connect", lambda lead: made.lead)
    monkeypatch.setattr(check, "problems", lambda lead, handle: [])
    yield made
    REGISTRY.refresh()


@pytest.fixture
def no_lead(world, monkeypatch):
    """The lead can't be asked any more."""

    def connect(lead):
        raise HandleError("the lead does not answer")

    def call() -> None:
        monkeypatch.setattr(wishes, "connect", connect)

    return call


def test_once_makes_what_is_needed_once(world):
    world.lead.submit(Demand(nodes=2, slots=1, cores=4, gpus=0))
    done = world.json("run", "--once")
    assert [(one["plugin"], one["hosts"]) for one in done["created"]] == [("file", ["file0", "file1"])]
    assert world.bursts() == [done["created"][0]["name"]]
    again = world.json("run", "--once")
    assert again["created"] == []
    assert world.bursts() == [done["created"][0]["name"]]


def test_once_says_what_it_did(world):
    world.lead.submit(Demand(nodes=1, slots=1, cores=4, gpus=0))
    result = world("run", "--once")
    assert result.exit_code == 0
    assert f"{world.bursts()[0]} is planned: 1 node of file/file for 1 job" in result.stdout
    assert "queue: 1 of the pending jobs burst" in result.stdout


def test_once_where_every_job_is_refused(world):
    world.lead.submit(Demand(nodes=1, slots=1, cores=64, gpus=0))
    result = world("run", "--once")
    assert result.exit_code == 1
    assert "refused (INCOMPATIBLE), 1 job" in result.stdout
    assert world.bursts() == []


def test_a_failure_pauses_and_resume_goes_on(world):
    world.set("refuse = true\n")
    world.lead.submit(Demand(nodes=1, slots=1, cores=4, gpus=0))
    result = world("run", "--once")
    assert result.exit_code == 1
    assert "no file is to be had" in result.stdout
    assert "to go on now: flux-burst resume file" in result.stdout
    assert "no file is to be had" in world("status").stdout
    assert world("resume", "fil").exit_code == 1
    assert "did you mean 'file'?" in world("resume", "fil").stderr
    assert world("resume", "file").stdout == "file goes on\n"
    assert world.json("status")["pauses"] == []


def test_problems_stop_it_before_the_first_burst(world, monkeypatch):
    monkeypatch.setattr(check, "problems", lambda lead, handle: ["certificate: it is missing"])
    world.lead.submit(Demand(nodes=1, slots=1, cores=4, gpus=0))
    result = world("run", "--once")
    assert (result.exit_code, result.stdout, world.bursts()) == (1, "", [])
    assert "problem: certificate: it is missing" in result.stderr


def test_open_bursts_are_looked_after_where_problems_come_later(world, monkeypatch):
    name = world.burst()
    world.lead.submit(Demand(nodes=2, slots=1, cores=4, gpus=0))
    monkeypatch.setattr(check, "problems", lambda lead, handle: ["certificate: it is missing"])
    result = world("run", "--once")
    assert "nothing new is made" in result.stderr
    assert world.bursts() == [name]


def test_plugins_with_open_bursts_are_loaded_too(world):
    name = world.burst()
    (world.files / name).unlink()
    world.set('[plugins.mock]\nhosts = "none[0-1]"\n')
    result = world("run", "--once", "--plugin", "mock")
    assert "file has open bursts: they are looked after" in result.stderr
    assert f"{name} is failed" in result.stdout


def test_status_tells_it_all(world):
    name = world.burst()
    with Ledger.open(world.folder / "burst.sqlite") as ledger:
        number = ledger.next_number
        row = Row(ledger.name(number), "file", "file", ("file3",), planned=5.0, number=number, deadline=1e12)
        ledger.plan([row])
        output = "".join(f"line {at}\n" for at in range(9)) + "the \x1b[31mend\n"
        ledger.change(row.name, 6.0, state="failed", failure="boot failed: x", output=output, ended=6.0)
        number += 1
    text = world("status").stdout
    assert "no controller runs" in text
    assert "queue, when it was last looked at: 1 of" in text
    assert f"{name}  file/file  creating  0/2" in " ".join(text.split(" ")).replace("  ", "  ")
    assert "line 8" in text
    assert "line 5" not in text
    assert "\x1b" not in text
    assert f"flux-burst status --output {row.name}" in text
    assert "line 0\n" in world("status", "--output", row.name).stdout
    assert world("status", "--output", name).exit_code == 1
    document = world.json("status")
    limits = {(one["plugin"], one["what"]): one for one in document["limits"]}
    assert limits["file", "nodes"]["limit"] == 4
    assert (limits["file", "nodes"]["used"], limits[None, "bursts"]["used"]) == (2, 1)
    assert 7.9 < limits[None, "node_hours"]["held"] <= 8.1, "two nodes for a lease of four hours"
    assert limits[None, "node_hours"]["limit"] == 100
    assert document["controller"]["running"] is False


def test_status_says_when_brokers_did_not_join_and_whether_others_did_since(world):
    def burst(state, at, **values):
        number = ledger.next_number
        ledger.plan([Row(ledger.name(number), "file", "file", ("file3",), planned=at, number=number, deadline=1e12)])
        return ledger.change(ledger.name(number), at, state=state, **values)

    now = time.time()
    with Ledger.open(world.folder / "burst.sqlite", "own") as ledger:
        failed = burst("failed", now - 7500, failure="boot failed: x", output="the end\n", ended=now - 7200)
        burst("ready", now - 9000, joined=now - 8000)
    text = world("status").stdout
    assert ", 2h00m ago): boot failed: x\n    the end\n" in text
    with Ledger.open(world.folder / "burst.sqlite") as ledger:
        burst("ready", now - 7000, joined=now - 6900)
    text = world("status").stdout
    assert f"{failed.name} (" in text
    assert ", 2h00m ago; brokers have joined since): boot failed: x\n" in text
    assert "the end" not in text


def test_history(world):
    assert world("history").exit_code == 1
    name = world.burst()
    assert world("history").stdout == "no burst has ended yet\n"
    world.json("destroy", name)
    (ended,) = world.json("history")["bursts"]
    assert (ended["name"], ended["state"], ended["reason"]) == (name, "gone", "ended by hand")
    assert f"{name}" in world("history").stdout
    steps = world.json("history", "--events", name)["events"]
    assert [one["state"] for one in steps] == ["planned", "creating", "deleting", "gone"]
    assert world("history", "--events").stdout.count(name) == 4
    assert "did you mean" in world("history", "--events", name + "0").stderr


def test_destroy_needs_no_lead(world, no_lead):
    name = world.burst()
    no_lead()
    result = world("destroy", name)
    assert (result.exit_code, result.stdout) == (0, f"{name} is gone\n")
    assert world.bursts() == []
    again = world("destroy", name)
    assert again.exit_code == 1
    assert "has ended already" in again.stderr


def test_destroy_all_stops_what_is_new_until_resume(world):
    world.burst()
    assert world.json("destroy", "--all")["left"] == []
    assert world.bursts() == []
    assert world.json("run", "--once", code=1)["created"] == [], "the job that waits gets nothing"
    assert world("resume", "--all").stdout == "file goes on\n"
    assert len(world.json("run", "--once")["created"]) == 1


def test_destroy_lists_what_survives(world):
    name = world.burst()
    (world.files / "stubborn").touch()
    (world.files / "test-stray").touch()
    left = world.json("destroy", "--all", "--wait", "0", code=1)["left"]
    assert {one["name"]: one["state"] for one in left} == {name: "deleting", "test-stray": "stray"}
    result = world("destroy", "--all", "--wait", "0")
    assert f"left: {name}: deleting" in result.stdout


def test_destroy_says_which_plugin_it_could_not_ask(world):
    world.json("destroy", world.burst())
    (world.folder / "burst.toml").write_text(SETTINGS.format(folder="") + "max_nodes = 'x'\n[plugins.nonesuch]\n")
    result = world("destroy", "--all", "--json")
    assert result.exit_code == 1
    assert [(one["name"], one["state"]) for one in json.loads(result.stdout)["left"]] == [("file", "unknown")]
    assert "note: never used, and not asked: plugin nonesuch can't be used" in result.stderr


def test_drain_asks_the_lead(world, no_lead):
    name = world.burst()
    assert "did you mean" in world("drain", name + "0").stderr
    no_lead()
    result = world("drain", name)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "flux-burst destroy does without it" in result.stderr
    assert world.json("status")["wishes"] == []


def test_drain_lets_a_job_finish_first(world):
    name = world.burst()
    with Ledger.open(world.folder / "burst.sqlite") as ledger:
        ledger.change(name, 1.0, state="ready", joined=1.0)
    world.lead.join("file0")
    world.lead.join("file1")
    (one,) = world.json("drain", name)["bursts"]
    assert one["state"] == "draining"
    assert set(world.lead.drains()) == {"file0", "file1"}
    assert world.bursts() == [name]
    world.lead.advance(3600)
    (one,) = world.json("drain", name, "--wait", "30")["bursts"]
    assert (one["state"], world.bursts()) == ("gone", [])


def test_gc_ends_what_no_ledger_knows(world, no_lead):
    no_lead()
    (world.files / "test-0").touch()
    assert world.json("gc", "--dry-run", code=1)["left"][0]["name"] == "test-0"
    assert world.bursts() == ["test-0"], "a dry run ends nothing"
    assert world.json("gc")["ended"] == ["test-0"]
    assert world.bursts() == []
    assert world("gc").stdout == "nothing bears our mark but what the ledger knows\n"


def test_gc_leaves_what_is_young_or_known_or_stubborn(world):
    name = world.burst()
    (world.files / "test-0").touch()
    settings = (world.folder / "burst.toml").read_text()
    (world.folder / "burst.toml").write_text(settings.replace("grace = 0", 'grace = "36500d"'))
    result = world("gc")
    assert result.exit_code == 1
    assert "left: test-0: younger than the grace" in result.stdout
    assert world.bursts() == sorted([name, "test-0"])
    (world.folder / "burst.toml").write_text(settings)
    (world.files / "stubborn").touch()
    assert "left: test-0: not ended yet" in world("gc", "--wait", "1").stdout


def test_until_idle(world):
    assert "nothing" not in world("run", "--until-idle").stdout
    assert world("run", "--until-idle").exit_code == 0
    world.lead.submit(Demand(nodes=1, slots=1, cores=64, gpus=0))
    result = world("run", "--until-idle")
    assert result.exit_code == 1
    assert "can't run as things are" in result.stdout
    lines = [json.loads(line) for line in world("run", "--until-idle", "--json").stdout.splitlines()]
    assert [line["type"] for line in lines] == ["queue", "end"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("run", "--once", "--watch"), "--once is one pass"),
        (("destroy",), "name bursts, or give --all"),
        (("resume",), "name plugins, or give --all"),
        (("drain",), "Missing argument"),
        (("status", "x", "--state", "y"), "give one"),
    ],
)
def test_usage(run, arguments, says):
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr


def test_errors_are_one_line(world, run):
    for arguments in (
        ("run", "--plugin", "nonesuch"),
        ("run", "--config", "nonesuch"),
        ("status",),
        ("history",),
        ("destroy", "x"),
        ("drain", "x"),
        ("resume", "file"),
    ):
        result = world(*arguments)
        assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (1, "", 1), arguments
    result = run("status", "--state", str(world.folder / "none"))
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert "--state DIR" in run("run", "--plugin", "mock").stderr


@pytest.mark.parametrize("command", ["run", "status", "history", "drain", "destroy", "resume", "gc"])
def test_help(run, command):
    assert "Exit code: 0" in run(command, "--help").stdout


# In processes of their own: locks, signals, terminals

SCRIPT = """
import sys
from fluxburst.setup import check
from fluxburst.cli import common, main
from fluxburst.demand import Demand
from fluxburst.handles.fake import FakeHandle
lead = FakeHandle({"lead": (2, 0), **{f"file{at}": (4, 0) for at in range(4)}}, up=["lead"])
lead.submit(Demand(nodes=2, slots=1, cores=4, gpus=0))
common.connect = lambda _: lead
check.problems = lambda lead, handle: []
main(prog_name="flux-burst")
"""


@pytest.fixture
def start(world, tmp_path):
    """Starts `flux-burst run` in a process; its output is a pipe, or what is given."""
    started: list[subprocess.Popen[bytes]] = []

    def call(*arguments: str, stdout: int = subprocess.PIPE, **env: str) -> subprocess.Popen[bytes]:
        paths = os.pathsep.join([str(tmp_path / "plugins"), *sys.path])
        command = [sys.executable, "-c", textwrap.dedent(SCRIPT), "run", "--state", str(world.folder), *arguments]
        started.append(subprocess.Popen(command, stdout=stdout, env={**os.environ, "PYTHONPATH": paths, **env}))
        return started[-1]

    yield call
    for one in started:
        if one.poll() is None:
            one.kill()
        one.wait()
        if one.stdout:
            one.stdout.close()


def lines_until(process: subprocess.Popen[bytes], text: bytes) -> bytes:
    """What a process prints until a text has come."""
    read = b""
    while text not in read:
        line = process.stdout.readline()
        assert line, read
        read += line
    return read


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_controller_and_leaves_the_bursts(world, start, number, code):
    process = start()
    lines_until(process, b"is creating")
    path = world.folder / "burst.sqlite"
    assert holder(path) == process.pid
    assert world.json("status")["controller"]["pid"] == process.pid
    refused = world("run", "--once")
    assert (refused.exit_code, len(refused.stderr.splitlines())) == (1, 1)
    assert f"another flux-burst controls this lead (process {process.pid} holds the ledger)" in refused.stderr
    process.send_signal(number)
    rest = process.stdout.read().decode()
    assert process.wait(60) == code
    assert "1 burst left to run, each until its lease ends" in rest
    assert f"flux-burst destroy --all --state {world.folder}" in rest
    assert holder(path) == 0
    assert len(world.bursts()) == 1


def test_a_signal_ends_a_controller_that_waits_for_its_provider(world, start):
    world.set("hang = true\n")
    process = start()
    while not (world.files / "asked").exists():
        assert process.poll() is None
    process.terminate()
    assert process.wait(60) == 143, "the provider would have kept it for ten minutes"
    assert b"stopped in the middle of a pass" in process.stdout.read()


def test_the_controller_does_what_others_wish(world, start):
    process = start("--json")
    lines_until(process, b'"creating"')
    (name,) = world.bursts()
    result = world("destroy", "--all")
    assert (result.exit_code, world.bursts()) == (0, [])
    assert f"{name} is gone" in result.stdout
    assert f"the controller (process {process.pid}) does it" in result.stderr
    told = [json.loads(line) for line in lines_until(process, b'"gone"').splitlines()]
    assert {line["type"] for line in told} <= {"event", "queue", "pause"}
    world("resume", "--all")
    lines_until(process, b'"creating"')


def test_a_killed_controller_is_followed_by_another(world, start):
    first = start()
    lines_until(first, b"is creating")
    first.kill()
    first.wait()
    before = world.bursts()
    second = start("--json")
    lines_until(second, b'"queue"')
    assert world.bursts() == before, "what the first one had made counts"
    second.terminate()
    assert second.wait(60) == 143


def test_a_terminal_gets_a_live_table(world, start):
    own, theirs = pty.openpty()
    process = start(stdout=theirs, TERM="xterm", COLUMNS="200", LINES="50")
    os.close(theirs)
    text, asked = b"", False
    try:
        while chunk := os.read(own, 65536):
            text += chunk
            if b"creating" in text and b"JOINED" in text and not asked:
                asked = True  # once: a second Ctrl-C ends what ends anyway
                process.send_signal(signal.SIGINT)
    except OSError:
        pass  # Linux says so when the other end is closed
    os.close(own)
    assert process.wait(60) == 130
    shown = text.decode()
    assert "0/2" in shown
    assert "lead test" in shown
    assert "1 burst left to run" in shown
    assert shown.count("\x1b[?25h"), "the cursor is shown again"
