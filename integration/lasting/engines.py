"""Which engines there are, and starting those that are here."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from lasting.fluxes import Bursting, Flux
from lasting.house import House
from lasting.plain import HyperQueue, Local, Slurm
from lasting.service import Service
from lasting.site import Site

SITES = (Local, HyperQueue, Slurm, Flux, Bursting, Service)


def start_all(house: House, wanted: Sequence[str], stack: ExitStack) -> list[Site]:
    """The engines that are here; of the others it is said what to install."""
    sites: list[Site] = []
    where: dict[str, Site] = {}
    for kind in SITES:
        if kind.name not in wanted:
            continue
        why = kind.lacks(where)
        if why:
            house.say(f"without {kind.name}: {why}")
            continue
        house.say(f"starting {kind.name}")
        site = kind(house, where, stack)
        sites.append(site)
        where[kind.name] = site
    return sites
