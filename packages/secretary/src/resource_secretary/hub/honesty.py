"""Does an answer contradict itself, or what was asked: such a one is not chosen from, whoever sent it and why."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from resource_secretary.asking import MOST_FITS
from resource_secretary.hub.policy import cores_of

if TYPE_CHECKING:
    from resources.resource import Resource

    from resource_secretary.asking import Answer

SKEW = 300.0  # seconds by which the clock of a worker may differ from the hub's
OLDEST = 600.0  # seconds that an answer may be old, besides
_MOST = 2**53  # cores, jobs: no count of a real cluster comes near
_MOST_LINES, _LONGEST = 100, 2000  # lines of reasons and notes; characters of a text


def lie(request: Resource, answer: Answer, now: float | None = None) -> str:
    """What is wrong with an answer, in a few words; "" where it holds.

    now: seconds since the epoch; None for the time that the answer itself says, as a simulated worker's.
    """
    return next(_wrong(request, answer, now), "")


def _wrong(request: Resource, answer: Answer, now: float | None) -> Iterator[str]:
    if answer.request != request.text:
        yield f"it answers another request: {answer.request or 'it does not say which'}"
    for name, texts in (("reasons", answer.reasons), ("notes", answer.notes)):
        if len(texts) > _MOST_LINES or any(len(text) > _LONGEST for text in texts):
            yield f"{name}: more than {_MOST_LINES} lines or {_LONGEST} characters"
    if not answer.manager or len(answer.manager) > _LONGEST or len(answer.observed_on) > _LONGEST:
        yield "it does not say who was asked, or at great length"
    yield from _wrong_amounts(answer)
    yield from _wrong_verdict(request, answer)
    yield from _wrong_times(answer, now)


def _wrong_amounts(answer: Answer) -> Iterator[str]:
    depth = answer.depth
    counts = {"cores": answer.cores, "free_cores": answer.free_cores, "fits": answer.fits}
    if depth is not None:
        counts |= {"pending": depth.pending, "running": depth.running, "pending_cores": depth.pending_cores}
    for name, count in counts.items():
        if count is not None and not 0 <= count <= _MOST:
            yield f"{name} is {count:.6g}"
    if answer.cores is not None and answer.free_cores is not None and answer.free_cores > answer.cores:
        yield f"{answer.free_cores} of {answer.cores} cores are free"
    if answer.wait is not None and not (math.isfinite(answer.wait) and answer.wait >= 0):
        yield f"wait is {answer.wait}"


def _wrong_verdict(request: Resource, answer: Answer) -> Iterator[str]:
    needed, free, fits = cores_of(request), answer.free_cores, answer.fits
    if answer.verdict != "READY":
        if not answer.reasons:
            yield f"it says {answer.verdict} and gives no reason"
        if fits:
            yield f"it says {answer.verdict}, and that it fits {fits} times now"
        return
    if answer.reasons:
        yield f"it says READY, and why not: {answer.reasons[0][:200]}"
    if fits == 0:
        yield "it says READY, and that it fits 0 times now"
    for cores, which in ((free, "free cores"), (answer.cores, "cores")):
        if cores is not None and cores < needed:
            yield f"it says READY with {cores} {which} for a request of {needed}"
    if fits is not None and free is not None and needed and min(fits, MOST_FITS) * needed > free:
        yield f"it says that {fits} times {needed} cores fit in {free} free ones"


def _wrong_times(answer: Answer, now: float | None) -> Iterator[str]:
    seen = _seconds(answer.observed_at)
    if seen is None:
        yield f"observed_at is no time: {answer.observed_at[:60]!r}"
        return
    now = seen if now is None else now
    if seen > now + SKEW:
        yield f"it was observed in the future, at {answer.observed_at}"
    if seen < now - SKEW - OLDEST:
        yield f"it is old: observed at {answer.observed_at}"
    if (answer.start is None) != (answer.wait is None):
        yield "start and wait belong together"
    if answer.start is None or answer.wait is None:
        return
    start = _seconds(answer.start)
    if start is None:
        yield f"start is no time: {answer.start[:60]!r}"
    elif start < now - SKEW:
        yield f"it would start in the past, at {answer.start}"
    elif abs(start - seen - answer.wait) > SKEW:
        yield f"it would start at {answer.start}, which is not in {answer.wait:.6g} s"


def _seconds(text: str) -> float | None:
    """A time with its zone (RFC 3339) as seconds since the epoch; None where it is none."""
    try:
        when = datetime.fromisoformat(text)
        return when.timestamp() if when.tzinfo else None
    except (ValueError, OverflowError, OSError):
        return None
