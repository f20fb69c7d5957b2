"""Read the XML of Grid Engine's `qhost` and `qstat`; qhost(1), qstat(1), and the schemas that it installs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from resource_secretary.errors import OutputError
from resource_secretary.providers.workload._batch import (
    RUNNING,
    Job,
    JobState,
    Node,
    NodeState,
    moment,
    seconds,
    size,
    unknown_format,
    unread_job,
    unread_node,
    whole,
    xml,
)

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

# What sites call the number of GPUs; there is no name that Grid Engine gives.
GPUS = ("gpu", "gpus", "ngpus", "gpu_card", "gpucard", "cuda")
# Memory that is counted down as jobs take it, where a site makes it a consumable.
_MEMORY = ("h_vmem", "s_vmem", "virtual_free", "mem_free", "h_rss", "m_mem_free")
# What is asked of a host: all that it has would be more than 3 kB. A name that a site doesn't have is no error.
RESOURCES = ",".join((*GPUS, *_MEMORY, "mem_total", "slots", "num_proc", "m_core", "m_thread"))
_RANGE = re.compile(r"(\d{1,9})(?:-(\d{1,9})(?::(\d{1,9}))?)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class GridEngineJob:
    """A job in detail. slots: asked for, from and to. requests: resource -> amount, for each slot. reasons: why it was
    not started at the last scheduling; none where the scheduler keeps none (sched_conf(5), schedd_job_info)."""

    id: str
    name: str
    user: str
    state: JobState
    raw_state: str
    submitted: str
    parallel_environment: str
    slots: tuple[int, int]
    requests: dict[str, str]
    queues: tuple[str, ...]
    reasons: tuple[str, ...]


def read_nodes(text: str, source: str) -> list[Node]:
    """The hosts of `qhost -F RESOURCES -q -xml`; GPUs as what is free of them only. Raises OutputError."""
    root = _root(text, source, "qhost")
    nodes = []
    for host in root.iter("host"):
        name = host.get("name", "")
        if name == "global":
            continue
        try:
            nodes.append(_node(name, host))
        except ValueError as error:
            nodes.append(unread_node(name, error))
    return nodes


def _node(name: str, host: Element) -> Node:
    values = {one.get("name", ""): (one.text or "").strip() for one in host.iter("hostvalue")}
    resources = {one.get("name", ""): one for one in host.iter("resourcevalue")}

    def number(key: str) -> int | None:
        text = values.get(key) or (resources[key].text if key in resources else "") or ""
        return whole(text) if text.strip() not in ("", "-") else None

    queues = [_instance(queue) for queue in host.iter("queue")]
    state, why = _state(queues, silent=number("num_proc") is None)
    slots, free = _slots(queues, number("num_proc"), _left(resources, ("slots",), whole))
    cores, threads = number("m_core"), number("m_thread")
    each = threads // cores if cores and threads else 1
    as_threads = bool(cores) and each > 1 and slots > (cores or 0)  # then a slot is a hardware thread
    taken = 0 if state != "up" else free
    memory = _memory(values, resources, ("mem_total",))
    left = _left(resources, _MEMORY, lambda text: size(text, decimal="kmg"))
    if left is None:
        left = _memory(values, resources, ("mem_free",))
    if left is not None and memory is not None:
        left = min(left, memory)
    gpus = _left(resources, GPUS, whole, "h")
    return Node(
        name=name,
        state=state,
        raw_state=" ".join(f"{queue}:{flags}" for queue, _, _, flags in queues if flags),
        cores=slots // each if as_threads else slots,
        free_cores=taken // each if as_threads else taken,
        threads=slots if as_threads else slots * each if cores and (slots <= cores or each == 1) else None,
        free_threads=taken if as_threads else taken * each if cores and (slots <= cores or each == 1) else None,
        memory=None if memory is None else memory // 2**20 * 2**20,
        free_memory=0 if state != "up" and memory is not None else None if left is None else left // 2**20 * 2**20,
        gpus={} if gpus is None else {"": gpus},
        free_gpus={} if gpus is None else {"": gpus if state == "up" else 0},
        queues=tuple(queue for queue, _, _, _ in queues),
        reason=why,
    )


def _instance(queue: Element) -> tuple[str, int, int, str]:
    """A queue on a host: name, slots, slots in use or reserved, state (letters of qstat(1))."""
    values = {one.get("name", ""): (one.text or "").strip() for one in queue.iter("queuevalue")}
    used = whole(values.get("slots_used", "")) + whole(values.get("slots_resv") or "0")
    return queue.get("name", ""), whole(values.get("slots", "")), used, values.get("state_string", "")


def _state(queues: list[tuple[str, int, int, str]], *, silent: bool) -> tuple[NodeState, str]:
    flags = [state for _, _, _, state in queues]
    if silent or (flags and all("u" in state for state in flags)):
        return "down", "its execution daemon does not answer"
    if not flags:
        return "drained", "no queue has slots on it"
    # Disabled, in error, its configuration ambiguous, or orphaned; alarms and suspension go by themselves.
    off = [state for state in flags if set(state) & set("dDEcou")]
    return ("drained", "its queues are disabled or in error") if len(off) == len(flags) else ("up", "")


def _slots(queues: list[tuple[str, int, int, str]], processors: int | None, left: int | None) -> tuple[int, int]:
    """Slots of a host, and what of them jobs could get now. Queues overlap: together they have no more than the host
    has processors, or the largest of them slots; a host may have a limit of its own, of which `left` is left."""
    every = [slots for _, slots, _, _ in queues]
    capacity = min(sum(every), max([processors or 0, *every]))
    used = sum(taken for _, _, taken, _ in queues)
    open_now = sum(max(0, slots - taken) for _, slots, taken, state in queues if not state)
    free = min(max(0, capacity - used), open_now)
    return capacity, free if left is None else min(free, left)


def _left(
    resources: Mapping[str, Element], names: tuple[str, ...], read: Callable[[str], int], kinds: str = "gh"
) -> int | None:
    """The least that is left of the consumables of these names; None without one. kinds: g for those of the whole
    cluster, h for those of the host: the first letter of `dominance`, whose second is c (qhost(1), -F)."""
    found = []
    for name in names:
        one = resources.get(name)
        text = (one.text or "").split() if one is not None else []
        if one is not None and text and re.fullmatch(f"[{kinds}]c", one.get("dominance", "")):
            # More may be taken than there is, where an administrator lowers a limit under running jobs.
            found.append(0 if text[0].startswith("-") else read(text[0]))
    return min(found) if found else None


def _memory(values: Mapping[str, str], resources: Mapping[str, Element], names: tuple[str, ...]) -> int | None:
    for name in names:
        text = (resources[name].text if name in resources else values.get(name)) or ""
        if text.strip() not in ("", "-"):
            return size(text, decimal="kmg")
    return None


def read_slots(text: str, source: str) -> dict[str, dict[str, int]]:
    """Slots by queue, of `qstat -g c -xml`: used, resv, available, total, temp_disabled, manual_intervention.

    Raises OutputError.
    """
    slots: dict[str, dict[str, int]] = {}
    for queue in _root(text, source, "job_info").iter("cluster_queue_summary"):
        name = (queue.findtext("name") or "").strip()
        try:
            slots[name] = {one.tag: whole(one.text or "") for one in queue if one.tag not in ("name", "load")}
        except ValueError as error:
            raise OutputError(source, name, str(error)) from None
    return slots


def job_state(raw: str) -> JobState:
    """The letters of a job's state, qstat(1), "OUTPUT FORMATS": h hold, r running, t transferring, s S T suspended."""
    letters = set(raw)
    if letters & set("wq"):
        return "held" if letters & set("hE") else "pending"
    if letters & set("sSTNP"):
        return "suspended"
    return "running" if letters & set("rtR") else "finished" if "z" in letters else "unknown"


