"""What pages need besides this project: throwaway engines, and programs and modules that may not be here."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from engines import ENGINES, PATH
from engines import flux as flux_engine
from engines import slurm as slurm_engine

from documents import providers

SLURMS = {  # slurm.conf, partition and nodes, of two cores each
    "": (slurm_engine.FOUR, "main", ("n1", "n2", "n3", "n4")),
    "debug": (slurm_engine.DEBUG, "debug", ("n1", "n2", "n3")),
}


@contextmanager
def _flux(brokers: str) -> Iterator[dict[str, str]]:
    """An instance of so many brokers (4)."""
    with (
        tempfile.TemporaryDirectory(prefix="flux-", ignore_cleanup_errors=True) as folder,
        flux_engine.flux(Path(folder), int(brokers or 4)) as environ,
    ):
        yield environ


@contextmanager
def _slurm(kind: str) -> Iterator[dict[str, str]]:
    conf, partition, nodes = SLURMS[kind]
    with (
        tempfile.TemporaryDirectory(prefix="slurm-", ignore_cleanup_errors=True) as folder,
        slurm_engine.slurm(Path(folder), nodes=nodes, conf=conf, partition=partition) as cluster,
    ):
        yield {"SLURM_CONF": cluster.environ["SLURM_CONF"]}


# Those that are started for a page; the variables that reach them are its commands'.
STARTED: dict[str, Callable[[str], AbstractContextManager[dict[str, str]]]] = {
    "flux": _flux,
    "slurm": _slurm,
    "kubernetes": providers.kubernetes,
    "moto": providers.moto,
}


def lacking(needs: tuple[str, ...]) -> str:
    """Why needs can't be met here, "" where they can.

    A need is an engine of the suite, perhaps with its size or kind (`flux=2`, `slurm=debug`; with `flux=0` it is not
    started), a module (`python:grpc`), or a program on PATH.
    """
    names = [need.partition("=")[0] for need in needs]
    if absent := [name for name in names if name in ENGINES and ENGINES[name].missing()]:
        return f"needs {', '.join(absent)}"
    absent = [name for name in names if name not in ENGINES and not _here(name)]
    return f"{', '.join(absent)} is not here" if absent else ""


def _here(need: str) -> bool:
    if need.startswith("python:"):
        return importlib.util.find_spec(need.removeprefix("python:")) is not None
    return shutil.which(need, path=PATH) is not None


def start(need: str) -> AbstractContextManager[dict[str, str]] | None:
    """An engine that was asked for, None where nothing has to be started."""
    name, _, size = need.partition("=")
    return STARTED[name](size) if name in STARTED and size != "0" else None
