"""Every string that every tool takes, tried with what could break out: quotes, options, paths, control characters.

Either it is refused before anything runs, or it arrives inside of one word of a command that can't be taken for an
option, or in a file's path that it can't leave. Never is it a command, and never a crash.
"""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import recorded

from resource_secretary import Secretary
from resource_secretary.catalog import Catalog
from resource_secretary.errors import ArgumentError, InactiveProvider, SecretaryError, ToolFailed
from resource_secretary.providers import BaseProvider
from resource_secretary.result import Active
from resource_secretary.testing import RecordedSystem
from resource_secretary.tools import Tool

BUILT_IN = {known.name: known.provider for known in Catalog().entries if known.origin == "built-in"}
MARK = "zqx"  # in nothing else, so that a value is found again wherever it went
HOSTILE = (
    *("zqx'", '"zqx', "a'zqx", 'a"zqx', "`zqx`", "$(zqx)", "${IFS}zqx", ";zqx", "a;zqx", "a|zqx", "a&&zqx", "a>zqx"),
    *(
        "a<zqx",
        "a #zqx",
        "zqx\\",
        "a\nzqx",
        "zqx\n",
        "a\r\nzqx",
        "a\0zqx",
        "zqx\0",
        "a\tzqx",
        "\x1b[31mzqx",
        "a\x85zqx",
    ),
    *("a\u2028zqx", "zqx\x7f", "#SBATCH --uid=zqx", "a\n#SBATCH --uid=zqx", "\nzqx", "\n", "\0", "'", '"', "\\"),
    *("-zqx", "--zqx", "--opt=zqx", "-- -zqx", " -zqx", "\t-zqx", "+zqx", "@zqx", "@/etc/zqx", "\ufeff-zqx", "-", "--"),
    *("../../etc/zqx", "zqx/../../b", "/etc/zqx", "/etc/../etc/zqx", "//etc/zqx", "/zqx/..", "..", ".", "/", "/.."),
    *("~zqx", "~", "zqx*", "zqx?", "[zqx", "{zqx}", "%s%nzqx", "%(zqx)s", "a zqx", "a,zqx", "a=zqx", "a@zqx", "a:zqx"),
    *(
        "a/zqx",
        "a+zqx",
        "a%zqx",
        "file:///etc/zqx",
        "https://zqx.example/",
        "zqx==1 || 1",
        '" || zqx || "',
        "') or ('zqx",
    ),
    *(
        "",
        " ",
        "zqx" * 2**18,
        "/zqx" * 2**18,
        "zqx" * 90,
        "\ud800zqx",
        "a\udcffzqx",
        "\ud800",
        "\u202ezqx",
        "\u200bzqx",
    ),
    *("\uff0dzqx", "\u2212zqx", "üzqx"),
)
# What a string parameter takes, so that the others of the same tool are given something that passes.
PLAIN = ("a", "1", "/tmp", "gcc", "2026-01-01", "1:00:00", "nodes=1", "a:1", "a/b")


MACHINES = recorded.machines()


def strings(tool: Tool) -> list[tuple[str, bool]]:
    """The parameters that take a string or a list of them: name, and whether it is a list."""
    found = []
    for name, schema in tool.input_schema["properties"].items():
        kinds = [schema, *schema.get("anyOf", ())]
        if any(one.get("type") == "array" for one in kinds):
            found.append((name, True))
        elif any(one.get("type") == "string" for one in kinds) or any("enum" in one for one in kinds):
            found.append((name, False))
    return found


def plain(tool: Tool, but: str) -> dict[str, Any]:
    """Arguments that pass, for what the tool requires."""
    made: dict[str, Any] = {}
    for name in tool.input_schema.get("required", ()):
        if name == but:
            continue
        schema = tool.input_schema["properties"][name]
        tried = schema.get("enum") or [*PLAIN, *([one] for one in PLAIN), 1, False]
        for value in tried:
            try:
                tool.read({**made, name: value})
            except ArgumentError as error:
                if error.parameter == name:
                    continue
            made[name] = value
            break
        else:
            pytest.fail(f"{tool.name}.{name}: no value of {tried} passes")
    return made


CASES = [
    pytest.param(name, tool, parameter, many, id=f"{name}.{tool.name}.{parameter}")
    for name, provider in BUILT_IN.items()
    for tool in (provider.tools() if provider else ())
    for parameter, many in strings(tool)
]


