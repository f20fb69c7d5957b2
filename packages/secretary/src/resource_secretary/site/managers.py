"""What a profile needs of each workload manager and only its own commands, files or manuals say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from resource_secretary.site.facts import Fact

if TYPE_CHECKING:
    from resource_secretary.system import System

# jobspec's names of the systems, where they differ from those of the providers.
SYSTEMS = {"pbs": "pbspro"}


@dataclass(frozen=True, slots=True)
class Cap:
    """Where a manager tells the limit of arrays: a command, and a pattern with the number.

    more: what is to be added, for the profile's cap is one more than the largest index. source: the manual's rule.
    """

    command: tuple[str, ...]
    pattern: str
    more: int
    source: str


ARRAY_CAPS = {
    # slurm.conf(5): the largest index is MaxArraySize - 1.
    "slurm": Cap(("scontrol", "show", "config"), r"^MaxArraySize\s*=\s*(\d{1,10})\s*$", 0, "MaxArraySize"),
    # sge_conf(5): so many tasks at most, and indices begin at 1 (qsub(1), -t). 0 is no limit.
    "gridengine": Cap(("qconf", "-sconf"), r"^max_aj_tasks\s+(\d{1,10})\s*$", 1, "max_aj_tasks"),
    # PBS Reference Guide, server attributes: so many subjobs at most, and indices may begin at 0.
    "pbs": Cap(("qstat", "-Bf"), r"^\s*max_array_size = (\d{1,10})\s*$", 0, "max_array_size"),
    # lsb.params(5): so many jobs at most, and indices begin at 1.
    "lsf": Cap(("bparams", "-a"), r"^\s*MAX_JOB_ARRAY_SIZE\s*=\s*(\d{1,10})\b", 1, "MAX_JOB_ARRAY_SIZE"),
}
_LIMIT = 2**31 - 1  # of a profile's numbers

# The unit of a bare number of memory, by the manuals; where it is no unit of a profile, why there is none.
MEMORY_UNITS: dict[str, Fact | str] = {
    "slurm": Fact({"slurm": "MB"}, "sbatch(1), --mem: the default unit is megabytes"),
    "gridengine": "bare numbers are bytes (sge_types(1)), which jobspec knows",
    "pbs": "bare numbers are bytes (pbs_resources(7)), which jobspec knows",
    "torque": "bare numbers are bytes (pbs_resources(7)), which jobspec knows",
    "flux": "Flux manages no memory",
}
_LSF_UNIT = re.compile(r"^\s*LSF_UNIT_FOR_LIMITS\s*=\s*\"?([KMGT]B?)\b", re.MULTILINE | re.IGNORECASE)


def array_cap(name: str, system: System) -> Fact | str:
    """The cap of job arrays. Raises CommandFailed."""
    cap = ARRAY_CAPS.get(name)
    if cap is None:
        return f"{name} does not tell it"
    found = re.search(cap.pattern, system.run(*cap.command).text(), re.MULTILINE)
    if not found:
        return f"{' '.join(cap.command)} says no {cap.source}"
    number = int(found[1])
    if number == 0 or number + cap.more > _LIMIT:
        return f"no limit: {cap.source} is {number}"
    return Fact(number + cap.more, f"{cap.source} is {number}")


def memory_units(name: str, system: System) -> Fact | str:
    """The unit of bare numbers of memory."""
    if name != "lsf":
        return MEMORY_UNITS.get(name, f"{name} does not tell it")
    folder = system.environ.get("LSF_ENVDIR", "")
    path = f"{folder}/lsf.conf"
    found = _LSF_UNIT.search(system.read(path) or "") if folder else None
    if found is None:
        return "LSF_UNIT_FOR_LIMITS decides; " + (f"{path} does not set it" if folder else "LSF_ENVDIR is not set")
    return Fact({"lsf": f"{found[1][0].upper()}B"}, f"LSF_UNIT_FOR_LIMITS in {path}")


def memory_per(name: str, system: System) -> Fact | str:
    """What memory is counted by. Raises CommandFailed."""
    if name != "gridengine":
        return f"{name} does not tell it" if name == "lsf" else ""
    # sge_complex(5), consumable: YES counts for each slot, JOB once for the job; so does a limit of a queue, a slot's.
    for line in system.run("qconf", "-sc").text().splitlines():
        words = line.split()
        if len(words) == 8 and words[0] == "h_vmem":
            per = "job" if words[5].lower() in ("job", "j") else "slot"
            return Fact({"gridengine": per}, f"h_vmem: consumable is {words[5]} (sge_complex(5))")
    return "qconf -sc has no h_vmem"


def system_name(name: str) -> str:
    """jobspec's name of a provider's system."""
    return SYSTEMS.get(name, name)
