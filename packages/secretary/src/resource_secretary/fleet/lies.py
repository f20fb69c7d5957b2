"""What a lying worker says: a lie that contradicts itself, or one that only the truth shows."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resources.resource import Resource

    from resource_secretary.asking import Answer


def told(honest: Answer, need: Resource, name: str) -> Answer:
    """The lie of this worker to this request, always the same."""
    rng = Random(f"lie:{name}:{need.text}")  # noqa: S311 - a simulation
    ready = replace(honest, verdict="READY", reasons=(), fits=None, start=None, wait=None)
    lies: list[Answer] = [
        replace(ready, cores=1, free_cores=4096),
        replace(ready, fits=0),
        replace(honest, request=f"{honest.request} cores=1".strip()),
        # These hold by themselves: more than there is, or less.
        replace(ready, cores=10**6, free_cores=10**6, fits=10),
        replace(ready, verdict="INCOMPATIBLE", reasons=("can never fit",)),
    ]
    return lies[rng.randrange(len(lies))]
