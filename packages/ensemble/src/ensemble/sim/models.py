"""How long a simulated job runs and how it ends, by the name of its group.

Everything that is drawn depends on the seed and the name of the job alone, never on the order in which jobs start:
the same file gives the same jobs on one node and on ten thousand.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from hashlib import blake2b
from random import Random
from statistics import NormalDist
from struct import unpack
from typing import Any, NamedTuple

from resources import units
from resources.errors import InputError

from ensemble.errors import SpecError
from ensemble.job import Spec

DISTRIBUTIONS = ("constant", "normal", "lognormal", "exponential")
SHAPES = ("linear", "settle")
EVERY = "*"  # the model of all groups that have none of their own
INSTANT = 0.01  # seconds that a command such as `true` is taken to run
ASSUMED = 60.0  # seconds that a job of which nothing is known is taken to run
MOST_STEPS = 10_000  # values of one application metric of one job
MOST_SAMPLES = 10_000  # recorded durations that are kept of a group
_SUFFIXES = {"s": 1, "m": 60, "h": 3600, "d": 86400}  # of sleep (GNU coreutils)
_QUICK = {"true": 0, "false": 1, ":": 0, "echo": 0, "printf": 0, "hostname": 0, "date": 0, "pwd": 0}
_NORMAL = NormalDist()


class Point(NamedTuple):
    """A value that a job prints, `offset` seconds after its start."""

    offset: float
    name: str
    value: float


class Course(NamedTuple):
    """What one attempt does. startup: seconds from alloc to start; seconds: from start to its end.

    status: as wait(2) encodes it. exception: a type of `ensemble.events.CAUSES` that ends it, empty for none.
    """

    startup: float
    seconds: float
    status: int
    exception: str = ""
    note: str = ""
    points: tuple[Point, ...] = ()


@dataclass(frozen=True, slots=True)
class Curve:
    """An application metric: from `start` to `end` in `steps` values, each with normal noise of that deviation.

    shape: `linear`, or `settle`: most of the way early (1 - exp(-5x)), as a temperature does.
    """

    start: float
    end: float
    noise: float = 0.0
    steps: int = 10
    shape: str = "linear"

    def value(self, part: float) -> float:
        done = part if self.shape == "linear" else (1 - math.exp(-5 * part)) / (1 - math.exp(-5))
        return self.start + (self.end - self.start) * done


@dataclass(frozen=True, slots=True)
class Model:
    """How jobs of a group behave. Times are seconds; a key that is left out is the default here.

    duration: the mean; None leaves it to the command and the limit. spread: the standard deviation as a part of the
    mean. fail: how probable it is that the job ends with `status` (an exit code) instead of 0, at its end.
    node_failure: how often a node is lost, for each node and hour; it is back at once, for other jobs.
    preemption: how often a job is preempted, for each hour. samples: durations to draw from instead of a distribution.
    """

    duration: float | None = None
    spread: float = 0.0
    distribution: str = "constant"
    fail: float = 0.0
    status: int = 1
    node_failure: float = 0.0
    preemption: float = 0.0
    startup: float = 0.0
    samples: tuple[float, ...] = ()
    metrics: Mapping[str, Curve] | None = None


class Recipe:
    """A model with what a job's spec adds: draws the course of a job by its name.

    limit: seconds after which it is ended as a timeout, 0 for none. nodes: on how many it runs.
    """

    __slots__ = ("_always", "_mu", "_sigma", "limit", "model", "nodes", "seconds", "seed")

    def __init__(self, model: Model, seconds: float, limit: float = 0, nodes: int = 1, seed: int = 0) -> None:
        self.model, self.seconds, self.limit, self.nodes, self.seed = model, seconds, limit, nodes, seed
        self._mu = self._sigma = 0.0
        if model.distribution == "lognormal" and seconds > 0:
            variance = math.log1p(model.spread**2)
            self._mu, self._sigma = math.log(seconds) - variance / 2, math.sqrt(variance)
        # Where nothing is drawn all jobs have the same course, and share it.
        drawn = model.samples or model.fail or model.node_failure or model.preemption or model.metrics
        if model.distribution == "constant" and not drawn:
            self._always: Course | None = self._limited(seconds, 0)
        else:
            self._always = None

    def draw(self, name: str) -> Course:
        """The course of the job of this name; always the same one."""
        if self._always is not None:
            return self._always
        model = self.model
        length, failure, node, preempted = _uniforms(self.seed, name)
        seconds = self._seconds(length)
        course = self._limited(seconds, model.status << 8 if failure < model.fail else 0)
        for rate, chance, kind in (
            (model.node_failure * self.nodes, node, "node-lost"),
            (model.preemption, preempted, "preempted"),
        ):
            if rate and (at := -math.log(chance) / rate * 3600) < course.seconds:
                course = course._replace(seconds=at, status=9, exception=kind, note="as its model says")
        if model.metrics:
            course = course._replace(points=_points(model.metrics, self.seed, name, seconds, course.seconds))
        return course

    def as_dict(self) -> dict[str, Any]:
        """As plain data, for `read_recipe`."""
        model = {**asdict(self.model), "samples": list(self.model.samples)}
        return {
            "model": model,
            "seconds": self.seconds,
            "limit": self.limit,
            "nodes": self.nodes,
            "seed": self.seed,
        }

    def _seconds(self, chance: float) -> float:
        model = self.model
        if model.samples:
            return model.samples[int(chance * len(model.samples))]
        match model.distribution:
            case "normal":
                return max(0.0, self.seconds * (1 + model.spread * _NORMAL.inv_cdf(chance)))
            case "lognormal" if self.seconds > 0:
                return math.exp(self._mu + self._sigma * _NORMAL.inv_cdf(chance))
            case "exponential":
                return -self.seconds * math.log(chance)
        return self.seconds

    def _limited(self, seconds: float, status: int) -> Course:
        if self.limit and seconds > self.limit:
            note = f"it reached its limit of {self.limit:g} s"
            return Course(self.model.startup, float(self.limit), 15, "timeout", note)
        return Course(self.model.startup, seconds, status)


def read_recipe(data: Mapping[str, Any]) -> Recipe:
    """From what `Recipe.as_dict` gave."""
    model = dict(data["model"])
    curves = {name: Curve(**curve) for name, curve in (model["metrics"] or {}).items()}
    model |= {"samples": tuple(model["samples"]), "metrics": curves or None}
    return Recipe(Model(**model), data["seconds"], data["limit"], data["nodes"], data["seed"])


class Models:
    """The models of a simulation by group. `assumed` has a line for each group of which something had to be assumed."""

    def __init__(self, models: Mapping[str, Model] | None = None, seed: int = 0) -> None:
        self.models = dict(models or {})
        self.seed = seed
        self.assumed: dict[str, str] = {}
        self._known: dict[tuple[Any, ...], Recipe] = {}

    def recipe(self, spec: Spec) -> Recipe:
        """How a job of this spec behaves; one object for all that are alike."""
        model = self.models.get(spec.group) or self.models.get(EVERY) or Model()
        told = model.duration is not None or model.samples  # by the model: the command does not matter
        key = (spec.group, () if told else spec.argv, spec.duration, spec.nodes)
        found = self._known.get(key)
        if found is None:
            seconds, status = self._assume(spec, model)
            if status:
                model = Model(startup=model.startup, fail=1.0, status=status)
            found = Recipe(model, seconds, spec.duration, spec.nodes or 1, self.seed)
            if len(self._known) < MOST_SAMPLES:  # a sweep may have a command for each job
                self._known[key] = found
        return found

    def silent(self, group: str, metrics: Iterable[str]) -> list[str]:
        """Which of a group's own metrics no simulated job ever prints."""
        model = self.models.get(group) or self.models.get(EVERY) or Model()
        return [name for name in metrics if name not in (model.metrics or {})]

    def _assume(self, spec: Spec, model: Model) -> tuple[float, int]:
        """The mean duration, and the exit code that the command alone tells."""
        if model.samples:
            return 0.0, 0
        if model.duration is not None:
            return model.duration, 0
        program = spec.argv[0].rpartition("/")[2]
        if program == "sleep" and (slept := _slept(spec.argv[1:])) is not None:
            return slept, 0
        say = f"; say otherwise with --model {spec.group}=duration:SECONDS"
        if program in _QUICK:
            self.assumed.setdefault(spec.group, f"{spec.group}: {program} takes {INSTANT:g} s{say}")
            return INSTANT, _QUICK[program]
        if spec.duration:
            half = spec.duration / 2
            self.assumed.setdefault(
                spec.group, f"{spec.group}: runs {half:g} s, half of its limit of {spec.duration} s{say}"
            )
            return half, 0
        self.assumed.setdefault(spec.group, f"{spec.group}: runs {ASSUMED:g} s, nothing tells how long{say}")
        return ASSUMED, 0


