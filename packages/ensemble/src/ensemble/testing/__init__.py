"""The contract of a member, as scenarios that run it for real. For the tests of plugins, and of the built-in ones.

@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_contract(scenario, tmp_path):
    check_member(scenario, lambda: MyMember(Options(folder=tmp_path)))
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from ensemble.document import Action, Rule
from ensemble.events import COURSE, FLUX_EVENTS, RAW, Event, outcome
from ensemble.job import Job, Known, Spec
from ensemble.member import Member

PATIENCE = 20.0  # seconds for any one thing to happen


class ContractError(AssertionError):
    """A plugin does not do what its kind must do."""


class Session:
    """A member that is open, and the events that it has told.

    make: a member of the given folder; asked again, it is another object that finds what the first one left.
    """

    def __init__(self, make: Callable[[], Member]) -> None:
        self.make = make
        self.member = make()
        self.events: list[Event] = []
        self.jobs: dict[str, Job] = {}
        self._news = asyncio.Event()
        self._lost: Exception | None = None

    def emit(self, event: Event) -> None:
        self.events.append(event)
        self._news.set()

    def lost(self, error: Exception) -> None:
        self._lost = error
        self._news.set()

    def prepare(self, command: Sequence[str], count: int = 1, **fields: Any) -> list[Job]:
        """Jobs of one command; nothing is submitted."""
        group = f"group-{len(self.jobs)}"
        run = self.member.options.run
        jobs = []
        for number in range(count):
            name = f"{group}.{number}"
            jobs.append(Job(name, f"{run}-{name}", Spec(group, tuple(command), **fields)))
        self.jobs |= {job.name: job for job in jobs}
        return jobs

    async def submit(self, command: Sequence[str], count: int = 1, **fields: Any) -> list[str]:
        """Submit jobs of one command; their names."""
        jobs = self.prepare(command, count, **fields)
        await self.member.submit(jobs)
        return [job.name for job in jobs]

    async def again(self) -> None:
        """Leave what runs to itself, and open another member in its place."""
        await self.member.close(leave=True)
        self.member = self.make()
        await self.member.open(self.emit, self.lost)

    def known(self, names: Iterable[str]) -> list[Known]:
        """What the events so far tell of these jobs."""
        found = []
        for name in names:
            mine = [event for event in self.events if event.job == name]
            ids = [str(event.context.get("id", "")) for event in mine if event.name == "submit"]
            course = [event.name for event in mine if event.name in COURSE]
            found.append(Known(self.jobs[name], (ids or [""])[0], course[-1] if course else ""))
        return found

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

    async def output(self, name: str, stream: str = "out") -> bytes:
        """The whole output of a job, waited for until it is there."""
        async with asyncio.timeout(PATIENCE):
            while not (data := await self.member.read(name, stream, 0)):
                await asyncio.sleep(0.1)
        return data


def _course(events: list[Event]) -> str:
    names = [event.name for event in events]
    known = {*RAW, *FLUX_EVENTS, "requeue"}
    _require(set(names) <= known, f"events are of {sorted(known)}", events)
    for name in ("submit", "alloc", "start", "finish", "clean"):
        _require(names.count(name) <= 1, f"{name} comes once", events)
    order = [name for name in names if name in COURSE]
    _require(order == sorted(order, key=COURSE.index), "they come in order", events)
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
    names = await session.submit(["true"], tasks=1_000_000, nodes=0)
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


async def environment_and_workdir(session: Session) -> None:
    """A job has what its spec sets beside what it inherits, and runs where the spec says."""
    names = await session.submit(
        ["sh", "-c", 'echo "$GREETING in $(pwd) $HOME"'], environment={"GREETING": "a 'b' $c"}, workdir="/"
    )
    _ended(await session.outcomes(names), "success")
    told = (await session.output(names[0])).decode()
    if not told.startswith("a 'b' $c in / /"):
        raise ContractError(f"GREETING, the directory / and HOME should be told, not {told!r}")


async def output_and_errors_are_kept(session: Session) -> None:
    """Both streams of a job can be read after its end, from any place in them."""
    names = await session.submit(["sh", "-c", "echo to out; echo to err >&2; exit 1"])
    _ended(await session.outcomes(names), "failed")
    if (await session.output(names[0]), await session.output(names[0], "err")) != (b"to out\n", b"to err\n"):
        raise ContractError("both streams are kept, each in its place")
    if await session.member.read(names[0], "out", 3) != b"out\n":
        raise ContractError("reading starts at the offset")
    if await session.member.read(names[0], "out", -4) != b"out\n":
        raise ContractError("a negative offset counts from the end")


async def output_is_read_while_it_runs(session: Session) -> None:
    """What a job has written can be read before its end, where its spec says that somebody does."""
    names = await session.submit(["sh", "-c", "echo early; exec sleep 60"], metrics=True)
    await session.until("start", names)
    if await session.output(names[0]) != b"early\n":
        raise ContractError("what the job wrote can be read")
    await session.member.cancel(names)
    _ended(await session.outcomes(names), "cancelled")


async def a_running_job_is_adopted(session: Session) -> None:
    """A job that runs goes on when its run is left, and the next member tells how it ended."""
    names = await session.submit(["sleep", "2"])
    await session.until("start", names)
    await session.again()
    absent = await session.member.adopt(session.known(names))
    if absent:
        raise ContractError(f"{names} should be found, not absent")
    _ended(await session.outcomes(names), "success")


async def a_job_that_ended_meanwhile_is_adopted(session: Session) -> None:
    """How a job ended is known, too, where it ended while nobody listened; a failure stays one."""
    good = await session.submit(["sleep", "0.5"])
    bad = await session.submit(["sh", "-c", "sleep 0.5; exit 3"])
    await session.until("start", [*good, *bad])
    await session.member.close(leave=True)
    await asyncio.sleep(2)
    session.member = session.make()
    await session.member.open(session.emit, session.lost)
    absent = await session.member.adopt(session.known([*good, *bad]))
    if absent:
        raise ContractError(f"{absent} should be found, not absent")
    _ended(await session.outcomes(good), "success")
    _ended(await session.outcomes(bad), "failed")


async def found_by_its_token(session: Session) -> None:
    """Of a job that was submitted, but whose id nobody took down, the token tells; one never submitted is absent."""
    jobs = session.prepare(["sleep", "1"], count=2)
    await session.member.submit(jobs[:1])
    await session.until("submit", [jobs[0].name])
    await session.again()
    session.events.clear()
    absent = await session.member.adopt([Known(job) for job in jobs])
    if set(absent) != {jobs[1].name}:
        raise ContractError(f"{jobs[1].name} alone is absent, not {sorted(absent)}")
    await session.member.submit(jobs[1:])
    _ended(await session.outcomes([job.name for job in jobs]), "success")


async def adopted_and_cancelled(session: Session) -> None:
    """A job that was adopted can be cancelled."""
    names = await session.submit(["sleep", "60"])
    await session.until("start", names)
    await session.again()
    await session.member.adopt(session.known(names))
    await session.member.cancel(names)
    _ended(await session.outcomes(names), "cancelled")


async def closing_cancels(session: Session) -> None:
    """What still runs when a member is closed without being left is cancelled."""
    names = await session.submit(["sleep", "60"])
    await session.until("start", names)
    await session.member.close()
    session.member = session.make()
    await session.member.open(session.emit, session.lost)
    await session.member.adopt(session.known(names))
    _ended(await session.outcomes(names), "cancelled")


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
    environment_and_workdir,
    output_and_errors_are_kept,
    output_is_read_while_it_runs,
    a_running_job_is_adopted,
    a_job_that_ended_meanwhile_is_adopted,
    found_by_its_token,
    adopted_and_cancelled,
    closing_cancels,
)


def check_member(scenario: Scenario, make: Callable[[], Member]) -> None:
    """Run one scenario on a fresh member. Raises ContractError.

    make: gives a member; called again within a scenario it gives another one with the same options, folder included.
    """

    async def run() -> None:
        session = Session(make)
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
