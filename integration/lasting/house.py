"""What all parts share: the folder, the environment, the processes that are kept going, and what was found."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lasting import plan

MARK = "LASTING"  # in the environment of everything that is started here: whose it is
FOREIGN = ("FLUX_", "SLURM_", "PMI_", "PMIX_", "HQ_", "XDG_", "ENSEMBLE_")


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that the chaos may do. do: gives whether there was something to do it to."""

    site: str
    kind: str
    weight: float
    do: Callable[[], bool]


class Kept:
    """A process that is started again when it has ended, as long as it is wanted."""

    def __init__(self, house: House, name: str, argv: Sequence[str], environ: Mapping[str, str], cwd: Path) -> None:
        self.house, self.name, self.argv, self.environ, self.cwd = house, name, list(argv), dict(environ), cwd
        self.log = house.folder / "logs" / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.again = 0.0
        self.wanted = True
        self.killed = ""  # by which signal, since its last start
        self.stop_by = 0.0  # when it must have ended
        self.ran: list[subprocess.Popen[bytes]] = []

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def said(self) -> str:
        """The end of what its present life has printed."""
        with suppress(OSError):
            return self.log.read_text(errors="replace").rpartition("\n=== ")[2][-6000:]
        return ""

    def start(self) -> None:
        with self.log.open("ab") as log:
            log.write(f"\n=== {time.strftime('%H:%M:%S')} {' '.join(self.argv)}\n".encode())
            log.flush()
            self.process = subprocess.Popen(
                self.argv,
                env=self.environ,
                cwd=self.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.killed, self.stop_by = "", 0.0

    def kill(self, number: signal.Signals) -> bool:
        """Send it a signal, if it lives and was sent none; whether it was."""
        if not self.alive or self.killed or self.process is None:
            return False
        self.killed = number.name
        self.stop_by = time.monotonic() + plan.STOP
        self.process.send_signal(number)
        return True

    def tick(self) -> int | None:
        """Its exit code, once for each of its ends; starts it again when its time has come."""
        now = time.monotonic()
        if self.process is None:
            if self.wanted and now >= self.again:
                self.start()
            return None
        code = self.process.poll()
        if code is None:
            if self.stop_by and now > self.stop_by:
                self.house.find(f"{self.name} did not end within {plan.STOP:g} s of {self.killed}")
                self.process.kill()
                self.stop_by = now + plan.STOP
            return None
        self.process = None
        self.again = now + self.house.dice.expovariate(1 / plan.AWAY)
        return code

    def end(self) -> None:
        """End it for good: politely, then not."""
        self.wanted = False
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(plan.STOP)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()


@dataclass
class House:
    """Everything of one session. found: what went wrong, each once. kills: by site and kind."""

    folder: Path
    dice: random.Random
    environ: dict[str, str]
    found: list[str] = field(default_factory=list)
    kills: dict[str, Counter[str]] = field(default_factory=dict)
    kept: list[Kept] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)
    open: bool = True  # whether new ensembles begin
    _said: set[str] = field(default_factory=set)

    @classmethod
    def make(cls, folder: Path, seed: int) -> House:
        for name in ("home", "tmp", "logs", "cwd", "runs"):
            (folder / name).mkdir(mode=0o700)
        (folder / "job.sh").write_text(plan.JOB)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}{os.pathsep}/usr/sbin"
        here = {"HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp"), MARK: str(folder), "PATH": path}
        return cls(folder, random.Random(seed), {**kept, **here})

    def keep(
        self, name: str, argv: Sequence[str], environ: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> Kept:
        made = Kept(self, name, argv, environ or self.environ, cwd or self.folder / "cwd")
        self.kept.append(made)
        return made

    def say(self, text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)

    def find(self, text: str) -> None:
        """Something that must not be."""
        if text not in self._said:
            self._said.add(text)
            self.found.append(text)
            self.say(f"PROBLEM {text}")

    def call(self, *argv: str, environ: Mapping[str, str] | None = None, timeout: float = 60) -> tuple[int, str, str]:
        """Run a command to its end: exit code (124: it took too long), stdout, stderr."""
        try:
            done = subprocess.run(
                argv, env=environ or self.environ, cwd=self.folder / "cwd", capture_output=True, text=True,
                stdin=subprocess.DEVNULL, timeout=timeout, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return 124, "", f"{argv[0]} did not end within {timeout:g} s"
        return done.returncode, done.stdout, done.stderr

    def until(self, true: Callable[[], Any], seconds: float, tick: Callable[[], None] = lambda: None) -> bool:
        """Wait for something; whether it came."""
        end = time.monotonic() + seconds
        while not true():
            if time.monotonic() > end:
                return False
            tick()
            time.sleep(0.2)
        return True

    def did(self, site: str, kind: str) -> None:
        self.kills.setdefault(site, Counter())[kind] += 1
        with (self.folder / "logs" / "chaos.jsonl").open("a") as file:
            file.write(json.dumps({"time": time.time(), "site": site, "kind": kind}) + "\n")


def marked(folder: Path) -> dict[int, str]:
    """The processes of a session, by what is in their environment: pid -> command line."""
    found = {}
    mark = f"{MARK}={folder}".encode()
    for place in Path("/proc").iterdir():
        if place.name.isdecimal() and int(place.name) != os.getpid():
            with suppress(OSError):
                if mark in (place / "environ").read_bytes().split(b"\0"):
                    words = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                    if words:
                        found[int(place.name)] = words
    return found
