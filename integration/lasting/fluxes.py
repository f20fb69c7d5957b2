"""A Flux instance that is started again from its state, and a lead that grows and shrinks."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from functools import partial
from shutil import which

from engines import free_ports

from lasting import plan
from lasting.house import Act, House, Kept, marked
from lasting.loads import RunLoad
from lasting.plain import Slurm
from lasting.site import KINDS, PATIENCE, Site, missing


class Looked(Site):
    """One with a Flux, which somebody looks after when it was killed."""

    broker: Kept
    environ: dict[str, str]
    mend_at = float("inf")

    def ended(self, one: Kept, killed: str, code: int | None) -> None:
        super().ended(one, killed, code)
        if code is not None and one is self.broker and killed == "SIGKILL":
            self.mend_at = time.monotonic() + plan.MEND

    def tick(self) -> None:
        super().tick()
        if time.monotonic() >= self.mend_at:
            self.mend_at = float("inf")
            self.mend()

    def mend(self) -> None:
        """What its administrator does where the kill fell between a job's resources and the event that tells of them.

        flux-core 0.88 has no scheduler then, start after start, until what such jobs were given is taken from them.
        """
        status = self.flux("queue", "status")
        if not status:
            self.mend_at = time.monotonic() + plan.MEND  # it has yet to come up
        if "Scheduler is offline" not in status:
            return
        waiting = self.jobs("pending")
        keys = [f"{self.flux('job', 'id', '--to=kvs', id).strip()}.R" for id in waiting]
        given = [key for key in keys if self.flux("kvs", "get", key)]
        if given:
            self.flux("kvs", "unlink", *given)
            self.house.notes[f"{self.name}: no scheduler after the kill of an instance, until R was unlinked"] += 1
            self.broker.kill(signal.SIGTERM)

    def jobs(self, state: str) -> list[str]:
        return self.flux("jobs", "-n", f"--filter={state}", "-o", "{id}").split()

    def flux(self, *argv: str) -> str:
        """What a command of Flux prints, nothing where it fails."""
        code, said, _ = self.house.call("flux", *argv, environ=self.environ)
        return "" if code else said


class Flux(Looked):
    name = "flux"

    @staticmethod
    def lacks(where: dict[str, Site]) -> str:
        if not which("flux"):
            return "install flux-core"
        return "pip install flux-python of the version that `flux version` shows" if missing("flux") else ""

    def __init__(self, house: House, where: dict[str, Site], stack: ExitStack) -> None:
        super().__init__(house)
        folder = house.folder / "flux"
        folder.mkdir(mode=0o700)
        code, text, said = house.call("flux", "R", "encode", f"--hosts={os.uname().nodename}", "--cores=0-3")
        if code:
            raise RuntimeError(f"flux R encode: {said}")
        (folder / "R").write_text(text)
        (folder / "flux.toml").write_text(plan.FLUX.format(folder=folder))
        uri = f"local://{folder}/sock"
        argv = ["flux", "broker", f"--config-path={folder}/flux.toml", "-Sbroker.boot-method=single"]
        argv += [f"-Sstatedir={folder}", "-Sstatedir-cleanup=0", f"-Slocal-uri={uri}", "-Sbroker.rc2_none=1"]
        self.broker = house.keep("flux", argv)
        self.broker.start()
        self.environ = {**house.environ, "FLUX_URI": uri}
        wait_for_flux(house, self.broker, self.environ)
        self.loads = [
            RunLoad(
                house,
                self.name,
                name,
                size=2,
                taken=self.taken,
                forgot=self.forgot,
                environ=self.environ,
                member=["--member", "flux"],
            )
            for name in ("flux", "flux2")
        ]

    def kept(self) -> Sequence[Kept]:
        return (self.broker,)

    def mend(self) -> None:
        """Sometimes the scheduler does not see that all is free, where jobs that ran could not be found again."""
        super().mend()
        if self.broker.alive and not self.broker.killed and self.jobs("pending") and not self.jobs("running"):
            self.flux("module", "reload", "sched-simple")
            self.house.notes[
                "flux: a scheduler that started nothing after the kill of an instance was loaded anew"
            ] += 1

    def acts(self) -> list[Act]:
        made = super().acts()
        for number in KINDS:
            made.append(
                Act(
                    self.name,
                    f"instance {number.name}",
                    0.5,
                    self.engine(partial(self.broker.kill, number), wipes=number is signal.SIGKILL),
                )
            )
        return made

    def rest(self) -> None:
        flux_rest(self.house, self.name, self.environ)


def wait_for_flux(house: House, broker: Kept, environ: dict[str, str]) -> None:
    def answers() -> bool:
        return house.call("flux", "resource", "list", environ=environ)[0] == 0

    if not house.until(answers, PATIENCE):
        raise RuntimeError(f"flux does not come up: {broker.said}")


def flux_rest(house: House, name: str, environ: dict[str, str]) -> None:
    def jobs() -> str:
        code, said, _ = house.call("flux", "jobs", "-n", "-o", "{id} {name} {state}", environ=environ)
        return said if code == 0 else "?"

    if not house.until(lambda: jobs() == "", plan.GO):
        house.find(f"{name}: jobs are left: {jobs()}")
    drained = house.call("flux", "resource", "list", "-n", "-s", "drain", "-o", "{nodelist}", environ=environ)[
        1
    ].strip()
    if drained:
        house.find(f"{name}: drained: {drained}")


class Bursting(Looked):
    """A lead with a controller, and jobs that need more nodes than it has."""

    name = "burst"

    @staticmethod
    def lacks(where: dict[str, Site]) -> str:
        return Flux.lacks(where)

    def __init__(self, house: House, where: dict[str, Site], stack: ExitStack) -> None:
        super().__init__(house)
        slurm = where.get("slurm")
        base = slurm.environ if isinstance(slurm, Slurm) else house.environ
        self.plugins = ["local", *(["slurm"] if slurm else [])]
        self.folder = house.folder / "lead"
        [port] = free_ports(1)
        argv = ["flux-burst", "init", "--json", "--lead=lead", f"--port={port}", "--bind=127.0.0.1"]
        argv += ["--connect=127.0.0.1", "--lead-cores=2", "--slots=local:2:cores=2"]
        argv += ["--slots=slurm:2:cores=2"] if slurm else []
        code, text, said = house.call(*argv, str(self.folder), environ=base)
        if code:
            raise RuntimeError(f"flux-burst init: {said}")
        settings = self.folder / "burst.toml"
        own = settings.read_text().replace("[plugins.local]\n", '[plugins.local]\nshape = ["local: cores=2"]\n')
        own = own.replace("[plugins.slurm]\n", '[plugins.slurm]\nshape = ["main: cores=2"]\n')
        settings.write_text(plan.BURST + own)
        if isinstance(slurm, Slurm):
            slurm.marks.append(json.loads(text)["owner"])
        self.broker = house.keep("lead", json.loads(text)["start"]["background"], base)
        self.environ = {**base, "FLUX_URI": f"local://{self.folder}/lead.sock"}
        self.broker.start()
        wait_for_flux(house, self.broker, self.environ)
        controller = ["flux-burst", "run", *(word for name in self.plugins for word in ("--plugin", name))]
        self.controller = house.keep("controller", controller, self.environ)
        groups = plan.BURSTS if slurm else tuple(group for group in plan.BURSTS if group.name != "remote")
        self.loads = [
            RunLoad(
                house,
                self.name,
                "burst",
                groups=groups,
                taken=self.taken,
                forgot=self.forgot,
                environ=self.environ,
                member=["--member", "flux"],
            )
        ]

    def kept(self) -> Sequence[Kept]:
        return (self.broker, self.controller)

    def acts(self) -> list[Act]:
        made = super().acts()
        for number in KINDS:
            made.append(Act(self.name, f"controller {number.name}", 1.5, partial(self.controller.kill, number)))
            made.append(
                Act(
                    self.name,
                    f"lead {number.name}",
                    0.3,
                    self.engine(partial(self.broker.kill, number), wipes=number is signal.SIGKILL),
                )
            )
        for name in self.plugins:
            act = Act(self.name, f"{name} broker SIGKILL", 0.8, self.engine(partial(self._kill, name)))
            made.append(act)
        return made

    def _kill(self, plugin: str) -> bool:
        """One of the brokers that have joined, or are about to."""
        found = [
            pid
            for pid, words in marked(self.house.folder).items()
            if f"-Shostname={plugin}" in words and "broker" in words and not words.startswith(("timeout", "sh", "/bin"))
        ]
        if not found:
            return False
        with suppress(ProcessLookupError):
            os.kill(self.house.dice.choice(sorted(found)), signal.SIGKILL)
            return True
        return False

    def open(self) -> list[str]:
        code, said, why = self.house.call("flux-burst", "status", str(self.folder), "--json", environ=self.environ)
        if code:
            return [why.strip()]
        return [json.dumps(burst) for burst in json.loads(said)["bursts"]]

    def rest(self) -> None:
        if not self.house.until(lambda: not self.open(), plan.GO, self.tick):
            self.house.find(f"burst: bursts are left: {self.open()}")
        flux_rest(self.house, self.name, self.environ)
        argv = ["flux", "resource", "list", "-n", "-s", "up", "-o", "{nodelist}"]
        if not self.house.until(lambda: self.house.call(*argv, environ=self.environ)[1].strip() == "lead", 60):
            self.house.find(f"burst: hosts are left: {self.house.call(*argv, environ=self.environ)[1]}")
        self.controller.end()
        code, said, why = self.house.call("flux-burst", "gc", "--json", environ=self.environ, timeout=150)
        if code:
            self.house.find(f"burst: flux-burst gc finds something: {said}{why}")
        code, said, _ = self.house.call("flux-burst", "history", "--json", "--limit=100000", environ=self.environ)
        if code == 0:
            ends = [(one.get("plugin"), one.get("state"), one.get("reason")) for one in json.loads(said)["bursts"]]
            for plugin, state, reason in ends:
                self.house.notes[f"bursts: {plugin} {state}: {reason}"] += 1
