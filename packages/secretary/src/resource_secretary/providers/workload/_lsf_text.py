"""Read what LSF prints: the JSON of `bjobs -json` and `bhosts -json` (10.1), and the tables of 9 and 10.

IBM Spectrum LSF command reference: bhosts, bjobs, bparams, bqueues, lshosts, lsid, lsload.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from resource_secretary.errors import OutputError
from resource_secretary.providers.workload._batch import (
    Job,
    JobState,
    Node,
    NodeState,
    Queue,
    queue_state,
    seconds,
    size,
    unknown_format,
    unread_job,
    unread_node,
    unread_queue,
    whole,
)
from resource_secretary.reading import MOST_CORES

# bhosts, "STATUS": a host that is full, busy or given to one job takes no more now; the others need an administrator.
_FULL = {"closed_full", "closed_busy", "closed_excl", "closed_cu_excl"}
_CLOSED = {"closed", "closed_adm", "closed_lock", "closed_ego", "closed_rc", "closed_rc_powersaving"}
_GONE = {"unavail", "unreach", "unlicensed", "closed_lim"}
# bjobs, "STAT".
_JOBS: dict[str, JobState] = {
    "PEND": "pending",
    "PSUSP": "held",
    "WAIT": "pending",
    "FWD_PEND": "pending",
    "RUN": "running",
    "PROV": "running",
    "USUSP": "suspended",
    "SSUSP": "suspended",
    "DONE": "finished",
    "POST_DONE": "finished",
    "POST_ERR": "finished",
    "EXIT": "failed",
}
_MINUTES = re.compile(r"(\d+(?:\.\d+)?)\s+min(?:\s+of\s+\S+)?")
_HOSTS = re.compile(r"(?:(\d{1,6})\*)?([^:\s]+)")
_MOST_SECONDS = 10**12  # 30,000 years
_DATE = re.compile(r"\s([A-Z][a-z]{2}\s+\d{1,2}\s+(?:\d\d:\d\d(?::\d\d)?|\d{4}))\s*$")


@dataclass(frozen=True, slots=True)
class Lsid:
    product: str
    version: str
    cluster: str
    master: str


def read_lsid(text: str) -> Lsid:
    """Product, version, cluster and its master. Raises OutputError."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    version = re.search(r"(?<!\S)(\d+(?:\.\d+)+)", first)
    cluster = re.search(r"^My cluster name is (\S+)", text, re.MULTILINE)
    if not version or not cluster:
        raise unknown_format("lsid", "", "a version and the name of a cluster expected", text)
    master = re.search(r"^My (?:master|management host|manager) name is (\S+)", text, re.MULTILINE)
    return Lsid(first[: version.start()].strip(" ,"), version[1], cluster[1], master[1] if master else "")


def read_json(text: str, source: str) -> list[dict[str, str]]:
    """The records of a `-json` answer, keys in upper case. Raises OutputError."""
    start = text.find("{")  # a client that waits for its server says so before
    try:
        document: Any = json.loads(text[max(0, start) :], strict=False)
    except (ValueError, RecursionError) as error:
        raise unknown_format(source, "", f"no JSON: {error}", text) from None
    records = document.get("RECORDS") if isinstance(document, dict) else None
    if not isinstance(records, list) or not all(isinstance(one, dict) for one in records):
        raise unknown_format(source, "RECORDS", "a list of objects expected", text)
    return [
        {str(key).upper(): str(value).encode("utf-8", "replace").decode() for key, value in one.items()}
        for one in records
    ]


def read_table(text: str, first: str, source: str) -> list[dict[str, str]]:
    """The lines of a table by the words of its head, as far as they go. Raises OutputError."""
    lines = [line for line in text.splitlines() if line.strip()]
    at = next((number for number, line in enumerate(lines) if line.split()[0] == first), None)
    if at is None:
        raise unknown_format(source, "", f"a head with {first} expected", text)
    head = [word.upper() for word in lines[at].split()]
    return [dict(zip(head, line.split(), strict=False)) for line in lines[at + 1 :]]


