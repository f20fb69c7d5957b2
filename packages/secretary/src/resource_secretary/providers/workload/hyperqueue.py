"""HyperQueue: the server that `hq` finds by its folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from resource_secretary.errors import CommandFailed, OutputError
from resource_secretary.providers import Absent, Active, Offering, Unreachable, secretary_tool
from resource_secretary.providers.workload._alike import inventory_of
from resource_secretary.providers.workload._fields import Fields, document
from resource_secretary.providers.workload._hyperqueue_json import (
    HqJob,
    HqWorker,
    read_jobs,
    read_server,
    read_workers,
)
from resource_secretary.run import Ran, printable

if TYPE_CHECKING:
    from resources.documents import Inventory
    from resources.resource import Resource

    from resource_secretary.asking import Depth


@dataclass(frozen=True, slots=True)
class HyperQueue:
    """version, host and started: of the server."""

    version: str
    host: str
    started: str


class HyperQueueProvider(Offering):
    category = "workload"
    name = "hyperqueue"
    description = "HyperQueue: the workers of a server, and its jobs and tasks."
    fresh_for = 60.0
    variables = ("HQ_SERVER_DIR",)

    def probe(self) -> Active[HyperQueue] | Absent | Unreachable:
        if not self.system.which("hq"):
            return Absent("the command hq on PATH")
        answer = self._run("server", "info")
        if not answer.ok:
            return Unreachable(answer.command, _said(answer), answer.code)
        version, host, started = read_server(answer.stdout)
        # Old versions tell of a server from its file, also of one that is gone; its workers only the server knows.
        workers = self._run("worker", "list")
        if not workers.ok:
            return Unreachable(workers.command, _said(workers), workers.code)
        return Active(HyperQueue(version, host, started))

    @secretary_tool
    def workers(self) -> list[HqWorker]:
        """The workers that are connected: CPUs, GPUs and other resources, the job that each runs in, and its tasks."""
        return self._workers()

    @secretary_tool
    def jobs(self, ended: bool = False) -> list[HqJob]:
        """The jobs, and how many of their tasks wait, run, are finished, failed or canceled.
        ended: also those that are over."""
        return self._jobs(ended)

    def inventory(self) -> Inventory:
        """Every worker as a host with its CPUs and GPUs by vendor. Memory is left out: in which unit `hq` tells it
        differs between versions.

        HyperQueue tells no amounts that are free: all of a worker is where no task runs on it, nothing where a task
        over several workers has it, and in between it is unknown.
        """
        workers = self._workers()
        idle = any(worker.running is None for worker in workers) and not any(job.running for job in self._jobs())
        rows = []
        for worker in workers:
            total, none = _resources(worker, 1), _resources(worker, 0)
            free = None
            if worker.state == "up" and worker.cpus is not None:
                free = none if worker.whole else total if worker.running == 0 else None
                if worker.running is None and idle:
                    free = total
            rows.append((worker.host, worker.state, total, free))
        return inventory_of("hq worker list", rows, self.system)

    def depth(self) -> Depth:
        """The tasks that wait and run, of all jobs that are not over."""
        from resource_secretary.asking import Depth

        jobs = self._jobs()
        return Depth(sum(job.waiting for job in jobs), sum(job.running for job in jobs))

    def _workers(self) -> list[HqWorker]:
        return read_workers(self._text("worker", "list"))

    def _jobs(self, ended: bool = False) -> list[HqJob]:
        return read_jobs(self._text("job", "list", *(["--all"] if ended else [])))

    def _text(self, *words: str) -> str:
        answer = self._run(*words)
        if not answer.ok:
            raise CommandFailed(answer.command, _said(answer))
        return answer.stdout

    def _run(self, *words: str) -> Ran:
        return self.system.run("hq", "--output-mode", "json", *words)


def _said(answer: Ran) -> str:
    """What `hq` says where it fails: in this mode an object with the error on its standard output."""
    if not answer.problem and answer.stdout.lstrip().startswith("{"):
        try:
            error = Fields.of("hq", "", document("hq", answer.stdout)).text("error")
        except OutputError:
            return answer.said
        return f"exit code {answer.code}: {printable(error.strip().partition(chr(10))[0])[:200]}"
    return answer.said


def _resources(worker: HqWorker, times: int) -> Resource:
    from resources import Cores, Gpus
    from resources.resource import combine

    gpus = {kind: amount * times for kind, amount in worker.gpus.items()}
    parts: list[Resource] = [Cores((worker.cpus or 0) * times)]
    return combine([*parts, Gpus(gpus)] if gpus else parts)
