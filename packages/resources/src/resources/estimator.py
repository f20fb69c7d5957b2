"""Estimate time limits from the first runs of a group.

The rule: of a group's first 8 runs that took more than 10 s, the hard limit is the mean and 5 standard
deviations (of the sample), the soft limit the mean and 2. Until then the group has no limit.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

from resources.errors import InputError
from resources.strictjson import loads, take
from resources.units import shown

RUNS = 8
SHORT = 10.0  # seconds; a run that takes no longer says nothing
LONGEST = 2**40  # seconds, 35 thousand years; and the widest floor keep every limit within 64 bits
WIDEST = 1000
HARD, SOFT = 5, 2  # standard deviations above the mean


class Limits(NamedTuple):
    """Hard and soft limit of a group, in whole seconds, rounded up."""

    T: int
    softT: int


class Estimator:
    """What is known of how long each group's runs take.

    floor: the least standard deviation, as a share of the mean. With 0 eight equal runs would give a limit
        that the ninth, a moment slower, is killed by; 0 is the plain rule. clock: seconds, for `run`.
    """

    def __init__(self, *, floor: float = 0.05, clock: Callable[[], float] = time.monotonic) -> None:
        if isinstance(floor, bool) or not isinstance(floor, (int, float)) or not 0 <= floor <= WIDEST:
            raise InputError(f"floor is a share of the mean, 0 to {WIDEST}, not {shown(floor)}")
        self.floor, self.clock = floor, clock
        self._runs: dict[str, list[float]] = {}

    def record(self, group: str, seconds: float) -> None:
        """One run took so long. Runs of 10 s or less, and those after the eighth, change nothing."""
        if not isinstance(group, str) or not group:
            raise InputError(f"a group is a text, not {shown(group)}")
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not abs(seconds) <= LONGEST:
            raise InputError(f"a run's time is seconds, not {shown(seconds)}")
        runs = self._runs.setdefault(group, [])
        if seconds > SHORT and len(runs) < RUNS:
            runs.append(float(seconds))

    def limits(self, group: str) -> Limits | None:
        """The limits of a group, None until 8 of its runs count."""
        runs = self._runs.get(group, [])
        if len(runs) < RUNS:
            return None
        mean = statistics.fmean(runs)
        spread = max(statistics.stdev(runs), self.floor * mean)
        return Limits(ceil(mean + HARD * spread), ceil(mean + SOFT * spread))

    @contextmanager
    def run(self, group: str) -> Iterator[None]:
        """Time the body; it is recorded if it ends without an exception."""
        start = self.clock()
        yield
        self.record(group, self.clock() - start)

    def to_json(self) -> dict[str, Any]:
        """The JSON document."""
        return {"type": "estimates", "version": 1, "floor": self.floor, "runs": self._runs}

    @classmethod
    def from_json(cls, document: str | dict[str, Any], *, clock: Callable[[], float] = time.monotonic) -> Estimator:
        """Read the JSON document. Raises InputError."""
        body = loads(document, "estimates") if isinstance(document, str) else document
        keys = ("type", "version", "floor", "runs")
        body = take(body, "", keys, keys)
        if (
            body["type"] != "estimates"
            or body["version"] is True
            or body["version"] != 1
            or not isinstance(body["runs"], dict)
        ):
            raise InputError("expected a document of type 'estimates', version 1")
        made = cls(floor=body["floor"], clock=clock)
        for group, runs in body["runs"].items():
            if not isinstance(group, str) or not group or not isinstance(runs, list):
                raise InputError(
                    f"expected a group and a list of seconds, not {shown(group)} and {shown(runs)}", "runs"
                )
            made._runs[group] = []
            for seconds in runs:
                made.record(group, seconds)
        return made

    def save(self, path: str | Path) -> None:
        """Write the document to a file, whole or not at all. Raises OSError."""
        path = Path(path)
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            partial.write_text(json.dumps(self.to_json()))
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | Path, *, clock: Callable[[], float] = time.monotonic) -> Estimator:
        """Read a file that `save` wrote. Raises InputError, or OSError where it can't be read."""
        try:
            return cls.from_json(Path(path).read_text(), clock=clock)
        except UnicodeDecodeError:
            raise InputError("the estimates are not UTF-8 text", str(path)) from None
