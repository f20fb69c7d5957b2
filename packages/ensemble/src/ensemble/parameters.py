"""The parameters of a group of jobs: a space of points, each a mapping of names to values.

A point is worked out from its index by arithmetic, so that ten million points cost nothing before they are used.
Samples come from random.Random(text).random() alone, which Python keeps the same in every version.
"""

from __future__ import annotations

import math
import random
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from resources.units import shown

from ensemble.faults import Fields

Value = str | int | float | bool
Point = dict[str, Value]
FORMS = ("grid", "list", "random", "latin")
KEYS = (*FORMS, "samples", "seed")
RANGE_KEYS = ("min", "max", "log", "integer", "choice")
RESERVED = ("job", "index", "group", "attempt")  # what a command may name beside its parameters
MOST_LATIN = 1_000_000  # samples; a permutation of them is kept for each parameter
MOST_POINTS = 2**53
_SCIENTIFIC = re.compile(r"[+-]?[0-9]+[eE][+-]?[0-9]+", re.ASCII)
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*", re.ASCII)


class Space(ABC):
    """Points with an order: `space[0]` to `space[len - 1]`; `size` is how many there are."""

    __slots__ = ()

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """The parameters that each point has."""

    @property
    @abstractmethod
    def size(self) -> int:
        """How many points there are; at least one."""

    @abstractmethod
    def point(self, index: int) -> Point:
        """The point at an index from 0 to size - 1."""

    @abstractmethod
    def without(self, names: Collection[str]) -> Space:
        """The same space less these parameters."""


@dataclass(frozen=True, slots=True)
class Grid(Space):
    """Every combination; the last parameter changes fastest. No parameters: one empty point."""

    values: tuple[tuple[str, tuple[Value, ...]], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.values)

    @property
    def size(self) -> int:
        return math.prod(len(values) for _, values in self.values)

    def point(self, index: int) -> Point:
        found = []
        for name, values in reversed(self.values):
            index, place = divmod(index, len(values))
            found.append((name, values[place]))
        return dict(reversed(found))

    def without(self, names: Collection[str]) -> Space:
        return Grid(tuple(entry for entry in self.values if entry[0] not in names))


@dataclass(frozen=True, slots=True)
class Points(Space):
    """The points as they were written."""

    points: tuple[tuple[tuple[str, Value], ...], ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.points[0])

    @property
    def size(self) -> int:
        return len(self.points)

    def point(self, index: int) -> Point:
        return dict(self.points[index])

    def without(self, names: Collection[str]) -> Space:
        left = (tuple(entry for entry in point if entry[0] not in names) for point in self.points)
        return Points(tuple(dict.fromkeys(left)))  # those that no longer differ are one


@dataclass(frozen=True, slots=True)
class Range:
    """What one sampled parameter can be: from least to most (both may come), or one of `choice`."""

    least: float = 0.0
    most: float = 0.0
    log: bool = False
    integer: bool = False
    choice: tuple[Value, ...] = ()

    def at(self, u: float) -> Value:
        """The value at u, 0 <= u < 1; it grows with u."""
        if self.choice:
            return self.choice[int(u * len(self.choice))]
        top = self.most + 1 if self.integer else self.most
        if self.log:
            low, high = math.log(self.least), math.log(top)
            value = math.exp(low + u * (high - low))
        else:
            value = self.least + u * (top - self.least)
        value = min(max(math.floor(value) if self.integer else value, self.least), self.most)
        return int(value) if self.integer else float(value)


@dataclass(frozen=True, slots=True)
class Samples(Space):
    """Points drawn from ranges. latin: each of the `size` strata of each parameter has exactly one point."""

    ranges: tuple[tuple[str, Range], ...]
    samples: int
    seed: int
    latin: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.ranges)

    @property
    def size(self) -> int:
        return self.samples

    def at(self, index: int, name: str) -> float:
        """Where in its range a parameter is, 0 <= u < 1."""
        u = random.Random(f"{self.seed} {name} {index}").random()  # noqa: S311 - reproducible, no secret
        if not self.latin:
            return u
        stratum = _permutation(self.seed, name, self.samples)[index]
        return min((stratum + u) / self.samples, math.nextafter((stratum + 1) / self.samples, 0))

    def point(self, index: int) -> Point:
        return {name: range_.at(self.at(index, name)) for name, range_ in self.ranges}

    def without(self, names: Collection[str]) -> Space:
        left = tuple(entry for entry in self.ranges if entry[0] not in names)
        return Samples(left, self.samples, self.seed, self.latin) if left else Grid()


