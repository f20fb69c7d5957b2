"""Open MPI, found by its own `ompi_info`: `mpirun` may be of any MPI."""

from __future__ import annotations

from resource_secretary.providers import Absent, Active, BaseProvider, Unreachable, secretary_tool
from resource_secretary.providers._paths import folder_of, real
from resource_secretary.providers.parallel._mpi import (
    Build,
    Launch,
    Mpi,
    Transports,
    command_name,
    launcher_in,
    mpirun_is,
)
from resource_secretary.providers.parallel._openmpi_text import OmpiInfo, read_cuda, read_ompi_info, read_version
from resource_secretary.providers.parallel._spectrum import SPECTRUM, has_own_library

# Debian's alternatives give each implementation's mpirun a name of its own; orterun is Open MPI's until 4.
_LAUNCHERS = ("mpirun.openmpi", "orterun", "mpirun", "mpiexec")


class OpenMpiProvider(BaseProvider):
    category = "parallel"
    name = "openmpi"
    description = "Open MPI: version, compilers, networks and GPU support it was built with, how to start programs."
    fresh_for = 3600.0
    variables = ("OPAL_PREFIX", "LD_LIBRARY_PATH")

    def probe(self) -> Active[Mpi] | Absent | Unreachable:
        path = self.system.which("ompi_info")
        if path is None:
            return Absent("the command ompi_info on PATH")
        if has_own_library(self.system, folder_of(folder_of(real(self.system, path)))):
            return Absent(f"an ompi_info of Open MPI: {path} is of {SPECTRUM}")
        # All else that it tells takes it a quarter of a second, in which it tries the networks.
        answer = self.system.run("ompi_info", "--version")
        if not answer.ok:
            return answer.unreachable()
        version = read_version(answer.stdout)
        folder, launcher = self._launcher()
        return Active(Mpi(version, folder, launcher, mpirun_is(self.system, launcher, folder)))

    @secretary_tool
    def build(self) -> Build:
        """How this Open MPI was built: prefix, compilers with their versions, configure options."""
        info = self._info()
        return Build(info.version, info.released, info.prefix, "", info.compilers, info.configure)

    @secretary_tool
    def transports(self) -> Transports:
        """Which networks its messages can go over, and whether it takes buffers in CUDA or ROCm memory."""
        info = self._info()
        accelerators = {name for framework, name in info.components if framework == "accelerator"}
        if accelerators:
            found = ", ".join(sorted(accelerators))
            return Transports(
                info.networks, "cuda" in accelerators, "rocm" in accelerators, f"accelerator components: {found}"
            )
        # Until 4.x only UCX knows of ROCm.
        cuda = read_cuda(self.system.run("ompi_info", "--parsable", "--all").text())
        said = "it does not tell" if cuda is None else "opal_built_with_cuda_support"
        return Transports(info.networks, cuda, None, f"CUDA: {said}; ROCm: before 5.0 it does not tell")

    @secretary_tool
    def launch(self) -> Launch:
        """How to start programs with it: its launcher, the managers it starts within, the PMI that managers can use."""
        info = self._info()
        folder, launcher = self._launcher()
        own = mpirun_is(self.system, launcher, folder)
        commands = [f"{command_name(launcher, own, self.system)} -n TASKS PROGRAM"] if launcher else []
        if self.system.which("srun"):
            commands += [f"srun --mpi={kind} -n TASKS PROGRAM" for kind in info.pmi if kind in ("pmix", "pmi2")]
        if self.system.which("flux"):
            commands.append("flux run -n TASKS PROGRAM")
        note = "" if info.managers is not None else "since 5.0 PRRTE starts programs, and ompi_info does not tell how"
        return Launch(tuple(commands), launcher, own, info.managers, info.pmi, note)

    def _info(self) -> OmpiInfo:
        return read_ompi_info(self.system.run("ompi_info", "--parsable").text())

    def _launcher(self) -> tuple[str, str | None]:
        folder = folder_of(self.system.which("ompi_info") or "")
        return folder, launcher_in(self.system, folder, _LAUNCHERS)
