"""How PBS, Torque, Grid Engine, Moab, LSF and Cobalt are told apart: by what only one of them installs.

All but LSF have a `qstat` and a `qsub`, and Slurm has wrappers of such names (also of `pbsnodes`, `bjobs` and `lsid`),
so those words alone say nothing. Nothing is run to find a mark.
"""

from __future__ import annotations

from collections.abc import Sequence

from resource_secretary.system import System

PBS_COMMANDS = ("pbs_rstat", "pbs_probe", "pbs_hostn", "pbs_rsub")
TORQUE_COMMANDS = ("momctl", "trqauthd", "qgpumode", "qchkpt")
TORQUE_FILES = ("/var/spool/torque/server_name", "/var/lib/torque/server_name", "/etc/torque/server_name")
COBALT_COMMANDS = ("partlist", "cqadm", "cqstat", "cqsub")
COBALT_FILES = ("/etc/cobalt.conf",)


def pbs_files(system: System) -> tuple[str, ...]:
    """Where the configuration of PBS is: PBS Professional Reference Guide, "The PBS Configuration File"."""
    return (system.environ.get("PBS_CONF_FILE") or "/etc/pbs.conf",)


def lacking(system: System, *, every: Sequence[str], marks: Sequence[str] = (), files: Sequence[str] = ()) -> str:
    """What was looked for and not found: all of the commands `every`, and one mark (a command or a file) if there are
    any to look for. "" where it was found."""
    missing = [name for name in every if not system.which(name)]
    if missing:
        return f"{'the commands' if len(missing) > 1 else 'the command'} {' and '.join(missing)} on PATH"
    if not (marks or files) or any(map(system.which, marks)) or any(map(system.exists, files)):
        return ""
    return f"one of {', '.join([*marks, *files])}, beside {' and '.join(every)}"
