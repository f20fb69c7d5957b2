"""HTCondor: the pool that `condor_status` and `condor_q` find by the configuration of this host."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from resource_secretary.errors import CommandFailed
from resource_secretary.providers import Absent, Active, Offering, Unreachable, secretary_tool
from resource_secretary.providers.workload._alike import inventory_of
from resource_secretary.providers.workload._htcondor_json import (
    JOB,
    SCHEDD,
    SLOT,
    SUBMITTER,
    CondorJob,
    CondorSlot,
    CondorSubmitter,
    read_ads,
    read_jobs,
    read_slots,
    read_submitters,
)
from resource_secretary.run import Ran, printable

if TYPE_CHECKING:
    from resources.documents import Inventory
    from resources.resource import Resource

    from resource_secretary.asking import Depth

_VERSION = re.compile(r"\$CondorVersion: (\S+)")
# Dynamic slots are parts of partitionable ones, and most of the ads of a busy pool.
_WHOLE = 'SlotType =!= "Dynamic" && BackfillSlot =!= true'


@dataclass(frozen=True, slots=True)
class HTCondor:
    """client, server: versions. collector: the name of the pool."""

    client: str
    server: str
    collector: str


@dataclass(frozen=True, slots=True)
class CondorSummary:
    """How many machines there are, with how many slots in which state, and of those slots that are up what there is
    and what is free. memory in bytes. unread: slots that could not be read."""

    machines: int
    up: int
    down: int
    drained: int
    cpus: int
    free_cpus: int
    memory: int
    free_memory: int
    gpus: int
    free_gpus: int
    unread: int


class HTCondorProvider(Offering):
    category = "workload"
    name = "htcondor"
    description = "HTCondor: the slots of the pool and what is free of them, jobs, and who submits."
    fresh_for = 60.0
    variables = ("CONDOR_CONFIG",)

    def probe(self) -> Active[HTCondor] | Absent | Unreachable:
        if not self.system.which("condor_status"):
            return Absent("the command condor_status on PATH")
        answer = self._run("condor_status", ("-collector",), ("Name", "CondorVersion"))
        if not answer.ok:
            return Unreachable(answer.command, _said(answer), answer.code)
        ads = read_ads("condor_status -collector", answer.stdout)
        if not ads:
            return Unreachable(answer.command, "no collector tells of itself", answer.code)
        version = self.system.run("condor_version")
        client = _VERSION.search(version.stdout) if version.ok else None
        server = _VERSION.search(ads[0].text("CondorVersion", ""))
        return Active(HTCondor(client[1] if client else "", server[1] if server else "", ads[0].text("Name", "")))

    @secretary_tool
    def slots(self, state: Literal["any", "up", "down", "drained", "unknown"] = "any") -> list[CondorSlot]:
        """The slots that jobs are matched to, partitionable ones with all that was cut from them, and what is free.
        state: those in this state only."""
        return [slot for slot in self._slots() if state in ("any", slot.state)]

    @secretary_tool
    def resources(self) -> CondorSummary:
        """How many machines and slots there are, and what CPUs, memory and GPUs there are and are free."""
        slots = self._slots()
        states = [slot.state for slot in slots]
        up = [slot for slot in slots if slot.state == "up"]

        def total(amount: Callable[[CondorSlot], int | None]) -> int:
            return sum(amount(slot) or 0 for slot in up)

        return CondorSummary(
            machines=len({slot.machine for slot in slots}),
            up=states.count("up"),
            down=states.count("down"),
            drained=states.count("drained"),
            cpus=total(lambda slot: slot.cpus),
            free_cpus=total(lambda slot: slot.free_cpus),
            memory=total(lambda slot: slot.memory),
            free_memory=total(lambda slot: slot.free_memory),
            gpus=total(lambda slot: slot.gpus),
            free_gpus=total(lambda slot: slot.free_gpus),
            unread=sum(bool(slot.unread) for slot in slots),
        )

    @secretary_tool
    def jobs(self, whose: Literal["mine", "all"] = "mine") -> list[CondorJob]:
        """The jobs in the queue of this access point, what they request, where they run, and why they are held.
        whose: my own, or those of all users."""
        who = ("-allusers",) if whose == "all" else (self.system.user(),)
        return read_jobs("condor_q", self._text("condor_q", who, JOB))

    @secretary_tool
    def submitters(self) -> list[CondorSubmitter]:
        """Who has how many jobs idle, running and held, over all access points of the pool."""
        return read_submitters("condor_status -submitters", self._text("condor_status", ("-submitters",), SUBMITTER))

    def inventory(self) -> Inventory:
        """Every slot that is no part of another, as a host by its machine's name: a job gets one slot, so two slots of
        a machine are two places. What is free of a partitionable slot is what was not cut from it yet."""
        rows = [(slot.machine, slot.state, *_resources(slot)) for slot in self._slots()]
        return inventory_of("condor_status", rows, self.system)

    def depth(self) -> Depth:
        """The idle and running jobs of all access points; those that are held wait for a person, and do not count."""
        from resource_secretary.asking import Depth

        ads = read_ads("condor_status -schedd", self._text("condor_status", ("-schedd",), SCHEDD))
        if not ads:
            raise CommandFailed("condor_status -schedd", "no access point tells of itself")
        return Depth(sum(ad.count("TotalIdleJobs") for ad in ads), sum(ad.count("TotalRunningJobs") for ad in ads))

    def _slots(self) -> list[CondorSlot]:
        return read_slots("condor_status", self._text("condor_status", ("-constraint", _WHOLE), SLOT))

    def _text(self, command: str, options: tuple[str, ...], attributes: tuple[str, ...]) -> str:
        answer = self._run(command, options, attributes)
        if not answer.ok:
            raise CommandFailed(answer.command, _said(answer))
        return answer.stdout

    def _run(self, command: str, options: tuple[str, ...], attributes: tuple[str, ...]) -> Ran:
        return self.system.run(command, *options, "-json", "-attributes", ",".join(attributes))


def _said(answer: Ran) -> str:
    """What it said where it failed: `Error: communication error` comes first, and what it could not reach second."""
    lines = [line.strip() for line in answer.stderr.splitlines() if line.strip()]
    if answer.problem or not lines:
        return answer.said
    return f"exit code {answer.code}: {printable('; '.join(lines[:2]))[:200]}"


def _resources(slot: CondorSlot) -> tuple[Resource, Resource | None]:
    from resources import Cores, Gpus, Memory
    from resources.resource import combine

    def of(cpus: int, memory: int, gpus: int) -> Resource:
        parts: list[Resource] = [Cores(cpus), Memory(f"{memory}B")]
        return combine([*parts, Gpus({slot.gpu_type: gpus})] if slot.gpus else parts)

    total = of(slot.cpus, slot.memory, slot.gpus)
    if slot.free_cpus is None or slot.free_memory is None or slot.free_gpus is None:
        return total, None
    return total, of(slot.free_cpus, slot.free_memory, slot.free_gpus)
