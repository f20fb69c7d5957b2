"""What pages need besides this project: throwaway engines, and programs and modules that may not be here."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from engines import slurm as slurm_engine

from documents.sandbox import Sandbox

PATIENCE = 60  # seconds for an engine to be up
Start = Callable[[Sandbox, str], AbstractContextManager[dict[str, str]]]


@contextmanager
def flux(sandbox: Sandbox, brokers: str) -> Iterator[dict[str, str]]:
    """An instance of so many brokers (4), with the page's home and commands."""
    inside = ["sh", "-c", "echo $FLUX_URI; exec cat"]
    argv = ["flux", "start", f"--test-size={brokers or 4}", *inside]
    log = sandbox.home / ".flux.log"
    with log.open("w") as to:
        instance = subprocess.Popen(
            argv,
            cwd=sandbox.work,
            env=sandbox.environ,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=to,
        )
    try:
        if instance.stdout is None or not (uri := instance.stdout.readline().strip()):
            raise RuntimeError(f"`{' '.join(argv)}` did not start: {log.read_text()}")
        yield {"FLUX_URI": uri}
    finally:
        try:
            instance.communicate(timeout=PATIENCE)  # the end of its input ends what runs inside
        except subprocess.TimeoutExpired:
            instance.kill()
            instance.communicate()


@contextmanager
def slurm(sandbox: Sandbox, _: str) -> Iterator[dict[str, str]]:
    """A cluster with the nodes n1 and n2, two cores each, and the partitions main and short."""
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder, slurm_engine.slurm(Path(folder)) as cluster:
        yield {name: cluster.environ[name] for name in ("SLURM_CONF",)}


ENGINES: dict[str, tuple[Start, Callable[[], list[str]]]] = {  # how to start one, and what is missing for it
    "flux": (flux, lambda: [] if shutil.which("flux") else ["flux"]),
    "slurm": (slurm, slurm_engine.missing),
}


def missing(need: str) -> str:
    """Why a need can't be met here, "" where it can. `flux=2` is an engine with its size; `python:grpc` a module."""
    name = need.partition("=")[0]
    if name in ENGINES:
        lacking = ENGINES[name][1]()
    elif need.startswith("python:"):
        lacking = [] if importlib.util.find_spec(need.removeprefix("python:")) else [need]
    else:
        lacking = [] if shutil.which(need, path=slurm_engine.PATH) else [need]
    return f"{', '.join(lacking)} is not here" if lacking else ""


def start(need: str, sandbox: Sandbox) -> AbstractContextManager[dict[str, str]] | None:
    """An engine that was asked for, None where the need is only a program or a module."""
    name, _, size = need.partition("=")
    return ENGINES[name][0](sandbox, size) if name in ENGINES else None


def free_port() -> str:
    """A port of the loopback that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])