def read_jobs(text: str, source: str) -> list[Job]:
    """The jobs of `qstat -xml -r`; a parallel job that runs on several queues is told once. Raises OutputError."""
    jobs: list[Job] = []
    for element in _root(text, source, "job_info").iter("job_list"):
        name = (element.findtext("JB_job_number") or "").strip()
        try:
            jobs.append(_job(name, element))
        except ValueError as error:
            jobs.append(unread_job(name or f"job {len(jobs) + 1}", OutputError(source, name, str(error))))
    return jobs


def _job(number: str, element: Element) -> Job:
    if not number.isascii() or not number.isdecimal():
        raise ValueError(f"JB_job_number must be a number, not {number[:40]!r}")
    raw = (element.findtext("state") or "").strip()
    state = job_state(raw)
    tasks = (element.findtext("tasks") or "").strip()
    limit = next((one.text or "" for one in element.iter("hard_request") if one.get("name") in ("h_rt", "s_rt")), "")
    started = element.findtext("JAT_start_time") or ""
    why = "in error; qstat -j tells why" if "E" in raw else "on hold" if state == "held" else ""
    host = (element.findtext("queue_name") or "").strip().partition("@")
    wanted = next((one.text or "" for one in element.iter("hard_req_queue")), "")
    return Job(
        id=f"{number}.{tasks}" if tasks and tasks.isdecimal() else number,
        name=(element.findtext("full_job_name") or element.findtext("JB_name") or "")[:200],
        user=(element.findtext("JB_owner") or "").strip(),
        queue=host[0] or wanted,
        state=state,
        raw_state=raw,
        cores=whole(element.findtext("slots") or ""),
        tasks=_tasks(tasks),
        max_walltime=seconds(limit) if limit and limit.upper() != "INFINITY" else None,
        submitted=moment(element.findtext("JB_submission_time") or ""),
        started=moment(started),
        hosts=host[2],
        reason=why,
    )