def parse_models(data: object, key: str = "models") -> dict[str, dict[str, Any]]:
    """Groups to the keys of their models, checked. Raises SpecError that names the key."""
    if not isinstance(data, Mapping):
        raise SpecError(f"models are a mapping of groups to models, not {units.shown(data)}", key)
    for group, model in data.items():
        if not isinstance(group, str):
            raise SpecError(f"a group is a text, not {units.shown(group)}", key)
        build_model(model, f"{key}.{group}")
    return {group: dict(model) for group, model in data.items()}


def build_model(data: object, key: str) -> Model:
    """A model from the mapping of a file. Raises SpecError that names the key."""
    given = _keys(data, Model, key)
    values: dict[str, Any] = {}
    for name, value in given.items():
        place = f"{key}.{name}"
        match name:
            case "distribution":
                values[name] = _choice(value, DISTRIBUTIONS, place)
            case "duration" | "startup":
                values[name] = _time(value, place)
            case "fail":
                values[name] = _number(value, place, most=1)
            case "status":
                values[name] = _whole(value, place, 1, 255)
            case "samples":
                if not isinstance(value, (list, tuple)) or not value:
                    raise SpecError(f"it is a list of seconds, not {units.shown(value)}", place)
                values[name] = thinned([_number(one, place) for one in value])
            case "metrics":
                if not isinstance(value, Mapping):
                    raise SpecError(f"it is a mapping of names to curves, not {units.shown(value)}", place)
                curves = {str(one): _curve(curve, f"{place}.{one}") for one, curve in value.items()}
                values[name] = curves or None
            case _:
                values[name] = _number(value, place)
    if values.get("spread") and "distribution" not in values:
        values["distribution"] = "normal"
    if values.get("spread") and values["distribution"] in ("constant", "exponential"):
        raise SpecError(f"a spread is for normal and lognormal, not for {values['distribution']}", f"{key}.spread")
    return Model(**values)


