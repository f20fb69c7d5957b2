"""What is known of a job that ran: the lines of `sacct`, or what scontrol and squeue still know."""

from __future__ import annotations

import re
from dataclasses import dataclass

from resource_secretary.errors import OutputError
from resource_secretary.providers.workload import _slurm_values as values
from resource_secretary.providers.workload._slurm_jobs import SlurmJob, SlurmJobDetail, exit_code
from resource_secretary.providers.workload._slurm_text import Record
from resource_secretary.providers.workload._slurm_values import job_state
from resource_secretary.run import printable

_TOTAL = re.compile(r"(?:([0-9]+)-)?(?:([0-9]+):)?([0-9]+):([0-9]{2})(?:\.[0-9]+)?", re.ASCII)
# The job's name is last: it may hold any character.
SACCT = (
    *("JobID", "State", "ExitCode", "User", "Account", "Partition", "QOS", "Submit", "Start", "End", "ElapsedRaw"),
    *("Timelimit", "AllocCPUS", "AllocNodes", "ReqMem", "MaxRSS", "TotalCPU", "AllocTRES", "NodeList", "JobName"),
)


@dataclass(frozen=True, slots=True)
class SlurmStep:
    """A step of a job: batch, extern, or a number. cpu_time in seconds, max_memory in bytes: of its largest task."""

    id: str
    name: str
    state: str
    exit_code: int | None
    signal: int | None
    elapsed: int | None
    cpu_time: int | None
    max_memory: int | None


@dataclass(frozen=True, slots=True)
class SlurmAccount:
    """What is known of a job that ran. Times are RFC 3339 in UTC or seconds, memory bytes.

    source: sacct, scontrol or squeue: where the answer is from; tried: what those that were asked before it said. What
    a source doesn't tell is null. finished: whether the state is a last one. jobs: how many the id stands for: of an
    array this is the first task.
    """

    id: str
    source: str
    tried: tuple[str, ...]
    state: str
    finished: bool
    exit_code: int | None = None
    signal: int | None = None
    name: str = ""
    user: str = ""
    account: str = ""
    partition: str = ""
    qos: str = ""
    reason: str = ""
    submitted: str | None = None
    start: str | None = None
    end: str | None = None
    elapsed: int | None = None
    time_limit: int | None = None
    cpus: int | None = None
    nodes: int | None = None
    node_list: str = ""
    allocated: dict[str, str] | None = None
    cpu_time: int | None = None
    max_memory: int | None = None
    steps: tuple[SlurmStep, ...] | None = None
    jobs: int = 1


@dataclass(frozen=True, slots=True)
class Found:
    """The lines of sacct of one job: its own, its steps, and how many jobs the id stands for (those of an array)."""

    record: Record
    steps: tuple[SlurmStep, ...]
    count: int


def read_accounting(text: str, job: str) -> Found | None:
    """The job and its steps of `sacct --parsable2 --noheader`; None where it knows none. Raises OutputError.

    Of an array it is the first task. Of a job that was requeued sacct tells the last run only.
    """
    found: list[tuple[Record, list[SlurmStep]]] = []
    for line_number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        parts = line.split("|", len(SACCT) - 1)
        if len(parts) != len(SACCT):
            raise OutputError("sacct", f"line {line_number}", f"{len(SACCT)} fields expected: {printable(line[:80])!r}")
        fields = dict(zip(SACCT, parts, strict=True))
        record = Record(fields["JobID"], fields)
        _, dot, step = record.name.partition(".")
        if not dot:
            found.append((record, []))
            continue
        if not found:
            raise OutputError("sacct", f"line {line_number}", f"the step {printable(record.name[:40])!r} of no job")
        try:
            found[-1][1].append(_step(step, record))
        except ValueError as error:
            raise OutputError("sacct", record.name, str(error)) from None
    if not found:
        return None
    record, steps = next((one for one in found if one[0].name == job), found[0])
    return Found(record, tuple(steps), len(found))


def _step(name: str, record: Record) -> SlurmStep:
    code, signal = exit_code(record.text("ExitCode"))
    memory, _ = record.memory("MaxRSS") if record.text("MaxRSS") not in ("", "0") else (None, "")
    return SlurmStep(
        name,
        printable(record.text("JobName")),
        job_state(record.need("State")),
        code,
        signal,
        record.maybe("ElapsedRaw"),
        total_seconds(record.text("TotalCPU")),
        memory,
    )


def total_seconds(text: str) -> int | None:
    """`TotalCPU` of sacct in whole seconds: [days-][hours:]minutes:seconds[.fraction]."""
    match = _TOTAL.fullmatch(text)
    if not match or len(text) > 24:
        return None
    days, hours, minutes, second = (int(part or 0) for part in match.groups())
    made = ((days * 24 + hours) * 60 + minutes) * 60 + second
    return made if made <= values.LONGEST else None


def account_of(found: Found, tried: tuple[str, ...]) -> SlurmAccount:
    """The answer that sacct gives. Raises OutputError."""
    record, steps = found.record, found.steps
    try:
        state = job_state(record.need("State"))
        code, signal = exit_code(record.text("ExitCode"))
        return SlurmAccount(
            id=record.name,
            source="sacct",
            tried=tried,
            state=state,
            finished=state in values.FINISHED,
            exit_code=code,
            signal=signal,
            name=printable(record.fields["JobName"]),
            user=record.text("User"),
            account=record.text("Account"),
            partition=record.text("Partition"),
            qos=record.text("QOS"),
            submitted=record.moment("Submit"),
            start=record.moment("Start"),
            end=record.moment("End"),
            elapsed=record.maybe("ElapsedRaw"),
            time_limit=record.any_seconds("Timelimit"),
            cpus=record.cores("AllocCPUS"),
            nodes=record.maybe("AllocNodes"),
            node_list="" if record.text("NodeList") == "None assigned" else record.text("NodeList"),
            allocated=record.tres("AllocTRES"),
            cpu_time=total_seconds(record.text("TotalCPU")),
            max_memory=max((step.max_memory for step in steps if step.max_memory is not None), default=None),
            steps=steps,
            jobs=found.count,
        )
    except ValueError as error:
        raise OutputError("sacct", record.name, str(error)) from None


def account_of_detail(job: SlurmJobDetail, tried: tuple[str, ...]) -> SlurmAccount:
    """The answer that scontrol gives."""
    return SlurmAccount(
        id=job.id,
        source="scontrol",
        tried=tried,
        state=job.state,
        finished=job.state in values.FINISHED,
        exit_code=job.exit_code,
        signal=job.signal,
        name=job.name,
        user=job.user,
        account=job.account,
        partition=job.partition,
        qos=job.qos,
        reason=job.reason,
        submitted=job.submitted,
        start=job.start,
        end=job.end,
        time_limit=job.time_limit,
        cpus=job.cpus,
        nodes=job.nodes,
        node_list=job.node_list,
        allocated=job.allocated,
        jobs=job.tasks_of_array,
    )


def account_of_queued(job: SlurmJob, tried: tuple[str, ...]) -> SlurmAccount:
    """The answer that squeue gives: no exit code."""
    return SlurmAccount(
        id=job.id,
        source="squeue",
        tried=tried,
        state=job.state,
        finished=job.state in values.FINISHED,
        name=job.name,
        user=job.user,
        account=job.account,
        partition=job.partition,
        qos=job.qos,
        reason=job.reason,
        submitted=job.submitted,
        start=job.start,
        end=job.end,
        elapsed=job.elapsed,
        time_limit=job.time_limit,
        cpus=job.cpus,
        nodes=job.nodes,
        node_list=job.node_list,
    )
