"""Brokers inside a Slurm allocation: a Flux cluster that grows into a Slurm cluster.

A burst is one batch job that bears its name and, as its comment, its owner. It runs one broker on each of its nodes,
as one step; a node that fails takes its own broker along and no other. The job ends by itself: its time limit is its
lease, and each broker is told to leave at the deadline, however long the job has waited. The lead's folder must be
on a file system that the nodes share with this machine: the certificate is read from there, by its owner alone, and
is neither in the job's script nor in its environment, which administrators can see.
"""

from __future__ import annotations

import math
import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from fluxburst.burstables import _private_files as files
from fluxburst.burstables import _slurm_output as slurm_output
from fluxburst.commands import Said, call
from fluxburst.errors import ConfigurationError, ParameterError, UncertainError
from fluxburst.lead import LeadError
from fluxburst.model import Burst, NodeShape, Sighting, amount
from fluxburst.plugins import BurstPlugin

# What a job gets of this process's environment: no credentials, nothing of another Flux or of an allocation around.
KEPT = {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "LD_LIBRARY_PATH", "PYTHONPATH", "SLURM_CONF"}
FIELDS = "%i|%T|%r|%V|%N|%k|%j"  # squeue(1)
OUTPUT, READ = 4096, 1 << 20  # bytes: of the output that are shown, and that are read
_VALUE = re.compile(r"[^\s\x00-\x1f\x7f-][^\s\x00-\x1f\x7f]{0,254}")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_NOTE = re.compile(r"^(\d+): flux-burst: (\S+) (?:is on (\S+)|has ended: (\d+))$", re.MULTILINE)

SCRIPT = """\
#!/bin/sh
exec srun --nodes={nodes} --ntasks={nodes} --ntasks-per-node=1 --kill-on-bad-exit=0 --no-kill --wait=0 --overlap \\
  --mpi=none --cpu-bind=none --label --unbuffered --export=ALL sh -c {task} flux-burst {hosts}
"""
# Slurm tells every process of a step to end. A broker that is told twice does not leave cleanly, so nobody else
# passes it on.
TASK = """\
shift "$SLURM_PROCID"
if [ {deadline} -gt 0 ] && [ "$(date +%s)" -ge {deadline} ]; then
  echo "flux-burst: $1 is too late"
  exit 0
fi
echo "flux-burst: $1 is on $SLURMD_NODENAME"
{broker} &
broker=$!
trap '' TERM
{{
  while kill -0 "$broker" && {{ [ {deadline} -eq 0 ] || [ "$(date +%s)" -lt {deadline} ]; }}; do sleep 2; done
  kill -TERM "$broker" && sleep 30 && kill -KILL "$broker"
}} >/dev/null 2>&1 &
wait "$broker"
status=$?
echo "flux-burst: $1 has ended: $status"
exit "$status"
"""

NEEDS = {"command sbatch": "install Slurm's commands"}


@dataclass
class BurstParameters:
    """Where jobs go, and what one node of theirs is."""

    shape: list[str] = field(
        default_factory=list,
        metadata={
            "help": "A node shape, as 'PARTITION: cores=16 gpus=2', or 'NAME: cores=16 gpus=2' with a partition given; "
            "by default what sinfo shows."
        },
    )
    max_nodes: int = field(default=8, metadata={"help": "The most nodes that may exist at once."})
    partition: str | None = field(default=None, metadata={"help": "The partition of all shapes."})
    account: str | None = field(default=None, metadata={"help": "The account that is charged."})
    qos: str | None = field(default=None, metadata={"help": "The quality of service."})
    constraint: str | None = field(default=None, metadata={"help": "Features that the nodes must have."})
    reservation: str | None = field(default=None, metadata={"help": "A reservation to run in."})
    option: list[str] = field(
        default_factory=list, metadata={"help": "Another option of sbatch, as 'gres=gpu:a100:2'; can be repeated."}
    )
    exclusive: bool = field(default=True, metadata={"help": "Take whole nodes, with nobody else on them."})
    folder: Path | None = field(
        default=None, metadata={"help": "The lead's folder as the nodes see it, if it has another name there."}
    )

    def __post_init__(self) -> None:
        if self.max_nodes < 0:
            raise ParameterError("it is 0 or more", "max_nodes")
        for name in ("partition", "account", "qos", "constraint", "reservation"):
            value = getattr(self, name)
            if value is not None and not _VALUE.fullmatch(value):
                raise ParameterError(f"{value[:60]!r} is no name: no spaces, and no '-' in front", name)
        for text in self.option:
            name, _, value = text.partition("=")
            if not re.fullmatch(r"[a-z][a-z-]+", name) or (value and not _VALUE.fullmatch(value)):
                raise ParameterError(f"an option is written 'NAME' or 'NAME=VALUE', not {text[:60]!r}", "option")
            if any(own.startswith(name) for own in slurm_output.OWN):  # sbatch takes abbreviations
                raise ParameterError(f"--{name} is set by flux-burst", "option")
        if self.folder is not None and not self.folder.is_absolute():
            raise ParameterError("it must begin with '/'", "folder")