def parse_option(text: str) -> tuple[str, dict[str, Any]]:
    """`GROUP=duration:10,fail:0.05` as a group and the keys of its model. Raises SpecError."""
    group, equals, rest = text.partition("=")
    if not (group and equals and rest):
        raise SpecError(f"a model is GROUP=duration:10,fail:0.05, not {units.shown(text)}", "--model")
    model: dict[str, Any] = {}
    for part in rest.split(","):
        name, colon, value = part.partition(":")
        if not (name and colon and value):
            raise SpecError(f"{units.shown(part)} is no KEY:VALUE", f"--model {group}")
        try:
            number = float(value)
            model[name] = int(number) if number.is_integer() else number
        except (ValueError, OverflowError):
            model[name] = value
    build_model(model, f"--model {group}")
    return group, model


def thinned(values: Sequence[float]) -> tuple[float, ...]:
    """Sorted, and at most MOST_SAMPLES of them, evenly chosen."""
    ordered = sorted(values)
    if len(ordered) > MOST_SAMPLES:
        step = (len(ordered) - 1) / (MOST_SAMPLES - 1)
        ordered = [ordered[round(number * step)] for number in range(MOST_SAMPLES)]
    return tuple(ordered)


def _uniforms(seed: int, name: str) -> tuple[float, float, float, float]:
    """Four numbers between 0 and 1, both excluded."""
    a, b, c, d = unpack("<4Q", blake2b(f"{seed} {name}".encode(), digest_size=32).digest())
    return (
        ((a >> 12) + 0.5) * 2**-52,
        ((b >> 12) + 0.5) * 2**-52,
        ((c >> 12) + 0.5) * 2**-52,
        ((d >> 12) + 0.5) * 2**-52,
    )


