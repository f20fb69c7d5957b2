from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # the module `growing`

from growing import RunningLead, running_lead


@pytest.fixture(scope="module")
def lead(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[RunningLead]:
    """A lead with the slots `SLOTS` of the module."""
    if not shutil.which("flux"):
        pytest.skip("Flux is not here: no `flux` on PATH")
    with running_lead(tmp_path_factory.mktemp("lead"), request.module.SLOTS) as made:
        yield made