@dataclass(frozen=True, slots=True)
class Product(Space):
    """Each point of the one with each of the other; the other changes fastest, and wins where both have a name."""

    one: Space
    other: Space

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.one.names, *self.other.names)))

    @property
    def size(self) -> int:
        return self.one.size * self.other.size

    def point(self, index: int) -> Point:
        first, second = divmod(index, self.other.size)
        return self.one.point(first) | self.other.point(second)

    def without(self, names: Collection[str]) -> Space:
        return Product(self.one.without(names), self.other.without(names))


def override(base: Space, given: Space) -> Space:
    """The space where these parameters are set anew: a grid replaces those that it names, other forms all."""
    if not isinstance(given, Grid):
        return given
    left = base.without(given.names)
    return Grid((*left.values, *given.values)) if isinstance(left, Grid) else Product(left, given)


def read_space(given: object, seed: int = 0) -> Space:
    """From the `parameters` of a file. seed: where it has none of its own. Raises SpecError with every fault."""
    fields = Fields(given, "parameters")
    forms = [form for form in FORMS if form in fields and _is_form(form, fields.given[form])]
    if not forms:
        grid = _grid(fields.given, fields, ())
        fields.finish()
        return grid
    if len(forms) > 1:
        fields.wrong((forms[1],), f"parameters are one of {' and '.join(forms)}, not both", at_key=True)
        fields.finish()
    form = forms[0]
    sampled = form in ("random", "latin")
    known = (form, "samples", "seed") if sampled else (form,)
    for key in fields.given:
        if key not in known:
            hint = f"{key} is for random and latin" if key in KEYS else f"{key}: unknown key beside {form!r}"
            fields.wrong((key,), hint, at_key=True)
    content = fields.given[form]
    space: Space
    if form == "grid":
        space = _grid(content, fields, ("grid",))
    elif form == "list":
        space = _points(content, fields)
    else:
        space = _samples(form, content, fields, seed)
    fields.finish()
    return space


def _is_form(form: str, value: object) -> bool:
    # `list: [1, 2]` is a parameter of that name; `list: [{...}]` are points.
    if form == "list":
        return isinstance(value, list) and any(isinstance(point, Mapping) for point in value)
    return isinstance(value, Mapping)


def _grid(given: Mapping[str, Any], fields: Fields, at: tuple[str, ...]) -> Grid:
    axes: list[tuple[str, tuple[Value, ...]]] = []
    for name, values in given.items():
        _name(name, fields, (*at, name))
        if isinstance(values, list) and not values:
            fields.wrong((*at, name), f"{name} has no values")
        listed = values if isinstance(values, list) else [values]
        for index, value in enumerate(listed):
            place: tuple[str | int, ...] = (*at, name, index) if isinstance(values, list) else (*at, name)
            _value(name, value, fields, place)
        axes.append((name, tuple(listed)))
    if not fields.faults and math.prod(len(values) for _, values in axes) > MOST_POINTS:
        fields.wrong(at, "the grid has too many points")
    return Grid(tuple(axes))


def _points(given: Sequence[Any], fields: Fields) -> Points:
    points = []
    expected: tuple[str, ...] | None = None
    for index, point in enumerate(given):
        if not isinstance(point, Mapping) or not point:
            fields.wrong(("list", index), f"a point is a mapping of parameters to values, not {shown(point)}")
            continue
        for name, value in point.items():
            if expected is None:
                _name(name, fields, ("list", index, name))
            _value(name, value, fields, ("list", index, name))
        names = tuple(sorted(map(str, point)))
        expected = expected or names
        for name in sorted(set(expected) ^ set(names)):
            where, which = ("lacks", "the first has") if name in expected else ("has", "the first lacks")
            fields.wrong(("list", index), f"this point {where} {name!r}, which {which}")
        points.append(tuple(point.items()))
    return Points(tuple(points))


