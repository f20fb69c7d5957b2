"""The contract of a member, as scenarios that run it for real. For the tests of plugins, and of the built-in ones.

@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_contract(scenario, tmp_path):
    check_member(scenario, lambda: MyMember(Options(outputs=tmp_path / "out")))
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from ensemble.document import Action, JobGroup, Rule
from ensemble.events import RAW, Event, outcome
from ensemble.member import Job, Member

PATIENCE = 20.0  # seconds for any one thing to happen


class ContractError(AssertionError):
    """A plugin does not do what its kind must do."""


class Session:
    """A member that is open, and the events that it has told."""

    def __init__(self, member: Member) -> None:
        self.member = member
        self.events: list[Event] = []
        self._groups = 0
        self._news = asyncio.Event()
        self._lost: Exception | None = None

    def emit(self, event: Event) -> None:
        self.events.append(event)
        self._news.set()

    def lost(self, error: Exception) -> None:
        self._lost = error
        self._news.set()

    async def submit(self, command: list[str], count: int = 1, **fields: Any) -> list[str]:
        """Submit jobs of one command; their names."""
        self._groups += 1
        group = JobGroup(name=f"group-{self._groups}", command=command, count=count, **fields)
        jobs = [Job(f"{group.name}.{number}", group) for number in range(count)]
        await self.member.submit(jobs)
        return [job.name for job in jobs]

    async def until(self, event: str, names: Iterable[str]) -> None:
        """Wait for an event of all these jobs."""
        wanted = set(names)
        try:
            async with asyncio.timeout(PATIENCE):
                while not wanted <= {seen.job for seen in self.events if seen.name == event}:
                    if self._lost:
                        raise self._lost
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise ContractError(f"no {event} of {wanted} within {PATIENCE} s; there were {self.events}") from None

    async def outcomes(self, names: list[str]) -> set[str]:
        """Wait for the jobs to end, check the course of each, and give how they ended."""
        await self.until("clean", names)
        return {_course([event for event in self.events if event.job == name]) for name in names}


def _course(events: list[Event]) -> str:
    names = [event.name for event in events]
    _require(set(names) <= set(RAW), f"events are of {RAW}", events)
    for name in ("submit", "alloc", "start", "finish", "clean"):
        _require(names.count(name) <= 1, f"{name} comes once", events)
    order = [name for name in names if name != "exception"]
    _require(order == sorted(order, key=RAW.index), "they come in order", events)
    _require(names[-1] == "clean", "clean is the last", events)
    _require("finish" in names or "exception" in names, "a job ends by finish or exception", events)
    times = [event.time for event in events]
    _require(times == sorted(times), "their times don't go back", events)
    status, fatal = None, ""
    for event in events:
        if event.name == "finish":
            status = int(event.context["status"])
        elif event.name == "exception" and event.context["severity"] == 0:
            fatal = fatal or str(event.context["type"])
    return outcome(status, fatal)


def _require(condition: bool, what: str, events: list[Event]) -> None:
    if not condition:
        raise ContractError(f"{what}: {[event.as_dict() for event in events]}")


def _ended(found: set[str], wanted: str) -> None:
    if found != {wanted}:
        raise ContractError(f"the jobs should have ended as {wanted}, not {found}")


async def jobs_succeed(session: Session) -> None:
    """Many jobs, each with its whole course of events."""
    names = await session.submit(["true"], count=5)
    _ended(await session.outcomes(names), "success")
    if not {"submit", "alloc", "start", "finish"} <= {event.name for event in session.events}:
        raise ContractError(f"a job that runs has submit, alloc, start and finish: {session.events}")


async def a_job_fails(session: Session) -> None:
    """The exit code of a job is in its status."""
    names = await session.submit(["sh", "-c", "exit 3"])
    _ended(await session.outcomes(names), "failed")
    statuses = [event.context["status"] for event in session.events if event.name == "finish"]
    if statuses != [3 << 8]:
        raise ContractError(f"exit code 3 is the wait status {3 << 8}, not {statuses}")


async def a_command_is_missing(session: Session) -> None:
    """A command that can't be started is an exception, and ends the job."""
    _ended(await session.outcomes(await session.submit(["/no/such/command"])), "exception")


async def a_job_never_fits(session: Session) -> None:
    """A job that can never run is an exception, not a hang, and holds up no other."""
    names = await session.submit(["true"], tasks=1_000_000)
    others = await session.submit(["true"])
    _ended(await session.outcomes(names), "exception")
    _ended(await session.outcomes(others), "success")


async def a_running_job_is_cancelled(session: Session) -> None:
    """Cancelling ends a job that runs."""
    names = await session.submit(["sleep", "60"])
    await session.until("start", names)
    await session.member.cancel(names)
    _ended(await session.outcomes(names), "cancelled")


async def waiting_jobs_are_cancelled(session: Session) -> None:
    """Jobs are cancelled right after they were submitted, whether they run yet or not."""
    names = await session.submit(["sleep", "60"], count=20)
    await session.member.cancel(names)
    _ended(await session.outcomes(names), "cancelled")


async def a_job_that_has_ended_is_left_alone(session: Session) -> None:
    """Cancelling what has ended, or was never there, changes nothing."""
    names = await session.submit(["true"])
    _ended(await session.outcomes(names), "success")
    told = len(session.events)
    await session.member.cancel([*names, "nobody.7"])
    _ended(await session.outcomes(await session.submit(["true"])), "success")
    if any(event.job in (*names, "nobody.7") for event in session.events[told:]):
        raise ContractError(f"a job that has ended has no more events: {session.events[told:]}")


async def a_time_limit_is_kept(session: Session) -> None:
    """A job that runs longer than its duration ends as a timeout."""
    _ended(await session.outcomes(await session.submit(["sleep", "60"], duration=1)), "timeout")


Scenario = Callable[[Session], Awaitable[None]]
SCENARIOS: tuple[Scenario, ...] = (
    jobs_succeed,
    a_job_fails,
    a_command_is_missing,
    a_job_never_fits,
    a_running_job_is_cancelled,
    waiting_jobs_are_cancelled,
    a_job_that_has_ended_is_left_alone,
    a_time_limit_is_kept,
)


def check_member(scenario: Scenario, make: Callable[[], Member]) -> None:
    """Run one scenario on a fresh member. Raises ContractError."""

    async def run() -> None:
        session = Session(make())
        try:
            await session.member.open(session.emit, session.lost)
            await scenario(session)
        finally:
            await session.member.close()

    asyncio.run(run())


def check_action(function: Callable[..., Any], arguments: Mapping[str, Any]) -> list[Action | Rule]:
    """Call a custom action as a run would, and give what it returned as a list. Raises ContractError."""
    value = function(**arguments)
    items = list(value) if isinstance(value, (list, tuple)) else [] if value is None else [value]
    for item in items:
        if not isinstance(item, (Action, Rule)):
            raise ContractError(f"an Action, a Rule, a list of them or None is expected, not {type(item).__name__}")
    return items


__all__ = ["SCENARIOS", "ContractError", "Session", "check_action", "check_member"]
