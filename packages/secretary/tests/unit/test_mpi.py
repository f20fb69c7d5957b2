"""Implementations of MPI, several on one machine, each told by its own marks."""

from __future__ import annotations

import pytest
from recorded import software as recorded

from resource_secretary import Secretary
from resource_secretary.errors import OutputError
from resource_secretary.providers.parallel._mpich_text import read_hydra, read_intel, read_mpichversion
from resource_secretary.providers.parallel._openmpi_text import read_ompi_info
from resource_secretary.result import Absent, Active, Unreachable
from resource_secretary.run import Ran
from resource_secretary.testing import RecordedSystem

NAMES = ("openmpi", "mpich", "mvapich", "intel-mpi", "spectrum-mpi", "cray-mpich")


def active(system):
    return [entry.known.name for entry in Secretary(system=system).detect("parallel").active]


def call(system, tool, **arguments):
    return Secretary(system=system).call(tool, arguments).result


@pytest.mark.parametrize("name", NAMES)
def test_each_is_told_from_all_others(name):
    assert active(recorded.MACHINES[name]()) == [name]


@pytest.mark.parametrize("said", ["mpirun (Open MPI) 4.1.4", "HYDRA build details:", "Intel(R) MPI Library", ""])
def test_an_mpirun_alone_is_nobody_s(said):
    system = RecordedSystem(commands={("mpirun", "--version"): said, ("mpiexec", "--version"): said})
    assert active(system) == [] and system.asked == []


def test_nothing_is_run_to_learn_that_others_are_absent():
    system = recorded.openmpi()
    Secretary(system=system).detect("parallel")
    assert system.asked == [("ompi_info", "--version")]
    system = recorded.mpich()
    Secretary(system=system).detect("parallel")
    assert system.asked == [("mpichversion",)]


def test_two_side_by_side_know_whose_mpirun_is():
    system = recorded.openmpi()
    system.commands |= recorded.mpich().commands
    manifest = Secretary(system=system).detect("parallel")
    assert [manifest[name].metadata["mpirun_is_its"] for name in ("openmpi", "mpich")] == [True, False]
    assert call(system, "openmpi.launch")["commands"] == ["mpirun -n TASKS PROGRAM"]
    assert call(system, "mpich.launch")["commands"] == ["mpirun.mpich -n TASKS PROGRAM"]
    system.links["/etc/alternatives/mpirun"] = "/usr/bin/mpirun.mpich"
    manifest = Secretary(system=system).detect("parallel")
    assert [manifest[name].metadata["mpirun_is_its"] for name in ("openmpi", "mpich")] == [False, True]
    system.links["/etc/alternatives/mpirun"] = "/etc/alternatives/mpirun"  # a circle
    assert Secretary(system=system).detect("parallel")["mpich"].metadata["mpirun_is_its"] is False


@pytest.mark.parametrize(
    ("version", "networks", "managers", "pmi"),
    [
        (
            "4.1.4",
            ["ofi", "psm", "psm2", "shared-memory", "tcp", "ucx", "verbs"],
            ["gridengine", "slurm", "ssh"],
            ["flux", "pmix"],
        ),
        ("4.1.8", ["ofi", "shared-memory", "tcp", "ucx"], ["slurm", "ssh"], ["pmix"]),
        ("5.0.7", ["ofi", "psm2", "shared-memory", "tcp", "ucx"], None, ["pmix"]),
        ("5.0.11", ["ofi", "shared-memory", "tcp", "ucx"], None, ["pmix"]),
    ],
)
def test_versions_of_openmpi(version, networks, managers, pmi):
    system = recorded.openmpi(version)
    assert Secretary(system=system).detect("parallel", "openmpi")["openmpi"].metadata["version"] == version
    found = call(system, "openmpi.transports")
    assert found["networks"] == networks and found["cuda"] is False
    launch = call(system, "openmpi.launch")
    assert (launch["managers"], launch["pmi"]) == (managers, pmi)
    assert "c" in call(system, "openmpi.build")["compilers"]


def test_the_build_of_openmpi():
    build = call(recorded.openmpi(), "openmpi.build")
    assert build["compilers"]["c"] == "/usr/bin/gcc (GNU 12.2.0)" and build["prefix"] == "/usr"
    assert "--with-verbs" in build["configure"] and build["released"] == "May 26, 2022"


