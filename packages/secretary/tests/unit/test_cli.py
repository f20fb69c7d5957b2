"""The command line as people and pipes see it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from resources.documents import Inventory

from resource_secretary import __version__, cli
from resource_secretary.cli import offer, options
from resource_secretary.secretary import Secretary


@pytest.fixture
def ask(monkeypatch, host, slurm, flux):
    """Runs a command on a machine that has everything that was recorded."""
    host.commands = {**slurm.commands, **flux.commands}
    those = ("flux", "slurm", "ethernet", "cpu", "memory")

    def made(choice=None, *, dispatch=False):
        only = (choice.only if choice else ()) or those
        return Secretary(system=host, only=only, skip=choice.skip if choice else (), dispatch=dispatch)

    monkeypatch.setattr(options.Choice, "secretary", made)
    monkeypatch.setattr(offer, "Secretary", made)
    for name in ("providers", "detect"):
        __import__(f"resource_secretary.cli.{name}")

    def run(*words: str, code: int = 0):
        result = CliRunner().invoke(cli.main, words)
        assert result.exit_code == code, result.output
        return result

    run.host = host  # type: ignore[attr-defined]
    return run


def test_providers(ask):
    ask.host.commands = {key: value for key, value in ask.host.commands.items() if key[0] != "flux"}
    rows = [line.split() for line in ask("providers").stdout.splitlines()]
    assert rows[0] == ["Category", "Name", "Active", "Description", "Reason"]
    assert [row[:3] for row in rows[1:]] == [
        ["WORKLOAD", "FLUX", "NO"],
        ["WORKLOAD", "SLURM", "YES"],
        ["NETWORK", "ETHERNET", "YES"],
        ["HARDWARE", "CPU", "YES"],
        ["HARDWARE", "MEMORY", "YES"],
    ]
    assert "looked for the command flux on PATH" in ask("providers", "--category", "workload").stdout
    document = json.loads(ask("providers", "--json").stdout)
    flux = document["providers"][0]
    assert (flux["name"], flux["active"], flux["state"]) == ("flux", False, "absent")
    assert document["observed_on"] == "recorded, login node"


def test_detect(ask):
    output = ask("detect").stdout
    assert output.startswith("Resource Secretary - System Detect (All)\n") and "Not active" not in output
    assert '"version": "22.05.8"' in output and " • memory: free" in output
    assert ask("detect", "hardware").stdout.startswith("Resource Secretary - System Detect (Hardware)\n")
    [entry] = json.loads(ask("detect", "hardware", "cpu", "--json").stdout)["providers"]
    assert (
        entry["metadata"]["usable_cores"] == 2
        and entry["observed_at"]
        and entry["observed_on"] == "recorded, login node"
    )
    assert [tool["name"] for tool in entry["tools"]] == ["caches", "load"]


def test_detecting_what_is_not_there_is_a_negative_answer(ask):
    ask.host.commands = {}
    assert ask("detect").stdout.split("\n\n")[-2].splitlines()[1:] == [" • flux, slurm"]
    assert "flux: absent: looked for the command flux on PATH" in ask("detect", "workload", "flux", code=1).stdout
    [entry] = json.loads(ask("detect", "workload", "flux", "--json", code=1).stdout)["providers"]
    assert entry["reason"] == "looked for the command flux on PATH" and entry["metadata"] is None


def test_offer(ask):
    inventory = Inventory.from_json(ask("offer", "--json").stdout)
    for words in (["offer"], ["offer", "--from", "host"]):
        assert Inventory.from_text(ask(*words).stdout).groups == inventory.groups
    assert [
        len(group.hosts) for group in Inventory.from_json(ask("offer", "--from", "slurm", "--json").stdout).groups
    ] == [2, 1, 1, 1]
    assert len(Inventory.from_json(ask("offer", "--from", "FLUX", "--json").stdout).groups) == 3


def test_tools(ask):
    words = [line.split()[:5] for line in ask("tools", "--only", "slurm").stdout.splitlines()]
    assert ["slurm.jobs", "[user]", "everyone=false", "state=any", "[partition]"] in words
    assert not any(word[0] == "slurm.submit" for word in words)


def test_call(ask):
    assert json.loads(ask("call", "slurm.nodes", "state=up", "limit=1").stdout)["total"] == 2
    document = json.loads(ask("call", "memory.free", "--json").stdout)
    assert (
        document["tool"] == "memory.free"
        and document["observed_on"] == "recorded, login node"
        and document["result"]["usable"]
    )


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["detect", "nothing"], 1, "no category named 'nothing'; there are: workload, network, hardware"),
        (["detect", "hardware", "gpu"], 1, "no hardware provider named 'gpu'; there are: cpu, memory"),
        (["providers", "--category", "\n"], 1, "no category named '\\n'"),
        (["providers", "--only", "cpu", "--category", "network"], 1, "there are: hardware; the others are left out"),
        (["offer", "--from", "cpu"], 1, "cpu manages no cluster; these do: flux, slurm"),
        (["offer", "--from", "pbs"], 1, "no provider named 'pbs'; there are: flux, slurm"),
        (["call", "slurm"], 1, "no tool of slurm named ''; there are: "),
        (
            ["call", "slurm.nodes", "state=--help"],
            1,
            "state: must be one of any, down, drained, unknown, up, not '--help'",
        ),
        (["call", "slurm.nodes", "limit=" + "9" * 5000], 1, "limit: must be of type integer"),
        (["call", "slurm.nodes", "limit=1;2"], 1, "limit: must be of type integer"),
        (["call", "slurm.nodes", "up"], 2, "an argument is KEY=VALUE"),
        (["call", "slurm.nodes", "limit=1", "limit=2"], 2, "each key once"),
        (["detect", "--timeout", "0"], 2, "more than 0 seconds"),
        (["detect", "--timeout", "nan"], 2, "more than 0 seconds"),
        (["detect", "--timeout", "soon"], 2, "not a valid float"),
        (["nothing"], 2, "No such command"),
    ],
)
def test_bad_input_is_one_line(ask, words, code, message):
    result = ask(*words, code=code)
    assert result.stdout == "" and message in result.stderr
    if code == 1:
        assert len(result.stderr.splitlines()) == 1 and result.stderr.startswith("resource-secretary: ")


START = "import sys; sys.argv[0] = 'resource-secretary'; from resource_secretary.cli import main; main()"


def installed(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", START, *words], env={**os.environ, **environ}, capture_output=True, text=True, timeout=30
    )


def test_on_this_machine():
    assert installed("--version").stdout == f"resource-secretary, version {__version__}\n"
    assert installed("offer", "--json").returncode == 0
    done = installed("detect", "hardware", "--json")
    assert done.returncode == 0 and done.stderr == ""
    assert {"cpu", "memory", "numa", "nvidia-gpu"} <= {entry["name"] for entry in json.loads(done.stdout)["providers"]}


def test_help_and_import_load_no_library():
    code = (
        "import sys; before = set(sys.modules); import resource_secretary; from resource_secretary import Secretary;"
        "from resource_secretary.cli import main; main(['--help'], standalone_mode=False);"
        "print(sorted({'rich', 'psutil', 'archspec', 'yaml', 'asyncio', 'resources.documents'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr


def test_a_terminal_gets_boxes_and_no_markup_of_a_command(ask, monkeypatch):
    from resource_secretary.run import Ran

    ask.host.commands["scontrol", "ping"] = Ran((), None, problem="[red]no[/red] [/bold] " + 999 * "x")
    for name in ("providers", "detect"):
        monkeypatch.setattr(sys.modules[f"resource_secretary.cli.{name}"], "for_people", lambda: True)
    output = ask("detect").stdout
    assert (
        "╭" in output
        and "Provider Manifest" in output
        and "[red]no[/red] [/bold]" in output
        and 200 < output.count("x") < 400
    )
    assert '"usable_cores": 2,' in output
    output = ask("providers").stdout
    assert "Available Resource Providers" in output and "│  YES   │ Ethernet: " in output
    monkeypatch.setenv("COLUMNS", "30")
    assert "│ Proce │" in ask("providers", "--only", "cpu").stdout  # folded, and nothing of it lost


PRINTS = """
from resource_secretary.providers import Absent, Active, BaseProvider, secretary_tool
class Prints(BaseProvider):
    category, name, description = "zoo", "prints", "Says\\nit \\x9b31m."
    def probe(self):
        print("not data")
        return Active({"a": "\\x9b2J"})
    @secretary_tool
    def say(self) -> str:
        "Says it."
        print("not data")
        return "\\x9b2J"
