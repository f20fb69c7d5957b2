"""Tools: methods of a provider that anybody may call, because they only read. Their type hints are their contract."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, TypeVar

from resource_secretary.errors import ArgumentError

F = TypeVar("F", bound=Callable[..., Any])
_MARK = "__secretary_tool__"
_SCALARS: dict[type, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def secretary_tool(method: F) -> F:
    """Mark a method of a provider as a tool that changes nothing.

    Every parameter has a type hint: str, int, float, bool, a Literal of strings, or one of them `| None`. The
    first line of the docstring is what callers read. It returns a dataclass, a scalar, or lists and dicts of them.
    """
    setattr(method, _MARK, True)
    return method


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter. `type` is JSON's name of it; `choices` are the only values, where there are such."""

    name: str
    type: str
    required: bool
    default: object = None
    choices: tuple[str, ...] = ()

    def read(self, tool: str, value: object) -> object:
        """The value as the parameter's type; a text is read as a command line has it. Raises ArgumentError."""
        if self.choices:
            if value in self.choices:
                return value
            raise ArgumentError(tool, self.name, f"one of {', '.join(self.choices)}, not {value!r:.60}")
        if isinstance(value, str) and self.type != "string":
            value = self._from_text(value)
        if self.type == "number" and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if _SCALARS.get(type(value)) == self.type:
            return value
        raise ArgumentError(tool, self.name, f"must be of type {self.type}, not {value!r:.60}")

    def _from_text(self, text: str) -> object:
        if self.type == "boolean":
            return _WORDS.get(text.lower(), text)
        try:
            return int(text) if self.type == "integer" else float(text)
        except ValueError:
            return text


@dataclass(frozen=True, slots=True)
class Tool:
    """What is known of a tool without calling it."""

    name: str
    description: str
    parameters: tuple[Parameter, ...]

    def read(self, arguments: Mapping[str, object]) -> dict[str, object]:
        """The arguments, validated. Raises ArgumentError for one that is missing, unknown or of another type."""
        known = {parameter.name: parameter for parameter in self.parameters}
        for name in arguments:
            if name not in known:
                raise ArgumentError(self.name, name, f"no such parameter; there are: {', '.join(known) or 'none'}")
        for parameter in self.parameters:
            if parameter.required and parameter.name not in arguments:
                raise ArgumentError(self.name, parameter.name, "is required")
        return {name: known[name].read(self.name, value) for name, value in arguments.items()}


def tools_of(provider: type) -> tuple[Tool, ...]:
    """The tools of a provider's class, by name. Raises TypeError for a type hint that is missing or unfit."""
    methods = ((name, getattr(provider, name)) for name in sorted(dir(provider)) if not name.startswith("_"))
    return tuple(_describe(name, method) for name, method in methods if getattr(method, _MARK, False))


def _describe(name: str, method: Callable[..., Any]) -> Tool:
    hints = typing.get_type_hints(method)
    if "return" not in hints:
        raise TypeError(f"the tool {name} says not what it returns")
    parameters = []
    for parameter in list(inspect.signature(method).parameters.values())[1:]:
        if parameter.name not in hints or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TypeError(f"the parameter {parameter.name} of the tool {name} has no type hint")
        kind, choices = _json_type(hints[parameter.name], f"{name}.{parameter.name}")
        required = parameter.default is parameter.empty
        parameters.append(Parameter(parameter.name, kind, required, None if required else parameter.default, choices))
    lines = (inspect.getdoc(method) or "").splitlines()
    return Tool(name, lines[0] if lines else "", tuple(parameters))


def _json_type(hint: Any, place: str) -> tuple[str, tuple[str, ...]]:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        inner = [one for one in typing.get_args(hint) if one is not type(None)]
        hint = inner[0] if len(inner) == 1 else hint
    if typing.get_origin(hint) is typing.Literal and all(isinstance(one, str) for one in typing.get_args(hint)):
        return "string", typing.get_args(hint)
    if hint in _SCALARS:
        return _SCALARS[hint], ()
    raise TypeError(f"{place}: a parameter is str, int, float, bool or a Literal of strings, not {hint!r}")


def as_json(value: object) -> Any:
    """A result as what `json.dumps` takes: dataclasses become objects, tuples and sets lists. Raises TypeError."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: as_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_json(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(one) for one in value]
    if isinstance(value, (set, frozenset)):
        return sorted(as_json(one) for one in value)
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise TypeError(f"{type(value).__name__} is nothing that JSON can hold")
