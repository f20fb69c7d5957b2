"""The neutral job: what one job asks for, whoever was asked and in whatever words.

Readers make it and writers say it again. Bytes and seconds, integers; a value that was not asked for is None
(or empty). Values that each system writes in a language of its own (paths with patterns, features, dependencies,
times of day) are kept as given, in the words of `system`, beside what they mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

UNLIMITED: Literal["unlimited"] = "unlimited"


@dataclass(frozen=True, slots=True)
class Where:
    """The place of a value in its file; both count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Nodes:
    """How many nodes; `most` is None where there is no upper limit."""

    least: int
    most: int | None


@dataclass(frozen=True, slots=True)
class Gpus:
    """GPUs, and what they are counted by. A socket's are given as its node's."""

    count: int
    per: Literal["job", "node", "task"]
    type: str = ""


@dataclass(frozen=True, slots=True)
class Gres:
    """Another generic resource of each node, such as a network card."""

    name: str
    type: str
    count: int


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes, and what they are counted by; 0 bytes means all that the node has."""

    bytes: int
    per: Literal["node", "cpu", "gpu", "task", "job", "slot"]


@dataclass(frozen=True, slots=True)
class Array:
    """The indexes of a job array.

    ranges: (first, last, step) each, in the order given; throttle: how many may run at once.
    """

    text: str
    ranges: tuple[tuple[int, int, int], ...]
    throttle: int | None = None


@dataclass(frozen=True, slots=True)
class Dependency:
    """What must have happened before the job starts.

    terms: (kind, ids) each, the kinds in Slurm's words (after, afterany, afterok, afternotok, aftercorr,
    singleton); `any` where one of them is enough. No terms: only `text` says it, in the words of the system.
    """

    text: str
    terms: tuple[tuple[str, tuple[str, ...]], ...] = ()
    any: bool = False


@dataclass(frozen=True, slots=True)
class Begin:
    """The earliest start: `offset_s` from the submission, or `at` (ISO 8601, local time); neither: only `text`."""

    text: str
    offset_s: int | None = None
    at: str | None = None


@dataclass(frozen=True, slots=True)
class Constraint:
    """Features that the nodes must have: `text` as given; `all_of` where it is a plain list of them."""

    text: str
    all_of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mail:
    """Mail about the job; types in Slurm's words (BEGIN, END, FAIL, REQUEUE, TIME_LIMIT, ...); NONE alone: no mail."""

    user: str | None
    types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal (a name without SIG, or a number) so long before the end; `shell`: to the batch shell only."""

    name: str
    before_s: int
    shell: bool = False


@dataclass(frozen=True, slots=True)
class Environment:
    """What of the submitter's environment the job gets: all, or `names` only; and `values` set for it."""

    text: str
    all: bool
    names: tuple[str, ...] = ()
    values: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Native:
    """An option that only its own system has: `option` as the system names it, `value` None for a flag."""

    option: str
    value: str | None


@dataclass(frozen=True, slots=True)
class Job:
    """One job.

    system: whose words the texts are in. where: for the name of a field the place where it was asked for; a
    field that is not in it was derived. threads_per_core: hardware threads that a core counts for, None where
    CPUs are cores or nobody said. join: the error goes where the output goes, by request.
    """

    system: str = ""
    # what it is called, who pays
    name: str | None = None
    account: str | None = None
    qos: str | None = None
    queue: str | None = None
    reservation: str | None = None
    comment: str | None = None
    # how large
    nodes: Nodes | None = None
    tasks: int = 1
    tasks_per_node: int | None = None
    cpus_per_task: int = 1
    threads_per_core: int | None = None
    gpus: tuple[Gpus, ...] = ()
    gres: tuple[Gres, ...] = ()
    memory: Memory | None = None
    disk_per_node: int | None = None
    licenses: tuple[tuple[str, int], ...] = ()
    exclusive: bool = False
    burst_buffer: tuple[str, ...] = ()
    # how long, when, in which order
    walltime_s: int | Literal["unlimited"] | None = None
    walltime_min_s: int | Literal["unlimited"] | None = None
    begin: Begin | None = None
    deadline: str | None = None
    array: Array | None = None
    dependency: Dependency | None = None
    priority: str | None = None
    hold: bool = False
    requeue: bool | None = None
    # on which nodes
    constraint: Constraint | None = None
    hosts: str | None = None
    exclude_hosts: str | None = None
    placement: str | None = None
    # with which files and environment
    workdir: str | None = None
    input: str | None = None
    output: str | None = None
    error: str | None = None
    join: bool = False
    open_mode: Literal["append", "truncate"] | None = None
    environment: Environment | None = None
    shell: str | None = None
    # who is told
    mail: Mail | None = None
    signal: Signal | None = None
    # what no other system has
    native: tuple[Native, ...] = ()
    where: Mapping[str, Where] = field(default_factory=dict)


# The fields whose loss changes what runs, for how long, after what, or who pays: `--strict` does not let them go.
SHAPING = frozenset(
    {
        "name",
        "account",
        "qos",
        "queue",
        "reservation",
        "nodes",
        "tasks",
        "tasks_per_node",
        "cpus_per_task",
        "threads_per_core",
        "gpus",
        "gres",
        "memory",
        "disk_per_node",
        "licenses",
        "exclusive",
        "burst_buffer",
        "walltime_s",
        "walltime_min_s",
        "begin",
        "deadline",
        "array",
        "dependency",
        "hold",
        "constraint",
        "hosts",
        "exclude_hosts",
        "placement",
    }
)
