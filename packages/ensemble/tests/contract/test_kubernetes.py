"""Kubernetes: the contract over a real API server, on which the test plays the nodes (see kubernetes_cluster.py)."""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("kubernetes", reason="kubernetes is not installed: pip install 'ensemble-python[kubernetes]'")

from ensemble.errors import MemberError
from ensemble.job import Known
from ensemble.member import Options, Unreachable
from ensemble.members.kubernetes import KubernetesMember
from ensemble.testing import SCENARIOS, Scenario, Session, check_member


def _load() -> ModuleType:
    path = Path(__file__).with_name("kubernetes_cluster.py")
    spec = importlib.util.spec_from_file_location("kubernetes_cluster", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


cluster = _load()
NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    missing = [name for name in ("etcd", "kube-apiserver", "openssl") if not cluster.binary(name)]
    if missing:
        pytest.skip(f"no {', '.join(missing)} in KUBEBUILDER_ASSETS or PATH")
    started = cluster.Server(tmp_path_factory.mktemp("kubernetes"))
    yield started
    started.stop()


class Place:
    """A namespace with a node, and members for it."""

    def __init__(self, server: object, folder: Path) -> None:
        self.server = server
        self.namespace = f"n{next(NUMBERS)}"
        (folder / "logs").mkdir()
        (folder / "member").mkdir()
        self.folder = folder / "member"
        self.node = cluster.Node(server, self.namespace, folder / "logs")

    def make(self, **settings: object) -> KubernetesMember:
        given = {"kubeconfig": str(self.server.kubeconfig), "namespace": self.namespace, "image": "i", **settings}
        return KubernetesMember(Options(run="R1", folder=self.folder, settings=given))


@pytest.fixture
def place(server: object, tmp_path: Path) -> Iterator[Place]:
    made = Place(server, tmp_path)
    yield made
    made.node.stop()


# A pod's log has both streams in one, and a directory of the container's is not this machine's.
LOGS = ("output_and_errors_are_kept",)


@pytest.mark.parametrize(
    "scenario", [one for one in SCENARIOS if one.__name__ not in LOGS], ids=lambda scenario: scenario.__name__
)
def test_contract(scenario: Scenario, place: Place) -> None:
    check_member(scenario, place.make)
