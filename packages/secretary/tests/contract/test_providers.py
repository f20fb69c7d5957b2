"""The contract that every provider keeps, on the built-in ones and on the example of a third party."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import recorded
from resources.testing import check_registry

from resource_secretary.catalog import Catalog, registry
from resource_secretary.providers import Absent, Active, BaseProvider, secretary_tool
from resource_secretary.testing import RecordedSystem, check_provider

EXAMPLE = Path(__file__).parents[4] / "examples/plugins/resource-secretary-example/src"
BUILT_IN = {known.name: known.provider for known in Catalog().entries if known.origin == "built-in"}


MACHINES = recorded.machines()


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_provider(name, host):
    assert BUILT_IN[name] is not None
    check_provider(BUILT_IN[name], MACHINES[name]() if name in MACHINES else host)


@pytest.fixture
def example(monkeypatch):
    if not EXAMPLE.is_dir():
        pytest.skip("the example plugin is in the repository only")
    monkeypatch.syspath_prepend(str(EXAMPLE))
    return EXAMPLE


def test_the_example_keeps_the_contract_and_is_short(example):
    [provider] = registry().load("example")
    git = {("git", "--version"): "git version 2.39.5\n", ("git", "--list-cmds=main"): "add\nrebase\n"}
    check_provider(provider, RecordedSystem(commands=git))
    assert len((example / "resource_secretary_example/__init__.py").read_text().splitlines()) <= 40


def test_the_example_is_found_by_its_path_entry(example):
    code = "from resource_secretary.cli import main; main(['providers', '--category', 'software', '--json'])"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(example)}, capture_output=True, text=True
    )
    assert '"name": "git"' in done.stdout and str(example) in done.stdout, done.stderr


@dataclass(frozen=True)
class Facts:
    value: object = 1


class Good(BaseProvider):
    category = "test"
    name = "good"
    description = "A provider."

    def probe(self):
        if not self.system.which("good"):
            return Absent("the command good")
        answer = self.system.run("good")
        return Active(Facts()) if answer.ok else answer.unreachable()


class NoName(Good):
    name = ""


class Terse(Good):
    description = "no sentence"


class Eager(Good):
    def __init__(self, system):
        super().__init__(system)
        system.run("good")


class Forks(Good):
    def probe(self):
        self.system.run("good")
        return Absent("the command good")


class Vague(Good):
    def probe(self):
        return Absent("")


class Everywhere(Good):
    def probe(self):
        return Active(Facts())


class Credulous(Good):
    def probe(self):
        if not self.system.which("good"):
            return Absent("the command good")
        self.system.run("good")
        return Active(Facts())


class Crashes(Good):
    def probe(self):
        if not self.system.which("good"):
            return Absent("the command good")
        return Active(Facts(int(self.system.run("good").stdout)))


class Mute(Good):
    @secretary_tool
    def tool(self) -> int:
        return 1


class Opaque(Good):
    def probe(self):
        return Active(Facts(object())) if self.system.which("good") else Absent("the command good")


def test_the_contract_can_be_kept():
    check_provider(Good, RecordedSystem(commands={("good",): "fine"}))


@pytest.mark.parametrize("provider", [NoName, Terse, Eager, Forks, Vague, Everywhere, Credulous, Crashes, Mute, Opaque])
def test_the_contract_can_be_broken(provider):
    with pytest.raises((AssertionError, ValueError, TypeError)):
        check_provider(provider, RecordedSystem(commands={("good",): "fine"}))


def test_the_registry_keeps_the_rules_of_listings() -> None:
    check_registry(registry())
