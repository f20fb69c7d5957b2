"""Read jobs of Slurm as text: the lines of `squeue`, the record of `scontrol show job`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from resource_secretary.errors import OutputError
from resource_secretary.providers.workload import _slurm_values as values
from resource_secretary.providers.workload._slurm_text import Record, records, split
from resource_secretary.providers.workload._slurm_values import job_state, known_job_state
from resource_secretary.run import printable

_ID = re.compile(r"[0-9]{1,12}(?:[_+](?:[0-9]{1,12}|\[[0-9,:%.-]{1,200}\]))?", re.ASCII)
_CODE = re.compile(r"([0-9]{1,5}):([0-9]{1,5})", re.ASCII)
_OWNER = re.compile(r"\sUserId=([^\s()]+)\([0-9]+\)\sGroupId=")
_RAW = 2000
_BARE = re.compile(r"\sNtasksPerTRES:[0-9]+\b")  # 20.11 writes it without a `=`
# The job's name is last: it may hold any character.
SQUEUE = {
    "id": "%i",
    "state": "%T",
    "partition": "%P",
    "user": "%u",
    "account": "%a",
    "qos": "%q",
    "nodes": "%D",
    "cpus": "%C",
    "memory": "%m",
    "gres": "%b",
    "limit": "%l",
    "elapsed": "%M",
    "submitted": "%V",
    "start": "%S",
    "end": "%e",
    "priority": "%Q",
    "reason": "%r",
    "node_list": "%N",
    "name": "%j",
}


@dataclass(frozen=True, slots=True)
class SlurmJob:
    """A job in the queue. Times are RFC 3339 in UTC or seconds, memory bytes of each node ("node") or CPU ("cpu").

    start: when it began, or, while it waits, when Slurm expects it to; null where it doesn't say. end: when it will
    have reached its time limit. time_limit: null without one. gpus: of each node by type, null where
    Slurm tells none. unread: why the line can't be
    read.
    """

    id: str
    name: str = ""
    user: str = ""
    account: str = ""
    partition: str = ""
    qos: str = ""
    state: str = "unknown"
    reason: str = ""
    nodes: int | None = None
    cpus: int | None = None
    memory: int | None = None
    memory_per: str = ""
    gpus: dict[str, int] | None = None
    time_limit: int | None = None
    elapsed: int | None = None
    submitted: str | None = None
    start: str | None = None
    end: str | None = None
    priority: int | None = None
    node_list: str = ""
    unread: str = ""


@dataclass(frozen=True, slots=True)
class SlurmJobDetail:
    """One job. Times are RFC 3339 in UTC or seconds. source: what was asked.

    tasks_of_array: how many records Slurm keeps of an array's job id; this is the first of them. start, end: expected
    ones while it waits or runs. exit_code, signal: of the batch script. requested, allocated: trackable resources as
    Slurm writes them. gpus: those allocated, or requested while it waits, in all, by type.
    """

    id: str
    name: str
    user: str
    account: str
    partition: str
    qos: str
    state: str
    reason: str
    dependency: str
    exit_code: int | None
    signal: int | None
    submitted: str | None
    eligible: str | None
    start: str | None
    end: str | None
    time_limit: int | None
    priority: int | None
    restarts: int | None
    nodes: int | None
    cpus: int | None
    tasks: int | None
    requested: dict[str, str]
    allocated: dict[str, str]
    gpus: dict[str, int]
    node_list: str
    features: str
    licenses: str
    reservation: str
    command: str
    workdir: str
    stdout: str
    stderr: str
    comment: str
    tasks_of_array: int
    source: str


def read_queue(text: str) -> list[SlurmJob]:
    """The jobs of `squeue --noheader --format=...` with the fields of SQUEUE and `|` between them.

    A line that can't be read loses only itself. Raises OutputError where none can be read.
    """
    made: list[SlurmJob] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        parts = line.split("|", len(SQUEUE) - 1)
        fields = dict(zip(SQUEUE, parts, strict=False))
        name = fields["id"].strip()
        try:
            if len(parts) != len(SQUEUE) or not _ID.fullmatch(name):
                raise ValueError(f"a job's {len(SQUEUE)} fields expected, not {printable(line[:80])!r}")
            made.append(_queued(name, Record(name, fields)))
        except ValueError as error:
            made.append(SlurmJob(name if _ID.fullmatch(name) else f"line {number}", unread=printable(str(error))))
    if made and all(job.unread for job in made):
        raise OutputError("squeue", made[0].id, f"{made[0].unread}; it says: {printable(text.strip()[:_RAW])}")
    return made


def _queued(name: str, fields: Record) -> SlurmJob:
    memory = fields.read("memory", values.memory)
    state = job_state(fields.need("state"))
    if not known_job_state(state):
        raise ValueError(f"state: {state[:40]!r} is no state of a job")
    return SlurmJob(
        id=name,
        name=printable(fields.fields["name"]),
        user=fields.text("user"),
        account=fields.text("account"),
        partition=fields.text("partition"),
        qos=fields.text("qos"),
        state=state,
        reason=fields.text("reason"),
        nodes=fields.maybe("nodes"),
        cpus=fields.cores("cpus"),
        memory=(memory[0] or None) if memory else None,  # 0: all of the node's
        memory_per={"c": "cpu"}.get(memory[1], "node") if memory and memory[0] else "",
        gpus=fields.gpus("gres") if fields.text("gres") else None,
        time_limit=fields.any_seconds("limit"),
        elapsed=fields.any_seconds("elapsed"),
        submitted=fields.moment("submitted"),
        start=fields.moment("start"),
        end=fields.moment("end"),
        priority=fields.maybe("priority"),
        node_list=fields.text("node_list"),
    )


def read_depth(text: str) -> list[tuple[str, int]]:
    """(state, CPUs) of each line of `squeue --array --noheader --format=%T|%C`. Raises OutputError."""
    made = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        state, bar, cpus = line.strip().partition("|")
        if not bar or not cpus.isascii() or not cpus.isdecimal() or len(cpus) > 12:
            raise OutputError("squeue", f"line {number}", f"STATE|CPUS expected, not {printable(line[:40])!r}")
        made.append((job_state(state), int(cpus)))
    return made


def read_job(text: str) -> SlurmJobDetail:
    """The job of `scontrol --oneliner show job ID`; the first where it has several. Raises OutputError."""
    text = _BARE.sub("", text)
    lines = records(text, "job", "JobId")
    if not lines:
        raise OutputError("scontrol show job", "", "it says nothing")
    try:
        return _detail(lines[0], text.lstrip().split("\n", 1)[0], len(lines))
    except ValueError as error:
        raise OutputError("scontrol show job", lines[0].name, str(error)) from None


def _detail(record: Record, line: str, count: int) -> SlurmJobDetail:
    if record.wrong:
        raise ValueError(record.wrong)
    # The name of a job may look like fields; what follows its owner is Slurm's own.
    owner = _OWNER.search(line)
    if owner is None:
        raise ValueError("UserId=name(number) is missing")
    name = line[: owner.start()].partition(" JobName=")[2]
    record = Record(record.name, {**record.fields, **split(line[owner.start() :])})
    state = job_state(record.need("JobState"))
    requested = record.tres("ReqTRES") or record.tres("TRES")
    allocated = record.tres("AllocTRES") or (record.tres("TRES") if state != "PENDING" else {})
    array = record.text("ArrayJobId")
    code, signal = exit_code(record.text("ExitCode"))
    done = state in values.FINISHED
    return SlurmJobDetail(
        id=f"{array}_{record.text('ArrayTaskId')}" if array and "ArrayTaskId" in record.fields else record.name,
        name=printable(name.strip()),
        user=owner[1],
        account=record.text("Account"),
        partition=record.text("Partition"),
        qos=record.text("QOS"),
        state=state,
        reason=record.text("Reason"),
        dependency=record.text("Dependency"),
        exit_code=code if done else None,
        signal=signal if done else None,
        submitted=record.moment("SubmitTime"),
        eligible=record.moment("EligibleTime"),
        start=record.moment("StartTime"),
        end=record.moment("EndTime"),
        time_limit=record.any_seconds("TimeLimit"),
        priority=record.maybe("Priority"),
        restarts=record.maybe("Restarts"),
        nodes=_least(record.text("NumNodes")),
        cpus=_least(record.text("NumCPUs")),
        tasks=_least(record.text("NumTasks")),
        requested=requested,
        allocated=allocated,
        gpus=values.tres_gpus(allocated or requested) or _gpus(record),
        node_list=record.text("NodeList"),
        features=record.text("Features"),
        licenses=record.text("Licenses"),
        reservation=record.text("Reservation"),
        command=record.text("Command"),
        workdir=record.text("WorkDir"),
        stdout=record.text("StdOut"),
        stderr=record.text("StdErr"),
        comment=record.text("Comment"),
        tasks_of_array=count,
        source="scontrol show job",
    )


def _gpus(record: Record) -> dict[str, int]:
    """What the job asked for, where the site does not track GPUs: in all, or of each node."""
    nodes = _least(record.text("NumNodes")) or 1
    return record.gpus("TresPerJob") or {kind: n * nodes for kind, n in record.gpus("TresPerNode").items()}


def _least(text: str) -> int | None:
    """`4`, or `2-4` while Slurm has a choice: the least."""
    word = text.partition("-")[0]
    return int(word) if word.isascii() and word.isdecimal() and len(word) < 8 else None


def exit_code(text: str) -> tuple[int | None, int | None]:
    """`3:0`: the exit code, and the signal that ended it, None for none; sacct(1), "ExitCode"."""
    match = _CODE.fullmatch(text)
    return (int(match[1]), int(match[2]) or None) if match else (None, None)


def is_job_id(text: str) -> bool:
    """Whether Slurm could have given this id: 12, 12_3, 12_[1-3], 12+1."""
    return bool(_ID.fullmatch(text))
