"""A job as a member sees it: what to run, what it needs, and the name by which it is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resources.resource import Resource


@dataclass(frozen=True, slots=True)
class Spec:
    """What to run, parameters filled in. Units are bytes and seconds; 0 is "not said" or "no limit".

    argv: never given to a shell. nodes: 0 lets the tasks be placed freely. cores, gpus, memory: for each task.
    duration: the limit that the queue is asked for, and that the job must meet. workdir: empty is the
    directory of the run's start. environment: what is set beside what the jobs inherit.
    stdin: a file. output: a file for stdout, with stderr beside it (`.err`); empty leaves it to the member.
    attributes: handed on to the queue as they are: for Flux below attributes.user, for others what their
    member's documentation says.
    metrics: whether somebody reads the output while the job runs.
    """

    group: str
    argv: tuple[str, ...]
    nodes: int = 1
    tasks: int = 1
    cores: int = 1
    gpus: int = 0
    memory: int = 0
    duration: int = 0
    workdir: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    stdin: str = ""
    output: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    metrics: bool = False

    def request(self) -> Resource:
        """What it needs, in the language of `resources` (time aside: a limit is the queue's business)."""
        from resources import Cores, Gpus, Memory, Nodes, Tasks

        need: Resource = Tasks(self.tasks) & Cores(self.cores)
        if self.nodes:
            need = Nodes(self.nodes) & need
        if self.gpus:
            need = need & Gpus(self.gpus)
        if self.memory:
            need = need & Memory(self.memory)
        return need


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt of one job.

    name: unique in the run: `sleep.3`, its second attempt `sleep.3.1`. Letters, digits, `-`, `_` and `.`.
    token: unique anywhere (it has the run in it), the same for every try to submit this attempt: the queue is
        asked for it where it is not known whether a submission arrived. The same characters, at most 200.
    avoid: hosts that it should not run on.
    """

    name: str
    token: str
    spec: Spec
    avoid: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """What the run knows of a job that has not ended, as far as its journal tells.

    id: the queue's, empty where no `submit` was seen. seen: the last of COURSE that was seen, empty for none.
    """

    job: Job
    id: str = ""
    seen: str = ""
