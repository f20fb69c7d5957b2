"""What the tests of this package share."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from resources.kinds import REGISTRY

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples" / "plugins"
SHARED = ROOT.parent / "shared"


@pytest.fixture
def shared() -> Path:
    """The folder of real data beside the repository."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared beside the repository: real data to test on is missing")
    return SHARED


@pytest.fixture
def bandwidth(monkeypatch):
    """The example kind, on the import path as PYTHONPATH would put it there."""
    folder = EXAMPLES / "hpc-resources-example" / "src"
    if not folder.is_dir():
        pytest.skip("no examples/ beside packages/: the example plugin is missing")
    monkeypatch.syspath_prepend(str(folder))
    REGISTRY.refresh()
    yield REGISTRY.load("bandwidth")
    sys.modules.pop("resources_bandwidth", None)
    REGISTRY.refresh()
