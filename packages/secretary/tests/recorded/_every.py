"""All recorded machines, and the questions that can be put to the providers on them."""

from __future__ import annotations

import inspect
import json
import re
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import msgspec
from resources.documents import Inventory

from recorded import modules
from resource_secretary import Secretary
from resource_secretary.catalog import Catalog
from resource_secretary.errors import ArgumentError, SecretaryError
from resource_secretary.providers import BaseProvider, Offering
from resource_secretary.reading import LARGEST, MOST_CORES, MOST_MEMORY
from resource_secretary.result import Absent, Unreachable
from resource_secretary.run import Ran
from resource_secretary.testing import RecordedSystem
from resource_secretary.tools import Tool, as_json

BUILT_IN: dict[str, type[BaseProvider]] = {
    known.name: known.provider for known in Catalog().entries if known.origin == "built-in" and known.provider
}
# What the tools take, besides the words of the recorded commands; a list is tried in turn.
GIVEN: dict[str, dict[str, Any]] = {"moab.start": {"processors": 20, "walltime": 259200}}
PLAIN = ("/tmp", "gcc", "openmpi/4.1.5", "tiny:1.0", "/scratch/work", "/fs/project", "/ceph", "/home", "/images/v1.sif")


# Further versions of what a machine has: the arguments of its function.
VERSIONS: dict[str, tuple[tuple[Any, ...], ...]] = {
    "docker": (("20.10",),),
    "podman": (("3.4",), ("5.8",)),
    "nvidia": (("nvidia-smi/a100-mig-v12.xml",), ("nvidia-smi/rtx-pro-6000-v13.xml",)),
    "amd": (("amd-smi/mi300x-dpx-static.json", "amd-smi/list-metric.json"), ("amd-smi/strix-halo-6.3.1-static.json",)),
    "mvapich": (("mvapich-4.0/mpichversion.txt",),),
    "hyperqueue": (("0.10",),),
    "oar": (("3-shape",),),
    "lmod": (("8.7.60",), ("6.6",)),
    "environment_modules": (("5.5.0",), ("4.6.1",), ("4.1.1",), ("3.2.10",)),
    "spack": (("1.3",),),
    "nix": (("2.24",), ("2.8.0",)),
    "guix": (("1.4",),),
    "openmpi": (("4.1.8",), ("5.0.7",), ("5.0.11",)),
    "mpich": (("4.1.3",), ("4.2.1",), ("5.0.2",)),
}


def active() -> dict[str, Callable[[], RecordedSystem]]:
    """For each provider a machine where it is active."""
    found: dict[str, Callable[[], RecordedSystem]] = {}
    for module in modules():
        found |= module.MACHINES
    return found


def every() -> dict[str, Callable[[], RecordedSystem]]:
    """All machines by the names of their functions, those of further versions too."""
    named: dict[str, Callable[[], RecordedSystem]] = {}
    for module in modules():
        for name, make in vars(module).items():
            if inspect.isfunction(make) and make.__module__ == module.__name__ and _makes_a_machine(make):
                named[name] = make
                for arguments in VERSIONS.get(name, ()):
                    named[" ".join((name, *arguments))] = partial(make, *arguments)
    return named


def _makes_a_machine(make: Callable[..., object]) -> bool:
    signature = inspect.signature(make)
    many = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    needed = [one for one in signature.parameters.values() if one.default is one.empty and one.kind not in many]
    return signature.return_annotation == "RecordedSystem" and not needed and make.__name__ != "machine"


# Fields that may be below zero; and those that are no count of cores, or limits that are as large as a site likes.
BELOW_ZERO = ("temperature", "returncode", "urgency", "priority", "exit_code", "numa_node")
LIMITS = ("slots", "min_cores", "max_cores", "max_cpus_per_node", "pending_cores", "limits", "mask", "minutes")


@dataclass(frozen=True, eq=False)
class Question:
    """The probe, a tool with arguments, or a method of an Offering."""

    name: str
    tool: Tool | None
    given: dict[str, Any]

    def ask(self, provider: BaseProvider) -> object:
        if self.tool is None:
            return getattr(provider, self.name)()
        return getattr(provider, self.name)(**self.tool.method_arguments(self.given))


