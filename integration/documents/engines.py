"""What pages need besides this project: throwaway engines, and programs and modules that may not be here."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from engines import PATH, free_ports
from engines import missing as missing_of
from engines import slurm as slurm_engine

from documents.sandbox import Sandbox

PATIENCE = 60  # seconds for an engine to be up
Start = Callable[[Sandbox, str], AbstractContextManager[dict[str, str]]]


@contextmanager
def flux(sandbox: Sandbox, brokers: str) -> Iterator[dict[str, str]]:
    """An instance of so many brokers (4), with the page's home and commands."""
    inside = ["sh", "-c", "echo $FLUX_URI; exec cat"]
    argv = ["flux", "start", f"--test-size={brokers or 4}", *inside]
    instance = subprocess.Popen(
        argv, cwd=sandbox.work, env=sandbox.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        if instance.stdout is None or not (uri := instance.stdout.readline().strip()):
            raise RuntimeError(f"`{' '.join(argv)}` did not start")
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


STARTS: dict[str, Start] = {"flux": flux, "slurm": slurm}


def missing(need: str) -> str:
    """Why a need can't be met here, "" where it can. `flux=2` is an engine with its size; `python:grpc` a module."""
    name = need.partition("=")[0]
    if name in STARTS:
        lacking = missing_of(name)
    elif need.startswith("python:"):
        lacking = [] if importlib.util.find_spec(need.removeprefix("python:")) else [need]
    else:
        lacking = [] if shutil.which(need, path=PATH) else [need]
    return f"{', '.join(lacking)} is not here" if lacking else ""


def start(need: str, sandbox: Sandbox) -> AbstractContextManager[dict[str, str]] | None:
    """An engine that was asked for, None where the need is only a program or a module."""
    name, _, size = need.partition("=")
    return STARTS[name](sandbox, size) if name in STARTS else None


def free_port() -> str:
    """A port of the loopback that nobody listens on now."""
    return str(free_ports(1)[0])
