"""Packaged rules for runs of LAMMPS."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def settle(
    group: str, tolerance: float = 0.1, window: int = 20, metric: str = "temperature", after: int = 0
) -> list[dict[str, Any]]:
    """Rules that cancel each job of a group as soon as its own temperature has settled.

    It has when of the last `window` values that were printed
    - the standard deviation is at most `tolerance` of their mean, and
    - the mean of the newer half is within half of `tolerance` of the mean of all, so that it does not drift.

    group: the jobs; they need `metrics: {temperature: {reader: lammps.temperature}}`. metric: the name of another one.
    after: only from this step on; the jobs then need `step: {reader: lammps.step}` as well.
    A temperature of N atoms never scatters less than about sqrt(2 / 3N) of its mean: choose a larger tolerance.
    Raises ValueError.
    """
    if not 0 < tolerance < 1:
        raise ValueError(f"tolerance is a part of the mean, between 0 and 1, not {tolerance}")
    if not isinstance(window, int) or window < 4:
        raise ValueError(f"window is a whole number of values, at least 4, not {window}")
    series = f"{group}-{metric}"
    mean, newer = f"mean[{window}].{series}", f"mean[{window // 2}].{series}"
    conditions = [
        f"count.{series} >= {window}",
        f"variance[{window}].{series} <= {tolerance * tolerance!r} * {mean} * {mean}",
        f"abs({newer} - {mean}) <= {tolerance / 2!r} * abs({mean})",
    ]
    if after:
        conditions.append(f"last.{group}-step >= {after}")
    rule = {"trigger": "metric", "name": mean, "per": "job", "when": " and ".join(conditions)}
    return [{**rule, "action": {"name": "cancel", "value": "running"}}]


RULES: Mapping[str, Callable[..., list[dict[str, Any]]]] = {"settle": settle}
