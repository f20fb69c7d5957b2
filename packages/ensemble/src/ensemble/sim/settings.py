"""The settings of the simulated queue, as a file has them below `member` and the command line adds to them."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from resources import units
from resources.errors import InputError

from ensemble.errors import EnsembleError, SpecError
from ensemble.sim.models import EVERY, Models, build_model, parse_models, thinned

MOST_NODES = 1_000_000
_LIKE = "SELECT grp, outcome, ended - started FROM jobs WHERE started IS NOT NULL AND ended IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Settings:
    """nodes, cores, gpus, memory: the machine; of each node but the first (memory in bytes, 0 is not counted).

    max_nodes: how many it may grow to, 0 for any number. speed: virtual seconds in a second, infinity for as fast as
    possible. models: the keys of a model by group. like: the directory of a run whose durations are drawn from.
    None: not said.
    """

    nodes: int | None = None
    cores: int | None = None
    gpus: int | None = None
    memory: int | None = None
    max_nodes: int = 0
    seed: int = 0
    speed: float = math.inf
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    like: str = ""

    def build(self, more: Mapping[str, Mapping[str, Any]] | None = None) -> Models:
        """The models: of the run that is like this one, of the file, and `more`; later ones win, key by key."""
        merged: dict[str, dict[str, Any]] = recorded(Path(self.like)) if self.like else {}
        for source in (self.models, more or {}):
            for group, model in source.items():
                mine = merged.setdefault(group, {})
                if "duration" in model:
                    mine.pop("samples", None)
                mine.update(model)
        return Models({group: build_model(model, f"models.{group}") for group, model in merged.items()}, self.seed)


def read_settings(data: Mapping[str, Any]) -> Settings:
    """Raises SpecError that names the key."""
    known = [one.name for one in fields(Settings)]
    values: dict[str, Any] = {}
    for key, value in data.items():
        if key not in known:
            close = get_close_matches(str(key), known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(known)}"
            raise SpecError(f"unknown setting; {hint}", str(key))
        try:
            match key:
                case "nodes":
                    values[key] = _at_most(units.count(value, "it", least=1))
                case "max_nodes":
                    values[key] = _at_most(units.count(value, "it"))
                case "cores":
                    values[key] = units.count(value, "it", least=1)
                case "gpus" | "seed":
                    values[key] = units.count(value, "it")
                case "memory":
                    values[key] = units.memory(value, "it")
                case "speed":
                    values[key] = read_speed(value)
                case "models":
                    values[key] = parse_models(value)
                case "like":
                    values[key] = _folder(value)
        except InputError as error:
            raise SpecError(error.message, key) from None
    return Settings(**values)


def read_speed(value: object) -> float:
    """`max`, or how many virtual seconds pass in a second. Raises SpecError."""
    if value == "max":
        return math.inf
    try:
        speed = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        speed = math.nan
    if not 0 < speed < math.inf:
        raise SpecError(f"it is max, or the virtual seconds that pass in a second, not {units.shown(value)}", "speed")
    return speed


def recorded(folder: Path) -> dict[str, dict[str, Any]]:
    """What a run that has its journal in this folder tells of its groups: durations, and how many jobs failed."""
    journal = folder / "run.sqlite"
    if not journal.is_file():
        raise EnsembleError(f"{folder} is no directory of a run: it has no run.sqlite")
    found: dict[str, list[float]] = {}
    ends: dict[str, list[int]] = {}
    try:
        connection = sqlite3.connect(f"{journal.absolute().as_uri()}?mode=ro", uri=True, timeout=5)
        try:
            for group, outcome, seconds in connection.execute(_LIKE):
                if outcome in ("success", "failed"):
                    found.setdefault(group, []).append(max(0.0, float(seconds)))
                    ends.setdefault(group, []).append(outcome == "failed")
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise EnsembleError(f"can't read {journal}: {error}") from None
    if not found:
        raise EnsembleError(f"{folder}: no job of that run has ended by itself, so there are no durations")
    return {
        group: {"samples": thinned(values), "fail": sum(ends[group]) / len(ends[group])}
        for group, values in found.items()
    }


def why_no_group(model: str, groups: Mapping[str, Any]) -> str:
    """Why a model is of no use, empty where it is."""
    if model == EVERY or model in groups:
        return ""
    close = get_close_matches(model, list(groups), n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(groups) or 'none'}"
    return f"a model for {model!r}, but no group of jobs is named so; {hint}"


def _at_most(nodes: int) -> int:
    if nodes > MOST_NODES:
        raise SpecError(f"at most {MOST_NODES} nodes can be simulated, not {nodes}", "nodes")
    return nodes


def _folder(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise SpecError(f"it is the directory of a run, not {units.shown(value)}", "like")
    return value
