"""Grid Engine (Sun, Son of, Univa, Altair, Open), asked through `qhost`, `qstat` and `qconf`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from resource_secretary.asking import Depth
from resource_secretary.errors import CommandFailed, OutputError
from resource_secretary.providers import Absent, Active, Offering, Unreachable, secretary_tool
from resource_secretary.providers.workload import _gridengine_text as text
from resource_secretary.providers.workload import _gridengine_xml as xml
from resource_secretary.providers.workload._batch import Job, Node, Queue, chosen, depth_of, inventory_of, job_number
from resource_secretary.providers.workload._marks import lacking
from resource_secretary.sidebyside import side_by_side
from resource_secretary.values import JobId, Name

if TYPE_CHECKING:
    from resources.documents import Inventory

_AT_ONCE = 8  # commands that are asked side by side where each tells of one thing only


@dataclass(frozen=True, slots=True)
class GridEngine:
    """product: such as SGE, UGE or AGE. root, cell: where its configuration is. master: the host of sge_qmaster, ""
    where the cell's folder can't be read."""

    product: str
    version: str
    root: str
    cell: str
    master: str
    queues: tuple[str, ...]


class GridEngineProvider(Offering):
    category = "workload"
    name = "gridengine"
    description = "Grid Engine: queues, hosts and what is free on them, parallel environments, complexes, jobs."
    fresh_for = 60.0
    variables = ("SGE_ROOT", "SGE_CELL", "SGE_QMASTER_PORT", "SGE_CLUSTER_NAME")

    def probe(self) -> Active[GridEngine] | Absent | Unreachable:
        missing = lacking(self.system, every=("qconf", "qstat", "qhost"))
        if missing:
            return Absent(missing)
        # One command, because each takes a twentieth of a second of the processor; the help begins with the version.
        answer = self.system.run("qconf", "-sql", "-help")
        if not answer.ok:
            return answer.unreachable()
        queues, product, version = text.read_queue_names(answer.stdout)
        root, cell = self.system.environ.get("SGE_ROOT", ""), self.system.environ.get("SGE_CELL") or "default"
        master = self.system.read(f"{root}/{cell}/common/act_qmaster") if root else None
        return Active(GridEngine(product, version, root, cell, (master or "").strip(), queues))

    @secretary_tool
    def queues(self) -> list[Queue]:
        """The queues with limits and slots; Grid Engine picks one for a job that names none, so none is the default."""
        slots = xml.read_slots(self._ask("qstat", "-g", "c", "-xml"), "qstat -g c -xml")
        return text.read_queues(self._ask("qconf", "-sq", "*"), slots, "qconf -sq")

    @secretary_tool
    def nodes(self, state: Literal["any", "up", "down", "drained", "unknown"] = "any") -> list[Node]:
        """The hosts with slots (as cores), memory and GPUs, and what of them is free. GPUs are a consumable named gpu,
        gpus, ngpus, gpu_card, gpucard or cuda; free memory is what is left of memory consumables, else measured.
        state: those in this state only."""
        return [node for node in self._nodes() if state in ("any", node.state)]

    @secretary_tool
    def parallel_environments(self) -> list[text.ParallelEnvironment]:
        """The parallel environments: allocation rule, slots, and the queues that offer them. A job of several slots
        names one."""
        names = self.system.run("qconf", "-spl")
        if not names.ok and "no parallel environment" in (names.stderr + names.stdout).lower():
            return []
        queues = text.read_settings(self._ask("qconf", "-sq", "*"), "qname", "qconf -sq")
        names_of = names.text().split()
        return [
            text.read_environment(told, queues, f"qconf -sp {name}")
            for name, told in zip(names_of, self._each("-sp", names_of), strict=True)
        ]

    @secretary_tool
    def complexes(self) -> list[text.Complex]:
        """The attributes that jobs can ask for (`-l name=value`): type, whether they are consumed, default."""
        return text.read_complexes(self._ask("qconf", "-sc"), "qconf -sc")

    @secretary_tool
    def jobs(
        self,
        user: Name | None = None,
        queue: Name | None = None,
        state: Literal["any", "pending", "held", "running", "suspended"] = "any",
    ) -> list[Job]:
        """The jobs that wait or run; the tasks of an array that wait are one entry. The tool `job` tells why one waits.
        user: those of this user only.
        queue: those in this queue, or that asked for it, only.
        state: those in this state only."""
        return chosen(self._jobs(), user, queue, state)

    @secretary_tool
    def my_jobs(self) -> list[Job]:
        """The jobs of this user that wait or run."""
        return chosen(self._jobs(), self.system.user())

    @secretary_tool
    def job(self, id: JobId) -> xml.GridEngineJob:
        """One job that waits or runs: what it asked for, and why the scheduler did not start it.
        id: its number."""
        number = job_number(id).partition("[")[0]
        answer = self._ask("qstat", "-xml", "-j", number)
        return xml.read_detail(answer, number, {job.id.partition(".")[0]: job for job in self._jobs()}, "qstat -j")

    @secretary_tool
    def depth(self) -> Depth:
        """How many jobs (and tasks of arrays) wait and run, and how many slots those that wait ask for."""
        return depth_of(self._jobs(), "qstat -xml")

    def inventory(self) -> Inventory:
        """Every host: slots as cores, and threads where there are several on a core."""
        return inventory_of(self._nodes(), "qhost -F -q -xml", self.system)

    def _nodes(self) -> list[Node]:
        nodes = xml.read_nodes(self._ask("qhost", "-F", xml.RESOURCES, "-q", "-xml"), "qhost -F -q -xml")
        # qhost tells what is left of a consumable, and only qconf what there is, host by host.
        some = [node.name for node in nodes if node.gpus]
        if not some:
            return nodes
        told = dict(zip(some, self._each("-se", some), strict=True))
        made = []
        for node in nodes:
            capacity = text.read_capacity(told[node.name], xml.GPUS, "qconf -se") if node.name in told else None
            left = sum((node.gpus or {}).values())
            if capacity is not None and capacity >= left:
                node = replace(node, gpus={"": capacity} if capacity else {})
            elif node.name in told:
                node = replace(node, gpus=None, free_gpus=None, reason="how many GPUs it has is not told")
            made.append(node)
        return made

    def _jobs(self) -> list[Job]:
        # Options that a user or a site keeps in a file (sge_qstat(5)) come first, so -u and -s win over them.
        return xml.read_jobs(self._ask("qstat", "-xml", "-r", "-s", "prs", "-u", "*"), "qstat -xml")

    def _each(self, option: str, names: Sequence[str]) -> list[str]:
        """What `qconf OPTION NAME` says of each, some at once. Raises CommandFailed."""
        for name in names:
            if name.startswith("-"):
                raise OutputError("qconf", "", f"{name[:60]!r} is no name")
        answers: list[str] = []
        for start in range(0, len(names), _AT_ONCE):
            asked = [partial(self._ask, "qconf", option, name) for name in names[start : start + _AT_ONCE]]
            for outcome in side_by_side(asked, max(0.0, self.system.left()) + 1):
                if outcome is None:
                    raise CommandFailed(f"qconf {option}", f"no answer in {self.system.timeout:g} s")
                if outcome.error is not None:
                    raise outcome.error
                answers.append(outcome.value or "")
        return answers

    def _ask(self, *words: str) -> str:
        return self.system.run(*words).text()
