"""Read the XML of Moab's `showq --xml` and `mdiag -n --xml`, and the text of `showstart`.

Moab Workload Manager administrator guide: showq, mdiag -n, showstart; "Job states", "Node states".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from resource_secretary.errors import OutputError
from resource_secretary.providers.workload._batch import (
    Job,
    JobState,
    Node,
    NodeState,
    Queue,
    moment,
    unknown_format,
    unread_job,
    unread_node,
    whole,
    xml,
)
from resource_secretary.reading import possible

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_UP = {"idle", "busy", "running", "active", "reserved"}
_DRAINED = {"drained", "draining", "drain", "flush", "blocked"}
_DOWN = {"down", "none", "unavailable"}
_OPTIONS: dict[str, JobState] = {"active": "running", "eligible": "pending", "blocked": "held"}
_CLASSES = re.compile(r"\[([^\[\]:\s]+)(?:[:\s]\d+)?\]")
_START = re.compile(r"start in\s+(-?)(?:(\d{1,6}):)?(\d{1,4}):(\d{2}):(\d{2})")


@dataclass(frozen=True, slots=True)
class MoabCluster:
    """What Moab counts: nodes that are configured, up and idle; processors that are up and idle."""

    nodes: int
    up_nodes: int
    idle_nodes: int
    processors: int
    idle_processors: int


def read_cluster(text: str) -> MoabCluster:
    """The head of `showq --xml`. Raises OutputError."""
    cluster = _root(text, "showq --xml").find("cluster")
    if cluster is None:
        raise unknown_format("showq --xml", "", "<cluster> expected", text)
    keys = ("LocalConfigNodes", "LocalUpNodes", "LocalIdleNodes", "LocalUpProcs", "LocalIdleProcs")
    try:
        made = MoabCluster(*(whole(cluster.get(key, "")) for key in keys))
        possible(cores=(made.nodes, made.up_nodes, made.idle_nodes, made.processors, made.idle_processors))
        return made
    except ValueError as error:
        raise OutputError("showq --xml", "cluster", str(error)) from None


def read_jobs(text: str) -> list[Job]:
    """The jobs of `showq --xml`. Raises OutputError."""
    jobs = []
    for queue in _root(text, "showq --xml").iter("queue"):
        option = queue.get("option", "")
        for element in queue.iter("job"):
            name = element.get("JobID", "")
            try:
                jobs.append(_job(name, element, option))
            except ValueError as error:
                jobs.append(unread_job(name, OutputError("showq --xml", name, str(error))))
    return jobs


def _job(name: str, element: Element, option: str) -> Job:
    raw = element.get("State", "")
    if not name or not raw:
        raise ValueError("JobID or State is missing")
    state = (
        "suspended" if raw == "Suspended" else _OPTIONS.get(option, "finished" if option == "completed" else "unknown")
    )
    why = element.get("BlockReason") or element.get("BlockMsg") or ""
    if state == "held":
        why = f"blocked ({raw})" + (f": {why}" if why else "")
    return Job(
        id=element.get("DRMJID") or name,
        name=element.get("JobName", "")[:200],
        user=element.get("User", ""),
        queue=element.get("Class", ""),
        state=state,
        raw_state=raw,
        cores=_number(element, "ReqProcs"),
        nodes=_number(element, "ReqNodes"),
        max_walltime=_number(element, "ReqAWDuration"),
        submitted=moment(element.get("SubmissionTime", "")),
        started=moment(element.get("StartTime", "")) if state in ("running", "suspended", "finished") else "",
        hosts=element.get("MasterHost", ""),
        reason=why[:300],
    )


def _number(element: Element, key: str) -> int | None:
    text = element.get(key, "")
    return whole(text) if text else None


def node_state(raw: str) -> NodeState:
    word = raw.lower().partition(":")[0]
    return "up" if word in _UP else "drained" if word in _DRAINED else "down" if word in _DOWN else "unknown"


def read_nodes(text: str) -> list[Node]:
    """The nodes of `mdiag -n --xml`. Raises OutputError."""
    nodes = []
    for element in _root(text, "mdiag -n --xml").iter("node"):
        name = element.get("NODEID", "")
        if name in ("", "GLOBAL", "DEFAULT"):  # what belongs to no node, and what nodes have that say nothing else
            continue
        try:
            nodes.append(_node(name, element))
        except ValueError as error:
            nodes.append(unread_node(name, OutputError("mdiag -n --xml", name, str(error))))
    return nodes


def _node(name: str, element: Element) -> Node:
    raw = element.get("NODESTATE", "")
    state = node_state(raw)
    cores, memory = _number(element, "RCPROC"), _number(element, "RCMEM")

    def left(key: str, total: int | None) -> int | None:
        text = element.get(key, "")
        if total is None or not text or state == "unknown":
            return None
        if state != "up" or text.startswith("-"):  # more is taken than there is
            return 0
        return min(total, whole(text))

    free_memory = left("RAMEM", memory)
    return Node(
        name=name,
        state=state,
        raw_state=raw,
        cores=cores,
        free_cores=left("RAPROC", cores),
        memory=None if memory is None else memory * 2**20,
        free_memory=None if free_memory is None else free_memory * 2**20,
        queues=tuple(_CLASSES.findall(element.get("CFGCLASS", ""))),
        features=tuple(part for part in re.split(r"[,:\[\]\s]+", element.get("FEATURES", "")) if part),
        reason=element.get("MESSAGES", "")[:300],
    )


def classes(nodes: list[Node]) -> list[Queue]:
    """The classes (queues) that nodes serve: up where one of these nodes is."""
    made: dict[str, list[Node]] = {}
    for node in nodes:
        for name in node.queues:
            made.setdefault(name, []).append(node)
    queues = []
    for name, some in sorted(made.items()):
        up = [node for node in some if node.state == "up"]
        limits = {"nodes": str(len(some)), "up_nodes": str(len(up))}
        queues.append(Queue(name, "up" if up else "down", "", bool(up), None, None, limits=limits))
    return queues


def read_start(text: str) -> float | None:
    """Seconds until a job would start, of `showstart`; None where Moab gives no estimate."""
    found = _START.search(text)
    if not found:
        return None
    days, hours, minutes, rest = (int(part or 0) for part in found.groups()[1:])
    return 0.0 if found[1] else float(((days * 24 + hours) * 60 + minutes) * 60 + rest)


def _root(text: str, source: str) -> Element:
    root = xml(text, source)
    if root.tag != "Data":
        raise unknown_format(source, "", f"<Data> expected, not <{root.tag[:40]}>", text)
    return root
