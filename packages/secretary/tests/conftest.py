from __future__ import annotations

import sys
from pathlib import Path

import pytest

from resource_secretary.testing import RecordedSystem

DATA = Path(__file__).parent / "data"
sys.path.insert(0, str(Path(__file__).parent))  # the package `recorded`

from recorded import host as _host  # noqa: E402
from recorded import slurm_flux as _recorded  # noqa: E402


@pytest.fixture(scope="session")
def data() -> Path:
    return DATA


@pytest.fixture
def slurm() -> RecordedSystem:
    machine: RecordedSystem = _recorded.slurm()
    return machine


@pytest.fixture
def flux() -> RecordedSystem:
    machine: RecordedSystem = _recorded.flux()
    return machine


@pytest.fixture
def topology():
    return _host.sysfs


@pytest.fixture
def cgroups() -> dict[int, dict[str, str]]:
    """The files that say where the control groups of a process are, by version."""
    return {1: _host.V1, 2: _host.V2}


@pytest.fixture
def host() -> RecordedSystem:
    """Two sockets of four cores of two threads, a quota of 2.5 CPUs, 3 of 8 GiB, an interface that is up."""
    machine: RecordedSystem = _host.host()
    return machine