@pytest.mark.parametrize(("said", "cuda"), [("true", True), ("false", False), ("perhaps", None)])
def test_openmpi_with_cuda(said, cuda):
    found = call(recorded.openmpi(cuda=said), "openmpi.transports")
    assert found["cuda"] is cuda and found["rocm"] is None and found["gpu_reason"]


def test_openmpi_5_tells_its_accelerators():
    system = recorded.openmpi("5.0.11")
    text = system.commands["ompi_info", "--parsable"]
    system.commands["ompi_info", "--parsable"] = text + 'mca:accelerator:rocm:version:"component:5.0.11"\n'
    found = call(system, "openmpi.transports")
    assert (found["cuda"], found["rocm"]) == (False, True)


@pytest.mark.parametrize(
    ("version", "device", "networks"),
    [
        ("4.0.2", "ch4:ucx", ["shared-memory", "ucx"]),
        ("4.1.3", "ch4:ofi ucx", ["ofi", "shared-memory", "ucx"]),
        ("4.2.1", "ch4:ucx", ["shared-memory", "ucx"]),
        ("5.0.2", "ch4:ucx ofi", ["ofi", "shared-memory", "ucx"]),
    ],
)
def test_versions_of_mpich(version, device, networks):
    system = recorded.mpich(version)
    assert call(system, "mpich.build")["device"] == device and call(system, "mpich.build")["version"] == version
    assert call(system, "mpich.transports")["networks"] == networks
    launch = call(system, "mpich.launch")
    assert {"slurm", "pbs", "ssh"} <= set(launch["managers"]) and launch["pmi"] == ["pmi1"]


def test_gpu_support_of_mpich():
    assert call(recorded.mpich("4.0.2"), "mpich.transports")["cuda"] is False  # --without-yaksa
    assert call(recorded.mpich("5.0.2"), "mpich.transports")["cuda"] is None
    system = recorded.mpich("5.0.2")
    text = system.commands["mpichversion",]
    system.commands["mpichversion",] = text.replace("--with-pm=", "--with-cuda=/opt/cuda --without-hip --with-pm=")
    found = call(system, "mpich.transports")
    assert (found["cuda"], found["rocm"]) == (True, False)


def test_a_launcher_of_mpich_that_does_not_answer_is_unknown():
    system = recorded.mpich()
    system.commands["/usr/bin/mpirun.mpich", "--version"] = Ran((), None, problem="no answer in 2 s")
    found = call(system, "mpich.launch")
    assert found["managers"] is None and "no answer" in found["note"]


@pytest.mark.parametrize(
    ("name", "version", "networks", "cuda"),
    [
        ("mvapich2-2.3/mpichversion-2.3.7.txt", "2.3.7", ["shared-memory", "verbs"], None),
        ("mvapich2-2.3/mpichversion-2.3.6.txt", "2.3.6", ["shared-memory", "verbs"], False),
        ("mvapich-4.0/mpichversion.txt", "4.0", ["ofi", "shared-memory"], True),
    ],
)
def test_versions_of_mvapich(name, version, networks, cuda):
    system = recorded.mvapich(name)
    assert active(system) == ["mvapich"]
    assert call(system, "mvapich.build")["version"] == version
    found = call(system, "mvapich.transports")
    assert (found["networks"], found["cuda"]) == (networks, cuda)
    assert call(system, "mvapich.launch")["commands"][1] == "srun --mpi=pmi2 -n TASKS PROGRAM"


def test_mvapich_by_mpiname():
    system = recorded.mvapich_gdr()
    assert active(system) == ["mvapich"]
    build = call(system, "mvapich.build")
    assert (build["version"], build["device"], build["prefix"]) == ("2.3.7", "ch3:mrail", "/opt/mvapich2/gdr/2.3.7")
    assert call(system, "mvapich.transports")["cuda"] is True


@pytest.mark.parametrize(("file", "version"), [("2021.19.0", "2021.19.0"), ("2019.8", "2019.8"), ("2017.2", "2017.2")])
def test_versions_of_intel_mpi(file, version):
    system = recorded.intel_mpi(file)
    metadata = Secretary(system=system).detect("parallel", "intel-mpi")["intel-mpi"].metadata
    assert (metadata["version"], metadata["root"]) == (version, "/opt/intel/oneapi/mpi/latest")
    assert call(system, "intel-mpi.transports")["networks"] == ["efa", "ofi", "psm3", "shared-memory", "tcp", "ucx"]


