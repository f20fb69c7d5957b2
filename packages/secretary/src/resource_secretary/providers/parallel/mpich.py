"""MPICH, found by its own `mpichversion`: its launcher, Hydra, is also Intel's and MVAPICH's."""

from __future__ import annotations

from resource_secretary.errors import CommandFailed
from resource_secretary.providers import Absent, Active, BaseProvider, Unreachable, secretary_tool
from resource_secretary.providers._paths import folder_of
from resource_secretary.providers.parallel._mpi import (
    Build,
    Launch,
    Mpi,
    Transports,
    command_name,
    launcher_in,
    mpirun_is,
)
from resource_secretary.providers.parallel._mpich_text import MpichVersion, read_hydra, read_mpichversion
from resource_secretary.run import Ran

# Debian's alternatives give each implementation's mpirun a name of its own.
_LAUNCHERS = ("mpirun.mpich", "mpiexec.mpich", "mpiexec.hydra", "mpiexec", "mpirun")


class MpichProvider(BaseProvider):
    category = "parallel"
    name = "mpich"
    description = "MPICH: version, device, compilers, networks and GPU support, and how to start programs with it."
    fresh_for = 3600.0
    variables = ("LD_LIBRARY_PATH",)

    # For those made from MPICH: what else marks them, and the names by which mpichversion knows them.
    _names: tuple[str, ...] = ("MPICH", "MPICH2")
    _launchers: tuple[str, ...] = _LAUNCHERS
    _commands: tuple[tuple[str, ...], ...] = (("mpichversion",),)

    def probe(self) -> Active[Mpi] | Absent | Unreachable:
        if missing := self._missing():
            return Absent(missing)
        answer = self._ask()
        if not answer.ok:
            return answer.unreachable()
        found = read_mpichversion(answer.stdout)
        if found.name not in self._names:
            return Absent(f"a mpichversion of {self._names[0]}: the one on PATH is of {found.name}")
        folder, launcher = self._launcher()
        return Active(Mpi(found.version, folder, launcher, mpirun_is(self.system, launcher, folder)))

    @secretary_tool
    def build(self) -> Build:
        """How this MPI was built: device, compilers with their flags, configure options."""
        found = self._version()
        return Build(found.version, found.released, found.prefix, found.device, found.compilers, found.configure)

    @secretary_tool
    def transports(self) -> Transports:
        """Which networks its messages can go over, and whether it takes buffers in CUDA or ROCm memory."""
        found = self._version()
        cuda, rocm = found.gpu("cuda", "cuda-kernels", "cuda-include"), found.gpu("hip", "rocm")
        if found.option("yaksa") == "no" or found.device.startswith("ch3:nemesis"):
            return Transports(found.networks, bool(cuda), bool(rocm), "built without yaksa, its layer for GPU memory")
        told = "the configure options say so" if None not in (cuda, rocm) else "the configure options do not tell"
        return Transports(found.networks, cuda, rocm, told)

    @secretary_tool
    def launch(self) -> Launch:
        """How to start programs with it: its launcher, the managers it knows, the PMI that managers can use."""
        found = self._version()
        folder, launcher = self._launcher()
        own = mpirun_is(self.system, launcher, folder)
        commands: list[str] = []
        managers: tuple[str, ...] | None = None
        note = "no launcher of its own was found"
        if launcher:
            commands.append(f"{command_name(launcher, own, self.system)} -n TASKS PROGRAM")
            managers, note = self._managers(launcher)
        if self.system.which("srun"):
            # Slurm's pmi2 plug-in speaks PMI-1 too (mpi.html of Slurm's documentation, "MPICH").
            kinds = dict.fromkeys("pmix" if kind == "pmix" else "pmi2" for kind in found.pmi)
            commands += [f"srun --mpi={kind} -n TASKS PROGRAM" for kind in kinds]
        if self.system.which("flux"):
            commands.append("flux run -n TASKS PROGRAM")
        return Launch(tuple(commands), launcher, own, managers, found.pmi, note)

    def _missing(self) -> str:
        """What of its marks is not here; "" where there is nothing left but to ask."""
        path = self.system.which("mpichversion")
        if path is None:
            return "the command mpichversion on PATH"
        other = self.system.which("mpiname")
        if other is not None and folder_of(other) == folder_of(path):
            return f"a mpichversion of MPICH: {path} has MVAPICH's mpiname beside it"
        return ""

    def _managers(self, launcher: str) -> tuple[tuple[str, ...] | None, str]:
        """The managers that the launcher was built for, or None and why they aren't known."""
        try:
            hydra = read_hydra(self.system.run(launcher, "--version").text())
        except CommandFailed as error:
            return None, f"its launcher does not answer: {error}"
        except ValueError as error:
            return None, f"its launcher is not Hydra: {str(error)[:200]}"
        return tuple(sorted({*hydra.launchers, *hydra.managers} - {"user", "manual", "fork", "persist"})), ""

    def _ask(self) -> Ran:
        """The answer of the first of its commands that PATH has."""
        for words in self._commands:
            if self.system.which(words[0]):
                return self.system.run(*words)
        return self.system.run(*self._commands[0])

    def _version(self) -> MpichVersion:
        return read_mpichversion(self._ask().text())

    def _launcher(self) -> tuple[str, str | None]:
        found = next((self.system.which(words[0]) for words in self._commands if self.system.which(words[0])), "")
        folder = folder_of(found or "")
        return folder, launcher_in(self.system, folder, self._launchers)