class Watching:
    """A recorded machine that remembers what was looked up, and in which files."""

    def __init__(self, system: RecordedSystem) -> None:
        self.system = system
        self.names: list[str] = []
        self.paths: list[str] = []
        for method, log in (("which", self.names), ("read", self.paths), ("entries", self.paths)):
            self._watch(method, log)
        for method in ("exists", "target", "disk"):
            self._watch(method, self.paths)

    def _watch(self, method: str, log: list[str]) -> None:
        original = getattr(self.system, method)

        def watched(value: str, *rest: Any) -> Any:
            log.append(value)
            return original(value, *rest)

        setattr(self.system, method, watched)

    def clear(self) -> None:
        for log in (self.names, self.paths, self.system.asked, self.system.stdins):
            log.clear()


def machine(name: str, host: RecordedSystem) -> RecordedSystem:
    system = MACHINES[name]() if name in MACHINES else host
    provider = BUILT_IN[name]
    assert provider is not None
    result = provider(system).probe()
    assert isinstance(result, Active), f"the test has no machine where {name} is active: {result.reason}"
    return system


@pytest.mark.parametrize(("name", "tool", "parameter", "many"), CASES)
def test_a_hostile_value_stays_a_value(name, tool, parameter, many, host):
    system = machine(name, host)
    secretary = Secretary(system=system, only=[name], dispatch=True)
    others = plain(tool, parameter)
    about_paths = "absolute path" in str(tool.input_schema["properties"][parameter])
    watching = Watching(system)
    refused = 0
    for value in HOSTILE:
        for given in ([value], ["a", value]) if many else (value,):
            watching.clear()
            try:
                secretary.call(f"{name}.{tool.name}", {**others, parameter: given}, timeout=30)
            except ArgumentError:
                refused += 1  # by its type, or by the tool itself once its provider was found to be active
            except (ToolFailed, InactiveProvider):
                raise
            except SecretaryError:
                pass
            check(watching, value, about_paths)
    assert refused > 5, "it takes nearly anything"


def check(watching: Watching, value: str, about_paths: bool) -> None:
    for words, stdin in zip(watching.system.asked, watching.system.stdins, strict=True):
        assert not found(value, words[0]), f"{value[:80]!r} became a command: {words}"
        end = words.index("--") if "--" in words else len(words)
        for word in words[1:end]:
            if found(value, word):
                assert not word.startswith("-") or re.match(r"--?[A-Za-z][A-Za-z0-9_-]*=", word), (
                    f"{value[:80]!r} in an option: {words}"
                )
                assert not re.search(r"[\0\n\r]", word), f"{value[:80]!r} in {words}"
        if MARK in value and value in stdin:
            assert shlex.quote(value) in stdin, f"{value[:80]!r} is not quoted in {stdin[:2000]!r}"
    for name in watching.names:
        assert not found(value, name), f"{value[:80]!r} was looked for as a command"
    for path in watching.paths:
        if found(value, path):
            assert "/../" not in f"{path}/", f"{value[:80]!r} leaves its folder: {path}"
            assert path != value or about_paths, f"{value[:80]!r} is read as a file"


def found(value: str, place: str) -> bool:
    return value in place if MARK in value else bool(value) and value == place


def test_there_are_tools_that_take_strings():
    assert len(CASES) > 40 and any(many for *_, many in (case.values for case in CASES))


class Naive(BaseProvider):
    """Does what no provider may: the test must see each."""

    category, name, description = "test", "naive", "A test."

    def probe(self) -> Active[object]:
        return Active({"x": 1})


@pytest.mark.parametrize(
    "words",
    [
        ("run", "-zqx"),
        ("run", "-n", "-zqx"),
        ("run", "-fa;zqx"),
        ("a;zqx",),
        ("run", "a\na;zqx"),
        ("run", "--x=\ra;zqx"),
    ],
)
def test_the_test_sees_a_value_that_breaks_out(words):
    watching = Watching(RecordedSystem(commands={("run",): ""}))
    watching.system.run(*words)
    with pytest.raises(AssertionError):
        check(watching, "-zqx" if "-zqx" in words else "a;zqx", about_paths=False)


@pytest.mark.parametrize("words", [("run", "a;zqx"), ("run", "--name=a;zqx"), ("run", "--", "-zqx")])
def test_the_test_lets_values_be_values(words):
    watching = Watching(RecordedSystem(commands={("run",): ""}))
    watching.system.run(*words)
    check(watching, "-zqx" if "-zqx" in words else "a;zqx", about_paths=False)
