"""Slurm, asked through its commands; tools ask about the cluster that this host belongs to, also in a federation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta

from resource_secretary.asking import Depth
from resource_secretary.errors import ArgumentError, CommandFailed, OutputError, SecretaryError
from resource_secretary.providers import Absent, Active, Offering, Unreachable, dispatch_tool, secretary_tool
from resource_secretary.providers.workload import _slurm_accounting as accounts
from resource_secretary.providers.workload import _slurm_jobs as queue
from resource_secretary.providers.workload import _slurm_submit as submits
from resource_secretary.providers.workload import _slurm_text as texts
from resource_secretary.providers.workload._slurm_inventory import SlurmSum, groups, sums
from resource_secretary.providers.workload._slurm_limits import (
    ASSOCIATION,
    CLUSTER,
    SlurmAssociation,
    SlurmCluster,
    read_associations,
    read_clusters,
)
from resource_secretary.providers.workload._slurm_values import utc
from resource_secretary.run import printable
from resource_secretary.values import AbsolutePath, Count, JobId, Name, Text, Word

if TYPE_CHECKING:
    from resources.documents import Inventory
    from resources.resource import Resource

_PING = re.compile(r"^Slurmctld\((\w+)\) at (\S+) is (\w+)", re.MULTILINE)
_PRIVATE = re.compile(r"^PrivateData\s*=\s*(\S*)", re.MULTILINE)  # slurm.conf(5): also of jobs of others
_NODES = ("--details", "--oneliner", "show", "nodes")
_QUEUE = ("--noheader", "--local")
GpuType = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(?![\s\S])", max_length=64)]
MiB = Annotated[int, Meta(ge=1, le=2**40)]


@dataclass(frozen=True, slots=True)
class Controller:
    """role: primary or backup. state: UP or DOWN."""

    role: str
    host: str
    state: str


@dataclass(frozen=True, slots=True)
class Slurm:
    version: str
    controllers: tuple[Controller, ...]


@dataclass(frozen=True, slots=True)
class SlurmCancelled:
    """A job that Slurm was told to cancel, and its state after that: COMPLETING while its processes still end."""

    job_id: str
    state: str


class SlurmProvider(Offering):
    category = "workload"
    name = "slurm"
    description = "Slurm Workload Manager: partitions, nodes and what is free on them, jobs, limits and accounting."
    fresh_for = 60.0
    variables = ("SLURM_CONF", "SLURM_CONF_SERVER")

    def probe(self) -> Active[Slurm] | Absent | Unreachable:
        if not self.system.which("scontrol"):
            return Absent("the command scontrol on PATH")
        ping = self.system.run("scontrol", "ping")
        if not ping.ok:
            return ping.unreachable()
        controllers = tuple(Controller(*match.groups()) for match in _PING.finditer(ping.stdout))
        if not any(one.state == "UP" for one in controllers):
            said = printable(" ".join(ping.stdout.split()))[:200] or "nothing"
            return Unreachable("scontrol ping", f"no controller is up, it said: {said}", ping.code)
        version = self.system.run("scontrol", "--version")
        if not version.ok:
            return version.unreachable()
        return Active(Slurm((version.stdout.split() or [""])[-1], controllers))

    @secretary_tool
    def partitions(self) -> list[texts.SlurmPartition]:
        """The partitions (queues): state, limits, defaults, who may use them, and their nodes."""
        return texts.read_partitions(self._scontrol("--oneliner", "show", "partitions"))

    @secretary_tool
    def nodes(
        self, state: Literal["any", "up", "down", "drained", "unknown"] = "any", partition: Name | None = None
    ) -> list[texts.SlurmNode]:
        """The nodes: state, cores, memory and GPUs, and what of them is free.
        state: those in this state only.
        partition: those of this partition only."""
        found = [node for node in self._nodes() if state in ("any", node.state)]
        return [node for node in found if partition is None or partition in node.partitions]

    @secretary_tool
    def summary(self, by: Literal["partition", "state", "cluster"] = "partition") -> list[SlurmSum]:
        """How many nodes are up, down and drained, and their cores, memory and GPUs by type, in all and free.
        by: one row for each partition, for each state, or one for the whole cluster."""
        return sums(self._nodes(), by)

    @secretary_tool
    def reservations(self) -> list[texts.SlurmReservation]:
        """The reservations: when, which nodes, and for whom."""
        return texts.read_reservations(self._scontrol("--oneliner", "show", "reservations"))

    @secretary_tool
    def licenses(self) -> list[texts.SlurmLicense]:
        """The licenses that Slurm counts, and how many of them are free."""
        return texts.read_licenses(self._scontrol("--oneliner", "show", "licenses"))

    @secretary_tool
    def jobs(
        self,
        user: Name | None = None,
        everyone: bool = False,
        state: Literal["any", "pending", "running"] = "any",
        partition: Name | None = None,
    ) -> list[queue.SlurmJob]:
        """The jobs in the queue: state, reason, what they ask for, start and end. By default those of this user.
        user: the jobs of this user instead.
        everyone: the jobs of all users that Slurm shows.
        state: those that wait, or those that run; "any" has those that end, too.
        partition: those of this partition only."""
        options = [] if everyone else [f"--user={user or self.system.user()}"]
        options += [] if state == "any" else [f"--states={state.upper()}"]
        options += [] if partition is None else [f"--partition={partition}"]
        layout = f"--format={'|'.join(queue.SQUEUE.values())}"
        return queue.read_queue(self.system.run("squeue", *_QUEUE, *options, layout).text())

    @secretary_tool
    def job(self, job_id: JobId) -> queue.SlurmJobDetail:
        """Everything that the controller knows of one job, also for some minutes after its end.
        job_id: its id, such as 12, or 12_3 of an array."""
        return self._job(_checked("job", job_id))

    @secretary_tool
    def accounting(self, job_id: JobId) -> accounts.SlurmAccount:
        """What became of a job: state, exit code, times, memory and CPU time used.
        Asks the accounting database (sacct); where there is none or it refuses, the controller (scontrol, then squeue),
        which forgets jobs some minutes after their end. The answer says who was asked.
        job_id: its id, such as 12, or 12_3 of an array."""
        job = _checked("accounting", job_id)
        tried: list[str] = []
        try:
            if found := self._sacct(job):
                return accounts.account_of(found, ())
            tried.append("sacct: it knows no such job")
        except SecretaryError as error:
            tried.append(str(error))
        try:
            return accounts.account_of_detail(self._job(job), tuple(tried))
        except SecretaryError as error:
            tried.append(str(error))
        try:
            layout = f"--format={'|'.join(queue.SQUEUE.values())}"
            text = self.system.run("squeue", *_QUEUE, "--states=all", f"--jobs={job}", layout).text()
            for one in queue.read_queue(text):
                if not one.unread:
                    return accounts.account_of_queued(one, tuple(tried))
            tried.append("squeue: it knows no such job")
        except SecretaryError as error:
            tried.append(str(error))
        raise CommandFailed(f"the accounting of job {job}", "; ".join(tried))

    @secretary_tool
    def associations(self, user: Name | None = None) -> list[SlurmAssociation]:
        """The accounts that a user may charge, and their limits. Needs the accounting database.
        user: whose; by default this user's."""
        who = ("where", f"user={user or self.system.user()}")
        answer = self._sacctmgr("show", "associations", *who, f"format={','.join(ASSOCIATION)}")
        return read_associations(answer)

    @secretary_tool
    def clusters(self) -> list[SlurmCluster]:
        """The clusters that share the accounting database, and their federations. Other tools ask only this one."""
        return read_clusters(self._sacctmgr("show", "clusters", f"format={','.join(CLUSTER)}"))

    @secretary_tool
    def depth(self) -> Depth:
        """The queue: jobs that wait (each of an array counts), jobs that run, and the cores that those that wait ask
        for; null cores where nodes have different numbers of CPUs for a core. Fails where a site shows users only
        their own jobs."""
        hidden = _PRIVATE.search(self.system.run("scontrol", "show", "config").stdout)
        if hidden and "jobs" in hidden[1].split(",") and self.system.user() != "root":
            raise CommandFailed("squeue", "this site shows users only their own jobs (slurm.conf: PrivateData=jobs)")
        rows = queue.read_depth(self.system.run("squeue", *_QUEUE, "--array", "--format=%T|%C").text())
        waiting = [cpus for state, cpus in rows if state == "PENDING"]
        of_core = self._cpus_of_core() if waiting else 1
        return Depth(
            pending=len(waiting),
            running=sum(1 for state, _ in rows if state in ("RUNNING", "COMPLETING", "CONFIGURING")),
            pending_cores=sum(-(-cpus // of_core) for cpus in waiting) if of_core else None,
        )

    @secretary_tool
    def start(
        self,
        nodes: Count = 1,
        tasks: Count | None = None,
        cores: Count | None = None,
        gpus: Count | None = None,
        gpu_type: GpuType | None = None,
        memory: MiB | None = None,
        walltime: Count | None = None,
        partition: Name | None = None,
        account: Name | None = None,
    ) -> submits.SlurmStart:
        """When Slurm expects that such a job would start (sbatch --test-only); nothing is submitted.
        nodes: how many nodes.
        tasks: how many tasks in all; by default one on each node.
        cores: cores of each task.
        gpus: GPUs of each node.
        gpu_type: their type, as the nodes tell it.
        memory: MiB of each node.
        walltime: seconds that it may run.
        partition: the partition; by default the site's.
        account: the account to charge; by default the user's."""
        wanted = submits.Wanted(nodes, tasks, cores, gpus, gpu_type, memory, walltime, partition, account)
        said, found = self._test(wanted.options())
        if found is None:
            raise OutputError("sbatch --test-only", "", f"no start in what it says: {said}")
        start, cpus, where, part = found
        return submits.SlurmStart(utc(start), cpus, where, part)

    @dispatch_tool
    def submit(
        self,
        argv: list[Word],
        job_name: Text = "job",
        nodes: Count = 1,
        tasks: Count | None = None,
        cores: Count | None = None,
        gpus: Count | None = None,
        gpu_type: GpuType | None = None,
        memory: MiB | None = None,
        walltime: Count | None = None,
        partition: Name | None = None,
        account: Name | None = None,
        workdir: AbsolutePath | None = None,
        output: AbsolutePath | None = None,
    ) -> submits.SlurmSubmitted:
        """Submit a batch job that runs one command, on its first node; `srun` as its first word starts all tasks.
        It gets the user's login environment on the node and Slurm's variables, nothing of where this runs but HOME,
        USER, LOGNAME, SHELL, PATH, LANG and TZ.
        argv: the command as a list of words; no shell reads them.
        job_name: its name in listings.
        nodes: how many nodes.
        tasks: how many tasks in all; by default one on each node.
        cores: cores of each task.
        gpus: GPUs of each node.
        gpu_type: their type, as the nodes tell it.
        memory: MiB of each node.
        walltime: seconds that it may run.
        partition: the partition; by default the site's.
        account: the account to charge; by default the user's.
        workdir: where it runs; by default the home of this user.
        output: the file for its output and errors; by default slurm-ID.out in workdir."""
        if not argv or not argv[0]:
            raise ArgumentError("submit", "argv", "must have a command as its first word")
        wanted = submits.Wanted(nodes, tasks, cores, gpus, gpu_type, memory, walltime, partition, account)
        home = self.system.environ.get("HOME", "")
        folder = workdir or (home if home.startswith("/") else "/")
        kept = [name for name in submits.ENVIRONMENT if name in self.system.environ]
        options = [f"--job-name={job_name}", f"--chdir={folder}", f"--export={','.join(kept) or 'NONE'}"]
        options += [f"--output={output}"] if output else []
        script = submits.script(argv)
        ran = self.system.run("sbatch", "--parsable", *options, *wanted.options(), stdin=script)
        if ran.problem and ran.code is None and "no answer" in ran.problem:
            raise CommandFailed("sbatch", f"{ran.problem}: whether the job was submitted is not known")
        return submits.read_submitted(ran.text(), script)

    @dispatch_tool
    def cancel(self, job_id: JobId) -> SlurmCancelled:
        """Cancel a job, or one of an array, and tell its state after that.
        job_id: its id, such as 12, or 12_3 of an array."""
        job = _checked("cancel", job_id)
        # scancel says nothing and exits 0 for a job that is not there: ask first.
        before = self._job(job)
        self.system.run("scancel", job).text()
        try:
            after = self._job(job).state
        except SecretaryError:
            after = ""  # it is gone already
        return SlurmCancelled(job, after or f"gone; it was {before.state}")

    def inventory(self) -> Inventory:
        """Every node as Slurm has it. Nothing is known to be free on a node that is not up.

        Free memory is what Slurm would give out: where it does not manage memory, all of it. Of a node whose record
        can't be read only the name is there, its state unknown.
        """
        from resources.documents import Inventory
        from resources.errors import InputError

        try:
            made = groups(self._nodes())
            return Inventory(made, observed_at=self.system.now(), observed_on=self.system.where())
        except InputError as error:
            raise OutputError("scontrol show nodes", "", str(error)) from None

    def estimated_start(self, need: Resource) -> float | None:
        """What `sbatch --test-only` says for it; None where the request can't be said to it.

        Raises CommandFailed with what it said where it refuses.
        """
        options = submits.options_of(need)
        if options is None or not self.system.which("sbatch"):
            return None
        _, found = self._test(options)
        return found[0] if found else None

    def _test(self, options: list[str]) -> tuple[str, tuple[float, int, str, str] | None]:
        ran = self.system.run("sbatch", "--test-only", "--export=NONE", *options, stdin=submits.script(["true"]))
        text = ran.text()
        said = printable(f"{ran.stderr} {text}".strip())[:2000]
        return said, submits.read_start(f"{ran.stderr}\n{text}")

    def _job(self, job: str) -> queue.SlurmJobDetail:
        from resource_secretary.providers.workload._slurm_json import read_job_json

        told = self.system.run("scontrol", "--json", "show", "job", job)
        if told.ok:
            try:
                return read_job_json(told.stdout, job)
            except OutputError:
                pass  # a schema of its own: the text is there too
        return queue.read_job(self._scontrol("--oneliner", "show", "job", job))

    def _sacct(self, job: str) -> accounts.Found | None:
        layout = f"--format={','.join(accounts.SACCT)}"
        # A database that hangs must leave time for the controller.
        system = self.system.within(max(self.system.left() / 2, 0.1))
        ran = system.run("sacct", "--noheader", "--parsable2", "--local", f"--jobs={job}", layout)
        return accounts.read_accounting(ran.text(), job)

    def _cpus_of_core(self) -> int | None:
        """How many CPUs of Slurm a core is; None where nodes differ."""
        text = self.system.run("sinfo", "--noheader", "--exact", "--format=%c|%X|%Y").text()
        found = set()
        for line in text.split():
            words = line.split("|")
            if len(words) != 3 or not all(word.isascii() and word.isdecimal() and len(word) < 9 for word in words):
                return None
            cpus, sockets, cores = (int(word) for word in words)
            if not sockets * cores or cpus % (sockets * cores):
                return None
            found.add(cpus // (sockets * cores))
        return found.pop() if len(found) == 1 else None

    def _nodes(self) -> list[texts.SlurmNode]:
        text = self._scontrol(*_NODES)
        try:
            return texts.read_nodes(text)
        except OutputError:
            from resource_secretary.providers.workload._slurm_json import read_nodes_json

            told = self.system.run("scontrol", "--json", "show", "nodes")
            if not told.ok:
                raise
            return read_nodes_json(told.stdout)

    def _scontrol(self, *words: str) -> str:
        return self.system.run("scontrol", *words).text()

    def _sacctmgr(self, *words: str) -> str:
        return self.system.run("sacctmgr", "--noheader", "--parsable2", *words).text()


def _checked(tool: str, job: str) -> str:
    """The id, where it is one of Slurm: no word that its commands know otherwise."""
    if not queue.is_job_id(job):
        raise ArgumentError(tool, "job_id", f"must be an id of Slurm, such as 12 or 12_3, not {job!r:.60}")
    return job
