"""The statements of a job step, and the job that LoadLeveler makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jobspec.errors import ScriptError
from jobspec.job import Dependency, Gpus, Job, Mail, Memory, Native, Nodes, Signal, Where
from jobspec.loadleveler import values
from jobspec.loadleveler.keywords import PLAIN


@dataclass(slots=True)
class Statement:
    """A keyword with its value; column: that of the keyword."""

    name: str
    value: str
    line: int
    column: int
    last: int
    value_column: int
    fields: tuple[str, ...] = ()
    # (column, text, fields) of the parts of the value, where it has several
    parts: list[tuple[int, str, tuple[str, ...]]] = field(default_factory=list)


class Step:
    """The job of one step."""

    def __init__(self, asked: dict[str, Any], last: Mapping[str, Statement]) -> None:
        self.asked = asked
        self.last = last
        self.fields: dict[str, Any] = {}
        self.where: dict[str, Where] = {}
        self.native: list[Native] = []

    def hold(self, name: str, *fields: str) -> None:
        one = self.last[name]
        one.fields = (*one.fields, *(target for target in fields if target not in one.fields))
        for target in fields:
            if target != "native":
                self.where.setdefault(target, Where(one.line, one.column))

    def put(self, name: str, field: str, value: Any) -> None:
        self.fields[field] = value
        self.hold(name, field)

    def keep(self, name: str) -> None:
        self.native.append(Native(name, self.last[name].value))
        self.hold(name, "native")

    def job(self) -> Job:
        asked = self.asked
        for name, target in PLAIN.items():
            if name in asked:
                self.put(name, target, asked[name])
        for name, target in (("environment", "environment"), ("requirements", "constraint"), ("startdate", "begin")):
            if name in asked:
                self.put(name, target, asked[name])
        if "dependency" in asked:
            self.put("dependency", "dependency", Dependency(asked["dependency"]))
        self._size()
        self._each()
        if "wall_clock_limit" in asked:
            self._limit(*asked["wall_clock_limit"])
        if asked.get("hold"):
            self.put("hold", "hold", True)
        if "restart" in asked:
            self.put("restart", "requeue", asked["restart"] == "yes")
        if "node_usage" in asked:
            self.put("node_usage", "exclusive", asked["node_usage"] != "shared")
        types = asked.get("notification", "complete")
        if "notification" in asked or "notify_user" in asked:
            self.fields["mail"] = Mail(asked.get("notify_user"), values.NOTIFICATIONS[types])
            for name in ("notification", "notify_user"):
                if name in asked:
                    self.hold(name, "mail")
        for name, one in self.last.items():
            if not one.fields and name not in {"job_type", "executable", "arguments"}:
                self.keep(name)
        return Job(system="loadleveler", native=tuple(self.native), where=self.where, **self.fields)

    def _limit(self, hard: int | str, soft: int | str | None) -> None:
        """The wall clock limit; at the soft one LoadLeveler sends SIGXCPU."""
        one = self.last["wall_clock_limit"]
        self.put("wall_clock_limit", "walltime_s", hard)
        if soft is None or hard == soft:
            return
        first, _, second = one.value.partition(",")
        if isinstance(soft, str) or (isinstance(hard, int) and soft > hard):
            raise self._refuse("wall_clock_limit", f"the soft limit {second.strip()} is longer than the hard one")
        one.parts.append((one.value_column, first.strip(), ("walltime_s",)))
        column = one.value_column + len(first) + 1
        if isinstance(hard, int):
            self.put("wall_clock_limit", "signal", Signal("XCPU", hard - soft))
            one.parts.append((column, f"...,{second.strip()}", ("signal",)))
        else:
            self.native.append(Native("wall_clock_limit", one.value))
            one.parts.append((column, f"...,{second.strip()}", ("native",)))

    def _refuse(self, name: str, message: str) -> ScriptError:
        one = self.last[name]
        return ScriptError(message, one.line, one.column)

    def _size(self) -> None:
        """node, tasks_per_node, total_tasks, blocking, task_geometry and bg_size."""
        asked = self.asked
        if "task_geometry" in asked:
            for name in ("node", "tasks_per_node", "total_tasks", "blocking"):
                if name in asked:
                    raise self._refuse(name, f"{name} and task_geometry exclude each other")
            nodes, tasks, _ = asked["task_geometry"]
            self.fields |= {"nodes": Nodes(nodes, nodes), "tasks": tasks}
            self.put("task_geometry", "placement", self.last["task_geometry"].value)
            self.hold("task_geometry", "nodes", "tasks")
            return
        if "tasks_per_node" in asked and "total_tasks" in asked:
            raise self._refuse("total_tasks", "tasks_per_node and total_tasks exclude each other")
        if "bg_size" in asked:
            size = asked["bg_size"]
            self.fields["tasks"] = size
            self.put("bg_size", "nodes", Nodes(size, size))
            return
        least, most = asked.get("node", (1, 1))
        if "blocking" in asked:
            if "total_tasks" not in asked or "node" in asked:
                raise self._refuse("blocking", "blocking needs total_tasks, and no node")
            self.put("blocking", "placement", f"blocking={self.last['blocking'].value}")
        elif "total_tasks" in asked:
            if least != most:
                raise self._refuse("total_tasks", "total_tasks needs one number of nodes")
            if asked["total_tasks"] < least:
                raise self._refuse(
                    "total_tasks", f"{asked['total_tasks']} tasks are less than one on each of {least} nodes"
                )
        if "node" in asked:
            self.put("node", "nodes", Nodes(least, most))
        elif "tasks_per_node" in asked or ("total_tasks" in asked and "blocking" not in asked):
            self.fields["nodes"] = Nodes(1, 1)
        if "total_tasks" in asked:
            self.put("total_tasks", "tasks", asked["total_tasks"])
        elif "tasks_per_node" in asked:
            self.put("tasks_per_node", "tasks_per_node", asked["tasks_per_node"])
            self.fields["tasks"] = least * asked["tasks_per_node"]
        else:
            self.fields["tasks"] = least

    def _each(self) -> None:
        """What each task or node has: resources, node_resources, task_affinity, parallel_threads."""
        asked = self.asked
        for name, per in (("resources", "task"), ("node_resources", "node")):
            for resource, amount, at in asked.get(name, ()):
                kind = resource.lower()
                one = self.last[name]
                before = one.fields
                one.fields = ()
                try:
                    if kind == "consumablecpus" and per == "task":
                        self.put(name, "cpus_per_task", values.count(amount))
                    elif kind == "consumablememory":
                        self.put(name, "memory", Memory(values.size(amount), per))  # type: ignore[arg-type]
                    elif kind in {"gpu", "gpus", "consumablegpus"}:
                        self.put(name, "gpus", (Gpus(values.count(amount), per),))  # type: ignore[arg-type]
                    else:
                        self.native.append(Native(name, f"{resource}({amount})"))
                        self.hold(name, "native")
                except ValueError as error:
                    raise self._refuse(name, f"{name}: {resource}: {error}") from None
                one.parts.append((one.value_column + at, f"{resource}({amount})", one.fields))
                one.fields = (*before, *one.fields)
        if (cores := asked.get("task_affinity")) and "cpus_per_task" not in self.fields:
            self.put("task_affinity", "cpus_per_task", cores)
        threads = asked.get("parallel_threads")
        if threads and self.fields.setdefault("cpus_per_task", threads) == threads:
            self.hold("parallel_threads", "cpus_per_task")
