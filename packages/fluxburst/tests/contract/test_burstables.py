from __future__ import annotations

import pytest
from resources.testing import check_registry

from fluxburst.burstables import mock
from fluxburst.model import Sighting
from fluxburst.plugins import REGISTRY
from fluxburst.testing import check_burstable

BUILT_IN = ["compute-engine", "ec2", "gke", "kubernetes", "local", "mock", "slurm"]


def test_the_registry_keeps_the_rules():
    check_registry(REGISTRY)


def test_every_built_in_is_checked():
    assert [name for name in REGISTRY.names() if REGISTRY.found(name).origin == "built-in"] == BUILT_IN


@pytest.mark.parametrize("name", ["mock"])
def test_a_built_in_keeps_the_contract(name):
    check_burstable(name, create=name == "mock")  # the others need a lead


def test_the_third_party_example(examples, monkeypatch, tmp_path):
    folder = examples / "plugins" / "fluxburst-example"
    monkeypatch.syspath_prepend(str(folder))
    REGISTRY.refresh()
    try:
        assert REGISTRY.found("example").origin == str(folder)
        check_burstable("example", create=True, folder=tmp_path)
        assert len((folder / "fluxburst_example.py").read_text().splitlines()) <= 40
    finally:
        REGISTRY.refresh()


def test_the_contract_can_fail(monkeypatch):
    monkeypatch.setattr(mock.MockBurst, "create", lambda self, burst: None)
    with pytest.raises(AssertionError, match="one name made 0 bursts"):
        check_burstable("mock", create=True)


def test_the_contract_sees_a_burst_that_is_made_twice(monkeypatch):
    made: list[Sighting] = []
    monkeypatch.setattr(mock.MockBurst, "create", lambda self, burst: made.append(Sighting(burst.name, "pending")))
    monkeypatch.setattr(mock.MockBurst, "status", lambda self, known=(): made)
    with pytest.raises(AssertionError, match="one name made 2 bursts"):
        check_burstable("mock", create=True)