def test_the_networks_of_an_intel_mpi_that_are_not_seen_are_unknown():
    system = recorded.intel_mpi()
    root = system.environ["I_MPI_ROOT"]
    system.files = {f"{root}/lib/libverbs-1.12-fi.so": "", f"{root}/lib/librxm-fi.so": "", f"{root}/lib/libmpi.so": ""}
    assert call(system, "intel-mpi.transports")["networks"] == ["ofi", "shared-memory", "verbs"]
    system.files.clear()
    found = call(system, "intel-mpi.transports")
    assert found["networks"] is None and "no libfabric" in found["gpu_reason"]


@pytest.mark.parametrize("root", ["mpi", "./mpi", "/nowhere"])
def test_an_odd_root_of_intel_mpi(root):
    system = recorded.intel_mpi()
    system.environ["I_MPI_ROOT"] = root
    system.commands |= {("mpi/bin/mpiexec.hydra", "--version"): "x", ("./mpi/bin/mpiexec.hydra", "--version"): "x"}
    assert active(system) == [] and system.asked == []


def test_an_intel_launcher_that_is_another_s():
    system = recorded.intel_mpi()
    [words] = system.commands
    system.commands[words] = (recorded.DATA / "mpich-4.1.3/mpiexec-version.txt").read_text()
    result = Secretary(system=system).detect("parallel", "intel-mpi")["intel-mpi"].result
    assert isinstance(result, Unreachable) and "HYDRA build details" in result.said


def test_spectrum_mpi_is_not_open_mpi():
    system = recorded.spectrum_mpi()
    assert call(system, "spectrum-mpi.launch")["commands"][0] == "jsrun -n TASKS PROGRAM"
    found = call(system, "spectrum-mpi.transports")
    assert "pami" in found["networks"] and found["cuda"] is True
    assert ("ompi_info", "--version") not in system.asked
    system.commands["ompi_info", "--version"] = "Open MPI v4.0.1\n"
    system.files["/usr/lib/libmpi_ibm.so"] = ""
    result = Secretary(system=system).detect("parallel", "openmpi")["openmpi"].result
    assert isinstance(result, Absent) and "IBM Spectrum MPI" in result.reason


def test_a_library_of_spectrum_without_its_commands():
    system = RecordedSystem(files={"/opt/ibm/spectrum_mpi/lib/libmpi_ibm.so": ""})
    result = Secretary(system=system).detect("parallel", "spectrum-mpi")["spectrum-mpi"].result
    assert isinstance(result, Unreachable)


def test_cray_mpich_is_read_from_its_folders():
    system = recorded.cray_mpich()
    result = Secretary(system=system).detect("parallel", "cray-mpich")["cray-mpich"].result
    assert isinstance(result, Active) and not system.asked
    assert (result.metadata.version, result.metadata.installed) == ("8.1.28", ("8.1.9", "8.1.28"))
    found = call(system, "cray-mpich.installations")["items"]
    assert [(one["version"], one["network"]) for one in found][-1] == ("8.1.28", "ucx") and len(found) == 5
    transports = call(system, "cray-mpich.transports")
    assert (transports["networks"], transports["cuda"], transports["rocm"]) == (["ofi", "ucx"], False, True)
    assert call(system, "cray-mpich.launch")["commands"] == ["srun -n TASKS PROGRAM"]
    system.environ.clear()
    assert Secretary(system=system).detect("parallel", "cray-mpich")["cray-mpich"].metadata["version"] is None


def test_a_broken_library_is_unreachable_with_what_it_said():
    said = "mpichversion: error while loading shared libraries: libmpi.so.12: cannot open shared object file"
    system = RecordedSystem(commands={("mpichversion",): Ran((), 127, "", said)})
    result = Secretary(system=system).detect("parallel", "mpich")["mpich"].result
    assert isinstance(result, Unreachable) and "libmpi.so.12" in result.reason


@pytest.mark.parametrize("read", [read_mpichversion, read_ompi_info, read_hydra, read_intel])
def test_what_is_not_known_keeps_its_text(read):
    with pytest.raises(OutputError, match="Some MPI 99 says hello"):
        read("Some MPI 99 says hello")


def test_the_mpichversion_of_cray():
    text = "MPI VERSION    : CRAY MPICH version 8.1.27.20 (ANL base 3.4a2)\nMPI BUILD INFO : Mon Aug 14 2023\n"
    assert (read_mpichversion(text).name, read_mpichversion(text).version) == ("CRAY MPICH", "8.1.27.20")
    system = RecordedSystem(commands={("mpichversion",): text})
    assert active(system) == []
