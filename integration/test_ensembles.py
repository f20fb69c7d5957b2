"""One file, run on Flux, on Slurm, on HyperQueue and here: the same decisions, the same counts, the same output."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from desk import Desk, desk

STUDY = Path(__file__).resolve().parent / "study.yaml"
MEMBERS = ("local", "flux", "slurm", "hyperqueue")
FIRED = [
    *("start", "start", "count.sleep.success", "count.echo.finished", "count.gather.success", "count.last.success"),
    *("count.bad.retried", "count.bad.failed", "count.bad.failed", "count.last.success >= 5 and var.failures == 1"),
]
DONE = ["custom more", "custom more", "message 2 failed", "set failures"]
FIVE, TWO = ({"submitted": count, "finished": count, "success": count} for count in (5, 2))
COUNTS = {
    "sleep": FIVE,
    "echo": FIVE,
    "last": FIVE,
    "gather": TWO,
    "bad": {"submitted": 2, "finished": 2, "failed": 2, "retried": 2},
    "never": {"submitted": 1, "finished": 1, "exception": 1},
}
JOBS = sorted(
    f"{group}.{number}"
    for group, counts in COUNTS.items()
    for number in range(counts["submitted"])
    if group != "never"  # it waits for the success of what fails
)


@pytest.fixture(
    params=[pytest.param(name, marks=[pytest.mark.needs(name)] if name != "local" else []) for name in MEMBERS]
)
def place(request: pytest.FixtureRequest) -> Iterator[tuple[str, Desk]]:
    """The member, and a desk from which its engine is reached."""
    environ: dict[str, str] = {}
    if request.param == "flux":
        environ = request.getfixturevalue("flux_of_four")
    elif request.param == "slurm":
        environ = request.getfixturevalue("slurm_of_four").reach
    with desk(environ) as user:
        yield request.param, user


def rows(lines: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [line for line in lines if line["type"] == kind]


def test_the_same_decisions_and_counts(place: tuple[str, Desk]) -> None:
    member, user = place
    validated = user("ensemble", "validate", str(STUDY))
    assert "6 groups of jobs, 9 rules" in validated
    # Two jobs fail for good, and one can't run: that is the exit code.
    told = user("ensemble", "run", "--json", "--member", member, str(STUDY), "--dir", "run", code=1)
    lines = [json.loads(line) for line in told.splitlines()]
    assert [row["name"] for row in rows(lines, "trigger")] == FIRED
    other = [row for kind in ("custom", "message", "set") for row in rows(lines, kind)]
    assert [f"{row['type']} {row['label']}" for row in other] == DONE
    submitted = [job for row in rows(lines, "submit") for job in row["jobs"]]
    assert sorted(submitted) == sorted([*JOBS, "bad.0.1", "bad.1.1"])
    assert submitted.index("gather.0") > submitted.index("echo.4")
    assert sorted(row["reason"] for row in rows(lines, "retry")) == [f"bad.{n} failed: exit code 3" for n in (0, 1)]
    end = lines[-1]
    assert (end["counts"], end["met"], end["left"], end["lost"]) == (COUNTS, False, 0, 0)
    assert {row["job"]: row["reason"] for row in end["failures"]} == {
        "bad.0.1": "exit code 3",
        "bad.1.1": "exit code 3",
        "never.0": "bad did not succeed",
    }
    assert user("ensemble", "logs", "run", "gather.1") == "gathered\n"
    status = json.loads(user("ensemble", "status", "run", "--json", code=1))
    print({k: str(v)[:80] for k, v in status.items()})
    assert {path.name for path in user.work.iterdir()} == {"run"}