def _samples(form: str, given: Mapping[str, Any], fields: Fields, seed: int) -> Samples:
    ranges = []
    for name, spec in given.items():
        _name(name, fields, (form, name))
        if (read := _range(name, spec, fields, (form, name))) is not None:
            ranges.append((name, read))
    if not given:
        fields.wrong((form,), f"{form} has no parameters")
    if "samples" not in fields:
        fields.wrong((), f"samples: it is missing (how many points {form} draws)")
    samples = fields.count("samples", 1, least=1)
    if form == "latin" and samples > MOST_LATIN:
        fields.wrong(("samples",), f"samples of latin are at most {MOST_LATIN}")
    return Samples(tuple(ranges), samples, fields.count("seed", seed), latin=form == "latin")


def _range(name: str, spec: object, fields: Fields, at: tuple[str, ...]) -> Range | None:
    inner = Fields(spec, name, RANGE_KEYS)
    if isinstance(spec, list):
        inner.faults.clear()
        inner.wrong((), f"{name}: a list of values to draw from is written {{choice: [...]}}")
    if not inner.faults and "choice" in inner:
        values = inner.given["choice"]
        if not isinstance(values, list) or not values:
            inner.wrong(("choice",), f"choice is a list of values, not {shown(values)}")
            values = []
        for index, value in enumerate(values):
            _value(name, value, inner, ("choice", index))
        for key in inner.given:
            if key != "choice":
                inner.wrong((key,), f"{key} makes no sense beside choice", at_key=True)
        read = Range(choice=tuple(values))
    elif not inner.faults:
        read = _bounds(name, inner)
    for fault in inner.faults:
        fields.wrong((*at, *fault.path), fault.message, at_key=fault.at_key)
    return None if inner.faults else read


def _bounds(name: str, inner: Fields) -> Range:
    for key in ("min", "max"):
        value = inner.given.get(key)
        if isinstance(value, str) and _SCIENTIFIC.fullmatch(value):
            value = inner.given[key] = float(value)  # 1e-4 is a text in YAML 1.1
        if key not in inner:
            inner.wrong((), f"{name}: {key} is missing (or choice)")
        elif not _number(value):
            inner.wrong((key,), f"{key} is a number, not {shown(value)}")
    for key in ("log", "integer"):
        if not isinstance(inner.given.get(key, False), bool):
            inner.wrong((key,), f"{key} is true or false, not {shown(inner.given[key])}")
    if inner.faults:
        return Range()
    least, most = inner.given["min"], inner.given["max"]
    log, integer = inner.given.get("log", False), inner.given.get("integer", False)
    if most < least:
        inner.wrong(("max",), f"max is not less than min, {least} here")
    if log and least <= 0:
        inner.wrong(("min",), f"min is more than 0 where log is true, not {least}")
    for key, bound in (("min", least), ("max", most)) if integer else ():
        if bound != int(bound):
            inner.wrong((key,), f"{key} is a whole number where integer is true, not {bound}")
    return Range(float(least), float(most), log, integer)


def _name(name: object, fields: Fields, at: tuple[str | int, ...]) -> None:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        fields.wrong(at, f"a parameter's name has letters, digits, - and _, not {shown(name)}", at_key=True)
    elif name in RESERVED:
        fields.wrong(at, f"{{{name}}} is there in every command: name the parameter otherwise", at_key=True)


def _value(name: str, value: object, fields: Fields, at: tuple[str | int, ...]) -> None:
    if not isinstance(value, (str, bool)) and not _number(value):
        fields.wrong(at, f"a value of {name} is a number, a text, true or false, not {shown(value)}")


def _number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


@lru_cache(maxsize=64)
def _permutation(seed: int, name: str, size: int) -> tuple[int, ...]:
    # Fisher-Yates by hand: what Random.shuffle does is not promised to stay.
    draw = random.Random(f"{seed} {name} strata").random  # noqa: S311 - reproducible, no secret
    order = list(range(size))
    for last in range(size - 1, 0, -1):
        other = int(draw() * (last + 1))
        order[last], order[other] = order[other], order[last]
    return tuple(order)


def text_of(value: Value) -> str:
    """A value as a command has it: true and false in small letters, numbers as Python writes them."""
    return str(value).lower() if isinstance(value, bool) else str(value)
