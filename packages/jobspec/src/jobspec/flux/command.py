"""The commands of a jobspec as a script, and such a script as a command again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from jobspec.job import Job

SCRIPT = "{{tmpdir}}/script"
_SHEBANG = "#!/bin/sh\n"


def batch_arguments(command: Sequence[str]) -> tuple[list[str], list[str]] | None:
    """The options of the broker and the arguments of the script, where a command is that of a batch job."""
    if list(command[:2]) != ["flux", "broker"] or SCRIPT not in command:
        return None
    at = list(command).index(SCRIPT)
    return list(command[2:at]), list(command[at + 1 :])


def as_script(commands: Sequence[tuple[Job, Sequence[str]]]) -> str:
    """A script that runs the commands, each with as many tasks as its job has, all at a time."""
    lines = [_line(job, command, alone=len(commands) == 1) for job, command in commands]
    if len(lines) > 1:
        lines = [f"{line} &" for line in lines] + ["wait"]
    return _SHEBANG + "".join(f"{line}\n" for line in lines)


def _line(job: Job, command: Sequence[str], *, alone: bool) -> str:
    words = shlex.join(command)
    if job.tasks == 1 and alone:
        return f"exec {words}"
    amounts = [f"-N{job.nodes.least}"] if job.nodes else []
    amounts.append(f"-n{job.tasks}")
    if job.cpus_per_task != 1:
        amounts.append(f"-c{job.cpus_per_task}")
    amounts += [f"-g{one.count}" for one in job.gpus if one.per == "task"]
    return f"flux run {' '.join(amounts)} {words}"


def from_script(shebang: str, body: str, job: Job) -> list[str] | None:
    """The command of a script that `as_script` made for this job, None for any other script."""
    start = _line(job, (), alone=True)
    line, _, rest = body.partition("\n")
    if shebang != _SHEBANG.strip() or rest or not line.startswith(start):
        return None
    try:
        return shlex.split(line[len(start) :]) or None
    except ValueError:
        return None
