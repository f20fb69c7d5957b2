"""The Flux instance that this process can reach, asked through the `flux` command."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from resource_secretary.errors import CommandFailed, OutputError
from resource_secretary.providers import Absent, Active, Offering, Unreachable, secretary_tool
from resource_secretary.sidebyside import side_by_side

if TYPE_CHECKING:
    from resources.documents import Inventory

_VERSION = re.compile(r"^(?:broker|commands):\s*(\S+)", re.MULTILINE)
_QUESTIONS = (
    ("resource", "R", "-s", "all"),
    ("resource", "R", "-s", "free"),
    ("resource", "list", "-s", "down", "-n", "-o", "{ranks}"),
    ("resource", "status", "-s", "drain", "-n", "-o", "{ranks}"),
)


@dataclass(frozen=True, slots=True)
class Flux:
    """size: brokers of the instance. level: 0 for the system's, more for an instance inside another's job."""

    version: str
    size: int
    level: int


@dataclass(frozen=True, slots=True)
class Summary:
    """How many nodes are in which state, and the cores and GPUs of those that are up."""

    up: int
    down: int
    drained: int
    cores: int
    free_cores: int
    gpus: int
    free_gpus: int


class FluxProvider(Offering):
    category = "workload"
    name = "flux"
    description = "Flux Framework: the instance that this process can reach, its nodes and what is free on them."
    fresh_for = 60.0
    variables = ("FLUX_URI",)

    def probe(self) -> Active[Flux] | Absent | Unreachable:
        if not self.system.which("flux"):
            return Absent("the command flux on PATH")
        # These are built into the command: a few milliseconds each, where `flux resource` starts a Python.
        answers = [
            self.system.run("flux", *words)
            for words in (("getattr", "size"), ("getattr", "instance-level"), ("version",))
        ]
        for answer in answers:
            if not answer.ok:
                return answer.unreachable()
        size, level, version = (answer.stdout for answer in answers)
        versions = _VERSION.findall(version)
        return Active(Flux(versions[-1] if versions else "", _count(size, "size"), _count(level, "instance-level")))

    @secretary_tool
    def resources(self) -> Summary:
        """How many nodes are up, down and drained, and how many cores and GPUs there are and are free."""
        groups = self.inventory().groups
        hosts = Counter[str]()
        amounts = Counter[str]()
        for group in groups:
            hosts[group.state] += len(group.hosts)
            for prefix, part in (("", group.total), ("free ", group.free)):
                if group.state == "up" and part is not None:
                    amounts.update(
                        {
                            prefix + leaf.kind: len(group.hosts) * leaf.N
                            for leaf in (part.get("cores"), part.get("gpus"))
                            if leaf
                        }
                    )
        return Summary(
            hosts["up"],
            hosts["down"],
            hosts["drained"],
            amounts["cores"],
            amounts["free cores"],
            amounts["gpus"],
            amounts["free gpus"],
        )

    def inventory(self) -> Inventory:
        """Every node with the ids of its cores and GPUs. Flux keeps no memory in its resource set, so there is none."""
        from dataclasses import replace

        from resource_secretary.providers.workload._flux_text import read_inventory

        asked = [partial(self._answer, *words) for words in _QUESTIONS]
        answers = []
        for words, outcome in zip(_QUESTIONS, side_by_side(asked, self.system.timeout + 1), strict=True):
            if outcome is None:
                raise CommandFailed(f"flux {' '.join(words)}", f"no answer in {self.system.timeout:g} s")
            if outcome.error is not None:
                raise outcome.error
            answers.append(outcome.value or "")
        return replace(read_inventory(*answers), observed_at=self.system.now(), observed_on=self.system.where())

    def _answer(self, *words: str) -> str:
        return self.system.run("flux", *words).text()


def _count(text: str, what: str) -> int:
    if not text.strip().isdecimal():
        raise OutputError(f"flux getattr {what}", "", f"a number expected, not {text[:40]!r}")
    return int(text)
