"""A policy that anybody can install: of two workers that are drawn, the one with more free cores.

Many hubs that all take the least loaded worker run to the same one; the better of two does almost as well for each of
them and spreads their jobs (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001).
"""

import random
from collections.abc import Sequence

from resources.resource import Resource

from resource_secretary.hub.policy import Candidate


def two_choices(request: Resource, candidates: Sequence[Candidate], rng: random.Random) -> list[Candidate]:
    """The one with more free cores of two that are drawn; the others follow as they are drawn."""
    drawn = rng.sample(list(candidates), len(candidates))
    drawn.sort(key=lambda one: not one.ready)  # those that are READY first, else as drawn
    first_two = [one for one in drawn[:2] if one.ready == drawn[0].ready]
    first_two.sort(key=lambda one: -(one.answer.free_cores or 0))
    return [*first_two, *drawn[len(first_two) :]]


POLICIES = {"two-choices": two_choices}
