"""Which batch system a script is written for, and the reader of each: text in, neutral job out."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from jobspec.errors import JobspecError, ScriptError
from jobspec.job import Job

LARGEST_SCRIPT = 8 * 1024 * 1024  # bytes; slurmctld itself takes 4 MB unless told otherwise

# Each system's directives, by how their lines start; the first that a script has tells its system.
DIALECTS = {
    "slurm": ("#SBATCH",),
    "flux": ("#FLUX:", "# FLUX:", "#flux:", "# flux:"),
    "pbs": ("#PBS",),
    "lsf": ("#BSUB",),
    "cobalt": ("#COBALT",),
    "oar": ("#OAR",),
    "gridengine": ("#$ ",),
    "loadleveler": ("#@", "# @"),
    "moab": ("#MSUB",),
}
# The systems that are read so far, each with the module whose `read` does it.
READERS = {"slurm": "jobspec.slurm"}


class Reader(Protocol):
    """What the module of a batch system has."""

    def read(self, text: str) -> Job:
        """The job that a script asks for. Raises ScriptError, without the file's name."""


def detect(text: str) -> tuple[str, int]:
    """The system of a script and the line that says so; ("", 0) where it has no directive. Slurm's win."""
    found = ("", 0)
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            break
        for system, starts in DIALECTS.items():
            if line.startswith(starts):
                if system == "slurm":
                    return system, number
                found = found if found[0] else (system, number)
    return found


def read_script(text: str, file: str = "-") -> Job:
    """The job of a batch script of any system that is read so far. Raises ScriptError with the place."""
    system, line = detect(text)
    if system and system not in READERS:
        known = ", ".join(READERS)
        raise ScriptError(f"the directives are those of {system}; only {known} is read so far", line, 1, file)
    # Without directives it is read as Slurm's: sbatch takes such a script too.
    reader = cast(Reader, import_module(READERS[system or "slurm"]))
    try:
        return reader.read(text)
    except ScriptError as error:
        raise ScriptError(error.message, error.line, error.column, file) from None


def load_script(argument: str) -> str:
    """The text of a script, from a file or `-`; bytes that are no UTF-8 are kept as surrogates."""
    try:
        if argument == "-":
            data = sys.stdin.buffer.read(LARGEST_SCRIPT + 1)
        else:
            with Path(argument).open("rb") as file:
                data = file.read(LARGEST_SCRIPT + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise JobspecError(f"can't read {argument!r}: {why}") from None
    if len(data) > LARGEST_SCRIPT:
        raise JobspecError(f"{argument!r} is larger than {LARGEST_SCRIPT // 2**20} MiB")
    return data.decode(errors="surrogateescape")
