"""Tools: methods of a provider whose type hints and docstrings are their contract, as JSON Schema (2020-12)."""

from __future__ import annotations

import inspect
import shlex
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from functools import cached_property, lru_cache
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from resource_secretary import paging
from resource_secretary.errors import ArgumentError
from resource_secretary.values import Text

F = TypeVar("F", bound=Callable[..., Any])
_MARK = "__secretary_tool__"
READ, DISPATCH = "read", "dispatch"
_PAGING = {
    "limit": "How many entries a page may have; fewer where they are large.",
    "cursor": "Where to go on: `next` of the page before; empty for the first page.",
}
Limit = Annotated[int, msgspec.Meta(ge=1, le=1000)]


def secretary_tool(method: F) -> F:
    """Mark a method of a provider as a tool that changes nothing.

    Every parameter has a type hint: one of `resource_secretary.values`, str (a `Text` then), int, float, bool, a
    Literal of strings, a list of those, or one of them `| None`. The docstring is what callers read; a line
    `name: meaning` in it describes a parameter. It returns a dataclass, a scalar, a dict of them, or a list: a list is
    given out in pages, with the parameters `limit` and `cursor` that this adds.
    """
    setattr(method, _MARK, READ)
    return method


def dispatch_tool(method: F) -> F:
    """Mark a method as a tool that changes state, such as submitting a job: only for callers that were given those."""
    setattr(method, _MARK, DISPATCH)
    return method


