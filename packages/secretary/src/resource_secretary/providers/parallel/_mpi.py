"""What the implementations of MPI have in common: where their commands are, and how a program is started with them."""

from __future__ import annotations

from dataclasses import dataclass

from resource_secretary.providers._paths import folder_of, real
from resource_secretary.system import System


@dataclass(frozen=True, slots=True)
class Mpi:
    """folder: where its commands are. launcher: the command that starts programs, None where none was found.

    mpirun_is_its: whether the plain `mpirun` of PATH is of this implementation; None where PATH has none.
    """

    version: str
    folder: str
    launcher: str | None
    mpirun_is_its: bool | None


@dataclass(frozen=True, slots=True)
class Build:
    """How it was built. compilers: language -> command with its flags. device: the lowest layer, where it has one
    (MPICH: `ch4:ofi`). configure: the options it was configured with, as it tells them."""

    version: str
    released: str
    prefix: str
    device: str
    compilers: dict[str, str]
    configure: str


@dataclass(frozen=True, slots=True)
class Transports:
    """networks: what messages can go over: ofi, ucx, verbs, psm2, tcp, shared-memory and so on; None where unknown.

    cuda, rocm: whether buffers in GPU memory can be handed to MPI; None where it does not tell, and gpu_reason says
    why, or from what it is known.
    """

    networks: tuple[str, ...] | None
    cuda: bool | None
    rocm: bool | None
    gpu_reason: str


@dataclass(frozen=True, slots=True)
class Launch:
    """How programs are started with it. commands: with TASKS and PROGRAM to be filled in, its own first. One of a
    manager works where that was built with the interface: `srun --mpi=list` tells.

    launcher: the path of its own command, None where a manager starts everything. mpirun_is_its: as in the metadata.
    managers: managers that its own command knows how to start within; None where it does not tell. pmi: the interfaces
    through which a manager (`srun --mpi=`) can start it; None where it does not tell. note: what else there is to know.
    """

    commands: tuple[str, ...]
    launcher: str | None
    mpirun_is_its: bool | None
    managers: tuple[str, ...] | None
    pmi: tuple[str, ...] | None
    note: str = ""


def launcher_in(system: System, folder: str, names: tuple[str, ...]) -> str | None:
    """The first of these commands that is in the folder. Own names come first: a plain `mpirun` may be another's."""
    for name in names:
        found = system.which(f"{folder}/{name}")
        if found:
            return found
    return None


def mpirun_is(system: System, launcher: str | None, folder: str) -> bool | None:
    """Whether the `mpirun` that PATH has is this launcher, or lies in its folder without being a link elsewhere."""
    mpirun = system.which("mpirun")
    if mpirun is None:
        return None
    if launcher is not None and real(system, mpirun) == real(system, launcher):
        return True
    return folder_of(mpirun) == folder and system.target(mpirun) is None


def command_name(launcher: str, mpirun_is_its: bool | None, system: System) -> str:
    """What a user types to get this launcher: `mpirun` where that is it, its name where PATH has it, else its path."""
    if mpirun_is_its:
        return "mpirun"
    name = launcher.rpartition("/")[2]
    found = system.which(name)
    return name if found is not None and real(system, found) == real(system, launcher) else launcher
