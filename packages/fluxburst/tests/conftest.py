"""What the tests share: jobs as Flux writes them, the command line, and where the repository's examples are."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import Phase, settings

from fluxburst.cli import main

sys.path.insert(0, str(Path(__file__).parent))  # the package `simulation`

# A deadline measures the machine, not the code.
settings.register_profile("patient", deadline=None)
# Few examples, the same every time, and the first failure as it is found: for a run on many mutants.
settings.register_profile("first", deadline=None, max_examples=25, derandomize=True, phases=[Phase.generate])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "patient"))

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def examples() -> Path:
    if not (ROOT / "examples" / "queue.jsonl").is_file():
        pytest.skip("the repository's examples are not here")
    return ROOT / "examples"


@pytest.fixture
def shared() -> Path:
    if not (ROOT.parent / "shared").is_dir():
        pytest.skip("no shared folder beside the repository")
    return ROOT.parent / "shared"


def make_info(
    identity: object = 1,
    *,
    nodes: object = 0,
    slots: object = 1,
    cores: object = 1,
    gpus: object = 0,
    burstable: object = 1,
    exclusive: bool = False,
    system: dict[str, Any] | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """Job information as Flux lists it, with the jobspec of `flux submit`."""
    inner: list[dict[str, Any]] = [{"type": "core", "count": cores}] if cores else []
    if gpus:
        inner.append({"type": "gpu", "count": gpus})
    vertex: dict[str, Any] = {"type": "slot", "count": slots, "with": inner, "label": "task"}
    if nodes:
        vertex = {"type": "node", "count": nodes, "with": [vertex]}
        if exclusive:
            vertex["exclusive"] = True
    attributes: dict[str, Any] = {"duration": 60.0, **(system or {})}
    if burstable is not None:
        attributes["burstable"] = burstable
    spec = {
        "resources": [vertex],
        "tasks": [{"command": ["./run"], "slot": "task", "count": {"per_slot": 1}}],
        "attributes": {"system": attributes},
        "version": 1,
    }
    return {"id": identity, "name": "run", "state": 8, "urgency": 16, "t_submit": 1.0, "spec": spec, **fields}


@pytest.fixture(scope="session")
def info() -> Callable[..., dict[str, Any]]:
    return make_info


@pytest.fixture
def queue_file(tmp_path: Path) -> Callable[..., str]:
    """Writes job informations as a queue file and gives its path."""

    def write(*infos: object) -> str:
        path = tmp_path / "queue.jsonl"
        path.write_text("".join(json.dumps(info) + "\n" for info in infos))
        return str(path)

    return write


@pytest.fixture(scope="session")
def run() -> Callable[..., Result]:
    """The command line in this process."""

    def call(*arguments: str, stdin: str | bytes = "") -> Result:
        return CliRunner().invoke(main, arguments, input=stdin)

    return call