class Tool:
    """What is known of a tool without calling it.

    kind: "read" or "dispatch". input_schema: of an object of the arguments. output_schema: of the object that a call
    gives: a dataclass as it is, a list as a page, anything else as `{"result": ...}`. paged: whether it is a list.
    The schemas are made when they are first asked for, which raises TypeError for a type hint that is missing or unfit.
    """

    def __init__(self, name: str, method: Callable[..., Any]) -> None:
        self.name, self._method = name, method
        self.kind: Literal["read", "dispatch"] = getattr(method, _MARK)
        self._parameters = list(inspect.signature(method).parameters.values())[1:]
        names = {*(parameter.name for parameter in self._parameters), *_PAGING}
        self.description, self._described = _docstring(inspect.getdoc(method) or "", names)

    @property
    def paged(self) -> bool:
        return self._contract.paged

    @property
    def input_schema(self) -> dict[str, Any]:
        return self._contract.input_schema

    @property
    def output_schema(self) -> dict[str, Any]:
        return self._contract.output_schema

    @cached_property
    def _contract(self) -> _Contract:
        return _contract(self.name, self._method, self._parameters, self._described)

    def read(self, arguments: Mapping[str, object], *, text: bool = False) -> dict[str, Any]:
        """The arguments, checked against the schema, defaults put in. text: they are words of a command line.

        Raises ArgumentError for one that is missing, unknown, or not what the parameter takes.
        """
        properties = self.input_schema["properties"]
        for name in arguments:
            if name not in properties:
                raise ArgumentError(self.name, name, f"no such parameter; there are: {', '.join(properties) or 'none'}")
        for name in self.input_schema.get("required", ()):
            if name not in arguments:
                raise ArgumentError(self.name, name, "is required")
        given = dict(arguments)
        if text:
            given = {name: _words(self.name, name, properties[name], value) for name, value in arguments.items()}
        try:
            read = msgspec.convert(given, self._contract.arguments, strict=not text)
        except msgspec.ValidationError as error:
            raise self._refusal(given, str(error)) from None
        except UnicodeEncodeError as error:  # half a surrogate pair, as JSON can write it, where an enum is wanted
            name = next((name for name, value in given.items() if error.object in str(value)), "")
            raise ArgumentError(self.name, name, f"must be text, not {error.object!r:.60}") from None
        values = {name: getattr(read, name) for name in properties}
        if self.paged:  # before the manager is asked for what would not be given out
            paging.read_cursor(self.name, self.method_arguments(values), values["cursor"])
        return values

    def as_dict(self) -> dict[str, Any]:
        """What a caller needs to know of it."""
        return {
            "name": self.name,
            "description": self.description,
            "kind": self.kind,
            "input_schema": self.input_schema,
            "output_schema": self.output_schema,
        }

    def method_arguments(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Those that the method takes itself: without what turns the pages."""
        return {name: value for name, value in arguments.items() if not (self.paged and name in _PAGING)}

    def result(
        self, arguments: Mapping[str, Any], value: object, keep: Callable[[Sequence[Any]], str] | None = None
    ) -> tuple[dict[str, Any], str]:
        """What the method returned as an object of the output schema, and a notice of what was cut. value may be a list
        that was kept. keep: see `page`.

        Raises TypeError for what JSON can't hold, OutputError for what is too large, ArgumentError for a bad cursor.
        """
        made = value.items if isinstance(value, paging.Kept) else as_json(value)
        if self.paged:
            given = self.method_arguments(arguments)
            return paging.page(self.name, given, made, arguments["limit"], arguments["cursor"], keep)
        if "result" in self.output_schema["properties"] and not is_dataclass(value):
            made = {"result": made}
        return paging.cut(made)

    def _refusal(self, given: Mapping[str, object], message: str) -> ArgumentError:
        said, _, place = message.rpartition(" - at `$.")
        name = place.rstrip("`").partition("[")[0]
        schema = self.input_schema["properties"].get(name, {})
        wanted = _wanted(schema) or said
        return ArgumentError(self.name, name, f"must be {wanted}, not {given.get(name)!r:.60}")


@dataclass(frozen=True, slots=True)
class _Contract:
    arguments: type[msgspec.Struct]
    input_schema: dict[str, Any]
    output_schema: dict[str, Any]
    paged: bool


@lru_cache(maxsize=512)
def tools_of(provider: type) -> tuple[Tool, ...]:
    """The tools of a provider's class, by name."""
    methods = ((name, getattr(provider, name)) for name in sorted(dir(provider)) if not name.startswith("_"))
    return tuple(Tool(name, method) for name, method in methods if getattr(method, _MARK, ""))


def check_tools(provider: type) -> None:
    """Raises TypeError for a tool of a provider's class whose type hints are missing or unfit."""
    for tool in tools_of(provider):
        _ = tool.input_schema


def _contract(
    name: str, method: Callable[..., Any], parameters: Sequence[inspect.Parameter], described: Mapping[str, str]
) -> _Contract:
    hints = typing.get_type_hints(method, include_extras=True)
    if "return" not in hints:
        raise TypeError(f"the tool {name} says not what it returns")
    fields: list[Any] = []
    for parameter in parameters:
        if parameter.name not in hints or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TypeError(f"the parameter {parameter.name} of the tool {name} has no type hint")
        hint = _parameter(hints[parameter.name], f"{name}.{parameter.name}")
        required = parameter.default is parameter.empty
        fields.append((parameter.name, hint) if required else (parameter.name, hint, parameter.default))
    paged = typing.get_origin(hints["return"]) is list
    if paged:
        if taken := {"limit", "cursor"} & {field[0] for field in fields}:
            raise TypeError(f"the tool {name} returns a list, so it can't have a parameter {taken.pop()} of its own")
        fields += [("limit", Limit, 100), ("cursor", Text, "")]
    arguments = msgspec.defstruct(name, fields, kw_only=True, forbid_unknown_fields=True, frozen=True)
    schema = _inlined(msgspec.json.schema(arguments))
    schema.pop("title", None)
    for key, value in schema["properties"].items():
        meaning = {**(_PAGING if paged else {}), **described}.get(key, "")
        value["description"] = ". ".join(part.rstrip(".") for part in (meaning, value.get("description", "")) if part)
    return _Contract(arguments, schema, _output(name, hints["return"], paged), paged)


_SCALARS = (int, float, bool)


def _parameter(hint: Any, place: str) -> Any:
    """The type that a parameter's hint means. Raises TypeError for what the arguments of a tool can't be."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is str:
        return Text
    if hint in _SCALARS or (origin is Literal and all(isinstance(one, str) for one in inner)):
        return hint
    if origin is Annotated:
        if inner[0] in (str, *_SCALARS):
            return hint
    elif origin in (types.UnionType, typing.Union):
        some = [one for one in inner if one is not type(None)]
        if len(some) == 1:
            return typing.Optional[_parameter(some[0], place)]  # noqa: UP045 - `|` takes no Annotated of 3.11
    elif origin is list:
        return list[_parameter(inner[0], place)]  # type: ignore[misc]
    raise TypeError(f"{place}: a parameter is str, int, float, bool, a Literal of strings or a list, not {hint!r}")


def _output(name: str, hint: Any, paged: bool) -> dict[str, Any]:
    try:
        schema = msgspec.json.schema(hint)
    except TypeError as error:
        raise TypeError(f"the tool {name} returns what has no JSON Schema: {error}") from None
    shared = schema.pop("$defs", {})
    if paged:
        made: dict[str, Any] = {
            "type": "object",
            "properties": {
                "items": schema,
                "total": {"type": "integer", "description": "How many entries there are in all."},
                "next": {"type": ["string", "null"], "description": "The cursor of the next page; null on the last."},
            },
            "required": ["items", "total", "next"],
        }
    elif "$ref" in schema and shared[schema["$ref"].rpartition("/")[2]].get("type") == "object":
        made = shared.pop(schema["$ref"].rpartition("/")[2])
    else:
        made = {"type": "object", "properties": {"result": schema}, "required": ["result"]}
    return {**made, "$defs": shared} if shared else made


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of an object in place of a reference to it."""
    made: dict[str, Any] = schema["$defs"][schema["$ref"].rpartition("/")[2]]
    made.setdefault("properties", {})
    for value in made["properties"].values():
        if isinstance(value.get("default"), tuple):
            value["default"] = list(value["default"])
    return made


def _docstring(doc: str, parameters: set[str]) -> tuple[str, dict[str, str]]:
    """The text of a docstring, and what it says of each parameter: `name: meaning`, indented lines going on."""
    text: list[str] = []
    described: dict[str, str] = {}
    current = ""
    for line in doc.splitlines():
        name, colon, meaning = line.partition(":")
        if colon and name in parameters:
            current, described[name] = name, meaning.strip()
        elif current and line.startswith(" "):
            described[current] += f" {line.strip()}"
        else:
            current = ""
            text.append(line.strip())
    return " ".join(" ".join(text).split()), described


def _wanted(schema: Mapping[str, Any]) -> str:
    """What a parameter takes, as words."""
    for one in (schema, *schema.get("anyOf", ())):
        if "enum" in one:
            return f"one of {', '.join(map(str, one['enum']))}"
        if "pattern" in one:
            return (one.get("description") or "").rpartition(". ")[2]
        if one.get("type") == "array":
            return f"a list; each entry {_wanted(one['items']) or one['items'].get('type', '')}"
        if one.get("type") in ("integer", "number"):
            bounds = [f"{word} {one[key]}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in one]
            return " ".join([f"of type {one['type']}", *bounds])
        if "type" in one:
            return f"of type {one['type']}"
    return ""


def _words(tool: str, name: str, schema: Mapping[str, Any], value: object) -> object:
    """A word of a command line as what the parameter takes: a list is written as in a shell, and not run by one."""
    kinds = [one.get("type") for one in (schema, *schema.get("anyOf", ()))]
    if isinstance(value, str) and "array" in kinds:
        try:
            return shlex.split(value)
        except ValueError as error:
            raise ArgumentError(tool, name, f"can't be split into words: {error}") from None
    return value


def as_json(value: object) -> Any:
    """A result as what `json.dumps` takes: dataclasses become objects, tuples and sets lists. Raises TypeError."""
    return msgspec.json.decode(msgspec.json.encode(value, order="deterministic"))
