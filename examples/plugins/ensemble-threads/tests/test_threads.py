"""The member keeps the contract of members, scenario by scenario, with real jobs."""

import pytest
from ensemble_threads import ThreadsMember

from ensemble.member import Options
from ensemble.testing import SCENARIOS, Session, check_member


@pytest.fixture
def make(tmp_path):
    return lambda: ThreadsMember(Options(folder=tmp_path, interval=0.1, cores=4))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_it_keeps_the_contract(scenario, make):
    check_member(scenario, make)


def test_jobs_are_told_their_threads(make):
    async def scenario(session: Session) -> None:
        names = await session.submit(["sh", "-c", "echo $OMP_NUM_THREADS"], cores=3)
        assert await session.outcomes(names) == {"success"}
        assert await session.output(names[0]) == b"3\n"

    check_member(scenario, make)


def test_what_the_file_says_wins(make):
    async def scenario(session: Session) -> None:
        names = await session.submit(["sh", "-c", "echo $OMP_NUM_THREADS"], environment={"OMP_NUM_THREADS": "1"})
        assert await session.outcomes(names) == {"success"}
        assert await session.output(names[0]) == b"1\n"

    check_member(scenario, make)
