"""Ask many workers at once, each for one deadline, and choose one of them."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from resource_secretary.asking import Answer, Verdict
from resource_secretary.errors import SecretaryError
from resource_secretary.hub.honesty import lie
from resource_secretary.hub.policy import Candidate, Policy
from resource_secretary.hub.worker import Rejected, Worker, WorkerFailed
from resource_secretary.run import printable
from resource_secretary.sidebyside import first_line

if TYPE_CHECKING:
    from resources.resource import Resource

_LATER = 0.25  # seconds after the deadline until a worker that did not even notice it is left behind
_LONGEST = 500  # characters of a reason


class PolicyFailed(SecretaryError):
    """A policy raised, or ranked what it was not given."""

    def __init__(self, name: str, why: str) -> None:
        self.name = name
        super().__init__(f"the policy {name}: {why}")


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one request.

    verdict: that of the chosen worker; where none is chosen UNKNOWN if one could not be found out, else INCOMPATIBLE.
    ranked: the workers that could take the request, READY or BUSY, in the policy's order; the first is chosen.
    answers: every answer that holds, by the workers' names; rejected: the others. seed: of the policy's chance.
    """

    request: str
    policy: str
    seed: int
    verdict: Verdict
    ranked: tuple[str, ...]
    answers: tuple[Candidate, ...]
    rejected: tuple[Rejected, ...]

    @property
    def chosen(self) -> Candidate | None:
        """The answer of the worker that is to be taken; None where nobody can take the request."""
        first = self.ranked[0] if self.ranked else None
        return next((one for one in self.answers if one.worker == first), None)

    def as_dict(self, *, seconds: bool = True) -> dict[str, Any]:
        """What `--json` prints. seconds: with how long each answer took."""
        from resource_secretary.tools import as_json

        def timed(made: dict[str, Any], taken: float) -> dict[str, Any]:
            return {**made, "seconds": round(taken, 3)} if seconds else made

        return {
            "request": self.request,
            "policy": self.policy,
            "seed": self.seed,
            "verdict": self.verdict,
            "chosen": self.ranked[0] if self.ranked else None,
            "ranked": list(self.ranked),
            "answers": [timed({"worker": one.worker, **as_json(one.answer)}, one.seconds) for one in self.answers],
            "rejected": [
                timed({"worker": one.worker, "kind": one.kind, "reason": one.reason}, one.seconds)
                for one in self.rejected
            ],
        }


def choose(
    request: Resource,
    replies: Sequence[Candidate | Rejected],
    policy: Policy,
    name: str,
    seed: int,
) -> Result:
    """The result of all replies: pure. Raises PolicyFailed."""
    answers = sorted((one for one in replies if isinstance(one, Candidate)), key=lambda one: one.worker)
    rejected = sorted((one for one in replies if isinstance(one, Rejected)), key=lambda one: one.worker)
    able = [one for one in answers if one.answer.verdict in ("READY", "BUSY")]
    try:
        ranked = list(policy(request, tuple(able), random.Random(seed)))  # noqa: S311 - a seed is no secret
    except Exception as error:  # a plugin's
        raise PolicyFailed(name, first_line(error)) from error
    given = {id(one) for one in able}
    if odd := [one for one in ranked if id(one) not in given]:
        raise PolicyFailed(name, f"it ranks what is no candidate: {odd[0]!r:.200}")
    if len({one.worker for one in ranked}) != len(ranked):
        raise PolicyFailed(name, "it ranks a candidate twice")
    verdict: Verdict = "INCOMPATIBLE"
    if ranked:
        verdict = ranked[0].answer.verdict
    elif able or rejected or not answers or any(one.answer.verdict == "UNKNOWN" for one in answers):
        verdict = "UNKNOWN"
    return Result(
        request.text, name, seed, verdict, tuple(one.worker for one in ranked), tuple(answers), tuple(rejected)
    )


async def ask_all(
    workers: Sequence[Worker], request: Resource, timeout: float, *, at_once: int | None = None
) -> list[Candidate | Rejected]:
    """What every worker replies, in the order of `workers`: an answer that holds, or why it does not count.

    All are asked at the same time, or at most `at_once` of them. Each has `timeout` seconds from when it is asked; one
    that takes longer is given up, whatever it does then.
    """
    gate = asyncio.Semaphore(at_once or max(len(workers), 1))
    tasks = [asyncio.create_task(_ask_one(worker, request, timeout, gate)) for worker in workers]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()


async def _ask_one(worker: Worker, request: Resource, timeout: float, gate: asyncio.Semaphore) -> Candidate | Rejected:
    async with gate:
        start = time.monotonic()
        asked = asyncio.create_task(_answer(worker, request, timeout))
        done, _ = await asyncio.wait((asked,), timeout=timeout + _LATER)
        # Simulated time passes at once, and is the same in every process.
        latency: float | None = getattr(worker, "latency", None) if getattr(worker, "simulated", False) else None
        taken = time.monotonic() - start if latency is None else min(latency, timeout)
        if not done:
            asked.cancel()
            return _slow(worker, timeout)
        try:
            return Candidate(worker.name, asked.result(), taken)
        except WorkerFailed as error:
            return Rejected(worker.name, error.kind, printable(error.reason)[:_LONGEST], taken)
        except TimeoutError:
            return _slow(worker, timeout)
        except asyncio.CancelledError:
            return Rejected(worker.name, "unreachable", "it was cancelled", taken)
        except Exception as error:  # noqa: BLE001 - one worker spoils nothing but its own reply
            reason = str(error) if isinstance(error, SecretaryError) else first_line(error)
            reason = printable(reason.removeprefix(f"{worker.name}: "))[:_LONGEST]
            return Rejected(worker.name, "unreachable", reason, taken)


def _slow(worker: Worker, timeout: float) -> Rejected:
    return Rejected(worker.name, "slow", f"no answer in {timeout:g} s", timeout)


async def _answer(worker: Worker, request: Resource, timeout: float) -> Answer:
    answer = await worker.ask(request.text, timeout)  # it keeps the deadline itself; else it is given up soon after
    now = None if getattr(worker, "simulated", False) else time.time()
    if wrong := lie(request, answer, now):
        raise WorkerFailed("lying", wrong)
    return answer