class Panics(Prints):
    name = "panics"
    def probe(self):
        raise KeyboardInterrupt
"""


def test_a_provider_that_prints(tmp_path):
    (tmp_path / "resource_secretary_prints.py").write_text(PRINTS)
    home = {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    done = installed("detect", "zoo", "--json", **home)
    assert [entry["reason"] for entry in json.loads(done.stdout)["providers"]] == ["KeyboardInterrupt", None]
    assert done.stderr == "not data\n"
    for words in (["detect", "zoo"], ["call", "prints.say"], ["providers", "--only", "zoo"]):
        shown = installed(*words, **home).stdout
        assert "\x9b" not in shown and "not data" not in shown
    assert len(shown.splitlines()) == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_who_ends_it_ends_what_it_runs(tmp_path, number):
    pid = tmp_path / "pid"
    (tmp_path / "hq").write_text(f"#!/bin/bash\necho $$ > {pid}.new; mv {pid}.new {pid}; sleep 60\n")
    (tmp_path / "hq").chmod(0o755)
    words = [sys.executable, "-c", START, "detect", "workload", "hyperqueue", "--timeout", "50", "--refresh"]
    environ = {**os.environ, "PATH": f"{tmp_path}:/usr/bin:/bin"}
    with subprocess.Popen(words, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_for(pid.exists)
        process.send_signal(number)
        out, _ = process.communicate(timeout=30)
    # A shell sees 128 + number of the last, too: under coverage a process ends by the signal itself.
    assert out == "" and process.returncode in (1, 128 + number, -number)
    stat = Path("/proc", pid.read_text().strip(), "stat")
    wait_for(lambda: not stat.exists() or stat.read_text().rsplit(")", 1)[1].split()[0] in "ZX")


def wait_for(happened):
    end = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.02)
