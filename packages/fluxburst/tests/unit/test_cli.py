from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fluxburst import __version__
from fluxburst.plugins import REGISTRY


@pytest.fixture
def plugin_folder(tmp_path, monkeypatch):
    """A folder on the import path, for plugins."""
    monkeypatch.syspath_prepend(str(tmp_path))
    REGISTRY.refresh()
    yield tmp_path
    REGISTRY.refresh()


def test_version_and_help(run):
    assert __version__ in run("--version").stdout
    shown = run("--help").stdout
    assert "plan" in shown
    assert "plugins" in shown


def test_help_imports_nothing_heavy():
    # What measures coverage has imported some before.
    code = (
        "import sys; before = set(sys.modules); from fluxburst.cli import main; main(['--help'], standalone_mode=False)"
    )
    code += "; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert not loaded & {"rich", "yaml", "flux", "tomllib", "resources.documents", "fluxburst.planning", "psutil"}


def test_the_recorded_queue(run, examples):
    queue, lead = str(examples / "queue.jsonl"), str(examples / "queue.inventory.json")
    result = run("plan", "--queue", queue, "--inventory", lead, "--plugin", "mock")
    assert (result.exit_code, result.stderr) == (0, "")
    rows = {line.split()[1]: line for line in result.stdout.splitlines()[1:8]}
    assert "mock/standard" in rows["simulate"]
    assert "2 new + 1 lead" in rows["simulate"]
    assert "gpus short by 1" in rows["train"]
    assert "needs 61 new nodes of standard, its limit is 8" in rows["forecast"]
    assert "not marked as burstable" in rows["accounting"]
    assert "lead has room" in rows["preview"]
    assert "waits for a dependency" in rows["collect"]
    assert "would make mock-0: 3 nodes of mock/standard for 2 jobs" in result.stdout
    assert "7 jobs: 2 burst, 1 fit on the lead, 2 refused, 2 not selected; 3 new nodes" in result.stdout


def test_json(run, examples):
    queue, lead = str(examples / "queue.jsonl"), str(examples / "queue.inventory.json")
    result = run("plan", "--queue", queue, "--inventory", lead, "--plugin", "mock", "--json")
    plan = json.loads(result.stdout)
    assert plan["totals"] == {"lead": 1, "burst": 2, "refused": 2, "not selected": 2, "nodes": 3}
    by_name = {job["name"]: plan["explanations"][job["explanation"]] for job in plan["jobs"]}
    assert by_name["train"]["verdict"] == "INCOMPATIBLE"
    assert by_name["simulate"]["request"] == "nodes=3 cores=1"
    assert by_name["simulate"]["others"] == [{"who": "lead", "reason": "has room for 1 of 3 nodes now"}]


def test_options_of_a_plugin_change_the_plan(run, queue_file, info):
    queue = queue_file(info(1, gpus=2))
    assert run("plan", "--queue", queue, "--plugin", "mock").exit_code == 1
    result = run("plan", "--queue", queue, "--plugin", "mock", "--mock-shape", "gpu: cores=8 gpus=4")
    assert result.exit_code == 0
    assert "mock/gpu" in result.stdout
    assert "--mock-max-nodes" in run("plan", "--plugin=mock", "--help").stdout
    assert "--mock-max-nodes" not in run("plan", "--help").stdout
    assert run("plan", "--queue", queue, "--mock-max-nodes", "3").exit_code == 2


def test_a_configuration_names_plugins_and_options_win(run, queue_file, info, tmp_path):
    config = tmp_path / "burst.toml"
    config.write_text('[plugins.mock]\nmax_nodes = 1\nshape = ["tiny: cores=1"]\n')
    arguments = ("plan", "--queue", queue_file(info(1, nodes=2)), "--config", str(config))
    refused = run(*arguments)
    assert refused.exit_code == 1
    assert "its limit is 1" in refused.stdout, "the answer is on stdout although it is negative"
    assert run(*arguments, "--plugin", "mock", "--mock-max-nodes", "2").exit_code == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[", "no TOML"),
        ("queue = 3", "unknown key 'queue'"),
        ("plugins = 3", "table for each plugin"),
        ("[plugins.mock]\nmax_nodes = 'x'", "mock.max_nodes: a whole number is needed"),
        ("[plugins.mock]\ncolour = 'x'", "mock.colour: unknown parameter"),
        ("[plugins.none]", "no plugin named 'none'"),
    ],
)
def test_a_wrong_configuration(run, queue_file, info, tmp_path, text, says):
    config = tmp_path / "burst.toml"
    config.write_text(text)
    result = run("plan", "--queue", queue_file(info()), "--config", str(config))
    assert (result.exit_code, result.stdout) == (1, "")
    assert says in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("option", ["--inventory", "--config"])
