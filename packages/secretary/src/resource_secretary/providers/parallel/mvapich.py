"""MVAPICH of Ohio State University, found by its own `mpiname`, or by an `mpichversion` that is its."""

from __future__ import annotations

from resource_secretary.providers import secretary_tool
from resource_secretary.providers._paths import folder_of, real
from resource_secretary.providers.parallel._mpi import Transports
from resource_secretary.providers.parallel.mpich import MpichProvider


class MvapichProvider(MpichProvider):
    category = "parallel"
    name = "mvapich"
    description = "MVAPICH: version, device, compilers, networks and GPU support, and how to start programs with it."

    _names = ("MVAPICH", "MVAPICH2", "MVAPICH2-X", "MVAPICH2-GDR")
    # User guide of MVAPICH2 2.3, "5.2 Run MPI Applications": mpirun_rsh is its own and preferred launcher.
    _launchers = ("mpirun_rsh", "mpiexec.hydra", "mpiexec", "mpirun")
    _commands = (("mpiname", "-a"), ("mpichversion",))

    def _missing(self) -> str:
        if self.system.which("mpiname"):
            return ""
        path = self.system.which("mpichversion")
        if path is not None:
            beside = self.system.which(f"{folder_of(path)}/mpirun_rsh")
            if beside or "mvapich" in real(self.system, path).lower():
                return ""
        return "the command mpiname on PATH, or mpichversion with mpirun_rsh beside it"

    @secretary_tool
    def transports(self) -> Transports:
        """Which networks its messages can go over, and whether it takes buffers in CUDA or ROCm memory."""
        found = self._version()
        cuda, rocm = found.gpu("cuda"), found.gpu("rocm", "hip")
        if "GDR" in found.name and cuda is None:
            return Transports(found.networks, True, rocm, "MVAPICH2-GDR is made for GPUs")
        told = "the configure options say so" if cuda is not None else "the configure options do not tell"
        return Transports(found.networks, cuda, rocm, told)
