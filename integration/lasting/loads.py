"""Ensembles that follow each other on one engine: by `ensemble run`, killed and resumed, or by a server."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from lasting import audit, plan
from lasting.house import Act, House, Kept
from lasting.plan import Group

WORST = ("Traceback", "Internal error", "is a bug")


def text_of(groups: Sequence[Group], size: int, script: Path, witness: Path, number: int) -> str:
    """The file of an ensemble."""
    jobs, rules = [], []
    half = next((group.count * size // 2 for group in groups if group.name == "quick"), 0)
    for group in groups:
        command = plan.COMMAND.replace("JOBSCRIPT", str(script)).replace("WITNESS", str(witness))
        # Not all alike, so that they don't come in step.
        seconds = f"{group.seconds * (0.5 + number % 5 / 4):g}" if group.end != "timeout" else f"{group.seconds:g}"
        command = command.replace("SECONDS", seconds).replace("CODE", str(group.code))
        keys = f", {group.keys}" if group.keys else ""
        jobs.append(f"  - {{name: {group.name}, count: {group.count * size}, command: {command}{keys}}}")
        trigger = f'metric, when: "{group.when.replace("HALF", str(half))}"' if group.when else "start"
        rules.append(f"  - {{trigger: {trigger}, action: {{name: submit, label: {group.name}}}}}")
    return "\n".join(["jobs:", *jobs, "rules:", *rules, ""])


class Load:
    """One ensemble after the other.

    taken: whether the engine was killed since a time (monotonic); forgot: so that it lost what it knew last.
    """

    def __init__(
        self,
        house: House,
        site: str,
        name: str,
        groups: Sequence[Group] = plan.GROUPS,
        size: int = 1,
        taken: Callable[[float], bool] = lambda since: False,
        forgot: Callable[[float], bool] = lambda since: False,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.house, self.site, self.name, self.groups, self.size, self.taken = house, site, name, groups, size, taken
        self.forgot = forgot
        self.environ = dict(environ or house.environ)
        self.over: list[tuple[Path, float, int]] = []  # witnesses of those that have ended: since when, and how often
        self.tally = audit.Tally()
        self.number = 0
        self.going = False
        self.folder = self.witness = self.file = Path()
        self.began = self.moved = self.looked = self.rested = 0.0
        self.last = -2

    # What the two kinds do differently

    def submit(self) -> None:
        raise NotImplementedError

    def follow(self) -> bool:
        """Look after what drives it; whether it has let go of an ensemble that has ended."""
        raise NotImplementedError

    def abandon(self) -> None:
        raise NotImplementedError

    # One look

    def tick(self) -> None:
        now = time.monotonic()
        if not self.going:
            if self.house.open and now >= self.rested:
                self._begin(now)
            return
        if self.follow():
            self._end()
            return
        if now - self.looked > 5:
            self.looked = now
            last, _ = audit.progress(self.folder) if self.folder != Path() else (-1, False)
            if last != self.last:
                self.last, self.moved = last, now
            elif now - self.moved > plan.STUCK:
                self.house.find(f"{self.file}: nothing new for {plan.STUCK:g} s ({self.name})")
                self.abandon()
                self._end()

    def _begin(self, now: float) -> None:
        place = self.house.folder / "runs" / f"{self.name}-{self.number}"
        place.mkdir(mode=0o700)
        self.file, self.witness = place / f"{self.name}-{self.number}.yaml", place / "witness"
        script = self.house.folder / "job.sh"
        self.file.write_text(text_of(self.groups, self.size, script, self.witness, self.number))
        self.folder = Path()
        self.began = self.moved = self.looked = now
        self.last, self.going = -2, True
        self.number += 1
        self.submit()

    def _end(self) -> None:
        self.going = False
        self.rested = time.monotonic() + self.house.dice.expovariate(1 / plan.REST)
        try:
            tally, wrong = audit.ended(
                self.folder,
                self.witness,
                self.groups,
                self.size,
                taken=self.taken(self.began),
                forgot=self.forgot(self.began),
            )
        except (sqlite3.Error, OSError, ValueError) as error:
            self.house.find(f"{self.folder}: can't be looked at: {error}")
            return
        self.tally.add(tally)
        self.over.append((self.witness, self.began, tally.began))
        for text in wrong:
            self.house.find(text)
        if self.number % 5 == 1:  # it takes a second
            _, told, said = self.house.call("ensemble", "status", str(self.folder), "--json")
            if '"ended"' not in told:
                self.house.find(
                    f"{self.folder}: ensemble status does not say that it has ended: {told[:200]}{said[:200]}"
                )

    def look(self) -> None:
        """Hold what has run so far against the journal."""
        if self.going and self.folder != Path():
            try:
                for text in audit.going(self.folder, self.witness, forgot=self.forgot(self.began)):
                    self.house.find(text)
            except (OSError, ValueError) as error:
                self.house.find(f"{self.folder}: can't be looked at: {error}")

    def look_back(self) -> None:
        """At the very end: whether something of an ensemble that had ended ran later."""
        for witness, since, before in self.over:
            began, _ = audit.witnessed(witness)
            if (more := sum(began.values()) - before) and self.forgot(since):
                self.tally.again += more
            elif more:
                self.house.find(f"{witness}: {more} jobs began after their run had ended")

    def heard(self, said: str, code: int, who: str) -> None:
        """What a process has printed that ended."""
        worst = [line for line in said.splitlines() if any(word in line for word in WORST)]
        if worst or code == 70:
            self.house.find(f"{who} ended with {code}: {(worst or [said[-300:]])[0][:300]} ({self.folder})")


class RunLoad(Load):
    """`ensemble run FILE --dir D --resume`, started again until it has come to its end."""

    def __init__(self, *given: Any, member: Sequence[str], **more: Any) -> None:
        super().__init__(*given, **more)
        self.member = list(member)
        self.kept: Kept | None = None

    def acts(self) -> list[Act]:
        return [
            Act(self.site, f"orchestrator {number.name}", weight, partial(self.kill, number))
            for number, weight in ((signal.SIGKILL, 3.0), (signal.SIGTERM, 1.5))
        ]

    def kill(self, number: signal.Signals) -> bool:
        return bool(self.kept and self.kept.kill(number))

    def submit(self) -> None:
        self.folder = self.file.parent / "run"
        argv = ["ensemble", "run", str(self.file), *self.member, "--dir", str(self.folder), "--resume"]
        self.kept = self.house.keep(f"run-{self.name}", argv, self.environ)

    def follow(self) -> bool:
        kept = self.kept
        if kept is None:
            return True
        killed = kept.killed
        code = kept.tick()
        if code is None:
            return False
        said = kept.said
        self.heard(said, code, f"ensemble run ({killed or 'nobody killed it'})")
        _, ended = audit.progress(self.folder)
        if ended:
            self._forget(kept)
            return True
        if not killed:
            line = (said.strip().splitlines() or ["nothing"])[-1]
            self.house.notes[f"{self.site}: ensemble run ended by itself with {code}: {line[:120]}"] += 1
        return False

    def _forget(self, kept: Kept) -> None:
        self.kept = None
        self.house.kept.remove(kept)

    def abandon(self) -> None:
        if self.kept:
            self.kept.end()
            self._forget(self.kept)


class ServerLoad(Load):
    """`ensemble-server submit FILE`; the server does the rest."""

    def __init__(self, *given: Any, cluster: str, runs: Path, **more: Any) -> None:
        super().__init__(*given, **more)
        self.cluster, self.runs = cluster, runs
        self.client: Kept | None = None

    def submit(self) -> None:
        self.client = self.house.keep(
            f"client-{self.name}", ["ensemble-server", "submit", str(self.file), "--on", self.cluster], self.environ
        )

    def follow(self) -> bool:
        if self.client:
            code = self.client.tick()
            if code is None:
                return False
            self.heard(self.client.said, code, "ensemble-server submit")
            # One that was told of no name may have been taken in all the same: then its file is there.
            if (found := self._find()) is not None:
                self.folder = found
            elif code == 0:
                self.house.find(f"{self.file} was taken in as {self.client.said[-100:]!r}, and there is no such run")
                return True
            else:
                self.house.notes["service: submit found no server"] += 1
                return False
            self.house.kept.remove(self.client)
            self.client = None
        return audit.progress(self.folder)[1]

    def _find(self) -> Path | None:
        for place in sorted(self.runs.iterdir(), key=lambda one: -one.stat().st_mtime) if self.runs.is_dir() else ():
            if str(self.witness) in audit.file_of(place):
                return place
        return None

    def abandon(self) -> None:
        if self.client:
            self.client.end()
            self.house.kept.remove(self.client)
            self.client = None
        if self.folder == Path():
            return
        self.house.call("ensemble-server", "cancel", self.folder.name, environ=self.environ)
        self.house.until(lambda: audit.progress(self.folder)[1], plan.STOP)
