"""The Flux instance that this process can reach, asked through the `flux` command."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from resource_secretary.asking import Depth
from resource_secretary.errors import ArgumentError, CommandFailed, OutputError
from resource_secretary.providers import Absent, Active, Offering, Unreachable, dispatch_tool, secretary_tool
from resource_secretary.providers.workload._flux_json import (
    FINISHED,
    FluxJob,
    FluxJobDetail,
    read_events,
    read_jobs,
)
from resource_secretary.providers.workload._flux_nodes import (
    DRAINED,
    QUEUE,
    FluxNode,
    FluxQueue,
    nodes_of,
    read_queues,
    read_status,
)
from resource_secretary.reading import MOST_CORES
from resource_secretary.run import printable
from resource_secretary.sidebyside import side_by_side
from resource_secretary.values import AbsolutePath, Count, JobId, Name, Text, Word

if TYPE_CHECKING:
    from resources.documents import Inventory

_VERSION = re.compile(r"^(?:broker|commands):\s*(\S+)", re.MULTILINE)
_QUESTIONS = (
    ("resource", "R", "-s", "all"),
    ("resource", "R", "-s", "free"),
    ("resource", "list", "-s", "down", "-n", "-o", "{ranks}"),
    ("resource", "status", "-s", "drain", "-n", "-o", "{ranks}"),
)


# What a job may have of the environment that submits it; Flux adds its own.
ENVIRONMENT = ("HOME", "USER", "LOGNAME", "SHELL", "PATH", "LANG", "TZ")
_FILTERS = {"any": "pending,running", "pending": "pending", "running": "running", "inactive": "inactive"}


@dataclass(frozen=True, slots=True)
class Flux:
    """size: brokers of the instance. level: 0 for the system's, more for an instance inside another's job."""

    version: str
    size: int
    level: int


@dataclass(frozen=True, slots=True)
class Summary:
    """How many nodes are in which state, and the cores and GPUs of those that are up."""

    up: int
    down: int
    drained: int
    cores: int
    free_cores: int
    gpus: int
    free_gpus: int


@dataclass(frozen=True, slots=True)
class FluxSubmitted:
    """A job that was submitted, by its id."""

    job_id: str


@dataclass(frozen=True, slots=True)
class FluxCancelled:
    """A job that Flux was told to cancel, and its state after that: CLEANUP while its processes still end."""

    job_id: str
    state: str


class FluxProvider(Offering):
    # There is no `estimated_start` of a request: Flux tells one only of jobs that were submitted (`jobs`, `job`).
    category = "workload"
    name = "flux"
    description = (
        "Flux Framework: the instance that this process can reach, its nodes, queues and jobs, and what is free."
    )
    fresh_for = 60.0
    variables = ("FLUX_URI",)

    def probe(self) -> Active[Flux] | Absent | Unreachable:
        if not self.system.which("flux"):
            return Absent("the command flux on PATH")
        # These are built into the command: a few milliseconds each, where `flux resource` starts a Python.
        answers = [
            self.system.run("flux", *words)
            for words in (("getattr", "size"), ("getattr", "instance-level"), ("version",))
        ]
        for answer in answers:
            if not answer.ok:
                return answer.unreachable()
        size, level, version = (answer.stdout for answer in answers)
        versions = _VERSION.findall(version)
        return Active(Flux(versions[-1] if versions else "", _count(size, "size"), _count(level, "instance-level")))

    @secretary_tool
    def resources(self) -> Summary:
        """How many nodes are up, down and drained, and how many cores and GPUs there are and are free."""
        groups = self.inventory().groups
        hosts = Counter[str]()
        amounts = Counter[str]()
        for group in groups:
            hosts[group.state] += len(group.hosts)
            for prefix, part in (("", group.total), ("free ", group.free)):
                if group.state == "up" and part is not None:
                    amounts.update(
                        {
                            prefix + leaf.kind: len(group.hosts) * leaf.N
                            for leaf in (part.get("cores"), part.get("gpus"))
                            if leaf
                        }
                    )
        return Summary(
            hosts["up"],
            hosts["down"],
            hosts["drained"],
            amounts["cores"],
            amounts["free cores"],
            amounts["gpus"],
            amounts["free gpus"],
        )

    @secretary_tool
    def nodes(self, state: Literal["any", "up", "down", "drained"] = "any") -> list[FluxNode]:
        """The nodes by rank: state, cores and GPUs, what of them is free, and why a node is drained.
        state: those in this state only."""
        layout = "|".join(f"{{{name}}}" for name in DRAINED)
        drained = self._answer("resource", "drain", "-n", "-o", layout)
        return [node for node in nodes_of(self.inventory(), drained) if state in ("any", node.state)]

    @secretary_tool
    def queues(self) -> list[FluxQueue]:
        """The queues: whether they take and start jobs, and their limits. One without a name where there are none."""
        status = read_status(self._answer("queue", "status"))
        ran = self.system.run("flux", "queue", "list", "-n", "-o", "|".join(f"{{{name}}}" for name in QUEUE))
        if not ran.ok and "format field" in ran.stderr:  # of an older version: what it is asked for has another name
            return [FluxQueue(name, *told) for name, told in status.items()]
        rows = read_queues(ran.text())
        return [replace(row, reason=status.get(row.name, (None, None, ""))[2]) for row in rows]

    @secretary_tool
    def jobs(
        self,
        user: Name | None = None,
        everyone: bool = False,
        state: Literal["any", "pending", "running", "inactive"] = "any",
    ) -> list[FluxJob]:
        """The jobs that wait or run: state, what they ask for, start and end. By default those of this user.
        user: the jobs of this user instead.
        everyone: the jobs of all users.
        state: those that wait, that run, or the latest 1000 that have ended; "any" is those that wait or run."""
        count = "--count=1000" if state == "inactive" else "--count=0"
        who = ["-A"] if everyone else [f"--user={user or self.system.user()}"]
        return read_jobs(self._answer("jobs", "--json", count, f"--filter={_FILTERS[state]}", *who))

    @secretary_tool
    def job(self, job_id: JobId) -> FluxJobDetail:
        """One job, also after its end: state, resources, exception and its event log.
        job_id: its id, such as f2cNjmSf."""
        jobs = read_jobs(self._answer("jobs", "--json", "--", job_id))
        if len(jobs) != 1:
            raise OutputError("flux jobs --json", job_id, f"one job expected, not {len(jobs)}")
        try:
            return FluxJobDetail(jobs[0], read_events(self._answer("job", "eventlog", "--format=json", "--", job_id)))
        except (CommandFailed, OutputError) as error:  # another user's: only the owner of the instance may read it
            return FluxJobDetail(jobs[0], None, str(error))

    @secretary_tool
    def depth(self) -> Depth:
        """The queue: jobs that wait, jobs that run, and the cores that those that wait ask for; null where one of them
        asks for whole nodes, whose cores are not known before it runs."""
        text = self._answer("jobs", "-A", "--count=0", "--filter=pending,running", "-n", "-o", "{state} {ncores}")
        pending = running = 0
        cores: int | None = 0
        for number, line in enumerate(text.splitlines(), 1):
            state, _, amount = line.strip().partition(" ")
            if state in ("RUN", "CLEANUP"):
                running += 1
            elif state in ("DEPEND", "PRIORITY", "SCHED", "NEW"):
                pending += 1
                told = amount.isascii() and amount.isdecimal() and len(amount) < 9 and int(amount) <= MOST_CORES
                cores = cores + int(amount) if told and cores is not None else None
            elif state:
                raise OutputError("flux jobs", f"line {number}", f"a state expected, not {printable(line[:40])!r}")
        return Depth(pending, running, cores)

    @dispatch_tool
    def submit(
        self,
        argv: list[Word],
        job_name: Text | None = None,
        nodes: Count | None = None,
        tasks: Count = 1,
        cores: Count = 1,
        gpus: Count | None = None,
        walltime: Count | None = None,
        queue: Name | None = None,
        bank: Name | None = None,
        workdir: AbsolutePath | None = None,
        output: AbsolutePath | None = None,
    ) -> FluxSubmitted:
        """Submit a job that runs a command in every task. Of the environment here it gets HOME, USER, LOGNAME, SHELL,
        PATH, LANG and TZ.
        argv: the command as a list of words; no shell reads them.
        job_name: its name in listings; by default the command's.
        nodes: how many nodes; by default as few as it fits on.
        tasks: how many tasks in all.
        cores: cores of each task.
        gpus: GPUs of each task.
        walltime: seconds that it may run.
        queue: the queue; by default the site's.
        bank: the bank to charge; by default the user's.
        workdir: where it runs; by default the home of this user.
        output: the file for its output and errors; by default Flux keeps the output."""
        if not argv or not argv[0]:
            raise ArgumentError("submit", "argv", "must have a command as its first word")
        home = self.system.environ.get("HOME", "")
        options = [f"--ntasks={tasks}", f"--cores-per-task={cores}"]
        options.append(f"--cwd={workdir or (home if home.startswith('/') else '/')}")
        options += ["--env=-*", *(f"--env={name}" for name in ENVIRONMENT if name in self.system.environ)]
        given = {"nodes": nodes, "gpus-per-task": gpus, "queue": queue, "bank": bank, "job-name": job_name}
        options += [f"--{name}={value}" for name, value in given.items() if value]
        options += [f"--time-limit={walltime}s"] if walltime else []
        options += [f"--output={output}"] if output else []
        ran = self.system.run("flux", "submit", *options, "--", *argv)
        if ran.problem and "no answer" in ran.problem:
            raise CommandFailed("flux submit", f"{ran.problem}: whether the job was submitted is not known")
        words = ran.text().split()
        if len(words) != 1:
            raise OutputError("flux submit", "", f"a job id expected, not {printable(ran.stdout.strip()[:200])!r}")
        return FluxSubmitted(words[0])

    @dispatch_tool
    def cancel(self, job_id: JobId) -> FluxCancelled:
        """Cancel a job, and tell its state after that.
        job_id: its id, such as f2cNjmSf."""
        before = read_jobs(self._answer("jobs", "--json", "--", job_id))[0]
        if before.state in FINISHED:
            raise CommandFailed("flux cancel", f"the job {job_id} has ended already: {before.state}")
        self._answer("cancel", "--", job_id)
        return FluxCancelled(job_id, read_jobs(self._answer("jobs", "--json", "--", job_id))[0].state)

    def inventory(self) -> Inventory:
        """Every node with the ids of its cores and GPUs. Flux keeps no memory in its resource set, so there is none."""
        from resource_secretary.providers.workload._flux_text import read_inventory

        asked = [partial(self._answer, *words) for words in _QUESTIONS]
        answers = []
        for words, outcome in zip(_QUESTIONS, side_by_side(asked, self.system.timeout + 1), strict=True):
            if outcome is None:
                raise CommandFailed(f"flux {' '.join(words)}", f"no answer in {self.system.timeout:g} s")
            if outcome.error is not None:
                raise outcome.error
            answers.append(outcome.value or "")
        return replace(read_inventory(*answers), observed_at=self.system.now(), observed_on=self.system.where())

    def _answer(self, *words: str) -> str:
        return self.system.run("flux", *words).text()


def _count(text: str, what: str) -> int:
    word = text.strip()
    if not (word.isascii() and word.isdecimal() and len(word) < 10):
        raise OutputError(f"flux getattr {what}", "", f"a number expected, not {text[:40]!r}")
    return int(word)
