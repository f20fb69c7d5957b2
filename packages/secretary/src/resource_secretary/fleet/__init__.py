"""Simulated fleets: workers for a hub that are not there, with the truth of what each of them has."""

from resource_secretary.fleet.fleet import KINDS, Fleet, SimulatedWorker, make_fleet
from resource_secretary.fleet.truth import Difference, differences

__all__ = ["KINDS", "Difference", "Fleet", "SimulatedWorker", "differences", "make_fleet"]
