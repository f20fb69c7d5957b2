"""What a policy is: a pure function that ranks the workers that could take a request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import random

    from resources.resource import Resource

    from resource_secretary.asking import Answer


@dataclass(frozen=True, slots=True)
class Candidate:
    """A worker that answered READY or BUSY. `seconds` is how long its answer took."""

    worker: str
    answer: Answer
    seconds: float

    @property
    def ready(self) -> bool:
        return self.answer.verdict == "READY"


class Policy(Protocol):
    """Ranks candidates, the one to take first; those that it leaves out are not to be taken.

    It is given the request, the candidates in the order of their names, and a random number generator that was
    seeded, the only source of chance: the same arguments give the same ranking. The first line of its docstring
    is what listings say of it.

    A plugin is an installed module named `resource_secretary_*` with an attribute `POLICIES`: a mapping of names
    (lower case with `-`) to such functions, or to classes whose instances are called so.
    """

    def __call__(
        self, request: Resource, candidates: Sequence[Candidate], rng: random.Random, /
    ) -> Sequence[Candidate]: ...


def cores_of(request: Resource) -> int:
    """How many cores a request takes in all; 0 where it names none."""
    cores, tasks, nodes = (request.get(kind) for kind in ("cores", "tasks", "nodes"))
    places = tasks or nodes
    return 0 if cores is None else int(cores.N) * (int(places.N) if places is not None else 1)
