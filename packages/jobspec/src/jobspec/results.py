"""What came of a run: values, and how they read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jobspec.actions import Action

OK, SKIPPED, FAILED, PLANNED = "ok", "skipped", "failed", "planned"


@dataclass(frozen=True, slots=True)
class StepResult:
    """What came of a step: `status` is ok, skipped, failed, or planned in a dry run; `job` the id that it started."""

    step: str
    place: str
    status: str
    job: str = ""
    reason: str = ""
    actions: tuple[Action, ...] = ()

    def text(self) -> str:
        words = ["=> step", self.step, self.job, "" if self.status == PLANNED else self.status.upper()]
        lines = [" ".join(word for word in words if word)]
        return "\n".join(lines + [f"   {action.text()}" for action in self.actions])

    def as_dict(self) -> dict[str, Any]:
        row = {"step": self.step, "place": self.place, "status": self.status, "job": self.job or None}
        row["reason"] = self.reason or None
        return row | ({"actions": [action.as_dict() for action in self.actions]} if self.status == PLANNED else {})


@dataclass(frozen=True, slots=True)
class Result:
    """A whole run. `stage` is where the stage was left, "" where it is gone; `reason` says why the run failed."""

    transformer: str
    steps: tuple[StepResult, ...]
    stage: str = ""
    reason: str = ""
    notes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return not self.reason

    def as_dict(self) -> dict[str, Any]:
        return {
            "ok": bool(self),
            "transformer": self.transformer,
            "steps": [step.as_dict() for step in self.steps],
            "stage": self.stage or None,
            "reason": self.reason or None,
            "notes": list(self.notes),
        }
