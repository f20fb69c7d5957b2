"""What a tool's type hints and docstring become, and which values it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resource_secretary import values
from resource_secretary.errors import ArgumentError
from resource_secretary.tools import as_json, check_tools, dispatch_tool, secretary_tool, tools_of


@dataclass(frozen=True)
class Disk:
    """A disk."""

    name: str
    size: int | None
    parts: tuple[str, ...] = ()


class Provider:
    @secretary_tool
    def disks(
        self, kind: Literal["ssd", "hdd"] = "ssd", least: values.Count = 1, name: values.Name | None = None
    ) -> list[Disk]:
        """The disks of this host.

        kind: what they are made of. least: no parameter line of its own.
        least: bytes that one has at least,
            on two lines.
        name: only this one.
        """
        return [Disk(name or "sda", least)]

    @secretary_tool
    def first(self) -> Disk:
        """The first disk."""
        return Disk("sda", None)

    @secretary_tool
    def count(self, text: str = "", ratio: float = 0.5, deep: bool = False) -> dict[str, int]:
        """How many."""
        return {text: 1}

    @dispatch_tool
    def erase(self, path: values.AbsolutePath, command: list[values.Word]) -> bool:
        """Erase it."""
        return True


TOOLS = {tool.name: tool for tool in tools_of(Provider)}


def test_hints_and_docstrings_become_json_schema():
    disks = TOOLS["disks"]
    jsonschema.Draft202012Validator.check_schema(disks.input_schema)
    properties = disks.input_schema["properties"]
    assert disks.description == "The disks of this host."
    assert properties["kind"]["enum"] == ["hdd", "ssd"] and properties["kind"]["default"] == "ssd"
    assert properties["least"]["type"] == "integer" and properties["least"]["minimum"] == 1
    assert properties["least"]["description"] == "bytes that one has at least, on two lines"
    assert properties["name"]["anyOf"][1] == {"type": "null"} and properties["name"]["default"] is None
    assert {"limit", "cursor"} <= properties.keys() and not disks.input_schema["additionalProperties"]
    assert TOOLS["erase"].input_schema["required"] == ["path", "command"]
    assert [tool.name for tool in TOOLS.values() if tool.kind == "dispatch"] == ["erase"]


@pytest.mark.parametrize("name", TOOLS)
def test_results_keep_the_output_schema(name):
    tool = TOOLS[name]
    jsonschema.Draft202012Validator.check_schema(tool.output_schema)
    given: dict[str, Any] = {"path": "/a", "command": ["x"]} if name == "erase" else {}
    given = tool.read(given)
    result, notice = tool.result(given, getattr(Provider(), name)(**tool.method_arguments(given)))
    jsonschema.validate(result, tool.output_schema)
    assert notice == ""
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({}, tool.output_schema)


@pytest.mark.parametrize(
    ("tool", "given", "message"),
    [
        ("disks", {"kind": "tape"}, "kind: must be one of hdd, ssd, not 'tape'"),
        ("disks", {"least": 0}, "least: must be of type integer from 1 to 2147483647, not 0"),
        ("disks", {"least": "5"}, "least: must be of type integer"),
        ("disks", {"least": True}, "least: must be of type integer"),
        ("disks", {"name": "../../etc"}, "name: must be a name"),
        ("disks", {"limit": 1001}, "limit: must be of type integer from 1 to 1000"),
        ("disks", {"nothing": 1}, "nothing: no such parameter; there are: kind, least, name, limit, cursor"),
        ("count", {"text": "a\nb"}, "text: must be a line of at most 256 characters"),
        ("count", {"ratio": "x"}, "ratio: must be of type number"),
        ("erase", {"path": "/a"}, "command: is required"),
        ("erase", {"path": "/a", "command": "rm"}, "command: must be a list"),
        ("erase", {"path": "/a", "command": ["a", "b\0"]}, "command: must be a list"),
    ],
)
def test_a_refusal_says_what_is_wanted(tool, given, message):
    with pytest.raises(ArgumentError) as refused:
        TOOLS[tool].read(given)
    assert message in str(refused.value) and "\n" not in str(refused.value)


def test_words_of_a_command_line():
    read = TOOLS["disks"].read({"least": "5", "limit": "7"}, text=True)
    assert (read["least"], read["limit"], read["kind"]) == (5, 7, "ssd")
    assert TOOLS["count"].read({"deep": "true"}, text=True)["deep"] is True
    read = TOOLS["erase"].read({"path": "/a", "command": "sh -c 'a b; c'"}, text=True)
    assert read["command"] == ["sh", "-c", "a b; c"]
    with pytest.raises(ArgumentError, match="can't be split into words"):
        TOOLS["erase"].read({"path": "/a", "command": "'"}, text=True)


def taking(kind):
    """A tool with a parameter of this kind."""

    class Takes:
        @secretary_tool
        def tool(self, value):
            """Take it."""

    Takes.tool.__annotations__ = {"value": kind, "return": int}
    [tool] = tools_of(Takes)
    return tool


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (values.Text, ["a b", "", "ü;$(x)"], ["-x", "--opt", "a\n", "a\0b", "\x7f", "\u2028", "x" * 257]),
        (
            values.Name,
            ["gcc/12.2", "a@1.2%gcc", "ghcr.io/a/b:1"],
            ["-x", "../a", "a/../b", "a\n", "", "/x", "a b", "$x"],
        ),
        (values.AbsolutePath, ["/", "/a/b", "/a..b/c", "/.x"], ["/..", "/a/..", "/a/../b", "/a/./b", "a", "/a\n"]),
        (values.Word, ["-x", "a\nb", ""], ["a\0", "\udc80"]),
        (values.JobId, ["12", "12[].srv", "ƒ2U", "3_1"], ["-1", "", "1 2", "1;2", "1\n"]),
    ],
)
def test_the_kinds_of_values(kind, good, bad):
    tool = taking(kind)
    for value in good:
        assert tool.read({"value": value}) == {"value": value}
    for value in bad:
        with pytest.raises(ArgumentError):
            tool.read({"value": value})


@given(st.text(), st.sampled_from([values.Text, values.Name, values.JobId, values.AbsolutePath]))
def test_no_value_that_is_taken_can_be_an_option_or_end_a_line(value, kind):
    tool = taking(kind)
    try:
        tool.read({"value": value})
    except ArgumentError:
        return
    assert not value.startswith("-") and not set(value) & set("\0\n\r\x1b")


class NoReturn:
    @secretary_tool
    def tool(self):
        """No type."""


class NoHint:
    @secretary_tool
    def tool(self, value) -> int:
        """No type."""
        return 1


class OddHint:
    @secretary_tool
    def tool(self, value: dict) -> int:
        """A dict."""
        return 1


class OwnLimit:
    @secretary_tool
    def tool(self, limit: int) -> list[int]:
        """Takes what pages take."""
        return [limit]


class OddResult:
    @secretary_tool
    def tool(self) -> Provider:
        """A thing that JSON has no form for."""
        return Provider()


@pytest.mark.parametrize("provider", [NoReturn, NoHint, OddHint, OwnLimit, OddResult])
def test_a_tool_that_can_not_be_called_is_refused_when_it_is_read(provider):
    with pytest.raises(TypeError):
        check_tools(provider)


def test_numbers_that_json_has_not_become_null():
    assert as_json([float("nan"), 1.5, {3, 1}]) == [None, 1.5, [1, 3]]
