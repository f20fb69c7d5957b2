"""What the engine gives: commands to be carried out, and at the end the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ensemble.document import Action, Rule
from ensemble.events import Event

KEPT_FAILURES = 100  # what a result tells one by one; the counts tell them all


@dataclass(frozen=True, slots=True)
class Command:
    """What is to be done or told.

    kind: trigger (a rule has fired), submit, cancel, terminate, resize, set, message, retry, avoid, or custom
        (call the function `label` and give what it returns back as the event of `call`).
    label: the group, function, variable, host or text that it is about.
    jobs: of submit, cancel, terminate and retry: the attempts by name.
    rule: the rule that fired, `number` its place in the file (-1: none of the file's).
    nodes: of resize: how many nodes there are to be in all. leave: of terminate: what runs is left running.
    """

    kind: str
    label: str = ""
    jobs: tuple[str, ...] = ()
    action: Action | None = None
    rule: Rule | None = None
    event: Event | None = None
    number: int = -1
    call: int = 0
    nodes: int = 0
    leave: bool = False
    reason: str = ""


@dataclass(slots=True)
class Result:
    """How a run ended. `failures` has the first KEPT_FAILURES, `failed` is how many there were.

    A failure has job, group, outcome, reason, and where known id, hosts. lost: of how many nobody knows the end.
    left: how many were left running.
    """

    failed: int = 0
    lost: int = 0
    failures: list[dict[str, Any]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    never_met: list[Rule] = field(default_factory=list)
    ended_by: str = ""
    left: int = 0

    @property
    def met(self) -> bool:
        return not (self.failed or self.errors or self.never_met)

    def state(self) -> dict[str, Any]:
        return {
            "failed": self.failed,
            "lost": self.lost,
            "failures": self.failures,
            "errors": self.errors,
            "ended_by": self.ended_by,
        }

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Result:
        return cls(**state)
