"""The engines without Flux: this machine, HyperQueue and Slurm."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress

from engines import ENGINES, slurm

from lasting import plan
from lasting.house import Act, House, Kept, marked
from lasting.loads import RunLoad
from lasting.site import Site, missing


class Local(Site):
    name = "local"

    @staticmethod
    def lacks(where: dict[str, Site]) -> str:
        return ""

    def __init__(self, house: House, where: dict[str, Site], stack: ExitStack) -> None:
        super().__init__(house)
        member = ["--member", "local", "--cores", "2"]
        # Of one the supervisor is killed, too; of the other only the run.
        self.calm = RunLoad(house, self.name, "local", size=2, member=member)
        self.rough = RunLoad(house, self.name, "rough", size=2, member=member, taken=self.taken)
        self.loads = [self.calm, self.rough]

    def acts(self) -> list[Act]:
        return [*super().acts(), Act(self.name, "supervisor SIGKILL", 1, self.engine(self._kill))]

    def _kill(self) -> bool:
        folder = str(self.rough.folder / "member")
        for pid, words in marked(self.house.folder).items():
            if "ensemble.supervisor" in words and folder in words:
                os.kill(pid, signal.SIGKILL)
                return True
        return False


class HyperQueue(Site):
    name = "hyperqueue"

    @staticmethod
    def lacks(where: dict[str, Site]) -> str:
        return "pip install 'ensemble-python[hyperqueue]'" if missing("hyperqueue") else ""

    def __init__(self, house: House, where: dict[str, Site], stack: ExitStack) -> None:
        super().__init__(house)
        member = ["--member", "hyperqueue", "--cores", "2"]
        self.load = RunLoad(house, self.name, "hq", size=2, member=member, taken=self.taken)
        self.loads = [self.load]

    def acts(self) -> list[Act]:
        return [*super().acts(), Act(self.name, "server SIGKILL", 1, self.engine(self._kill))]

    def _kill(self) -> bool:
        with suppress(OSError, ValueError, KeyError):
            pid = int(json.loads((self.load.folder / "member/server.json").read_text())["pid"])
            if pid in marked(self.house.folder):
                os.kill(pid, signal.SIGKILL)
                return True
        return False


class Slurm(Site):
    name = "slurm"

    @staticmethod
    def lacks(where: dict[str, Site]) -> str:
        engine = ENGINES["slurm"]
        lacking = engine.missing()
        return f"{', '.join(lacking)} is not here: {engine.install}" if lacking else ""

    def __init__(self, house: House, where: dict[str, Site], stack: ExitStack) -> None:
        super().__init__(house)
        folder = house.folder / "slurm"
        folder.mkdir(mode=0o700)
        made = slurm.slurm(folder, nodes=plan.NODES, conf=plan.SLURM, environ=house.environ)
        self.cluster = stack.enter_context(made)
        self.environ = {**self.cluster.environ, "PATH": house.environ["PATH"]}
        self.mend_at = float("inf")
        self.marks: list[str] = []  # in names of jobs that must be gone by themselves: of bursts
        self._daemons: list[Kept] = []
        for name in ("slurmctld", *plan.NODES):
            argv = ["slurmctld", "-D"] if name == "slurmctld" else ["slurmd", "-D", "-N", name]
            one = house.keep(name, argv, self.environ, folder)
            one.process = self.cluster.daemons[name]
            self._daemons.append(one)
        self.loads = [
            RunLoad(
                house,
                self.name,
                "slurm",
                groups=(*plan.GROUPS, *plan.WIDE),
                taken=self.taken,
                forgot=self.forgot,
                environ=self.environ,
                member=["--member", "slurm"],
            )
        ]

    def kept(self) -> Sequence[Kept]:
        return self._daemons

    def ended(self, one: Kept, killed: str, code: int | None) -> None:
        super().ended(one, killed, code)
        if code is not None and one.name == "slurmctld" and killed == "SIGKILL":
            self.mend_at = time.monotonic() + plan.MEND

    def mend(self) -> None:
        """What its administrator does: slurmd that start anew say what really runs, and drained nodes come back."""
        drained = self.house.call("sinfo", "-h", "-R", "-o", "%E", environ=self.environ)[1]
        for reason in drained.splitlines():
            self.house.notes[f"slurm: drained after a slurmctld was killed: {reason}"] += 1
        self.house.call("scontrol", "update", "nodename=ALL", "state=resume", environ=self.environ)
        for one in self._daemons[1:]:
            one.kill(signal.SIGTERM)

    def tick(self) -> None:
        super().tick()
        if time.monotonic() >= self.mend_at:
            self.mend_at = float("inf")
            self.mend()
        for one in self._daemons:
            if one.process is not None:
                self.cluster.daemons[one.name] = one.process

    def acts(self) -> list[Act]:
        made = super().acts()
        for number, weight in ((signal.SIGKILL, 1.0), (signal.SIGTERM, 0.5)):
            made.append(
                Act(
                    self.name,
                    f"slurmctld {number.name}",
                    weight,
                    self.engine(self._kill(0, number), wipes=number is signal.SIGKILL),
                )
            )
            made.append(Act(self.name, f"slurmd {number.name}", weight, self.engine(self._kill(None, number))))
        return made

    def _kill(self, which: int | None, number: signal.Signals) -> Callable[[], bool]:
        def do() -> bool:
            one = self._daemons[0] if which == 0 else self.house.dice.choice(self._daemons[1:])
            return one.kill(number)

        return do

    def queue(self) -> str:
        code, said, why = self.house.call("squeue", "-h", "-o", "%i %j %T", environ=self.environ)
        return why if code else said

    def rest(self) -> None:
        if self.house.kills.get(self.name, Counter())["slurmctld SIGKILL"]:
            self.mend()
        if not self.house.until(lambda: self.queue() == "", plan.GO, self.tick):
            left = self.queue()
            kills = self.house.kills.get(self.name, Counter())
            if kills["slurmctld SIGKILL"] and not any(mark in left for mark in self.marks):
                # What ended while nobody kept the books runs for ever in them; the runs know of its end.
                self.house.notes["slurm: jobs that a killed slurmctld still had in its books"] += len(left.splitlines())
                self.house.call("scancel", "--user=root", environ=self.environ)
                self.house.until(lambda: self.queue() == "", plan.GO, self.tick)
            if left := self.queue():
                self.house.find(f"slurm: jobs are left: {left}")
        wanted = {(name, "idle") for name in plan.NODES}

        def states() -> set[tuple[str, ...]]:
            said = self.house.call("sinfo", "-h", "-N", "-o", "%N %T", environ=self.environ)[1]
            return {tuple(line.split()) for line in said.splitlines()}

        if not self.house.until(lambda: states() == wanted, plan.GO, self.tick):
            why = self.house.call("sinfo", "-R", environ=self.environ)[1]
            self.house.find(f"slurm: nodes are not as they were: {sorted(states())} {why}")

    def close(self) -> None:
        for one in self._daemons:  # the cluster's own end stops them
            one.wanted = False
