"""A plugin's dataclass as command-line options, and values back as the dataclass.

Fields are str, int, float, bool or Path, an Optional or a list of one. The help of an option is the field's
`metadata={"help": ...}`; a field without a default is required.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

from resources.units import shown

from fluxburst.errors import ParameterError

if TYPE_CHECKING:
    import click

KINDS: dict[type, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    Path: "a path",
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One field: its type (of an element where `many`), default, and what help says of it."""

    name: str
    kind: type
    many: bool
    optional: bool
    required: bool
    default: Any
    help: str

    def flag(self, plugin: str) -> str:
        """The command-line option: `--PLUGIN-FIELD`."""
        return f"--{plugin}-{self.name.replace('_', '-')}"

    def as_dict(self, plugin: str) -> dict[str, Any]:
        default = [str(one) for one in self.default] if self.many and self.default is not None else self.default
        return {
            "name": self.name,
            "option": self.flag(plugin),
            "type": self.kind.__name__.lower(),
            "many": self.many,
            "required": self.required,
            "default": str(default) if isinstance(default, Path) else default,
            "help": self.help,
        }


def parameters(cls: type) -> tuple[Parameter, ...]:
    """The fields of a dataclass that its constructor takes. Raises ParameterError for a type that is no option."""
    try:
        hints = get_type_hints(cls)
    except NameError as error:
        raise ParameterError(f"the types of {cls.__name__} can't be resolved: {error}") from None
    return tuple(_parameter(one, hints[one.name]) for one in fields(cls) if one.init)


def _parameter(one: Field[Any], hint: Any) -> Parameter:
    kind, optional, many = hint, False, False
    if get_origin(kind) in {Union, types.UnionType}:
        inner = [arg for arg in get_args(kind) if arg is not type(None)]
        optional = len(inner) < len(get_args(kind))
        kind = inner[0] if len(inner) == 1 else None
    if get_origin(kind) is list:
        many, (kind,) = True, get_args(kind)
    if kind not in KINDS:
        raise ParameterError(
            f"{hint} can't be an option: str, int, float, bool, Path, Optional or a list of one", one.name
        )
    default = one.default if one.default_factory is MISSING else one.default_factory()
    required = default is MISSING
    return Parameter(
        one.name, kind, many, optional, required, None if required else default, str(one.metadata.get("help", ""))
    )


def build(cls: type, values: Mapping[str, object]) -> Any:
    """The dataclass from values by field name. Raises ParameterError for what is unknown, missing or mistyped."""
    known = {one.name: one for one in parameters(cls)}
    for name in values:
        if name not in known:
            raise ParameterError(f"unknown parameter; there are: {', '.join(known) or 'none'}", name)
    for one in known.values():
        if one.required and one.name not in values:
            raise ParameterError("is required", one.name)
    try:
        return cls(**{name: _checked(known[name], value) for name, value in values.items()})
    except (TypeError, ValueError) as error:  # the dataclass's own checks
        if isinstance(error, ParameterError):
            raise
        raise ParameterError(str(error)) from error


def _checked(one: Parameter, value: object) -> object:
    if value is None and one.optional:
        return None
    if not one.many:
        return _element(one, value)
    if not isinstance(value, (list, tuple)):
        raise ParameterError(f"a list is needed, not {shown(value)}", one.name)
    return [_element(one, item) for item in value]


def _element(one: Parameter, value: object) -> object:
    if one.kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if one.kind is Path and isinstance(value, str):
        try:
            value = Path(value).expanduser()  # in a file of settings no shell has done that
        except RuntimeError as error:
            raise ParameterError(f"{value}: {error}", one.name) from None
    if not isinstance(value, one.kind) or (isinstance(value, bool) and one.kind is not bool):
        raise ParameterError(f"{KINDS[one.kind]} is needed, not {shown(value)}", one.name)
    if isinstance(value, float) and not isfinite(value):
        raise ParameterError(f"a finite number is needed, not {value}", one.name)
    return value


def click_options(plugin: str, found: tuple[Parameter, ...]) -> list[click.Option]:
    """The options of a plugin. Their values arrive as `PLUGIN.FIELD`, None or () where not given."""
    import click

    types_: dict[type, Any] = {Path: click.Path(path_type=Path), bool: bool}
    options = []
    for one in found:
        flag = one.flag(plugin)
        if one.kind is bool and not one.many:
            flag = f"{flag}/{one.flag(plugin).replace('--', '--no-', 1)}"
        default = "; ".join(map(str, one.default)) if one.many and one.default else one.default
        notes = "required" if one.required else f"default: {default}" if default not in (None, "", []) else ""
        options.append(
            click.Option(
                [flag, destination(plugin, one.name)],
                type=types_.get(one.kind, one.kind),
                multiple=one.many,
                default=None,
                help=f"{one.help}{'  ' if one.help and notes else ''}{f'[{notes}]' if notes else ''}",
            )
        )
    return options


def destination(plugin: str, field: str) -> str:
    """The name under which click hands on a plugin's option."""
    return f"{plugin}__{field}".replace("-", "_").lower()