def host_state(raw: str) -> NodeState:
    word = raw.lower()
    if word == "ok" or word in _FULL:
        return "up"
    return "drained" if word in _CLOSED else "down" if word in _GONE else "unknown"


def read_hosts(
    batch: Iterable[Mapping[str, str]],
    base: Mapping[str, Mapping[str, str]],
    load: Mapping[str, Mapping[str, str]],
    gpus: Mapping[str, tuple[dict[str, int], dict[str, int]]] | None,
    source: str,
) -> list[Node]:
    """The hosts. batch: records of bhosts. base: of lshosts, load: of lsload, gpus: in all and free, each by host; a
    host that does not answer is missing there."""
    nodes = []
    for record in batch:
        name = record.get("HOST_NAME", "")
        try:
            nodes.append(_host(name, record, base.get(name, {}), load.get(name, {}), gpus))
        except ValueError as error:
            nodes.append(unread_node(name, OutputError(source, name, str(error))))
    return nodes


def _host(
    name: str,
    record: Mapping[str, str],
    base: Mapping[str, str],
    load: Mapping[str, str],
    gpus: Mapping[str, tuple[dict[str, int], dict[str, int]]] | None,
) -> Node:
    raw = record.get("STATUS", "")
    state = host_state(raw)
    limit, processors = record.get("MAX", "-"), base.get("NCPUS", "-")
    slots = whole(limit) if limit != "-" else whole(processors) if processors != "-" else None
    used = whole(record.get("NJOBS", ""))
    memory = size(base["MAXMEM"]) if base.get("MAXMEM", "-") != "-" else None
    left = size(load["MEM"]) if load.get("MEM", "-") != "-" else None
    takes_none = state != "up" or raw.lower() in _FULL
    total, free = (None, None) if gpus is None else gpus.get(name, ({}, {}))
    return Node(
        name=name,
        state=state,
        raw_state=raw,
        cores=slots,
        free_cores=None if slots is None or state == "unknown" else 0 if takes_none else max(0, slots - used),
        memory=memory,
        free_memory=None if memory is None or left is None else 0 if takes_none else min(left, memory),
        gpus=total,
        free_gpus=None if free is None else dict.fromkeys(free, 0) if takes_none else free,
        features=tuple(base.get("RESOURCES", "").strip("()").split()),
    )


def read_base(text: str) -> dict[str, dict[str, str]]:
    """The hosts of `lshosts -w`, with all words of RESOURCES. Raises OutputError."""
    made = {}
    for line, record in zip(_body(text), read_table(text, "HOST_NAME", "lshosts -w"), strict=True):
        start = line.find("(")
        made[record.get("HOST_NAME", "")] = record | {"RESOURCES": line[start:].strip() if start >= 0 else ""}
    return made


def _body(text: str) -> list[str]:
    lines = [line for line in text.splitlines() if line.strip()]
    at = next((number for number, line in enumerate(lines) if line.split()[0] == "HOST_NAME"), len(lines))
    return lines[at + 1 :]


def read_gpus(text: str) -> dict[str, tuple[dict[str, int], dict[str, int]]]:
    """GPUs by host, in all and free (no job on it), by model, of `bhosts -w -gpu`. Raises OutputError.

    A further GPU of a host is on a line that begins with blanks.
    """
    source = "bhosts -gpu"
    lines = [line for line in text.splitlines() if line.strip()]
    head = lines[0].upper().split() if lines else []
    if head[:1] != ["HOST_NAME"] or "MODEL" not in head or "NJOBS" not in head:
        raise unknown_format(source, "", "a head with HOST_NAME, MODEL and NJOBS expected", text)
    model, behind = head.index("MODEL"), len(head) - head.index("MODEL") - 1
    made: dict[str, tuple[dict[str, int], dict[str, int]]] = {}
    host = ""
    for number, line in enumerate(lines[1:], 2):
        words = line.split()
        if not line[0].isspace():
            host = words.pop(0)
        if words in (["-"] * len(words), []):  # a host without a GPU
            continue
        names = words[model - 1 : len(words) - behind]
        try:
            jobs = whole(words[len(words) - behind + head.index("NJOBS") - model - 1])
        except (ValueError, IndexError):
            raise OutputError(source, f"line {number}", f"a GPU expected, not {line[:60]!r}") from None
        if not names or not host:
            raise OutputError(source, f"line {number}", f"a GPU expected, not {line[:60]!r}")
        total, free = made.setdefault(host, ({}, {}))
        kind = "_".join(names)
        total[kind] = total.get(kind, 0) + 1
        free[kind] = free.get(kind, 0) + (jobs == 0)
    return made


