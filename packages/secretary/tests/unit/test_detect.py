"""Detection: side by side, one deadline for all, one bad detector disables nothing else."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from resource_secretary import Secretary
from resource_secretary.catalog import Catalog, built_in_folders, registry
from resource_secretary.errors import ArgumentError, InactiveProvider, SecretaryError, ToolFailed, UnknownProvider
from resource_secretary.result import Absent, Active, Broken, Unreachable
from resource_secretary.system import System

PLUGIN = """
from resource_secretary.providers import Absent, Active, BaseProvider, secretary_tool
from dataclasses import dataclass
import os, time

@dataclass(frozen=True)
class Facts:
    answer: str

class _Base(BaseProvider):
    category = "stub"
    description = "A stub."
    def probe(self):
        if not self.system.which(self.name):
            return Absent(f"the command {self.name}")
        ran = self.system.run(self.name)
        return Active(Facts(ran.stdout)) if ran.ok else ran.unreachable()
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Puts a module `resource_secretary_NAME` on the path; its name must be new for each test."""

    def make(name: str, body: str) -> None:
        folder = tmp_path / "site"
        folder.mkdir(exist_ok=True)
        (folder / f"resource_secretary_{name}.py").write_text(PLUGIN + body)
        monkeypatch.syspath_prepend(str(folder))

    return make


@pytest.fixture
def machine(tmp_path):
    def make(**stubs: str) -> System:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        for name, body in stubs.items():
            (folder / name).write_text(f"#!/bin/bash\n{body}\n")
            (folder / name).chmod(0o755)
        return System(environ={"PATH": f"{folder}:/usr/bin:/bin"})

    return make


def classes(*names: str) -> str:
    return "".join(f"class P{name}(_Base):\n    name = {name!r}\n" for name in names)


def test_five_stubs_that_sleep_cost_one_deadline(plugin, machine):
    names = ["hang", "ignore", "fork", "flood", "mute"]
    plugin("five", classes(*names))
    system = machine(
        hang="sleep 30",
        ignore="trap '' TERM; while :; do sleep 30; done",
        fork="sleep 30 & sleep 30 & wait",
        flood="while :; do echo x; sleep 0.001; done",
        mute="exec >&- 2>&-; sleep 30",
    )
    secretary = Secretary(system=system)
    secretary.catalog.select("stub")  # imports are not what is timed
    start = time.monotonic()
    manifest = secretary.detect("stub", timeout=1.0)
    assert time.monotonic() - start < 1.5
    assert [entry.result for entry in manifest.entries] == [
        Unreachable(name, "no answer in 1 s") for name in sorted(names)
    ]


def test_each_command_runs_once(plugin, machine, tmp_path):
    plugin("once", classes("count"))
    manifest = Secretary(system=machine(count=f"echo run >> {tmp_path}/log; echo fine")).detect("stub", "count")
    assert manifest["count"].metadata == {"answer": "fine\n"}
    assert manifest.as_dict()["providers"][0]["active"]
    assert (tmp_path / "log").read_text() == "run\n"


def test_a_bad_detector_changes_only_its_own_entry(plugin, machine):
    plugin(
        "bad",
        classes("good", "late")
        + """
class Raises(_Base):
    name = "raises"
    def probe(self):
        raise ValueError("first line\\nsecond line")
class Exits(_Base):
    name = "exits"
    def probe(self):
        raise SystemExit(3)
class Sleeps(_Base):
    name = "sleeps"
    def probe(self):
        time.sleep(30)
class Wrong(_Base):
    name = "wrong"
    def probe(self):
        return True
class Heavy(_Base):
    name = "heavy"
    def probe(self):
        return Active(object())
