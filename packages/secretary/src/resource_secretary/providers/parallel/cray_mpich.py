"""Cray MPICH of the HPE Cray Programming Environment, found by its variables and folders: nothing of it is run.

Its modules set CRAY_MPICH_VERSION and CRAY_MPICH_DIR (intro_mpi(3) of Cray MPICH); without a module its versions lie
in /opt/cray/pe/mpich (EX systems) or /opt/cray/pe/mpt (XC systems).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from resource_secretary.providers import Absent, Active, BaseProvider, secretary_tool
from resource_secretary.providers.parallel._mpi import Launch, Transports

_TREES = ("/opt/cray/pe/mpich", "/opt/cray/pe/mpt")
_VERSION = re.compile(r"[0-9]+(\.[0-9]+)+", re.ASCII)
_NETWORKS = ("ofi", "ucx", "gni")
_GTL = {"libmpi_gtl_cuda.so": "cuda", "libmpi_gtl_hsa.so": "rocm"}


@dataclass(frozen=True, slots=True)
class CrayMpich:
    """version: of the module that is loaded, None without one. folder: what CRAY_MPICH_DIR names, None without it.

    installed: the versions below /opt/cray/pe, in their order.
    """

    version: str | None
    folder: str | None
    installed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Installed:
    """One build: for a network and a family of compilers of a version at least."""

    version: str
    network: str
    compiler: str
    compiler_version: str
    folder: str


class CrayMpichProvider(BaseProvider):
    category = "parallel"
    name = "cray-mpich"
    description = "Cray MPICH: versions installed, the one loaded, for which compilers and networks, GPU support."
    variables = ("CRAY_MPICH_VERSION", "CRAY_MPICH_DIR")

    def probe(self) -> Active[CrayMpich] | Absent:
        version, folder, installed = self._loaded(), self._folder(), tuple(self._versions())
        if version is None and not installed:
            return Absent(f"CRAY_MPICH_VERSION in the environment and versions in {' and '.join(_TREES)}")
        return Active(CrayMpich(version, folder, installed))

    @secretary_tool
    def installations(self) -> list[Installed]:
        """Which builds there are: version, network (ofi, ucx, gni), compilers."""
        found = []
        for version, tree in self._versions().items():
            for network in _NETWORKS:
                for compiler in self.system.entries(f"{tree}/{version}/{network}"):
                    folder = f"{tree}/{version}/{network}/{compiler}"
                    names = self.system.entries(folder)
                    found += [
                        Installed(version, network, compiler.removeprefix("mpich-"), name, f"{folder}/{name}")
                        for name in names
                        if _VERSION.fullmatch(name)
                    ]
        return found

    @secretary_tool
    def transports(self) -> Transports:
        """The networks that the loaded version (else the newest) was built for, and its GPU support."""
        versions = self._versions()
        version = self._loaded()
        if version not in versions:
            version = next(reversed(versions), "")
        root = f"{versions.get(version or '', _TREES[0])}/{version}"
        networks = tuple(name for name in _NETWORKS if self.system.entries(f"{root}/{name}"))
        libraries = set(self.system.entries(f"{root}/gtl/lib"))
        kinds = {kind for name, kind in _GTL.items() if any(one.startswith(name) for one in libraries)}
        if not libraries:
            return Transports(networks, None, None, f"no GPU transfer libraries seen in {root}/gtl/lib")
        reason = f"libmpi_gtl of {version}; jobs set MPICH_GPU_SUPPORT_ENABLED=1"
        return Transports(networks, "cuda" in kinds, "rocm" in kinds, reason)

    @secretary_tool
    def launch(self) -> Launch:
        """How to start programs: it has no launcher of its own, the manager's is used."""
        known = {
            "srun": "srun -n TASKS PROGRAM",
            "flux": "flux run -n TASKS PROGRAM",
            "aprun": "aprun -n TASKS PROGRAM",
            "mpiexec": "mpiexec -n TASKS PROGRAM",
        }
        commands = tuple(text for name, text in known.items() if self.system.which(name))
        note = "mpiexec is of PALS on systems with PBS Pro" if self.system.which("mpiexec") else ""
        return Launch(commands, None, None, None, ("cray",), note)

    def _loaded(self) -> str | None:
        version = self.system.environ.get("CRAY_MPICH_VERSION", "")
        return version if _VERSION.fullmatch(version) else None

    def _folder(self) -> str | None:
        folder = self.system.environ.get("CRAY_MPICH_DIR", "")
        return folder if folder.startswith("/") else None

    def _versions(self) -> dict[str, str]:
        """Version -> the tree that it is in, the oldest first."""
        found = {name: tree for tree in _TREES for name in self.system.entries(tree) if _VERSION.fullmatch(name)}
        return dict(sorted(found.items(), key=lambda pair: [int(part) for part in pair[0].split(".")]))
