"""The neutral job: what one job asks for, whoever was asked and in whatever words.

Readers make it and writers say it again. Bytes and seconds, integers; a value that was not asked for is None.
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
    """GPUs, and what they are counted by."""

    count: int
    per: Literal["job", "node", "task"]
    type: str = ""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes, and what they are counted by; 0 bytes means all that the node has."""

    bytes: int
    per: Literal["node", "cpu", "gpu", "task"]


@dataclass(frozen=True, slots=True)
class Lost:
    """Something that was asked for and that this job does not hold: what it was, why not, and where it stands."""

    what: str
    why: str
    where: Where


@dataclass(frozen=True, slots=True)
class Job:
    """One job. `where` gives for the name of one of its fields the place where it was asked for."""

    name: str | None = None
    nodes: Nodes | None = None
    tasks: int = 1
    tasks_per_node: int | None = None
    cpus_per_task: int = 1
    gpus: tuple[Gpus, ...] = ()
    memory: Memory | None = None
    disk_per_node: int | None = None
    walltime_s: int | Literal["unlimited"] | None = None
    licenses: tuple[tuple[str, int], ...] = ()
    exclusive: bool = False
    where: Mapping[str, Where] = field(default_factory=dict)
    lost: tuple[Lost, ...] = ()