class Job(NamedTuple):
    """A line of squeue. submitted: seconds since the epoch; nodes: a hostlist."""

    id: str
    state: str
    reason: str
    submitted: str
    nodes: str
    comment: str
    name: str


class SlurmBurst(BurstPlugin):
    """Submits batch jobs, and finds them by their names."""

    settle = 60.0  # a slurmctld that is busy answers late
    patience = 30.0  # seconds for each command

    def __init__(self, params: BurstParameters) -> None:
        super().__init__(params)
        shapes = [NodeShape.from_text(text) for text in params.shape]
        self._shapes = [NodeShape(one.name, one.holds, one.price, params.partition or one.name) for one in shapes]

    def shapes(self) -> Sequence[NodeShape]:
        if not self._shapes:
            self._shapes = slurm_output.sizes(self._call("sinfo", *slurm_output.SINFO), self.params.partition)
        return self._shapes

    def create(self, burst: Burst) -> None:
        lead, made = self.need_lead(), self._file(burst.name, "job")
        if self.clock() >= burst.deadline > 0:
            return  # it has ended before it began
        shape = self.shape_of(burst)
        if any(job.name == burst.name for job in self._jobs()) or "id" in files.read(made):
            return
        if self._file(burst.name, "out").exists():
            return  # it ran, and Slurm has forgotten it
        files.private(made.parent)
        files.write(made, {"asked": self.clock()})
        said = self._run("sbatch", *self._options(burst, shape), stdin=self._script(burst))
        id = said.output.strip().partition(";")[0]
        if not id.isdecimal():
            raise UncertainError(f"sbatch says nothing of a job: {said.output.strip()[:200]!r}")
        files.write(made, {"asked": self.clock(), "id": id, "owner": lead.owner})

    def status(self, known: Sequence[Burst] = ()) -> Sequence[Sighting]:
        names = {burst.name for burst in known}
        jobs: dict[str, Job] = {}
        for job in self._jobs():
            over = slurm_output.STATES.get(job.state) == "gone"
            if job.name in names or (not over and self._ours(job)):
                jobs[job.name] = jobs.get(job.name, job) if over else job
        there = [self._sighting(job) for job in jobs.values()]
        # The list is that of all jobs, of any state: slurmctld shows what has ended for a while (MinJobAge), and then
        # nothing of it is left.
        return there + [
            Sighting(
                burst.name, "gone", burst.id, reason="Slurm has no job of that name", output=self._tail(burst.name)
            )
            for burst in known
            if burst.name not in jobs
        ]

    def destroy(self, burst: Burst) -> None:
        if not _WORD.fullmatch(burst.name):
            raise ConfigurationError(f"{burst.name!r} is no name of a burst")
        # Names are never reused, ids are by a Slurm that has lost its state.
        self._call("scancel", f"--name={burst.name}", f"--user={os.geteuid()}")

    def _sighting(self, job: Job) -> Sighting:
        seen = slurm_output.STATES.get(job.state, "running")
        since = float(job.submitted) if job.submitted.isdecimal() else 0.0
        why, hosts = slurm_output.reason(job.state, job.reason), None
        if seen == "running":
            hosts, why = self._living(job, why)
        if job.state == "FAILED" and not self._file(job.name, "out").exists():
            why = f"it failed before it could write to {self._far()}/slurm: is that on a file system of the nodes?"
        preempted = job.state == "PREEMPTED"
        return Sighting(job.name, seen, job.id, since, why, preempted, self._tail(job.name), hosts)

    def _living(self, job: Job, why: str) -> tuple[tuple[str, ...] | None, str]:
        """Which of a job's hosts live: those whose node it still has, and whose broker has not ended."""
        from resources.hostlist import expand

        text = files.head(self._file(job.name, "out"), READ)
        ended, places, nodes = {}, {}, set(expand(job.nodes))
        for _, host, node, status in sorted(_NOTE.findall(text), key=lambda note: int(note[0])):
            if node:
                places[host] = node
            else:
                ended[host] = f"the broker {host} has ended: exit {status}"
        for host, node in places.items():
            if node not in nodes and host not in ended:
                ended[host] = f"the node {node} of {host} has failed"
        if not ended:
            return None, why
        return tuple(host for host in places if host not in ended), "; ".join(filter(None, (why, *ended.values())))

    def _options(self, burst: Burst, shape: NodeShape) -> list[str]:
        params, memory = self.params, shape.holds.get("memory")
        minutes = math.ceil(burst.left(self.clock()) / 60)
        gpus = amount(shape.holds, "gpus")
        given = {
            "job-name": burst.name,
            "comment": self._comment(),
            "nodes": burst.nodes,
            "ntasks-per-node": 1,
            "mincpus" if params.exclusive else "cpus-per-task": amount(shape.holds, "cores"),
            "mem": f"{math.ceil(memory.size / 2**20)}M" if memory else "0" if params.exclusive else None,
            "gres": f"gpu:{gpus}" if gpus else None,
            "time": minutes if burst.deadline else None,
            "partition": shape.place or None,
            "account": params.account,
            "qos": params.qos,
            "constraint": params.constraint,
            "reservation": params.reservation,
            "chdir": "/",
            "output": str(self._far() / "slurm" / f"{burst.name}.out").replace("%", "%%"),
            "export": "ALL",
        }
        flags = ["--parsable", "--no-kill", "--no-requeue", *(["--exclusive"] if params.exclusive else [])]
        return [*flags, *(f"--{name}={value}" for name, value in given.items() if value is not None),
                *(f"--{text}" for text in params.option)]  # fmt: skip

    def _script(self, burst: Burst) -> str:
        try:
            words, *_ = (self.need_lead().broker(host, folder=self._far()) for host in burst.hosts)
        except LeadError as error:
            raise ConfigurationError(str(error)) from error
        name = f"-Shostname={burst.hosts[0]}"
        broker = " ".join('-Shostname="$1"' if word == name else shlex.quote(word) for word in words)
        task = TASK.format(deadline=math.floor(burst.deadline), broker=broker)
        return SCRIPT.format(nodes=burst.nodes, task=shlex.quote(task), hosts=shlex.join(burst.hosts))

    def _jobs(self) -> list[Job]:
        """Every job of this user that slurmctld knows of."""
        said = self._call(
            "squeue", "--noheader", "--all", "--states=all", f"--user={os.geteuid()}", f"--format={FIELDS}"
        )
        # A line of another kind is of a job whose comment holds anything: none of ours.
        rows = (line.split("|") for line in said.splitlines())
        return [Job(*row) for row in rows if len(row) == len(Job._fields)]

    def _ours(self, job: Job) -> bool:
        # Some sites keep no comments; a burst's name begins with its owner, too.
        bare = job.comment in {"", "(null)"} and job.name.startswith(f"{self.need_lead().owner}-")
        return bool(_WORD.fullmatch(job.name)) and (job.comment == self._comment() or bare)

    def _comment(self) -> str:
        return f"flux-burst:{self.need_lead().owner}"

    def _call(self, *argv: str) -> str:
        return self._run(*argv).output

    def _run(self, *argv: str, stdin: str = "") -> Said:
        environ = {name: value for name, value in os.environ.items() if name in KEPT or name.startswith("LC_")}
        try:
            said = call(argv, {**environ, "SLURM_TIME_FORMAT": "%s"}, stdin, self.patience)
        except OSError as error:
            raise ConfigurationError(f"can't run {argv[0]} ({error.strerror}): install Slurm's commands") from None
        if said.status is None:
            word = " ".join(said.error.split())[-200:] or "is slurmctld there?"
            raise UncertainError(f"{argv[0]} has not answered within {self.patience:g} s: {word}")
        if said.status:
            raise slurm_output.error(argv[0], said.error or said.output)
        return said

    def _far(self) -> Path:
        """The lead's folder as the nodes see it."""
        return self.params.folder or self.need_lead().folder

    def _file(self, name: str, kind: str) -> Path:
        if not _WORD.fullmatch(name):
            raise ConfigurationError(f"{name!r} is no name of a burst")
        return self.need_lead().folder / "slurm" / f"{name}.{kind}"

    def _tail(self, name: str) -> str:
        return files.tail(self._file(name, "out"), OUTPUT)


def init(params: BurstParameters) -> SlurmBurst:
    return SlurmBurst(params)
