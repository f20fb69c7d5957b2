"""Leads that a handle is tried on, driven alike: one in memory, and a real Flux with declared hosts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fluxburst.demand import Demand
from fluxburst.errors import HandleError
from fluxburst.handles import LiveHandle
from fluxburst.handles.fake import FakeHandle
from fluxburst.handles.specs import jobspec

PATIENCE = 120.0  # seconds; the machine may be busy
HOSTS = {"lead": (2, 0), "burst0": (2, 0), "burst1": (2, 0)}
CONFIG = """
[bootstrap]
curve_cert = "{folder}/cert"
hosts = [{{host = "lead", bind = "ipc://{folder}/tbon", connect = "ipc://{folder}/tbon"}}, {{host = "burst[0-1]"}}]
[tbon]
topo = "kary:0"
[resource]
path = "{folder}/R"
noverify = true
exclude = "{exclude}"
"""


class MemoryLead:
    """The fake handle; it is its own driver."""

    def __init__(self) -> None:
        self.handle = FakeHandle(HOSTS, up=["lead"])
        self.submit, self.cancel, self.alter = self.handle.submit, self.handle.cancel, self.handle.alter
        self.join, self.leave = self.handle.join, self.handle.leave

    def until(self, true: Callable[[], Any]) -> None:
        for _ in range(1000):
            if true():
                return
            self.handle.advance(1.0)
        raise TimeoutError


class FluxLead:
    """Brokers of a real Flux. Ends with `close`."""

    def __init__(self, folder: Path, exclude: str = "") -> None:
        self.folder, self._brokers = folder, dict[str, subprocess.Popen[bytes]]()
        self.uri = f"local://{folder}/lead/uri"
        subprocess.run(["flux", "keygen", folder / "cert"], check=True, capture_output=True, timeout=60)
        encode = ["flux", "R", "encode", "--hosts=lead,burst[0-1]", "--ranks=0-2", "--cores=0-1", "--property=slot:1-2"]
        (folder / "R").write_bytes(subprocess.run(encode, check=True, capture_output=True, timeout=60).stdout)
        (folder / "config.toml").write_text(CONFIG.format(folder=folder, exclude=exclude))
        self.start()

    def start(self) -> None:
        """Start the lead itself, and wait until it answers."""
        from fluxburst.handles.flux import FluxHandle

        self._start("lead", "-Sbroker.quorum=1", f"-Slocal-uri={self.uri}", "sleep", "infinity")
        end = time.monotonic() + PATIENCE
        while True:
            try:
                self.handle: LiveHandle = FluxHandle(self.uri)
                if "lead" in self.handle.sizes(["lead"]):
                    break
            except HandleError as error:
                if time.monotonic() > end:
                    raise TimeoutError((self.folder / "lead.log").read_text()) from error
            time.sleep(0.05)
        import flux

        self.flux = flux.Flux(self.uri)

    def _start(self, host: str, *argv: str) -> None:
        (self.folder / host).mkdir(exist_ok=True)
        command = ["flux", "broker", f"-Shostname={host}", f"--config-path={self.folder}/config.toml"]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("FLUX_URI")}
        with (self.folder / f"{host}.log").open("ab") as log:
            self._brokers[host] = subprocess.Popen(
                [*command, f"-Srundir={self.folder}/{host}", *argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )

    def kill(self, host: str) -> None:
        broker = self._brokers.pop(host)
        with suppress(ProcessLookupError):
            os.killpg(broker.pid, signal.SIGKILL)
        broker.wait(PATIENCE)

    def close(self) -> None:
        """End every broker, and what ran under them (a shell is a session of its own)."""
        with suppress(Exception):
            self.clear()
        for host in ["burst0", "burst1", "lead"]:
            if host in self._brokers:
                self.kill(host)

    def clear(self) -> None:
        for argv in (["cancel", "--all", "--user=all", "--quiet"], ["queue", "idle", "--quiet", "--timeout=60s"]):
            subprocess.run(["flux", *argv], env=self._env, check=False, capture_output=True, timeout=PATIENCE)

    @property
    def _env(self) -> dict[str, str]:
        return {**os.environ, "FLUX_URI": self.uri}

    def submit(
        self, demand: Demand, duration: float = 60.0, *, urgency: int = 16, after: str = "", **system: Any
    ) -> str:
        import flux.job

        wanted: dict[str, Any] = {"duration": duration, "burstable": 1, "cwd": "/", "environment": dict(os.environ)}
        if after:
            wanted["dependencies"] = [{"scheme": "afterany", "value": after}]
        spec = jobspec(demand, wanted)
        spec["tasks"][0]["command"] = ["sleep", str(duration)]
        return str(int(flux.job.submit(self.flux, json.dumps(spec), urgency=urgency)))

    def cancel(self, job: str) -> None:
        import flux.job

        flux.job.cancel(self.flux, int(job))

    def alter(self, job: str, urgency: int | None = None, **system: Any) -> None:
        if urgency is not None:
            self.flux.rpc("job-manager.urgency", {"id": int(job), "urgency": urgency}).get()
        for key, value in system.items():
            updates = {f"attributes.system.{key}": value}
            self.flux.rpc("job-manager.update", {"id": int(job), "updates": updates}).get()

    def join(self, host: str) -> None:
        self._start(host, "-Sbroker.rc2_none=1")
        self.until(lambda: states(self.handle)[host] != "down")

    def leave(self, host: str) -> None:
        self.kill(host)
        self.until(lambda: states(self.handle)[host] == "down")

    def until(self, true: Callable[[], Any]) -> None:
        end = time.monotonic() + PATIENCE
        while not true():
            if time.monotonic() > end:
                raise TimeoutError
            time.sleep(0.05)


@contextmanager
def flux_lead(exclude: str = "") -> Iterator[FluxLead]:
    # A socket's path is short: pytest's folders may be too deep.
    with tempfile.TemporaryDirectory(prefix="lead", ignore_cleanup_errors=True) as folder:
        lead = FluxLead.__new__(FluxLead)
        lead._brokers = {}
        try:
            lead.__init__(Path(folder), exclude)  # type: ignore[misc]
            yield lead
        finally:
            lead.close()


def states(handle: LiveHandle) -> dict[str, str]:
    inventory = handle.inventory()
    return {host: group.state for _, host, group in inventory.hosts()} if inventory else {}


def idle(handle: LiveHandle) -> set[str]:
    """Hosts on which nothing runs."""
    inventory = handle.inventory()
    return {host for _, host, group in inventory.hosts() if group.free == group.total} if inventory else set()