def read_default_queues(text: str) -> tuple[str, ...]:
    """The queues of `bparams` that jobs go to that name none. Raises OutputError."""
    found = re.search(r"^Default Queues?:[ \t]*(.*)$", text, re.MULTILINE)
    if not found:
        raise unknown_format("bparams", "", "Default Queues expected", text)
    return tuple(found[1].split())


def read_queues(text: str, defaults: tuple[str, ...] | None) -> list[Queue]:
    """The queues of `bqueues -l`. Raises OutputError where it is no such text."""
    parts = re.split(r"^QUEUE:[ \t]*(\S+)[ \t]*$", text, flags=re.MULTILINE)
    if len(parts) < 3:
        raise unknown_format("bqueues -l", "", "QUEUE: expected", text)
    queues = []
    for name, body in zip(parts[1::2], parts[2::2], strict=True):
        try:
            queues.append(_queue(name, body, defaults))
        except ValueError as error:
            queues.append(unread_queue(name, OutputError("bqueues -l", name, str(error))))
    return queues


def _queue(name: str, body: str, defaults: tuple[str, ...] | None) -> Queue:
    lines = body.splitlines()
    at = next((number for number, line in enumerate(lines) if line.split()[:1] == ["PRIO"]), None)
    if at is None or at + 1 >= len(lines):
        raise ValueError("PRIO and STATUS expected")
    values = dict(zip(lines[at].split(), lines[at + 1].split(), strict=False))
    raw = values.get("STATUS", "")
    opened, _, active = raw.partition(":")
    if opened not in ("Open", "Closed") or not active.startswith(("Active", "Inact")):
        raise ValueError(f"STATUS must be Open or Closed, and Active or Inactive, not {raw[:40]!r}")
    limits = {key: value for key, value in values.items() if key not in ("STATUS", "NJOBS", "PEND", "RUN")}
    fields = dict(re.findall(r"^(USERS|HOSTS|RES_REQ|MAXIMUM_[A-Z]+):[ \t]*(.*?)[ \t]*$", body, re.MULTILINE))
    return Queue(
        name=name,
        state=queue_state(opened == "Open", active.startswith("Active")),
        raw_state=raw,
        enabled=opened == "Open",
        default=None if defaults is None else name in defaults,
        max_walltime=_run_limit(body),
        limits={key: value[:200] for key, value in (limits | fields).items() if value != "-"},
    )


def _run_limit(body: str) -> int | None:
    """Seconds of RUNLIMIT in MAXIMUM LIMITS; limits stand side by side, their names above. Raises ValueError."""
    section = re.search(r"^\s*MAXIMUM LIMITS:\s*\n(.*?)(?=^\S[A-Z /]+:|\Z)", body, re.MULTILINE | re.DOTALL)
    lines = section[1].splitlines() if section else []
    for above, below in pairwise([*lines, ""]):
        names = above.split()
        if "RUNLIMIT" not in names:
            continue
        times = [one for one in names if one in ("CPULIMIT", "RUNLIMIT")]
        found = _MINUTES.findall(below)
        if len(found) != len(times):
            raise ValueError(f"RUNLIMIT: {below.strip()[:60]!r} can't be read")
        return _minutes(found[times.index("RUNLIMIT")])
    return None


def read_jobs(records: Iterable[Mapping[str, str]], source: str) -> list[Job]:
    jobs = []
    for record in records:
        name = record.get("JOBID", "")
        try:
            jobs.append(read_job(record))
        except ValueError as error:
            jobs.append(unread_job(name, OutputError(source, name, str(error))))
    return jobs


