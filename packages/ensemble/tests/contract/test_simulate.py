"""`ensemble simulate`, as a user calls it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HELLO = """
jobs:
- {name: sleep, command: sleep 10, count: 5}
- {name: echo, command: echo hello world, count: 5}
rules:
- trigger: start
  action: {name: submit, label: sleep}
- trigger: metric
  name: count.sleep.success
  when: 5
  action: {name: submit, label: echo}
"""
LOOP = """
jobs: [{name: again, command: sleep 100}]
rules:
- {trigger: start, action: {name: submit, label: again}}
- {trigger: job-finish, name: again, action: {name: submit, label: again, repetitions: 1000000000}}
"""


def answer(done: Any, code: int = 0) -> dict[str, Any]:
    assert done.returncode == code, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_rules_fire_at_their_virtual_times(ensemble: Any, document: Callable[[str], Path]) -> None:
    done = ensemble("simulate", document(HELLO), "--nodes", 2, "--cores", 2)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:4] == [
        "[    0.00 s] => trigger start",
        "[    0.00 s]    submit sleep (name:sleep),(command:sleep 10),(count:5),(nodes:1)",
        "[   20.00 s] => trigger count.sleep.success",
        "[   20.00 s]    submit echo (name:echo),(command:echo hello world),(count:5),(nodes:1)",
    ]
    assert "makespan:     20.02 s" in lines
    assert "assumed: echo: echo takes 0.01 s" in done.stderr


def test_json_has_the_cost_and_the_waits(ensemble: Any, document: Callable[[str], Path]) -> None:
    told = answer(
        ensemble("simulate", document(HELLO), "--nodes", 5, "--cores", 1, "--json", "--model", "echo=duration:5")
    )
    assert told["met"] is True
    assert told["makespan"] == 15
    assert told["usage"]["node_hours"] == pytest.approx(5 * 15 / 3600)
    assert told["usage"]["busy_node_hours"] == pytest.approx(5 * 15 / 3600)
    assert told["utilisation"] == pytest.approx(1)
    assert told["wait"] == {"median": 0, "p90": 0, "max": 0}
    assert told["counts"]["echo"]["success"] == 5
    assert [entry["time"] for entry in told["commands"] if entry["kind"] == "trigger"] == [0, 10]
    assert told["assumed"] == []


def test_the_same_seed_gives_the_same_answer(ensemble: Any, document: Callable[[str], Path]) -> None:
    path = document(HELLO)
    model = ["--model", "sleep=duration:100,spread:0.3", "--nodes", 3, "--cores", 1, "--json"]
    first, second = (ensemble("simulate", path, *model).stdout for _ in range(2))
    assert first == second
    assert answer(ensemble("simulate", path, *model, "--seed", 1))["makespan"] != json.loads(first)["makespan"]


def test_failures_that_a_model_makes_count_as_in_a_run(ensemble: Any, document: Callable[[str], Path]) -> None:
    done = ensemble("simulate", document(HELLO), "--model", "sleep=duration:1,fail:1,status:4")
    assert done.returncode == 1
    assert "never met: count.sleep.success >= 5 -> submit echo" in done.stderr
    assert "failed: sleep.0 (id 1, on n0): exit code 4" in done.stderr


@pytest.mark.parametrize(
    ("options", "ended"),
    [(("--limit", "1d"), "time"), (("--events", 1000), "events"), (("--firings", 100), "events")],
)
def test_one_without_an_end_is_told(
    options: tuple[Any, ...], ended: str, ensemble: Any, document: Callable[[str], Path]
) -> None:
    told = answer(ensemble("simulate", document(LOOP), "--json", *options), 1)
    assert (told["ended"], told["met"]) == (ended, False)
    assert "rules that fired: job-finish again (" in told["why_ended"]


def test_jobs_that_never_fit_fail(ensemble: Any, document: Callable[[str], Path]) -> None:
    path = document(
        "jobs: [{name: wide, command: sleep 1, nodes: 3}]\n"
        "rules: [{trigger: start, action: {name: submit, label: wide}}]\n"
    )
    done = ensemble("simulate", path, "--nodes", 2)
    assert done.returncode == 1
    assert "exception: wide.0 (id 1): no 2 nodes of this kind can hold it" in done.stderr
    assert ensemble("simulate", path).returncode == 0  # as many nodes as it needs


def test_custom_functions_run_as_in_a_run(ensemble: Any, examples: Path) -> None:
    done = ensemble("simulate", examples / "custom-action-example.yaml", "--nodes", 4)
    assert done.returncode == 0, done.stderr
    assert "custom echo_again" in done.stdout


def test_models_come_from_a_file_and_options_go_over_it(
    ensemble: Any, document: Callable[[str], Path], tmp_path: Path
) -> None:
    models = tmp_path / "models.yaml"
    models.write_text("sleep: {duration: 7}\necho: {duration: 2, fail: 1}\n")
    told = answer(
        ensemble(
            *("simulate", document(HELLO), "--models", models, "--model", "echo=fail:0"),
            *("--nodes", 5, "--cores", 1, "--json"),
        )
    )
    assert told["makespan"] == 9


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (
            ["--model", "slep=duration:1"],
            1,
            "a model for 'slep', but no group of jobs is named so; did you mean 'sleep'?",
        ),
        (["--model", "sleep"], 1, "a model is GROUP=duration:10"),
        (["--models", "no-such-file"], 1, "no-such-file"),
        (["--like", "no-such-run"], 1, "no directory of a run"),
        (["--speed", "fast"], 1, "--speed: it is max"),
        (["--memory", "much"], 1, "--memory"),
        (["--limit", "4:00"], 1, "two readings"),
        (["--nodes", "0"], 2, "--nodes"),
        (["--seed", "-1"], 2, "--seed"),
    ],
)
def test_bad_options_are_one_line(
    options: list[str], code: int, says: str, ensemble: Any, document: Callable[[str], Path]
) -> None:
    done = ensemble("simulate", document(HELLO), *options)
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert code == 2 or len(done.stderr.splitlines()) == 1


def test_a_bad_file_is_told_with_its_place(ensemble: Any, document: Callable[[str], Path]) -> None:
    done = ensemble("simulate", document("jobs: []\nrules: [{trigger: start}]\n"))
    assert done.returncode == 1
    assert "ensemble.yaml:2:" in done.stderr


def test_a_hundred_thousand_jobs_on_ten_thousand_nodes(ensemble: Any, document: Callable[[str], Path]) -> None:
    path = document(HELLO.replace("count: 5", "count: 100000", 1).replace("when: 5", "when: 100000"))
    told = answer(ensemble("simulate", path, "--nodes", 10_000, "--speed", "max", "--json"))
    assert told["counts"]["sleep"]["success"] == 100_000
    assert told["makespan"] == pytest.approx(100.01)


GROW = """
member: {name: sim, nodes: 1, cores: 2, max_nodes: 4, models: {work: {duration: 100, node_failure: 3, fail: 0.2}}}
jobs:
- {name: work, command: sleep 1, count: 40, retries: 20}
- {name: post, command: "sleep {index}", count: 3, depends_on: work}
rules:
- {trigger: start, action: {name: submit, label: work}}
- {trigger: start, action: {name: submit, label: post}}
- {trigger: metric, name: count.work.success, when: 4, action: {name: grow, value: 2}}
- {trigger: metric, name: count.work.success, when: 30, action: {name: shrink, value: 1}}
- {trigger: every, interval: 10m, action: {name: message, label: still here, repetitions: 2}}
"""


def test_growing_retries_lost_nodes_and_dependencies(ensemble: Any, document: Callable[[str], Path]) -> None:
    told = answer(ensemble("simulate", document(GROW), "--json"))
    assert [size["nodes"] for size in told["sizes"]] == [1, 3, 2]
    assert told["counts"]["work"]["success"] == 40
    assert told["counts"]["post"]["success"] == 3
    reasons = " ".join(entry.get("reason", "") for entry in told["commands"] if entry["kind"] == "retry")
    assert "was lost" in reasons
    assert "exit code 1" in reasons
    assert [entry["time"] for entry in told["commands"] if entry["kind"] == "message"] == [600, 1200]
    assert told["usage"]["node_hours"] < 3 * told["makespan"] / 3600


def test_a_run_on_the_member_does_what_was_simulated(
    ensemble: Any, document: Callable[[str], Path], tmp_path: Path
) -> None:
    """The same jobs end the same way after the same time, and the same rules fire, in the same order."""
    path = document(GROW)
    said = answer(ensemble("simulate", path, "--json"))
    done = ensemble("run", path, "--dir", tmp_path / "run", "--json")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    rules = [name for line in lines if line["type"] == "trigger" and "every" not in (name := line["name"])]
    assert rules == [e["label"] for e in said["commands"] if e["kind"] == "trigger" and "every" not in e["label"]]
    assert lines[-1]["counts"] == said["counts"]
    # And a run that was gives its durations to the next simulation.
    plain = tmp_path / "plain.yaml"
    plain.write_text(GROW.replace(", models: {work: {duration: 100, node_failure: 3, fail: 0.2}}", ""))
    like = answer(ensemble("simulate", plain, "--json", "--like", tmp_path / "run"))
    assert like["metrics"]["work-duration"]["mean"] == pytest.approx(100, abs=0.1)
    assert like["counts"]["work"]["retried"] > 0


def test_metrics_come_from_models_and_what_has_none_is_told(
    ensemble: Any, document: Callable[[str], Path], tmp_path: Path
) -> None:
    path = document(
        "jobs: [{name: md, command: lmp, count: 3, metrics: {temperature: {regex: 'T=(.*)'}}}]\n"
        "rules:\n"
        "- {trigger: start, action: {name: submit, label: md}}\n"
        "- {trigger: metric, name: max.md-temperature, when: '> 150', per: job, action: {name: cancel}}\n"
    )
    models = tmp_path / "models.yaml"
    models.write_text("md: {duration: 100, metrics: {temperature: {start: 100, end: 200}}}\n")
    told = answer(ensemble("simulate", path, "--json", "--models", models, "--nodes", 3))
    assert (told["makespan"], told["counts"]["md"]["cancelled"]) == (60, 3)
    silent = answer(ensemble("simulate", path, "--json"))
    assert silent["makespan"] == 180
    assert "md: it never prints temperature" in " ".join(silent["assumed"])