def questions(provider: type[BaseProvider], make: Callable[[], RecordedSystem]) -> list[Question]:
    """The probe and all that can be asked without changing anything, with arguments that get an answer if any do."""
    found = [Question("probe", None, {})]
    if issubclass(provider, Offering):
        found += [Question(name, None, {}) for name in ("inventory", "depth")]
    for tool in provider.tools():
        if tool.kind == "read":
            found.append(Question(tool.name, tool, _arguments(provider, tool, make)))
    return found


def _arguments(provider: type[BaseProvider], tool: Tool, make: Callable[[], RecordedSystem]) -> dict[str, Any]:
    required = tool.input_schema.get("required", ())
    known = GIVEN.get(f"{provider.name}.{tool.name}", {})
    if known or not required:
        return tool.read(known)
    words = {word for command in make().commands for word in command[1:] if not word.startswith("-") and len(word) < 40}
    fitting: dict[str, Any] = {}
    for value in [*sorted(words), *PLAIN]:
        try:
            given = tool.read(dict.fromkeys(required, value))
        except ArgumentError:
            continue
        fitting = fitting or given
        try:
            if getattr(provider(make()), tool.name)(**tool.method_arguments(given)):
                return given
        except SecretaryError:
            continue
    assert fitting, f"no arguments for {provider.name}.{tool.name}"
    return fitting


def text_of(answer: Ran | str) -> tuple[str, Callable[[str], Ran]]:
    """The text that a recorded command answers, and what makes an answer of another one, on the same stream."""
    if isinstance(answer, str):
        return answer, lambda text: Ran((), 0, text)
    if not answer.stdout and answer.stderr:
        return answer.stderr, lambda text: Ran((), answer.code, "", text)
    return answer.stdout, lambda text: Ran((), answer.code, text, answer.stderr)


@dataclass(frozen=True, eq=False)
class Case:
    machine: str
    provider: type[BaseProvider]
    make: Callable[[], RecordedSystem]


@cache
def cases() -> tuple[Case, ...]:
    """Every provider on every machine where it is active."""
    catalog = Catalog()
    return tuple(
        Case(name, BUILT_IN[entry.known.name], make)
        for name, make in every().items()
        for entry in Secretary(system=make(), catalog=catalog).detect(timeout=30).active
    )


def put(question: Question, provider: type[BaseProvider], system: RecordedSystem) -> Any:
    """The answer as JSON; an error's text as a SecretaryError; a probe that finds nothing as its reason."""
    try:
        value = question.ask(provider(system))
    except SecretaryError as error:
        assert str(error).strip()
        return error
    if isinstance(value, Inventory):
        made = value.to_json()
        assert Inventory.from_json(made) == value
        return made
    if isinstance(value, (Absent, Unreachable)):
        assert value.reason.strip()
        return value
    if question.tool is not None:
        hint = typing.get_type_hints(getattr(provider, question.name), include_extras=True)["return"]
        msgspec.convert(as_json(value), type=hint)  # the output schema is made of this type
        question.tool.result(question.given, value)
    made = as_json(value)
    json.dumps(made, allow_nan=False).encode()
    return made


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, one in value.items():
            yield from leaves(one, f"{path}.{key}")
    elif isinstance(value, list) and value:
        for at, one in enumerate(value):
            yield from leaves(one, f"{path}[{at}]")
    else:
        yield path, value


def check_numbers(answer: Any) -> None:
    for path, value in leaves(answer):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        name = re.sub(r"\[\d+\]", "", path).rpartition(".")[2]
        assert value >= 0 or name in BELOW_ZERO, f"{path} is {value}"
        assert value <= LARGEST, f"{path} is {value}"
        if any(word in path for word in LIMITS):
            continue
        if re.search(r"core|cpu(?!_time)|thread|processors", name):
            assert value <= MOST_CORES * (1000 if "milli" in name else 1), f"{path} is {value}"
        if "memory" in name:
            assert value <= MOST_MEMORY, f"{path} is {value}"
