"""For the tests of providers: machines made of recordings, and the contract that every provider must keep."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping, Sequence

from resource_secretary.catalog import read_classes
from resource_secretary.errors import SecretaryError
from resource_secretary.providers import BaseProvider
from resource_secretary.result import Absent, Active, Probe, Unreachable
from resource_secretary.run import Ran
from resource_secretary.system import Disk, Python, System
from resource_secretary.tools import as_json

_ODD_ANSWERS = (
    Ran((), None, problem="no answer in 2 s"),
    Ran((), 1, stderr="boom"),
    Ran((), 0),
    Ran((), 0, "\0nonsense=[{"),
)


class RecordedSystem(System):
    """A machine that is not there: it has the files and answers the commands that it is given, and nothing else.

    files: path -> text. links: path of a symbolic link -> its target. commands: words -> what came of them; a text
    is the standard output of a command that ended well; `("GET", URL)` is what a server answers. anything: what any
    other command answers, None where no other command is installed. memory: bytes in all, and available. disks:
    path -> its file system. distributions: Python packages. attributes: path and name -> extended attribute. python:
    the interpreter. nvml: what stands for the module pynvml. denied: files that this user may not open. `asked` lists
    the commands that were run, `stdins` what each of them read.
    """

    def __init__(
        self,
        *,
        files: Mapping[str, str] | None = None,
        links: Mapping[str, str] | None = None,
        commands: Mapping[tuple[str, ...], Ran | str] | None = None,
        anything: Ran | None = None,
        affinity: frozenset[int] = frozenset(),
        memory: tuple[int, int] | None = None,
        environ: Mapping[str, str] | None = None,
        disks: Mapping[str, Disk] | None = None,
        distributions: Sequence[tuple[str, str]] = (),
        attributes: Mapping[tuple[str, str], str] | None = None,
        python: Python | None = None,
        nvml: object = None,
        denied: Collection[str] = (),
    ) -> None:
        super().__init__(environ=environ or {})
        self.files, self.links, self.commands = dict(files or {}), dict(links or {}), dict(commands or {})
        self.anything, self._affinity, self._memory = anything, affinity, memory
        self._disks, self._distributions = dict(disks or {}), list(distributions)
        self._attributes = dict(attributes or {})
        self._python = python
        self._nvml, self._denied = nvml, frozenset(denied)
        self.asked: list[tuple[str, ...]] = []
        self.stdins: list[str] = []

    def which(self, name: str) -> str | None:
        known = self.anything is not None or any(words[0] == name for words in self.commands)
        return (name if name.startswith("/") else f"/usr/bin/{name}") if known else None

    def run(self, name: str, *arguments: str, stdin: str = "", cwd: str = "/") -> Ran:
        words = (name, *arguments)
        self.asked.append(words)
        self.stdins.append(stdin)
        answer = self.commands.get(words, self.anything)
        if answer is None:
            return Ran(words, None, problem="not recorded")
        return Ran(words, 0, answer) if isinstance(answer, str) else dataclasses.replace(answer, argv=words)

    def fetch(self, url: str, *, token: str, authority: str) -> Ran:
        return self.run("GET", url)

    def read(self, path: str, most: int = 2**20) -> str | None:
        return self.files.get(path)

    def entries(self, path: str) -> list[str]:
        start = f"{path}/"
        every = [*self.files, *self.links]
        return sorted({one[len(start) :].split("/")[0] for one in every if one.startswith(start)})

    def exists(self, path: str) -> bool:
        return path in self.files or path in self.links or bool(self.entries(path))

    def target(self, path: str) -> str | None:
        return self.links.get(path)

    def hostname(self) -> str:
        return "recorded"

    def machine(self) -> str:
        return "x86_64"

    def affinity(self) -> frozenset[int]:
        return self._affinity

    def may_use(self, path: str) -> bool:
        return path not in self._denied

    def nvml(self) -> object:
        return self._nvml

    def microarchitecture(self) -> str:
        return "x86_64"

    def disk(self, path: str) -> Disk | None:
        return self._disks.get(path)

    def attribute(self, path: str, name: str) -> str | None:
        return self._attributes.get((path, name))

    def user(self) -> str:
        return "user"

    def distributions(self) -> list[tuple[str, str]]:
        return list(self._distributions)

    def python(self) -> Python | None:
        return self._python

    def memory(self) -> tuple[int, int] | None:
        return self._memory


def check_provider(provider: type[BaseProvider], recorded: System | None = None) -> None:
    """Raise AssertionError unless a provider keeps the contract. `recorded` is a machine where it is active.

    It says who it is and its tools have type hints and docstrings; making it does nothing; where nothing is, it is
    absent, says what it looked for, and ran nothing to learn so; a client that gives no answer is unreachable, and one
    that answers nonsense is no crash; where it is active its metadata is a frozen dataclass that JSON can hold, and so
    are the results of the tools that need no arguments.
    """
    try:
        read_classes([provider])
    except TypeError as error:
        raise AssertionError(str(error)) from None
    for tool in provider.tools():
        _require(bool(tool.description), f"the tool {tool.name} has no docstring")
        for name, schema in tool.input_schema["properties"].items():
            _require(bool(schema["description"]), f"the docstring of the tool {tool.name} does not describe {name}")
    _require(bool(provider.description.strip().endswith(".")), "the description is a sentence")

    nowhere = RecordedSystem()
    made = provider(nowhere)
    _require(not nowhere.asked, "making it runs a command")
    result: Probe = made.probe()
    _require(
        isinstance(result, Absent) and bool(result.looked_for.strip()),
        f"where nothing is, it is {result!r}, not Absent",
    )
    _require(not nowhere.asked, f"it ran {nowhere.asked} to learn that it is absent")

    for answer in (
        Ran((), None, problem="no answer in 2 s"),
        Ran((), 1, stderr="boom"),
        Ran((), 0),
        Ran((), 0, "\0nonsense=[{"),
    ):
        odd = RecordedSystem(anything=answer)
        try:
            result = provider(odd).probe()
        except SecretaryError:
            continue
        _require(isinstance(result, (Active, Absent, Unreachable)), f"probe() returned {result!r}")
        failed = bool(answer.problem or answer.code)
        _require(not (failed and odd.asked and result), f"it is active though {odd.asked} answered {answer!r}")
    if recorded is not None:
        _check_active(provider, recorded)


def _check_active(provider: type[BaseProvider], recorded: System) -> None:
    made = provider(recorded)
    result = made.probe()
    if not isinstance(result, Active):
        raise AssertionError(f"on the recorded machine it is not active: {result.reason}")  # noqa: TRY004
    _require(dataclasses.is_dataclass(result.metadata), "the metadata is no dataclass")
    _require(result.metadata.__dataclass_params__.frozen, "the metadata can be changed")  # type: ignore[attr-defined]
    json.dumps(as_json(result.metadata), allow_nan=False)
    for tool in provider.tools():
        if tool.kind == "read" and not tool.input_schema.get("required"):
            given = tool.read({})
            value = getattr(made, tool.name)(**tool.method_arguments(given))
            json.dumps(tool.result(given, value)[0], allow_nan=False)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)
