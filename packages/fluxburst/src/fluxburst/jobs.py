"""Jobs as Flux lists them, and recorded queues: JSON Lines of job-list fields plus `spec`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import IO, Any, NoReturn

from resources.units import shown

from fluxburst.demand import Demand, read_demand, read_duration
from fluxburst.errors import JobError, QueueError

LONGEST_LINE = 4 * 1024 * 1024  # bytes; a jobspec holds an environment, and no kernel takes a larger one
MOST_JOBS = 1_000_000

# RFC 21, Job States and Events; the numbers are those of flux-core's job.h.
STATES = {1: "NEW", 2: "DEPEND", 4: "PRIORITY", 8: "SCHED", 16: "RUN", 32: "CLEANUP", 64: "INACTIVE"}
_DEFAULT_URGENCY = 16  # RFC 30
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Job:
    """One job of a queue.

    state: RFC 21 name. priority: as the scheduler orders, 0 is held. t_submit: seconds since the epoch.
    demand: None where its jobspec can't be read, and `problem` says why. info: the whole job information,
    as a selector sees it. duration: seconds that it may run, 0 without a limit. t_sched: when it began to wait for
    nodes, 0 where that is not known.
    """

    id: str
    name: str
    state: str
    priority: int
    t_submit: float
    demand: Demand | None
    info: Mapping[str, Any]
    problem: str = ""
    duration: float = 0.0
    t_sched: float = 0.0

    @property
    def waits_since(self) -> float:
        """When it could have started, had there been nodes: a dependency is no wait for nodes."""
        return self.t_sched or self.t_submit

    @property
    def label(self) -> str:
        """The id as Flux shows it to people: F58 where it is a number (RFC 19)."""
        return f58(int(self.id)) if self.id.isascii() and self.id.isdigit() and len(self.id) < 21 else self.id

    @property
    def order(self) -> tuple[int, float, str]:
        """Sorts jobs as a scheduler takes them: highest priority first, then the oldest."""
        return -self.priority, self.t_submit, self.id


def f58(number: int) -> str:
    """The F58 form of a job id (RFC 19): base 58, the digit one for zero, behind a florin sign."""
    digits = ""
    while number or not digits:
        number, digit = divmod(number, 58)
        digits = _BASE58[digit] + digits
    return f"ƒ{digits}"


def read_job(info: object, *, strict: bool = True) -> Job:
    """A job from its job information. Raises JobError with the place.

    With `strict=False` a jobspec that can't be read becomes the job's `problem`.
    """
    if not isinstance(info, dict):
        raise JobError(f"a job is an object, not {shown(info)}")
    identity = info.get("id")
    if isinstance(identity, bool) or not isinstance(identity, (int, str)) or identity == "":
        raise JobError(f"a job id is a number or a text, not {shown(identity)}", "id")
    state = info.get("state")
    name = STATES.get(state) if isinstance(state, int) else state
    if not isinstance(name, str) or name not in STATES.values():
        raise JobError(f"a state is one of {', '.join(STATES.values())} or its number, not {shown(state)}", "state")
    urgency = _number(info, "urgency", _DEFAULT_URGENCY)
    priority = _number(info, "priority", urgency) if urgency else 0
    title = info.get("name", "")
    if not isinstance(title, str):
        raise JobError(f"a name is a text, not {shown(title)}", "name")
    demand, problem, duration = None, "", 0.0
    try:
        duration = read_duration(info["spec"]) if isinstance(info.get("spec"), dict) else 0.0
        demand = read_demand(info.get("spec"))
    except JobError as error:
        if strict:
            raise
        problem = str(error)
    submitted, waits = _number(info, "t_submit", 0.0), _number(info, "t_sched", 0.0)
    return Job(str(identity), title, name, int(priority), submitted, demand, info, problem, duration, waits)


def _number(info: Mapping[str, Any], key: str, default: float) -> float:
    value = info.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value) or value < 0:
        raise JobError(f"a number from 0 up belongs here, not {shown(value)}", key)
    return value


def read_queue(file: str) -> list[Job]:
    """The jobs of a recorded queue; `-` is stdin. Raises QueueError with file and line."""
    try:
        if file == "-":
            return list(_jobs(sys.stdin.buffer, "stdin"))
        with Path(file).open("rb") as stream:
            return list(_jobs(stream, file))
    except (OSError, ValueError) as error:
        if isinstance(error, QueueError):
            raise
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise QueueError(file, 0, f"can't read the queue: {why}") from None


def _jobs(stream: IO[bytes], file: str) -> Iterator[Job]:
    seen: set[str] = set()
    number = 0
    while line := stream.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            raise QueueError(file, number, f"the line is longer than {LONGEST_LINE // 2**20} MiB")
        if not line.strip():
            continue
        try:
            job = read_job(json.loads(line, parse_constant=_refuse_constant))
        except JobError as error:
            raise QueueError(file, number, str(error)) from None
        except RecursionError:
            raise QueueError(file, number, "it is nested too deeply") from None
        except UnicodeDecodeError:
            raise QueueError(file, number, "not UTF-8 text; a queue is JSON Lines, a job a line") from None
        except json.JSONDecodeError as error:
            why = f"{error.msg} in column {error.colno}"
            raise QueueError(file, number, f"no JSON: {why}; a queue is JSON Lines, a job a line") from None
        except ValueError as error:  # a constant that JSON has not, or a number of too many digits
            raise QueueError(file, number, f"no JSON: {error}") from None
        if job.id in seen:
            raise QueueError(file, number, f"job {shown(job.id)} occurs twice")
        if len(seen) == MOST_JOBS:
            raise QueueError(file, number, f"more than {MOST_JOBS} jobs")
        seen.add(job.id)
        yield job


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
