"""What an installed module adds to ensemble files: a custom action, a packaged rule, and a reader of metrics."""

from __future__ import annotations

from typing import Any

from ensemble.document import Action
from ensemble.metrics import Metrics


def again_while_fast(*, metrics: Metrics, action: Action, event: Any, **_: Any) -> Action | None:
    """Submit the group of the job that has just ended again while its mean duration is below `value` seconds."""
    group = event.job.rpartition(".")[0]
    mean = metrics.get(f"mean.{group}-duration")
    if mean is None or mean >= float(action.value):
        return None
    return Action({"name": "submit", "label": group})


def again(group: str, seconds: float = 60, times: int = 1) -> list[dict[str, Any]]:
    """Rules that submit a group again while it is fast, at most `times`."""
    action = {"name": "custom", "label": "example.again-while-fast", "value": seconds, "repetitions": times}
    return [{"trigger": "job-success", "name": group, "action": action}]


def last_number(line: str) -> float | None:
    """The number at the end of a line."""
    try:
        return float(line.split()[-1])
    except (IndexError, ValueError):
        return None


ACTIONS = {"again-while-fast": again_while_fast}
RULES = {"again": again}
READERS = {"last-number": last_number}
