"""The example plugins, as somebody would install them: each is listed by its command, and passes its own tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PLUGINS = ROOT / "examples" / "plugins"
# folder -> (the command that lists what it adds, how that is named there)
LISTED = {
    "hpc-resources-example": (["resources", "kinds"], "bandwidth"),
    "resource-secretary-example": (["resource-secretary", "providers", "--category", "software"], "git"),
    "resource-secretary-policy": (["resource-secretary", "hub", "policies"], "two-choices"),
    "jobspec-example": (["jobspec", "transformers"], "example"),
    "ensemble-example": (["ensemble", "members"], "example"),
    "ensemble-threads": (["ensemble", "members"], "threads"),
    "ensemble-lammps": (["ensemble", "members"], "lammps"),
    "fluxburst-example": (["flux-burst", "plugins"], "example"),
    "fluxburst-ssh": (["flux-burst", "plugins"], "ssh"),
}
TESTED_BY_ITS_PACKAGE = {"ensemble-lammps", "fluxburst-ssh"}  # they need more than themselves


def test_all_are_here() -> None:
    assert {path.parent.name for path in PLUGINS.glob("*/pyproject.toml")} == set(LISTED)
    for name in LISTED:
        assert (PLUGINS / name / "README.md").is_file(), name


@pytest.fixture(params=LISTED)
def installed(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, dict[str, str]]:
    """A plugin's wheel, built by its own backend and unpacked, and an environment that has it."""
    name, site = request.param, tmp_path / "site"
    code = f"import os; from hatchling.build import build_wheel; print(build_wheel({str(tmp_path)!r}))"
    built = subprocess.run(
        [sys.executable, "-c", code], cwd=PLUGINS / name, capture_output=True, text=True, timeout=120
    )
    assert built.returncode == 0, built.stderr
    with zipfile.ZipFile(tmp_path / built.stdout.split()[-1]) as wheel:
        wheel.extractall(site)
    paths = os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH", ""))))
    return name, {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}


def names(value: Any) -> set[str]:
    """Every `name` in an answer, at any depth."""
    if isinstance(value, dict):
        own = {value["name"]} if isinstance(value.get("name"), str) else set()
        return own.union(*map(names, value.values()))
    return set().union(*map(names, value)) if isinstance(value, list) else set()


def test_it_is_listed_and_keeps_its_contract(installed: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    folder, environment = installed
    command, wanted = LISTED[folder]
    program = str(Path(sys.executable).with_name(command[0]))
    listing = [program, *command[1:], "--json"]
    done = subprocess.run(listing, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert wanted in names(json.loads(done.stdout)), done.stdout
    if folder in TESTED_BY_ITS_PACKAGE:
        return
    test = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(PLUGINS / folder)]
    done = subprocess.run(test, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout
