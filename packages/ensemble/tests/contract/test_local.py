"""The local member, and the supervisor behind it: the contract, and what is its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from ensemble.member import Options
from ensemble.members.local import LocalMember
from ensemble.testing import SCENARIOS, Scenario, check_member


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_contract(scenario: Scenario, tmp_path: Path) -> None:
    check_member(scenario, lambda: LocalMember(Options(cores=2, folder=tmp_path)))
