"""Open MPI and MPICH side by side: the secretary says what they print, and its words start programs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from resource_secretary import Secretary
from resource_secretary.system import System

CLI = [sys.executable, "-c", "from resource_secretary.cli import main; main()"]
# Open MPI does not start as root, nor more tasks than cores, unless it is told to.
ALLOWED = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
}
BRANDS = ("openmpi", "mpich")


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.needs(name)) for name in BRANDS])
def mpi(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def printed(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False).stdout


def test_its_version_is_what_it_prints(mpi: str) -> None:
    metadata = Secretary().detect("parallel", mpi, timeout=10)[mpi].metadata
    assert metadata is not None
    words = {"openmpi": ("ompi_info", "--version"), "mpich": ("mpichversion",)}[mpi]
    assert metadata["version"] in printed(*words).splitlines()[0]
    assert metadata["version"] in printed(metadata["launcher"], "--version")


def test_whose_mpirun_it_is(mpi: str) -> None:
    if not shutil.which("mpirun"):
        pytest.skip("needs mpirun")
    metadata = Secretary().detect("parallel", mpi, timeout=10)[mpi].metadata
    told = printed("mpirun", "--version")
    mark = {"openmpi": ("Open MPI", "OpenRTE"), "mpich": ("HYDRA",)}[mpi]
    assert metadata is not None and metadata["mpirun_is_its"] == any(word in told for word in mark)


def test_its_networks_are_those_that_it_was_built_with(mpi: str) -> None:
    found = Secretary().call(f"{mpi}.transports").result["networks"]
    assert found
    if mpi == "openmpi":
        listed = printed("ompi_info", "--parsable")
        assert ("ofi" in found) == ("mca:mtl:ofi:" in listed or "mca:btl:ofi:" in listed)
        assert ("ucx" in found) == ("mca:pml:ucx:" in listed or "mca:btl:uct:" in listed)
    else:
        device = next(line for line in printed("mpichversion").splitlines() if "Device" in line)
        assert {name for name in ("ofi", "ucx") if name in device} <= set(found)


def test_its_way_to_start_programs_starts_them(mpi: str) -> None:
    command = Secretary().call(f"{mpi}.launch").result["commands"][0]
    script = 'echo "size ${OMPI_COMM_WORLD_SIZE:-$PMI_SIZE}"'
    words = [{"TASKS": "2", "PROGRAM": "sh"}.get(word, word) for word in command.split()]
    done = subprocess.run(
        [*words, "-c", script], env={**os.environ, **ALLOWED}, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.splitlines() == ["size 2"] * 2, done.stderr


def test_a_rank_of_a_job_sees_the_same(mpi: str) -> None:
    """The variables of the enclosing job do not make the tools believe that they are ranks of it."""
    outside = {entry.known.name: entry.metadata for entry in Secretary().detect("parallel", timeout=10).active}
    command = Secretary().call(f"{mpi}.launch").result["commands"][0].partition(" -n ")[0]
    words = [*command.split(), "-n", "1", *CLI, "detect", "parallel", "--json", "--timeout", "10", "--refresh"]
    done = subprocess.run(words, env={**os.environ, **ALLOWED}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    inside = {one["name"]: one["metadata"] for one in json.loads(done.stdout)["providers"] if one["active"]}
    assert inside == outside and mpi in inside


def test_a_path_without_them_has_none() -> None:
    manifest = Secretary(system=System(environ={"PATH": "/nonexistent"})).detect("parallel")
    assert [entry.result.state for entry in manifest.entries if entry.known.name in BRANDS] == ["absent", "absent"]