def test_an_empty_file_name_is_no_absent_option(run, queue_file, info, option):
    result = run("plan", "--plugin", "mock", "--queue", queue_file(info()), option, "")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "can't read" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("plan", "--queue", "-"), "name at least one --plugin (there are: "),
        (("plan", "--queue", "-", "--inventory", "-", "--plugin", "mock"), "'-' (stdin) can be given once only"),
        (("plan", "--inventory", "x", "--plugin", "mock"), "--inventory goes with --queue"),
    ],
)
def test_usage_errors(run, arguments, says):
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr


def test_young_jobs_prices_and_wishes(run, queue_file, info):
    queue = queue_file(
        info(1, nodes=2, cores=16, system={"burst": {"deadline": "2h"}}),
        info(2, nodes=1, cores=16),
        info(3, t_submit=4102444800.0),
    )
    shape = "standard: cores=16 price=0.4"
    arguments = ("plan", "--queue", queue, "--plugin", "mock", "--mock-shape", shape, "--delay", "30s")
    result = run(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "would make mock-0: 2 nodes of mock/standard for 1 job, ~1.60 for 2 h" in result.stdout
    assert "would make mock-1: 1 node of mock/standard for 1 job, ~1.60 for 4 h" in result.stdout
    assert "has waited 0 of 30 s" in result.stdout
    assert "the next job will have waited long enough in" in result.stdout
    document = json.loads(run(*arguments, "--json").stdout)
    assert [(burst["cost"], burst["cost_per_hour"]) for burst in document["bursts"]] == [(1.6, 0.8), (1.6, 0.4)]
    assert document["due"] == 4102444830.0
    assert run("plan", "--queue", queue, "--plugin", "mock", "--delay", "soon").exit_code == 2


def test_a_recorded_lead_is_planned_for_when_it_was_recorded(run, queue_file, info, tmp_path):
    lead = tmp_path / "lead.json"
    groups = [{"hosts": "n1", "ranks": "0", "state": "up", "total": {"cores": 4}, "free": {}}]
    document = {"type": "inventory", "version": 1, "observed_at": "2026-01-01T00:00:10Z", "groups": groups}
    lead.write_text(json.dumps(document))
    queue = queue_file(info(1, t_submit=1767225600.0))
    result = run("plan", "--queue", queue, "--inventory", str(lead), "--plugin", "mock", "--delay", "30")
    assert "has waited 10 of 30 s" in result.stdout


def test_errors_are_one_line(run, queue_file, info, tmp_path):
    broken = tmp_path / "broken.jsonl"
    broken.write_text(json.dumps({**info(2), "state": "LOST"}))
    for arguments in (
        ("--queue", str(broken), "--plugin", "mock"),
        ("--queue", "no-such-file", "--plugin", "mock"),
        ("--queue", queue_file(info()), "--plugin", "no-such"),
        ("--queue", queue_file(info()), "--plugin", "mock", "--inventory", "no-such-file"),
        ("--queue", queue_file(info()), "--plugin", "mock", "--mock-shape", "x"),
    ):
        result = run("plan", *arguments)
        assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (1, "", 1), arguments


def test_exit_code_1_only_where_every_burstable_job_is_refused(run, queue_file, info, tmp_path):
    def code(*infos: object) -> int:
        return run("plan", "--queue", queue_file(*infos), "--plugin", "mock").exit_code

    assert code() == 0
    assert code(info(1, burstable=None)) == 0
    assert code(info(1, gpus=1), info(2, burstable=None)) == 1
    assert code(info(1, gpus=1), info(2)) == 0
    lead = tmp_path / "lead.txt"
    lead.write_text("inventory version=1\nhosts=n1 | cores=4 | cores=4\n")
    queue = queue_file(info(1, gpus=1), info(2))
    assert run("plan", "--queue", queue, "--plugin", "mock", "--inventory", str(lead)).exit_code == 0


def test_a_name_cannot_steer_the_terminal(run, queue_file, info):
    result = run("plan", "--queue", queue_file({**info(), "name": "a\x1b[2Jb\nc"}), "--plugin", "mock")
    assert "\x1b" not in result.stdout
    assert "a?[2Jb?c" in result.stdout


def test_long_answers_are_cut_for_people(run, queue_file, info):
    queue = queue_file(*(info(n, cores=100 + n) for n in range(300)))
    result = run("plan", "--queue", queue, "--plugin", "mock")
    assert "... and 100 more jobs" in result.stdout
    assert "... and 280 more reasons" in result.stdout


@pytest.mark.parametrize(("no_color", "columns"), [("", "160"), ("1", "160"), ("1", "80")])
def test_a_terminal_gets_a_table(examples, no_color, columns):
    arguments = ["plan", "--queue", str(examples / "queue.jsonl"), "--plugin", "mock"]
    program = [sys.executable, "-c", "from fluxburst.cli import main; main(prog_name='flux-burst')", *arguments]
    env = {**os.environ, "TERM": "xterm", "COLUMNS": columns, "NO_COLOR": no_color}
    own, theirs = pty.openpty()
    with subprocess.Popen(program, stdout=theirs, env=env) as process:
        os.close(theirs)
        text = b""
        try:
            while chunk := os.read(own, 65536):
                text += chunk
        except OSError:
            pass  # Linux says so when the other end is closed
        os.close(own)
    assert process.returncode == 0
    assert "─────" in text.decode()
    assert (b"\x1b[32m" in text) == (not no_color)
    lines = re.sub("\x1b[^m]*m|\r", "", text.decode()).split("\n")
    if no_color:
        assert max(map(len, lines)) <= int(columns)
        assert sum("ƒTwbx2T" in line and "mock/standard" in line for line in lines) == 1
        assert any("waits for a dependency" in line for line in lines)


def test_a_broken_plugin_changes_only_its_own_line(run, plugin_folder: Path):
    (plugin_folder / "fluxburst_broken.py").write_text("raise RuntimeError('no luck')\n")
    (plugin_folder / "fluxburst_empty.py").write_text("")
    (plugin_folder / "fluxburst_odd.py").write_text(
        "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: dict\ndef init(params: P): ...\n"
    )
    result = run("plugins", "--json")
    assert result.exit_code == 0
    lines = {line["name"]: line for line in json.loads(result.stdout)["plugins"]}
    assert lines["mock"]["usable"]
    assert lines["mock"]["options"][0]["option"] == "--mock-shape"
    assert "RuntimeError: no luck" in lines["broken"]["reason"]
    assert "it has no init function" in lines["empty"]["reason"]
    assert "can't be an option" in lines["odd"]["reason"]
    (plugin_folder / "fluxburst_needy.py").write_text(
        "NEEDS = {'module no_such_module': 'pip install it', 'command sh': 'x', 'module json': 'y'}\n"
        "def init(params=None): ...\n"
    )
    (plugin_folder / "fluxburst_wrong.py").write_text("NEEDS = {'json': 'x'}\ndef init(params=None): ...\n")
    REGISTRY.refresh()
    lines = {line["name"]: line for line in json.loads(run("plugins", "--json").stdout)["plugins"]}
    assert lines["needy"]["missing"] == ["module no_such_module is missing: pip install it"]
    assert "NEEDS is a table" in lines["wrong"]["reason"]
    text = run("plugins").stdout
    assert "needy: module no_such_module is missing" in text
    assert "not usable" in text
    assert "built-in" in text


def test_a_module_may_name_its_dataclass_on_init_only_or_have_none(run, plugin_folder: Path, queue_file, info):
    body = """
from dataclasses import dataclass
from resources import Cores
from fluxburst.model import NodeShape
from fluxburst.plugins import BurstPlugin

@dataclass
class Settings:
    cores: int = 2

class Plugin(BurstPlugin):
    def shapes(self):
        return [NodeShape("only", Cores(getattr(self.params, "cores", 1)))]
    def create(self, burst):
        raise NotImplementedError
    def status(self, known=()):
        return []
    def destroy(self, burst):
        raise NotImplementedError
"""
    (plugin_folder / "fluxburst_one.py").write_text(f"{body}\ndef init(params: Settings):\n    return Plugin(params)\n")
    (plugin_folder / "fluxburst_two.py").write_text(f"{body}\ndef init(params):\n    return Plugin(params)\n")
    queue = queue_file(info(1, cores=3))
    assert run("plan", "--queue", queue, "--plugin", "one", "--one-cores", "3").exit_code == 0
    assert "has 1" in run("plan", "--queue", queue, "--plugin", "two").stdout
