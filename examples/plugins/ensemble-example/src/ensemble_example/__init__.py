"""Custom actions for ensemble files: `{name: custom, label: example.again-while-fast, value: 60}`."""

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


ACTIONS = {"again-while-fast": again_while_fast}
