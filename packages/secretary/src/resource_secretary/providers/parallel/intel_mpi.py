"""Intel MPI, found by I_MPI_ROOT or by `impi_info` beside `mpirun`.

It is asked through `mpiexec.hydra` of its own folder: its `mpirun` is a script that, without I_MPI_ROOT, starts any
`mpiexec.hydra` that comes first on PATH.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from resource_secretary.providers import Absent, Active, BaseProvider, Unreachable, secretary_tool
from resource_secretary.providers._paths import folder_of
from resource_secretary.providers.parallel._mpi import Launch, Transports, mpirun_is
from resource_secretary.providers.parallel._mpich_text import read_intel

_FOLDERS = ("bin", "intel64/bin")  # oneAPI, and Parallel Studio until 2020
_MARKS = ("impi_info", "impi_cpuinfo")  # of 2019 and later
# Developer Reference for Linux, "Hydra Environment Variables", I_MPI_HYDRA_BOOTSTRAP.
_MANAGERS = ("fork", "gridengine", "loadleveler", "lsf", "pbs", "pdsh", "slurm", "ssh")
# Where its libfabric keeps a library for each network: oneAPI, Parallel Studio, and the packages of PyPI and conda.
_PROVIDERS = ("opt/mpi/libfabric/lib/prov", "libfabric/lib/prov", "intel64/libfabric/lib/prov", "lib/libfabric", "lib")
_PROVIDER = re.compile(r"lib([a-z0-9]+)(?:-[0-9.]+)?-fi\.so")
_NAMES = {"psmx2": "psm2", "mlx": "ucx", "sockets": "tcp", "shm": "shared-memory"}
_HELPERS = {"rxm", "rxd", "mrail", "hook"}  # providers that work on top of another one


@dataclass(frozen=True, slots=True)
class IntelMpi:
    """build: the date of its build. root: where it is installed. launcher, mpirun_is_its: as of every MPI."""

    version: str
    build: str
    root: str
    launcher: str
    mpirun_is_its: bool | None


class IntelMpiProvider(BaseProvider):
    category = "parallel"
    name = "intel-mpi"
    description = "Intel MPI Library: version, the networks of its libfabric, and how to start programs with it."
    fresh_for = 3600.0
    variables = ("I_MPI_ROOT", "LD_LIBRARY_PATH")

    def probe(self) -> Active[IntelMpi] | Absent | Unreachable:
        folder = self._folder()
        if folder is None:
            return Absent("mpiexec.hydra in $I_MPI_ROOT/bin, or impi_info beside mpiexec.hydra on PATH")
        launcher = f"{folder}/mpiexec.hydra"
        answer = self.system.run(launcher, "--version")
        if not answer.ok:
            return answer.unreachable()
        version, build = read_intel(answer.stdout)
        return Active(IntelMpi(version, build, _root(folder), launcher, self._own(launcher)))

    @secretary_tool
    def transports(self) -> Transports:
        """Which networks its libfabric has providers for. GPU support depends on variables of the job."""
        root = _root(self._folder() or "/")
        files = (file for place in _PROVIDERS for file in self.system.entries(f"{root}/{place}"))
        names = {match[1] for file in files if (match := _PROVIDER.fullmatch(file))} - _HELPERS
        reason = "decided at run time by I_MPI_OFFLOAD (Developer Reference, GPU Support)"
        if not names:
            return Transports(None, None, None, f"no libfabric of its own was seen below {root}; GPUs: {reason}")
        found = {_NAMES.get(name, name) for name in names} | {"ofi", "shared-memory"}
        return Transports(tuple(sorted(found)), None, None, reason)

    @secretary_tool
    def launch(self) -> Launch:
        """How to start programs with it: its mpirun, or a manager's launcher with the manager's own PMI library."""
        folder = self._folder() or "/"
        own = self._own(f"{folder}/mpiexec.hydra")
        commands = [f"{'mpirun' if own else f'{folder}/mpiexec.hydra'} -n TASKS PROGRAM"]
        if self.system.which("srun"):
            commands.append("srun --mpi=pmi2 -n TASKS PROGRAM")
        note = "with srun, I_MPI_PMI_LIBRARY names Slurm's libpmi2.so"
        return Launch(tuple(commands), f"{folder}/mpiexec.hydra", own, _MANAGERS, ("pmi1", "pmi2"), note)

    def _own(self, launcher: str) -> bool | None:
        return mpirun_is(self.system, launcher, folder_of(launcher))

    def _folder(self) -> str | None:
        """Where its commands are. A folder named by I_MPI_ROOT counts only as an absolute path with its launcher in."""
        root = self.system.environ.get("I_MPI_ROOT", "").rstrip("/")
        places = [f"{root}/{folder}" for folder in _FOLDERS] if root.startswith("/") else []
        for mark in _MARKS:
            found = self.system.which(mark)
            places += [folder_of(found)] if found else []
        return next((place for place in places if self.system.which(f"{place}/mpiexec.hydra")), None)


def _root(folder: str) -> str:
    for end in sorted(_FOLDERS, key=len, reverse=True):
        if folder.endswith(f"/{end}"):
            return folder[: -len(end) - 1]
    return folder
