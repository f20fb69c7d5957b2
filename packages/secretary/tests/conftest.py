from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from resource_secretary.testing import RecordedSystem

DATA = Path(__file__).parent / "data"


def _load(name: str) -> ModuleType:
    spec = spec_from_file_location(f"recorded_{name}", Path(__file__).parent / f"recorded/{name}.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_recorded, _host = _load("slurm_flux"), _load("host")


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
