"""The batch systems: their names, how their directives start, and the modules that read and write them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, cast

from jobspec.errors import JobspecError

if TYPE_CHECKING:
    from jobspec.reading import Reader
    from jobspec.writing import Writer


@dataclass(frozen=True, slots=True)
class System:
    """One dialect. reader, writer: module names, "" where there is none; prefixes: how its directive lines start.

    suffix: of the files that are written. origin: where a job starts, "submit" (the submission directory) or "home".
    heterogeneous: its writer says the components of a heterogeneous job. joins: errors go where the output goes,
    unless the job says otherwise.
    """

    name: str
    label: str
    reader: str = ""
    writer: str = ""
    prefixes: tuple[str, ...] = ()
    suffix: str = ".sh"
    origin: str = "submit"
    heterogeneous: bool = False
    joins: bool = False


_FLUX = ("#FLUX:", "# FLUX:", "#flux:", "# flux:")
SYSTEMS = {
    system.name: system
    for system in (
        System(
            "slurm", "Slurm", "jobspec.slurm.read", "jobspec.slurm.write", ("#SBATCH",), ".sbatch", heterogeneous=True,
            joins=True,
        ),
        System("flux", "Flux", "jobspec.flux.read", "jobspec.flux.write", _FLUX, ".flux", joins=True),
        System(
            "flux-jobspec", "a Flux jobspec", "jobspec.flux.read_v1", "jobspec.flux.write_v1", (), ".json", joins=True,
        ),
        System(
            "pbspro", "PBS Pro", "jobspec.pbs.read_pro", "jobspec.pbs.write_pro", ("#PBS",), ".pbs", "home", True,
        ),
        System(
            "torque", "Torque", "jobspec.pbs.read_torque", "jobspec.pbs.write_torque", ("#PBS",), ".pbs", "home", True,
        ),
        System("moab", "Moab", "jobspec.pbs.read_moab", "", ("#MSUB",), "", "home"),
        System("lsf", "LSF", "jobspec.lsf.read", "jobspec.lsf.write", ("#BSUB",), ".lsf", joins=True),
        System("loadleveler", "LoadLeveler", "jobspec.loadleveler.read", "", ("#@", "# @"), ""),
        System("cobalt", "Cobalt", "jobspec.cobalt.read", "jobspec.cobalt.write", ("#COBALT",), ".cobalt"),
        System("oar", "OAR", "jobspec.oar.read", "jobspec.oar.write", ("#OAR",), ".oar"),
        System(
            "gridengine", "Grid Engine", "jobspec.gridengine.read", "jobspec.gridengine.write", ("#$",), ".sge", "home",
        ),
        System("htcondor", "HTCondor", "", "jobspec.htcondor.write", (), ".sub"),
        System("kubernetes", "a Kubernetes Job", "jobspec.kubernetes.read", "jobspec.kubernetes.write", (), ".yaml"),
        System(
            "jobset", "a Kubernetes JobSet", "", "jobspec.kubernetes.write_jobset", (), ".yaml", heterogeneous=True,
        ),
        System("hyperqueue", "HyperQueue", "", "jobspec.hyperqueue.write", ("#HQ",), ".hq"),
        System("jobspec", "jobspec's own YAML", "jobspec.own.read", "jobspec.own.write", (), ".yaml"),
    )
}  # fmt: skip
ALIASES = {
    "openpbs": "pbspro",
    "pbs-pro": "pbspro",
    "sge": "gridengine",
    "ll": "loadleveler",
    "k8s": "kubernetes",
    "hq": "hyperqueue",
    "condor": "htcondor",
}
# A name of several dialects that differ.
SEVERAL = {"pbs": ("pbspro", "torque")}


def system(name: str) -> System:
    """The system of a name or alias. Raises JobspecError, with the names there are."""
    lower = name.lower()
    if lower in SEVERAL:
        raise JobspecError(f"{name} is several dialects: say one of {', '.join(SEVERAL[lower])}")
    found = SYSTEMS.get(ALIASES.get(lower, lower))
    if not found:
        raise JobspecError(f"no system is named {name[:60]!r}; known: {', '.join(SYSTEMS)}")
    return found


def readers() -> tuple[str, ...]:
    """The names of the systems that are read."""
    return tuple(one.name for one in SYSTEMS.values() if one.reader)


def writers() -> tuple[str, ...]:
    """The names of the systems that are written."""
    return tuple(one.name for one in SYSTEMS.values() if one.writer)


@cache
def reader(name: str) -> Reader:
    """The reader of a system. Raises JobspecError where it has none."""
    found = system(name)
    if not found.reader:
        raise JobspecError(f"{found.label} is only written, not read; read are: {', '.join(readers())}")
    return cast("Reader", import_module(found.reader))


@cache
def writer(name: str) -> Writer:
    """The writer of a system. Raises JobspecError where it has none."""
    found = system(name)
    if not found.writer:
        raise JobspecError(f"{found.label} is only read, not written; written are: {', '.join(writers())}")
    return cast("Writer", import_module(found.writer))
