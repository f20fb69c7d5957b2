"""Machines made of recordings, a module each family: `MACHINES` maps a provider to one where it is active."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType

from resource_secretary.testing import RecordedSystem


def modules() -> list[ModuleType]:
    """Those of all families."""
    return [import_module(f"{__name__}.{file.stem}") for file in sorted(Path(__file__).parent.glob("[a-z]*.py"))]


def machines() -> dict[str, Callable[[], RecordedSystem]]:
    """For each provider a machine where it is active."""
    return {name: make for module in modules() for name, make in module.MACHINES.items()}
