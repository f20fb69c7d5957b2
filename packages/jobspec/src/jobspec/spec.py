"""What a jobspec file holds, whichever form it was written in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jobspec.facts import Fact


@dataclass(frozen=True, slots=True)
class Vertex:
    """One kind of resource, and what each of them holds (`with`).

    slot: one task is started for each of these, whatever its type. model: of a GPU.
    """

    type: str
    count: int
    place: str
    unit: str = ""
    label: str = ""
    exclusive: bool = False
    within: tuple[Vertex, ...] = ()
    slot: bool = False
    model: str = ""


@dataclass(frozen=True, slots=True)
class StepSpec:
    """A step as it is written: its name, its options, and its place in the file."""

    name: str
    options: Mapping[str, Any]
    place: str


@dataclass(frozen=True, slots=True)
class Attributes:
    """How a task runs. `duration_s` is None where there is no limit; `watch` shows its output at the end of the run."""

    duration_s: int | None = None
    cwd: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    watch: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """What to run: `count` tasks for each slot (`per_slot`) or in all (`total`), and the steps that lead there.

    depends_on: names of tasks that must have succeeded before. local: here, or where the group's script runs,
    instead of on resources of its own. members: the tasks of a group, in an order in which they can start; None
    for a task. replica: its number among the copies of one task, else None.
    """

    place: str
    name: str = ""
    slot: str = ""
    count: int = 1
    counted: str = "per_slot"
    command: tuple[str, ...] = ()
    transform: tuple[StepSpec, ...] = ()
    scripts: Mapping[str, str] = field(default_factory=dict)
    resources: Vertex | None = None
    attributes: Attributes = field(default_factory=Attributes)
    requires: tuple[Fact, ...] = ()
    depends_on: tuple[str, ...] = ()
    local: bool = False
    replica: int | None = None
    members: tuple[Task, ...] | None = None


@dataclass(frozen=True, slots=True)
class Jobspec:
    """A whole file: its tasks and groups in an order in which they can start."""

    tasks: tuple[Task, ...]
    name: str = ""
    user: Mapping[str, Any] = field(default_factory=dict)