""",
    )
    plugin("unimportable", "import no_such_module_anywhere")
    plugin("empty", "")
    start = time.monotonic()
    manifest = Secretary(system=machine(good="echo fine")).detect(timeout=1.0)
    assert time.monotonic() - start < 2.5
    results = {entry.known.name: entry.result for entry in manifest.entries}
    assert isinstance(results["good"], Active) and isinstance(results["cpu"], Active)
    assert results["late"] == Absent("the command late")
    assert results["raises"] == Broken("ValueError: first line")
    assert results["exits"] == Broken("SystemExit: 3")
    assert results["sleeps"] == Unreachable("probe", "no answer in 1 s")
    assert results["wrong"].reason.startswith("TypeError: probe() returned bool")
    assert isinstance(results["heavy"], Broken)
    assert "no_such_module_anywhere" in results["unimportable"].reason
    assert "no subclass" in results["empty"].reason
    assert manifest["good"].observed_on and manifest["good"].observed_at.endswith("Z")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("class A(_Base):\n    name = 'UPPER'\n", "not lower case"),
        ("class A(_Base):\n    name = 'a'\n    description = ' '\n", "does not say its description"),
        ("class A(_Base):\n    pass\n", "does not say its name"),
        ("class A(_Base):\n    name = 'a'\n    @secretary_tool\n    def t(self, x) -> int: ...\n", "has no type hint"),
        ("class A(_Base):\n    name = 'a'\n    @secretary_tool\n    def t(self, x: set) -> int: ...\n", "Literal"),
        ("class A(_Base):\n    name = 'a'\n    @secretary_tool\n    def t(self, x: int): ...\n", "what it returns"),
    ],
)
def test_a_class_that_is_no_provider_is_listed_with_the_reason(plugin, body, reason, request):
    name = f"unfit{abs(hash(body))}"
    plugin(name, body)
    [known] = Catalog().select(name=name)
    assert known.provider is None and reason in known.reason


def test_finding_the_built_in_ones_imports_nothing():
    folders = built_in_folders()
    assert "resource_secretary.providers.hardware" in folders and "resource_secretary.providers.workload" in folders
    assert {"cpu", "memory", "ethernet", "flux", "slurm"} <= set(registry().names())


def test_an_installed_module_replaces_a_built_in_one(plugin):
    plugin("memory", classes("memory").replace("name =", "category = 'hardware'\n    name ="))
    [known] = Catalog().select("hardware", "memory")
    assert "replaces the built-in one" in known.origin


def test_two_providers_of_one_name(plugin, tmp_path):
    plugin("other", classes("memory"))
    [known] = Catalog().select(name="memory")
    assert known.category == "stub" and "replaces the built-in one" in known.origin
    plugin("another", classes("memory"))
    [known] = Catalog().select(name="memory")
    assert known.provider is None and known.reason.startswith("two providers are named 'memory': resource_secretary_")
    assert f"resource_secretary_other ({tmp_path / 'site'})" in known.reason and "_another (" in known.reason


def test_what_there_is_not_is_an_error_that_lists_what_there_is():
    with pytest.raises(UnknownProvider, match="no category named 'hardwear'; there are: workload, "):
        Secretary().detect("hardwear")
    with pytest.raises(UnknownProvider, match="no hardware provider named 'slurm'; there are: amd-gpu, cpu, "):
        Secretary().detect("hardware", "slurm")
    assert [one.known.name for one in Secretary().detect("HARDWARE", "CPU").entries] == ["cpu"]


def test_no_process_is_started_to_learn_that_a_program_is_absent(monkeypatch):
    monkeypatch.setattr("subprocess.Popen", lambda *args, **kwargs: pytest.fail("a process was started"))
    manifest = Secretary(system=System(environ={"PATH": "/nonexistent"})).detect()
    assert manifest["flux"].result == Absent("the command flux on PATH")
    assert manifest["slurm"].result == Absent("the command scontrol on PATH")
    assert manifest["cpu"].active


def test_call_and_offer_say_why_not(plugin, machine, host):
    plugin(
        "tools",
        classes("good")
        + """
    @secretary_tool
    def echo(self, text: str, times: int = 1) -> list[str]:
        "Says it."
        return [text] * times
    @secretary_tool
    def fail(self) -> int:
        "Fails."
        return 1 // 0
    @secretary_tool
    def sleep(self) -> int:
        "Sleeps."
        time.sleep(30)
        return 0
    def hidden(self) -> int:
        return 1
""",
    )
    secretary = Secretary(system=machine(good="echo fine"))
    assert secretary.call("good.echo", {"text": "x", "times": 2}).result["items"] == ["x", "x"]
    assert secretary.call("good.echo", {"text": "x", "times": "1"}, text=True).result["total"] == 1
    with pytest.raises(ArgumentError, match="that does not begin with '-', not '-x'"):
        secretary.call("good.echo", {"text": "-x"})
    with pytest.raises(ArgumentError, match="echo: times: must be of type integer, not 'two'"):
        secretary.call("good.echo", {"text": "a", "times": "two"})
    with pytest.raises(ArgumentError, match="echo: text: is required"):
        secretary.call("good.echo")
    with pytest.raises(ArgumentError, match="echo: x: no such parameter; there are: text, times"):
        secretary.call("good.echo", {"x": "1"})
    for name in ("good.hidden", "good.probe", "good.__init__", "good"):
        with pytest.raises(UnknownProvider, match="no tool of good named"):
            secretary.call(name)
    with pytest.raises(ToolFailed, match="good failed: ZeroDivisionError"):
        secretary.call("good.fail")
    with pytest.raises(SecretaryError, match=r"good: no answer in 0\.5 s"):
        secretary.call("good.sleep", timeout=0.5)
    (Path(secretary.system.which("good"))).unlink()
    with pytest.raises(InactiveProvider, match="good is not active here: looked for the command good"):
        Secretary(system=machine()).call("good.echo", {"text": "a"})
    with pytest.raises(ArgumentError, match=r"cpu manages no cluster; these do: flux, .*slurm"):
        Secretary(system=host).offer("cpu")


def test_threads_that_hang_do_not_keep_the_interpreter(tmp_path):
    import subprocess
    import sys

    (tmp_path / "resource_secretary_sleepy.py").write_text(
        PLUGIN + "class S(_Base):\n    name = 'sleepy'\n    def probe(self):\n        time.sleep(30)\n"
    )
    code = "from resource_secretary import Secretary;"
    code += "print(Secretary().detect('stub', 'sleepy', 0.2)['sleepy'].result.reason)"
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert done.stdout == "probe: no answer in 0.2 s\n", done.stderr
    assert time.monotonic() - start < 8
