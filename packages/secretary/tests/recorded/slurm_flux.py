"""Slurm 22.05 and Flux 0.88, as they were recorded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from resource_secretary.run import Ran
from resource_secretary.testing import RecordedSystem

DATA = Path(__file__).parents[1] / "data"
SLURM, FLUX = DATA / "slurm-22.05.8", DATA / "flux-0.88.0"


def slurm() -> RecordedSystem:
    commands: dict[tuple[str, ...], Ran | str] = {
        ("scontrol", "ping"): (SLURM / "ping-up.txt").read_text(),
        ("scontrol", "--version"): (SLURM / "version.txt").read_text(),
        ("scontrol", "--details", "--oneliner", "show", "nodes"): (SLURM / "nodes.txt").read_text(),
        ("scontrol", "--oneliner", "show", "partitions"): (SLURM / "partitions.txt").read_text(),
    }
    return RecordedSystem(commands=commands)


def flux() -> RecordedSystem:
    commands: dict[tuple[str, ...], Ran | str] = {
        ("flux", "getattr", "size"): (FLUX / "size.txt").read_text(),
        ("flux", "getattr", "instance-level"): (FLUX / "instance-level.txt").read_text(),
        ("flux", "version"): (FLUX / "version.txt").read_text(),
        ("flux", "resource", "R", "-s", "all"): (FLUX / "R-all.json").read_text(),
        ("flux", "resource", "R", "-s", "free"): (FLUX / "R-free.json").read_text(),
        ("flux", "resource", "list", "-s", "down", "-n", "-o", "{ranks}"): (FLUX / "down-ranks.txt").read_text(),
        ("flux", "resource", "status", "-s", "drain", "-n", "-o", "{ranks}"): (FLUX / "drained-ranks.txt").read_text(),
    }
    return RecordedSystem(commands=commands)


MACHINES: dict[str, Callable[[], RecordedSystem]] = {"slurm": slurm, "flux": flux}
