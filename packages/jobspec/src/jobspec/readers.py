"""Files in: which system a file is written for, and its reading."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from jobspec.documents import detect_document
from jobspec.errors import JobspecError, ScriptError
from jobspec.job import Job
from jobspec.loadleveler.keywords import is_statement
from jobspec.profile import DEFAULT, Profile
from jobspec.reading import Reading, refused
from jobspec.systems import SEVERAL, SYSTEMS, reader
from jobspec.systems import system as system_of
from jobspec.templates import unfilled

LARGEST_SCRIPT = 8 * 1024 * 1024  # bytes; slurmctld itself takes 4 MB unless told otherwise
# How a directive line starts -> the system; LoadLeveler's lines are told by their keywords instead.
_PREFIXES = {
    start: system.name
    for system in SYSTEMS.values()
    if system.reader and system.name != "loadleveler"
    for start in system.prefixes
}
_START = re.compile("|".join(map(re.escape, _PREFIXES)))
_ANY = re.compile("|".join(re.escape(f"\n{prefix}") for prefix in (*_PREFIXES, *SYSTEMS["loadleveler"].prefixes)))
_BLOCK = 64 * 1024  # bytes; nearly every script is smaller


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a file is taken for a system's: the line (from 1; 0 where none says so) and what stands there."""

    system: str
    line: int
    reason: str


def detect(text: str) -> list[Evidence]:
    """The systems whose directives a script has before its first command, likeliest first; or that of a document.

    Slurm's win over foreign ones, which sbatch obeys too; otherwise the first wins. Where there are none, those
    behind the first command count: some systems read them there. Empty where there are none at all.
    """
    found = _directives(text, everywhere=False)
    if not found and (document := detect_document(text)):
        return [Evidence(*document)]
    if not found and _ANY.search(text):
        found = _directives(text, everywhere=True)
    if pbs := found.pop("torque", None):
        one = _pbs(text)
        found[one.system] = Evidence(one.system, one.line or pbs.line, one.reason)
    return sorted(found.values(), key=lambda one: (one.system != "slurm", one.line))


def _directives(text: str, *, everywhere: bool) -> dict[str, Evidence]:
    """The first line of each system whose directive it is."""
    found: dict[str, Evidence] = {}
    for number, line in enumerate(text.split("\n"), 1):
        start = line.lstrip()
        if not start:
            continue
        if start[0] != "#":
            if everywhere:
                continue
            break
        # qsub of PBS obeys indented directives too; the others do not.
        match = _START.match(start if start.startswith("#PBS") else line)
        name = _PREFIXES[match[0]] if match else "loadleveler" if is_statement(line) else ""
        if name and name not in found:
            found[name] = Evidence(name, number, line[:80].strip())
    return found


def source_system(name: str) -> str:
    """The name of a system that is read (or of dialects: "pbs"), from its name or alias. Raises JobspecError."""
    if name.lower() in SEVERAL:
        return name.lower()
    reader(name)
    return system_of(name).name


def _pbs(text: str) -> Evidence:
    """Which of the two dialects of `#PBS` lines, and why."""
    from jobspec.pbs.dialect import dialect

    return Evidence(*dialect(text))


def read(text: str, system: str = "", profile: Profile = DEFAULT) -> Reading:
    """The reading of a file, refused or not.

    system: a name in `SYSTEMS`; "pbs" for the one of its dialects that it turns out to be; "" to find out.
    """
    if not system:
        # Without directives it is read as Slurm's: sbatch takes such a script too.
        evidence = detect(text)
        system = evidence[0].system if evidence else "slurm"
    elif system in SEVERAL:
        system = _pbs(text).system
    module = reader(system)
    try:
        return unfilled(module.read(text, profile))
    except ScriptError as error:
        return refused(system, error)


def read_script(text: str, file: str = "-") -> Job:
    """The job of a script. Raises ScriptError with the place where its scheduler would refuse it."""
    reading = read(text)
    if reading.errors:
        first = reading.errors[0]
        raise ScriptError(first.message, first.line, first.column, file, first.meant)
    return reading.jobs[0]


def load_script(argument: str) -> str:
    """The text of a script, from a file or `-`; bytes that are no UTF-8 are kept as surrogates."""
    try:
        if argument == "-":
            if sys.stdin is None:  # it was closed before we started
                raise JobspecError("can't read a script from stdin: it is closed")
            data = sys.stdin.buffer.read(LARGEST_SCRIPT + 1)
        else:
            with Path(argument).open("rb", buffering=0) as file:
                data = file.read(_BLOCK) or b""
                while (more := file.read(_BLOCK)) and len(data) <= LARGEST_SCRIPT:
                    data += more
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise JobspecError(f"can't read {argument!r}: {why}") from None
    if len(data) > LARGEST_SCRIPT:
        raise JobspecError(f"{argument!r} is larger than {LARGEST_SCRIPT // 2**20} MiB")
    return data.decode(errors="surrogateescape")
