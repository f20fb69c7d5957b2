"""Brokers as processes of this machine: to try bursting out, or to use cores that the lead leaves free.

Each host of a burst is a tree of processes in a session of its own, detached from the controller: a supervisor (see
`_local_supervisor`), `timeout` of coreutils, armed before the broker runs, and the broker. Their environment bears the
burst's name and owner, so a look at /proc shows every one, whoever started it and however that ended. What else is
to be remembered lies in the lead's folder, `local/NAME/`: the order, the output, and how each broker ended.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fluxburst.burstables import _local_processes as processes
from fluxburst.burstables import _local_supervisor as supervisor
from fluxburst.burstables import _private_files as files
from fluxburst.burstables._local_processes import Process
from fluxburst.errors import ConfigurationError, ParameterError, UncertainError
from fluxburst.lead import LeadError, environment
from fluxburst.model import Burst, NodeShape, Seen, Sighting
from fluxburst.plugins import BurstPlugin

NAME, OWNER, HOST, URI = "FLUX_BURST_NAME", "FLUX_BURST_OWNER", "FLUX_BURST_HOST", "FLUX_URI"
ORDER, ENDING = "order.json", "ending.json"
KILL_AFTER = 30  # seconds from the polite signal to the one that nobody survives
PATIENCE = 10.0  # seconds that another controller may take to start its processes
OUTPUT = 4096  # bytes of the end of the brokers' output that are shown
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)  # a name of a burst, which is that of a folder
FOREIGN = ("SLURM_", "PMI_", "PMIX_")  # what a broker inside a batch job would take for its own
NEEDS = {"command flux": "install flux-core"}


@dataclass
class BurstParameters:
    """What this machine lends."""

    shape: list[str] = field(
        default_factory=list,
        metadata={"help": "A node shape, as 'NAME: cores=4 gpus=1'; by default the cores that this process may use."},
    )
    max_nodes: int = field(default=4, metadata={"help": "The most brokers that may exist at once."})

    def __post_init__(self) -> None:
        if self.max_nodes < 0:
            raise ParameterError("it is 0 or more", "max_nodes")


class LocalBurst(BurstPlugin):
    """Starts brokers here, finds them by their marks, and ends them."""

    settle = 5.0

    def __init__(self, params: BurstParameters) -> None:
        super().__init__(params)
        self._shapes = [NodeShape.from_text(text) for text in params.shape]

    def shapes(self) -> Sequence[NodeShape]:
        from resources.machine import usable_cores

        return self._shapes or [NodeShape.from_text(f"local: cores={len(usable_cores())}")]

    def create(self, burst: Burst) -> None:
        owner, folder = self.need_lead().owner, self._folder(burst.name)
        if self.clock() >= burst.deadline > 0:
            return  # it has ended before it began
        self._refuse_elsewhere(burst.name)
        with self._locked(burst.name) as lock:
            if lock < 0:
                raise UncertainError(f"{burst.name} is being started by another process, which does not get on")
            there = {one.environ.get(HOST) for one in self._look().get(burst.name, ())}
            missing = [one for one in burst.hosts if one not in there and not (folder / f"{one}.exit").exists()]
            if not missing or (folder / ENDING).exists():
                return
            order = {"machine": processes.machine(), "programs": self._programs(burst, folder)}
            files.write(files.private(folder) / ORDER, order)
            # Its environment marks it from its first moment on, and everything that it starts.
            marks = {NAME: burst.name, OWNER: owner}
            command = [sys.executable, "-I", "-S", supervisor.__file__, str(folder / ORDER), str(lock), *missing]
            base = {name: value for name, value in environment().items() if not name.startswith(FOREIGN)}
            try:
                done = subprocess.run(
                    command, env={**base, **marks}, pass_fds=(lock,), start_new_session=True, check=False,
                    stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=PATIENCE,
                )  # fmt: skip
            except OSError as error:
                raise ConfigurationError(f"can't start {sys.executable}: {error.strerror}") from None
            except subprocess.TimeoutExpired:
                raise UncertainError(f"{burst.name} has not started within {PATIENCE:g} s") from None
        if done.returncode:
            raise UncertainError(f"{burst.name} has not started: {done.stderr.strip()[-500:]}")

    def status(self, known: Sequence[Burst] = ()) -> Sequence[Sighting]:
        found = self._look([burst.name for burst in known])
        there = [self._alive(name, processes_) for name, processes_ in found.items()]
        absent = (self._absent(burst) for burst in known if burst.name not in found)
        return there + [one for one in absent if one is not None]

    def destroy(self, burst: Burst) -> None:
        folder = self._folder(burst.name)
        self._refuse_elsewhere(burst.name)
        with self._locked(burst.name) as lock:
            mine = self._look([burst.name]).get(burst.name, [])
            if not mine and lock >= 0:
                shutil.rmtree(folder, ignore_errors=True)
                for rundir in self._base().glob(f"{self._digest(burst.name)}-*"):
                    shutil.rmtree(rundir, ignore_errors=True)
                self._lock(burst.name).unlink(missing_ok=True)
                return
            asked = files.read(folder / ENDING).get("time")
            if lock < 0 or not _hosts(mine) or (asked and self.clock() - asked > KILL_AFTER + PATIENCE):
                for _ in range(10):  # what was born meanwhile is seen in the next round
                    for one in mine:
                        one.signal(signal.SIGKILL)
                    time.sleep(0.02)
                    mine = self._look([burst.name]).get(burst.name, [])
                return
            if asked is None:
                pids = {one.pid: one for one in mine}
                for one in mine:
                    above = pids.get(one.parent)
                    if HOST in one.environ and (above is None or HOST not in above.environ):
                        one.signal(signal.SIGTERM)  # `timeout` hands it on, and kills after KILL_AFTER by itself
                files.write(files.private(folder) / ENDING, {"time": self.clock()})

    def _alive(self, name: str, found: Sequence[Process]) -> Sighting:
        folder = self._folder(name)
        alive, ordered = _hosts(found), tuple(files.read(folder / ORDER).get("programs", {}))
        since, ended = min(one.since for one in found), self._ended(name)
        seen: Seen = "running"
        why = "; ".join(ended.values())
        if (folder / ENDING).exists():
            seen, why = "ending", "its brokers were told to leave"
        elif not set(ordered) <= alive | ended.keys() and self._starting(name):
            seen, alive = "pending", set(ordered)
        elif not alive:
            seen, why = "ending", f"its brokers have died; {len(found)} processes are left"
        hosts = None if not ordered or set(ordered) <= alive else tuple(one for one in ordered if one in alive)
        return Sighting(name, seen, _node(), since, why, output=self._output(name, ended or ordered), hosts=hosts)

    def _absent(self, burst: Burst) -> Sighting | None:
        folder = self._folder(burst.name)
        if not folder.is_dir():
            return Sighting(burst.name, "gone", reason=f"no process of it is on {_node()}")
        if self._elsewhere(burst.name):
            over = burst.deadline and self.clock() > burst.deadline + 2 * KILL_AFTER
            return Sighting(burst.name, "gone", reason="its time was over") if over else None
        if self._starting(burst.name):
            return Sighting(burst.name, "pending", reason="its brokers are being started")
        ended = self._ended(burst.name)
        why = "; ".join(ended.values()) or f"no process of it is on {_node()}"
        return Sighting(burst.name, "gone", _node(), reason=why, output=self._output(burst.name, ended or burst.hosts))

    def _starting(self, name: str) -> bool:
        with self._locked(name, patience=0) as lock:
            if lock >= 0:
                self._lock(name).unlink(missing_ok=True)
            return lock < 0

    def _programs(self, burst: Burst, folder: Path) -> dict[str, Any]:
        """The supervisor's order: each broker under `timeout`, which ends it at the deadline."""
        seconds = burst.left(self.clock()) if burst.deadline else 0  # 0 is no limit (timeout(1))
        # In the foreground it signals the broker alone, not what the broker runs in order to leave (timeout(1)).
        armed = [_found("timeout", "coreutils"), "--foreground", f"--kill-after={KILL_AFTER}", str(seconds)]
        flux, rundir = _found("flux", "flux-core"), self._base() / self._digest(burst.name)
        try:
            brokers = {
                host: self.need_lead().broker(host, rundir=f"{rundir}-{at}", flux=flux)
                for at, host in enumerate(burst.hosts)
            }
        except LeadError as error:
            raise ConfigurationError(str(error)) from error
        return {
            host: {
                "argv": [*armed, *argv],
                "environ": {HOST: host},
                "output": str(folder / f"{host}.log"),
                "exit": str(folder / f"{host}.exit"),
            }
            for host, argv in brokers.items()
        }

    def _look(self, names: Iterable[str] = ()) -> dict[str, list[Process]]:
        """The processes of every burst of this owner, by its name; names: of bursts that are looked for besides."""
        owner, base = self.need_lead().owner, f"local://{self._base()}/"
        local = self.need_lead().folder / "local"
        remembered = {one.name for one in local.iterdir()} if local.is_dir() else set()
        digests = {self._digest(name): name for name in remembered.union(names)}

        def whose(environ: Mapping[str, str]) -> str:
            if environ.get(OWNER) == owner:
                name = environ.get(NAME, "")
                return name if WORD.fullmatch(name) else ""
            # What a job starts has not the broker's environment, but the address of its broker.
            uri = environ.get(URI, "")
            return digests.get(uri[len(base) :].partition("-")[0], "") if uri.startswith(base) else ""

        found: dict[str, list[Process]] = {}
        for one in processes.look((NAME, OWNER, HOST, URI), lambda environ: bool(whose(environ))):
            found.setdefault(whose(one.environ), []).append(one)
        return found

    def _ended(self, name: str) -> dict[str, str]:
        """How each broker that has ended did so, by host."""
        ended = {}
        for path in sorted(self._folder(name).glob("*.exit")):
            status = files.read(path).get("status")
            how = "its time was over" if status == 124 else f"exit {status}"
            if isinstance(status, int) and status < 0:
                how = f"killed by signal {-status}"
            ended[path.stem] = f"the broker {path.stem} has ended: {how}"
        return ended

    def _output(self, name: str, hosts: Collection[str]) -> str:
        share = OUTPUT // max(1, len(hosts))
        tails = {host: files.tail(self._folder(name) / f"{host}.log", share) for host in hosts}
        return "".join(f"{host}: {line}\n" for host, text in tails.items() for line in text.splitlines())

    def _refuse_elsewhere(self, name: str) -> None:
        if self._elsewhere(name):
            node = files.read(self._folder(name) / ORDER)["machine"]["node"]
            raise ConfigurationError(f"the processes of {name} are on {node}, not here: run this there")

    def _elsewhere(self, name: str) -> bool:
        """Whether it was started where its processes can't be seen from here: on another machine, in a container."""
        made, here = files.read(self._folder(name) / ORDER).get("machine"), processes.machine()
        if not made or made == here:
            return False
        # Had this very machine started anew, everything on it would have ended.
        return bool(made["node"] != here["node"] or made["boot"] == here["boot"])

    def _folder(self, name: str) -> Path:
        if not WORD.fullmatch(name):
            raise ConfigurationError(f"{name!r} is no name of a burst")
        return self.need_lead().folder / "local" / name

    def _base(self) -> Path:
        """Where sockets and locks are: their paths must be short, and not on a network file system."""
        return files.private(Path(tempfile.gettempdir()) / f"flux-burst-{os.geteuid()}")

    def _digest(self, name: str) -> str:
        return hashlib.sha256(f"{self.need_lead().owner}/{name}".encode()).hexdigest()[:12]

    def _locked(self, name: str, patience: float = PATIENCE) -> AbstractContextManager[int]:
        return files.locked(self._lock(name), patience)

    def _lock(self, name: str) -> Path:
        return self._base() / f"{self._digest(name)}.lock"


def _hosts(found: Iterable[Process]) -> set[str]:
    """The hosts that live; what only waits to become one, or is left of one, has no mark of a host."""
    return {one.environ[HOST] for one in found if HOST in one.environ}


def _found(command: str, package: str) -> str:
    path = shutil.which(command)
    if path is None:
        raise ConfigurationError(f"there is no command {command!r} here: install {package}")
    return path


def _node() -> str:
    return os.uname().nodename


def init(params: BurstParameters) -> LocalBurst:
    return LocalBurst(params)
