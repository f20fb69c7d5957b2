"""Read the JSON of Slurm: one job, and the nodes where their text can't be read.

`squeue --json` and `sinfo --json` are there since 21.08, `scontrol --json` since 23.02. In JSON times are no local ones
and a name can't look like a field. Its shapes: 21.08 and 22.05 (OpenAPI v0.0.37, v0.0.38) have bare numbers and a text
for the state, 23.02 (data_parser v0.0.39) numbers as `{set, infinite, number}`, 23.11 and later (v0.0.40 and on) a list
for the state too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from resource_secretary.errors import OutputError
from resource_secretary.providers.workload import _slurm_values as values
from resource_secretary.providers.workload._slurm_jobs import SlurmJobDetail
from resource_secretary.providers.workload._slurm_text import Record, SlurmNode, each, make_node
from resource_secretary.providers.workload._slurm_values import NOTHING, job_state, known_job_state
from resource_secretary.reading import loads
from resource_secretary.run import printable

_RAW = 2000
# Members of a node, and the keys of `scontrol show nodes` that they stand for.
_NODE = {
    "sockets": "Sockets",
    "cores": "CoresPerSocket",
    "threads": "ThreadsPerCore",
    "cpus": "CPUTot",
    "effective_cpus": "CPUEfctv",
    "alloc_cpus": "CPUAlloc",
    "real_memory": "RealMemory",
    "specialized_memory": "MemSpecLimit",
    "alloc_memory": "AllocMem",
}


def read_nodes_json(text: str) -> list[SlurmNode]:
    """The nodes of `scontrol --json show nodes`, or of `sinfo --json` of 22.05. Raises OutputError."""
    document = _document(text, "scontrol --json show nodes")
    rows = document.get("nodes")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raw = printable(text.strip()[:_RAW])
        raise OutputError("scontrol --json show nodes", "nodes", f"a list of objects expected; it says: {raw}")
    return each("--json nodes", (_node_record(row) for row in rows), make_node, SlurmNode)


def _node_record(row: Mapping[str, Any]) -> Record:
    name = str(row.get("name"))
    fields = {}
    try:
        for member, key in _NODE.items():
            found = number(row, member)
            if found is not None:
                fields[key] = str(found)
    except ValueError as error:
        return Record(name, {}, str(error))
    states = row.get("state")
    flags = [states] if isinstance(states, str) else states if isinstance(states, list) else []
    more = row.get("state_flags")
    fields["State"] = "+".join(str(one) for one in [*flags, *(more if isinstance(more, list) else [])])
    partitions = row.get("partitions")
    fields["Partitions"] = ",".join(map(str, partitions)) if isinstance(partitions, list) else ""
    features = row.get("active_features")
    fields["ActiveFeatures"] = ",".join(map(str, features)) if isinstance(features, list) else str(features or "")
    for member, key in (("gres", "Gres"), ("gres_used", "GresUsed"), ("reason", "Reason")):
        if isinstance(row.get(member), str):
            fields[key] = row[member]
    return Record(name, fields)


def _document(text: str, source: str) -> Mapping[str, Any]:
    try:
        document = loads(text)
    except (ValueError, RecursionError):
        raise OutputError(source, "", f"no JSON; it says: {printable(text.strip()[:_RAW])}") from None
    if not isinstance(document, dict):
        raise OutputError(source, "", f"no object; it says: {printable(text.strip()[:_RAW])}")
    return document


def read_job_json(text: str, job: str) -> SlurmJobDetail:
    """The job in what `scontrol --json show job ID` (or `squeue --json`) says. Raises OutputError."""
    source = "scontrol --json show job"
    document = _document(text, source)
    jobs = document.get("jobs")
    rows = [row for row in jobs if isinstance(row, dict)] if isinstance(jobs, list) else []
    try:
        exact = [row for row in rows if job in (str(row.get("job_id")), _array_id(row))]
        wanted = [row for row in rows if str(number(row, "array_job_id")) == job] or exact
        if not wanted:
            raise OutputError(source, job, f"the job is not in it; it says: {printable(text.strip()[:_RAW])}")
        return _detail_json((exact or wanted)[0], len(wanted))
    except OutputError:
        raise
    except ValueError as error:
        raise OutputError(source, job, f"{error} ({_schema(document)})") from None


def _array_id(row: Mapping[str, Any]) -> str:
    task = number(row, "array_task_id")
    return "" if task is None else f"{number(row, 'array_job_id')}_{task}"


def _schema(document: Mapping[str, Any]) -> str:
    """The version of the JSON, as it says itself: under `plugins` in 23.02, else under `plugin`."""
    meta = document.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    for plugin in (meta.get("plugins"), meta.get("plugin")):
        if isinstance(plugin, dict):
            return printable(str(plugin.get("data_parser") or plugin.get("type") or "no schema told"))[:60]
    return "no schema told"


def number(row: Mapping[str, Any], key: str) -> int | None:
    """A number, bare or as `{set, infinite, number}`; None where it is not set or infinite. Raises ValueError."""
    value = row.get(key)
    if isinstance(value, dict):
        if value.get("infinite") or not value.get("set"):
            return None
        value = value.get("number")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 10**15:
        raise ValueError(f"{key} must be a whole number, not {str(value)[:40]!r}")
    return value


def _detail_json(row: Mapping[str, Any], count: int) -> SlurmJobDetail:
    def text(key: str) -> str:
        value = row.get(key)
        return "" if value is None or value in NOTHING or not isinstance(value, str) else printable(value)

    def moment(key: str) -> str | None:
        stamp = number(row, key)
        return values.utc(stamp) if stamp else None

    raw = row.get("job_state")
    flags = [raw] if isinstance(raw, str) else raw
    if not isinstance(flags, list) or not flags or not all(isinstance(flag, str) for flag in flags):
        raise ValueError(f"job_state must be a text or a list of texts, not {str(raw)[:40]!r}")
    state = job_state(flags[0])
    if not known_job_state(state):
        raise ValueError(f"job_state: {state[:40]!r} is no state of a job")
    limit = number(row, "time_limit")
    requested, allocated = values.tres(text("tres_req_str")), values.tres(text("tres_alloc_str"))
    code, signal = _code_json(row.get("exit_code")) if state in values.FINISHED else (None, None)
    return SlurmJobDetail(
        id=_array_id(row) or str(number(row, "job_id")),
        name=text("name"),
        user=text("user_name") or str(number(row, "user_id")),
        account=text("account"),
        partition=text("partition"),
        qos=text("qos"),
        state=state,
        reason=text("state_reason"),
        dependency=text("dependency"),
        exit_code=code,
        signal=signal,
        submitted=moment("submit_time"),
        eligible=moment("eligible_time"),
        start=moment("start_time"),
        end=moment("end_time"),
        time_limit=None if limit is None else limit * 60,  # minutes
        priority=number(row, "priority"),
        restarts=number(row, "restart_cnt"),
        nodes=number(row, "node_count"),
        cpus=number(row, "cpus"),
        tasks=number(row, "tasks"),
        requested=requested,
        allocated=allocated,
        gpus=values.tres_gpus(allocated or requested),
        node_list=text("nodes"),
        features=text("features"),
        licenses=text("licenses"),
        reservation=text("resv_name"),
        command=text("command"),
        workdir=text("current_working_directory"),
        stdout=text("standard_output"),
        stderr=text("standard_error"),
        comment=text("comment"),
        tasks_of_array=count,
        source="scontrol --json show job",
    )


def _code_json(value: object) -> tuple[int | None, int | None]:
    """As wait(2) has it (22.05), or with members of their own."""
    if isinstance(value, dict) and "return_code" in value:
        signal = value.get("signal")
        signal = signal if isinstance(signal, dict) else {}
        key = "id" if "id" in signal else "signal_id"
        return number(value, "return_code"), number(signal, key) or None
    status = number({"exit_code": value}, "exit_code")
    return (None, None) if status is None else (status >> 8, status & 0x7F or None)