def _points(curves: Mapping[str, Curve], seed: int, name: str, seconds: float, until: float) -> tuple[Point, ...]:
    """The values that a job of `seconds` prints before it is ended at `until`."""
    dice = Random(f"{seed} {name}")  # noqa: S311 - a simulation, no secret
    points = []
    for metric, curve in curves.items():
        for step in range(1, curve.steps + 1):
            part = step / curve.steps
            value = curve.value(part) + (dice.gauss(0, curve.noise) if curve.noise else 0.0)
            if part * seconds <= until:
                points.append(Point(part * seconds, metric, value))
    return tuple(sorted(points, key=lambda point: point.offset))


def _slept(words: Sequence[str]) -> float | None:
    """What `sleep` is asked for, in seconds; None where that can't be told."""
    total = 0.0
    for word in words:
        factor = _SUFFIXES.get(word[-1:], 0)
        try:
            total += float(word[:-1] if factor else word) * (factor or 1)
        except ValueError:
            return None
    return total if words and math.isfinite(total) and total >= 0 else None


def _curve(data: object, key: str) -> Curve:
    given = _keys(data, Curve, key)
    for name in ("start", "end"):
        if name not in given:
            raise SpecError("it is missing", f"{key}.{name}")
    values: dict[str, Any] = {}
    for name, value in given.items():
        place = f"{key}.{name}"
        match name:
            case "steps":
                values[name] = _whole(value, place, 1, MOST_STEPS)
            case "shape":
                values[name] = _choice(value, SHAPES, place)
            case "noise":
                values[name] = _number(value, place)
            case _:
                values[name] = _number(value, place, least=-math.inf)
    return Curve(**values)


def _keys(data: object, kind: type[Model] | type[Curve], key: str) -> dict[str, Any]:
    known = [field.name for field in fields(kind)]
    if not isinstance(data, Mapping):
        raise SpecError(f"it is a mapping of {', '.join(known)}, not {units.shown(data)}", key)
    for name in data:
        if name not in known:
            raise SpecError(f"unknown key; there are: {', '.join(known)}", f"{key}.{name}")
    return dict(data)


def _choice(value: object, known: tuple[str, ...], key: str) -> str:
    if not isinstance(value, str) or value not in known:
        raise SpecError(f"it is one of {', '.join(known)}, not {units.shown(value)}", key)
    return value


def _number(value: object, key: str, *, least: float = 0, most: float = math.inf) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise SpecError(f"it is a number, not {units.shown(value)}", key)
    if not least <= value <= most:
        bounds = f"at least {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
        raise SpecError(f"it is {bounds}, not {value:g}", key)
    return float(value)


def _whole(value: object, key: str, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise SpecError(f"it is a whole number from {least} to {most}, not {units.shown(value)}", key)
    return value


def _time(value: object, key: str) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _number(value, key)
    try:
        return float(units.seconds(value, key))
    except InputError as error:
        raise SpecError(error.message, key) from None
