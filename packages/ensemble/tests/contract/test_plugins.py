"""Third-party plugins: found by name, usable in files, and a broken one changes only its own line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from resources.testing import check_registry

from ensemble.document import Action
from ensemble.metrics import Metrics
from ensemble.plugins import registry
from ensemble.testing import ContractError, check_action

USES = """
jobs: [{name: sleep, command: sleep 0.1}]
rules:
  - trigger: start
    action: {name: submit, label: sleep}
  - trigger: job-success
    name: sleep
    action: {name: custom, label: example.again-while-fast, value: 60, repetitions: 2}
"""


def _before(*folders: Path) -> str:
    """The search path of Python with these folders in front."""
    return os.pathsep.join([*map(str, folders), *filter(None, [os.environ.get("PYTHONPATH")])])


@pytest.fixture
def plugin(examples: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The example plugin, on the path on purpose."""
    folder = examples / "plugins/ensemble-example/src"
    monkeypatch.setenv("PYTHONPATH", _before(folder))
    monkeypatch.syspath_prepend(str(folder))
    return folder


@pytest.mark.usefixtures("plugin")
def test_the_example_is_small_and_keeps_the_contract(plugin: Path) -> None:
    assert len((plugin / "ensemble_example/__init__.py").read_text().splitlines()) <= 40
    function = registry().load("example").actions["again-while-fast"]
    metrics = Metrics()
    action = Action(name="custom", label="example.again-while-fast", value=60)
    arguments = {
        "metrics": metrics,
        "event": SimpleNamespace(job="sleep.0"),
        "rule": None,
        "action": action,
        "handle": None,
    }
    assert check_action(function, arguments) == []
    metrics.add("sleep", "duration", 1.0)
    assert check_action(function, arguments) == [Action(name="submit", label="sleep")]


def test_the_contract_refuses_other_results() -> None:
    with pytest.raises(ContractError, match="not dict"):
        check_action(lambda **_: [{"name": "submit"}], {})


@pytest.mark.usefixtures("plugin")
def test_a_file_uses_it(ensemble: Callable[..., Any], document: Callable[[str], Path]) -> None:
    done = ensemble("run", "--member", "local", "--json", document(USES))
    assert done.returncode == 0, done.stderr
    end = json.loads(done.stdout.splitlines()[-1])
    assert end["counts"]["sleep"]["success"] == 3


@pytest.mark.usefixtures("plugin")
def test_an_action_that_it_lacks_is_told_before_anything_runs(
    ensemble: Callable[..., Any], document: Callable[[str], Path]
) -> None:
    done = ensemble("validate", document(USES.replace("again-while-fast", "agian")))
    assert done.returncode == 1
    assert ":8:35: plugin 'example' has no action 'agian'; there are: again-while-fast" in done.stdout


def test_without_it_the_file_says_so(ensemble: Callable[..., Any], document: Callable[[str], Path]) -> None:
    done = ensemble("validate", document(USES))
    assert (done.returncode, "no plugin named 'example'" in done.stdout) == (1, True)


PACKAGED = """
jobs:
  - name: sleep
    command: sleep 0.1
    metrics: {n: {reader: example.last-number}}
rules:
  - trigger: start
    action: {name: submit, label: sleep}
  - use: example.again
    with: {group: sleep, seconds: 60, times: 2}
"""


@pytest.mark.usefixtures("plugin")
def test_a_file_uses_packaged_rules_and_readers(ensemble: Callable[..., Any], document: Callable[[str], Path]) -> None:
    done = ensemble("validate", "--json", document(PACKAGED))
    assert done.returncode == 0, done.stdout
    answer = json.loads(done.stdout)
    assert [rule["trigger"] for rule in answer["rules"]] == ["start", "job-success"]
    assert answer["rules"][1]["action"]["label"] == "example.again-while-fast"
    assert answer["jobs"][0]["metrics"] == {"n": {"reader": "example.last-number"}}


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("example.again", "example.agian", ":9:10: plugin 'example' has no rule set 'agian'; did you mean 'again'?"),
        ("times: 2", "tims: 2", ":10:11: example.again: got an unexpected keyword argument 'tims'"),
        ("group: sleep, ", "", ":10:11: example.again: missing a required argument: 'group'"),
        ("group: sleep", "group: slep", ":9:10: rule 1 of example.again: no group of jobs is named 'slep'"),
        ("times: 2", "times: -1", ":9:10: rule 1 of example.again: action.repetitions: repetitions must be 1 or more"),
        (
            "last-number",
            "last-numbr",
            ":5:27: plugin 'example' has no reader 'last-numbr'; did you mean 'last-number'?",
        ),
    ],
)
def test_what_is_wrong_with_packaged_rules_is_told_where_they_are_used(
    ensemble: Callable[..., Any], document: Callable[[str], Path], old: str, new: str, says: str
) -> None:
    done = ensemble("validate", document(PACKAGED.replace(old, new)))
    assert done.returncode == 1
    assert says in done.stdout


MEMBER = """
from ensemble.members.local import LocalMember

class MEMBER(LocalMember):
    pass
"""


UNSURE = """
from ensemble.members.local import LocalMember

class MEMBER(LocalMember):
    @classmethod
    def unavailable(cls):
        raise KeyError("nobody knows")
"""


def test_listing_and_a_third_party_member(
    ensemble: Callable[..., Any], examples: Path, tmp_path: Path, document: Callable[[str], Path]
) -> None:
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "ensemble_mine.py").write_text(MEMBER)
    (folder / "ensemble_broken.py").write_text("import no_such_module")
    (folder / "ensemble_empty.py").write_text("")
    (folder / "ensemble_wrong.py").write_text("MEMBER = 3")
    (folder / "ensemble_keys.py").write_text("ACTIONS = {1: print, 'a': print}")
    (folder / "ensemble_unsure.py").write_text(UNSURE)
    paths = {"PYTHONPATH": _before(folder, examples / "plugins/ensemble-example/src")}
    done = ensemble("members", "--json", env=paths)
    assert done.returncode == 0, done.stderr
    listed = {entry["name"]: entry for entry in json.loads(done.stdout)["members"]}
    assert set(listed) >= {"broken", "empty", "example", "flux", "local", "mine", "wrong"}
    assert listed["local"]["usable"] and listed["mine"]["usable"] and listed["mine"]["member"]
    given = {kind: listed["example"][kind] for kind in ("actions", "readers", "rules")}
    assert given == {"actions": ["again-while-fast"], "readers": ["last-number"], "rules": ["again"]}
    assert not listed["flux"]["usable"]
    assert "can't be imported" in listed["flux"]["reason"] or "no Flux instance" in listed["flux"]["reason"]
    assert "no_such_module" in listed["broken"]["reason"]
    assert "none of MEMBER, ACTIONS, READERS, RULES" in listed["empty"]["reason"]
    assert "no subclass" in listed["wrong"]["reason"]
    assert "no mapping of names" in listed["keys"]["reason"]
    assert (listed["unsure"]["usable"], listed["unsure"]["reason"]) == (False, "KeyError: 'nobody knows'")

    text = "member: mine\njobs: [{name: a, command: 'true'}]\n"
    text += "rules: [{trigger: start, action: {name: submit, label: a}}]\n"
    done = ensemble("run", document(text), env=paths)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "=> trigger start")
    cases = {
        "broken": "no_such_module",
        "example": "no member",
        "unsure": "nobody knows",
        "nobody": "no member named",
    }
    for name, says in cases.items():
        done = ensemble("run", "--member", name, document(text), env=paths)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert says in done.stderr


def test_the_registry_keeps_the_rules_of_listings() -> None:
    check_registry(registry())