def read_job(record: Mapping[str, str]) -> Job:
    """A job of `bjobs -json`. Raises ValueError."""
    if record.get("ERROR"):
        raise ValueError(record["ERROR"][:200])
    raw = record.get("STAT", "")
    if not record.get("JOBID") or not raw:
        raise ValueError("JOBID or STAT is missing")
    state = _JOBS.get(raw, "unknown")
    index = record.get("JOBINDEX", "0") or "0"
    slots = record.get("SLOTS", "") or record.get("NREQ_SLOT", "") or record.get("MIN_REQ_PROC", "")
    where, nodes = _exec_hosts(record.get("EXEC_HOST", ""))
    waits = state in ("pending", "held")
    return Job(
        id=record["JOBID"] + (f"[{index}]" if index != "0" and "[" not in record["JOBID"] else ""),
        name=record.get("JOB_NAME", "")[:200],
        user=record.get("USER", ""),
        queue=record.get("QUEUE", ""),
        state=state,
        raw_state=raw,
        cores=whole(slots) if slots not in ("", "-") else None,
        nodes=nodes,
        max_walltime=_limit(record.get("RUNTIMELIMIT", "")),
        submitted=record.get("SUBMIT_TIME", "").removesuffix(" L")[:40],
        started=record.get("START_TIME", "").removesuffix(" L").strip("-")[:40],
        hosts=where,
        reason=" ".join(record.get("PEND_REASON", "").split())[:300] if waits else "",
    )


def _limit(text: str) -> int | None:
    """Minutes, as `1440.0`, or hours:minutes:seconds. Raises ValueError."""
    text = text.strip()
    if text in ("", "-"):
        return None
    return seconds(text) if ":" in text else _minutes(re.sub(r"\s*min\b.*", "", text))


def _minutes(text: str) -> int:
    """Seconds of so many minutes. Raises ValueError."""
    made = float(text) * 60
    if not 0 <= made <= _MOST_SECONDS:
        raise ValueError(f"{text[:40]!r} are no minutes of a limit")
    return round(made)


def _exec_hosts(text: str) -> tuple[str, int | None]:
    from resource_secretary.providers.workload._pbs_types import hosts_of

    names = list(dict.fromkeys(match[2] for match in _HOSTS.finditer(text) if match[2] != "-"))
    return hosts_of("+".join(names)), len(names) or None


def read_job_table(text: str) -> list[Job]:
    """The jobs of `bjobs -w`, where there is no JSON: a name may have blanks in it. Raises OutputError."""
    source = "bjobs -w"
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines or lines[0].split()[:4] != ["JOBID", "USER", "STAT", "QUEUE"]:
        raise unknown_format(source, "", "a head with JOBID, USER, STAT and QUEUE expected", text)
    jobs = []
    for line in lines[1:]:
        words = line.split(None, 5)
        date = _DATE.search(line)
        state = _JOBS.get(words[2]) if len(words) == 6 else None
        if state is None or not date:
            jobs.append(unread_job(words[0], OutputError(source, words[0], f"{line[:80]!r} can't be read")))
            continue
        rest = words[5][: len(words[5].rstrip()) - len(date[1].rstrip())].split(None, 1)
        where = rest.pop(0) if rest and state in ("running", "suspended") else ""
        hosts, nodes = _exec_hosts(where if where != "-" else "")
        slots = sum(int(match[1] or 1) for match in _HOSTS.finditer(where)) if where not in ("", "-") else None
        if slots is not None and slots > MOST_CORES:
            jobs.append(unread_job(words[0], OutputError(source, words[0], f"{slots} slots are too many")))
            continue
        jobs.append(
            Job(
                id=words[0],
                name=" ".join(rest).lstrip("- ").strip()[:200],
                user=words[1],
                queue=words[3],
                state=state,
                raw_state=words[2],
                cores=slots,
                nodes=nodes,
                submitted=date[1],
                hosts=hosts,
            )
        )
    return jobs
