"""All providers on each recorded machine: exactly those are active whose thing is there, and all others say why not."""

from __future__ import annotations

import pytest
from recorded._every import BUILT_IN, active, every

from resource_secretary import Secretary
from resource_secretary.catalog import Catalog
from resource_secretary.result import Absent, Unreachable
from resource_secretary.run import Ran
from resource_secretary.testing import RecordedSystem

MACHINES = every()
# What is active on a machine whose first word is not the provider's own name.
EXPECTED = {
    "nerdctl": "containerd",
    "cluster": "beegfs ceph gpfs local-scratch lustre network-fs nvme",
    "nvidia": "nvidia-gpu",
    "amd": "amd-gpu",
    "intel": "intel-gpu",
    "omni_path": "omni-path",
    "host": "cpu ethernet memory",
    "pbs_19": "pbs",
    "pbs_11": "pbs",
    "moab_over_torque": "moab torque",
    "lsf_9": "lsf",
    "lmod": "modules",
    "environment_modules": "modules",
    "micromamba": "conda",
    "mvapich_gdr": "mvapich",
    "intel_mpi": "intel-mpi",
    "spectrum_mpi": "spectrum-mpi",
    "cray_mpich": "cray-mpich",
}
CATALOG = Catalog()


def found(system: RecordedSystem):
    return Secretary(system=system, catalog=CATALOG).detect(timeout=30)


@pytest.mark.parametrize("name", MACHINES)
def test_exactly_what_is_there_is_active(name):
    first = name.split()[0]
    manifest = found(MACHINES[name]())
    entries = [entry for entry in manifest.entries if entry.known.origin == "built-in"]
    assert {entry.known.name for entry in entries if entry.active} == set(EXPECTED.get(first, first).split())
    for entry in entries:
        told = entry.as_dict()
        assert told["observed_on"].startswith("recorded") and told["observed_at"].endswith("Z")
        if entry.active:
            assert told["reason"] is None and told["metadata"]
        else:
            assert isinstance(entry.result, (Absent, Unreachable)), f"{entry.known.name}: {entry.result}"
            assert told["metadata"] is None and told["tools"] == [] and told["reason"].strip()


def test_every_provider_has_a_machine_where_it_is_active():
    assert active().keys() == BUILT_IN.keys()


FAILURES = {
    "exit code 127: boom": Ran((), 127, "", "boom\nsecond line"),
    "exit code 1: only this": Ran((), 1, "only this\n", ""),
    "no answer in 2 s": Ran((), None, problem="no answer in 2 s"),
}


# Files tell that these are there; their commands tell more of them.
WITHOUT_A_COMMAND = {
    *("cpu", "memory", "ethernet", "numa", "pip", "local-scratch", "network-fs", "lustre", "beegfs", "gpfs", "ceph"),
    *("nvme", "infiniband", "omni-path", "efa", "slingshot", "amd-gpu", "intel-gpu", "nvidia-gpu", "conda"),
    *("easybuild", "cray-mpich", "intel-mpi", "shifter"),
}


@pytest.mark.parametrize("said", FAILURES)
@pytest.mark.parametrize("name", [name for name, make in MACHINES.items() if make().commands])
def test_a_client_that_fails_is_unreachable_with_what_it_said(name, said):
    """Where every command of a machine fails, what is still active was seen without a command."""
    system = MACHINES[name]()
    system.commands = dict.fromkeys(system.commands, FAILURES[said])
    for entry in found(system).entries:
        if isinstance(entry.result, Unreachable):
            assert said in entry.result.reason, entry.result
        else:
            assert not entry.active or entry.known.name in WITHOUT_A_COMMAND, entry.known.name


@pytest.mark.parametrize("command", ["qsub", "qstat", "qdel", "mpirun", "mpiexec", "mpicc", "srun"])
def test_a_command_of_many_is_no_mark_of_one(command):
    """Several bring a command of this name: whichever does must be known by more than that."""
    manifest = found(RecordedSystem(commands={(command,): "", (command, "--version"): "1.0"}))
    assert [entry.known.name for entry in manifest.active] == []
