"""For the tests of policies: the contract that every policy keeps."""

from __future__ import annotations

import random
from dataclasses import replace

from resource_secretary.asking import Answer, Depth, Verdict
from resource_secretary.hub.hub import Result, choose
from resource_secretary.hub.policy import Candidate, Policy

_SEEDS = range(20)


def candidates() -> list[Candidate]:
    """Workers of many kinds: READY and BUSY, large, small and full, and some that tell next to nothing."""
    made = []
    for number in range(12):
        verdict: Verdict = "BUSY" if number % 2 else "READY"
        reasons = ("does not fit now",) if number % 2 else ()
        seen = ("2026-01-01T00:00:00Z", f"login{number}")
        answer = Answer(verdict, reasons, "slurm", *seen, request="cores=2")
        cores = 8 * (number + 1)
        if number % 3:
            free = cores // 2 if verdict == "READY" else 1
            queue = Depth(number, number, None if number % 4 else 4 * number)
            answer = replace(answer, cores=cores, free_cores=free, fits=free // 2 if verdict == "READY" else None)
            answer = replace(answer, depth=queue, start="2026-01-01T00:10:00Z", wait=600.0 * number)
        made.append(Candidate(f"worker{number:02}", answer, 0.1 * (number % 5)))
    return made


def check_policy(policy: Policy) -> None:
    """Raise AssertionError unless a policy keeps the contract.

    It ranks what it is given, each at most once, and at least one of them; the same arguments give the same ranking and
    it changes none of them; no worker and one that tells nothing are no failure.
    """
    from resources import parse

    every = candidates()
    for text in ("cores=2", "nodes=2 cores=4 memory=8GB", "memory=1GB", ""):
        for given in ([], every[:1], every[1:2], every):
            for seed in _SEEDS:
                first, again = (_chosen(policy, text, given, seed) for _ in range(2))
                _require(first == again, f"two rankings of the same for {text!r}, seed {seed}: {first}, {again}")
                _require(not given or bool(first), f"it ranks none of {len(given)} workers for {text!r}")
    kept = candidates()
    policy(parse("cores=2"), kept, random.Random(1))  # noqa: S311 - a seed is no secret
    _require(kept == every, "it changes the candidates that it is given")


def _chosen(policy: Policy, text: str, given: list[Candidate], seed: int) -> tuple[str, ...]:
    from resources import parse

    try:
        result: Result = choose(parse(text), given, policy, "it", seed)
    except Exception as error:
        raise AssertionError(f"{text!r}, {len(given)} workers, seed {seed}: {error}") from error
    return result.ranked


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)