def _tasks(text: str) -> int:
    """How many tasks `1-5:2,9` are. Raises ValueError."""
    total = 0
    for part in filter(None, text.split(",")):
        match = _RANGE.fullmatch(part.strip())
        if not match:
            raise ValueError(f"tasks: {text[:40]!r} is no list of ranges")
        first, last, step = int(match[1]), int(match[2] or match[1]), max(1, int(match[3] or 1))
        total += max(0, last - first) // step + 1
    return total or 1


def read_detail(text: str, id: str, listed: Mapping[str, Job], source: str) -> GridEngineJob:
    """The job of `qstat -xml -j`. listed: jobs by number, for its state. Raises OutputError, also for one unknown."""
    if "<unknown_jobs" in text:
        raise OutputError(source, id, "no such job waits or runs")
    root = _root(text, source, "detailed_job_info")
    found = next((one for one in root.iter() if one.find("JB_job_number") is not None), None)
    if found is None:
        raise unknown_format(source, id, "JB_job_number is missing", text)
    number = (found.findtext("JB_job_number") or "").strip()
    names, amounts = ([one.text or "" for one in _below(found, key)] for key in ("CE_name", "CE_stringval"))
    try:
        low, high = (
            [whole(one.text or "") for one in _below(found, key, "JB_pe_range")] for key in ("RN_min", "RN_max")
        )
    except ValueError as error:
        raise OutputError(source, number, str(error)) from None
    seen = listed.get(number)
    messages = [(one.text or "")[:300] for one in root.iter("MES_message")]
    return GridEngineJob(
        id=number,
        name=(found.findtext("JB_job_name") or "")[:200],
        user=found.findtext("JB_owner") or "",
        state=seen.state if seen else "unknown",
        raw_state=seen.raw_state if seen else "",
        submitted=moment(found.findtext("JB_submission_time") or ""),
        parallel_environment=found.findtext("JB_pe") or "",
        slots=(min(low, default=1), max(high, default=1)),
        requests=dict(zip(names, amounts, strict=False)),
        queues=tuple(one.text or "" for one in _below(found, "QR_name", "JB_hard_queue_list")),
        reasons=() if seen and seen.state in RUNNING else tuple(messages)[:50],
    )


def _below(element: Element, tag: str, list_name: str = "JB_hard_resource_list") -> list[Element]:
    return [one for part in element.iter(list_name) for one in part.iter(tag)]


def _root(text: str, source: str, tag: str) -> Element:
    root = xml(text, source)
    if root.tag != tag:
        raise unknown_format(source, "", f"<{tag}> expected, not <{root.tag[:40]}>", text)
    return root
