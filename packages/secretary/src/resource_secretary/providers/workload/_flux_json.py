"""Read the jobs of Flux: `flux jobs --json`, which prints what RFC 43 lists, and event logs (RFC 18, RFC 21)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from resource_secretary.errors import OutputError
from resource_secretary.reading import loads, possible
from resource_secretary.run import printable

_RAW = 2000  # characters of an answer that can't be read, kept in the error
# RFC 21: the states of a job, and of one that is inactive its result.
_STATES = frozenset(
    {"DEPEND", "PRIORITY", "SCHED", "RUN", "CLEANUP", "INACTIVE", "COMPLETED", "FAILED", "CANCELED", "TIMEOUT"}
)
FINISHED = frozenset({"COMPLETED", "FAILED", "CANCELED", "TIMEOUT", "INACTIVE"})
_NO_END = 9_000_000_000  # seconds since the epoch: an expiration that late means none


@dataclass(frozen=True, slots=True)
class FluxJob:
    """A job. Times are RFC 3339 in UTC or seconds.

    state: DEPEND, PRIORITY, SCHED (waits), RUN, CLEANUP, or COMPLETED, FAILED, CANCELED, TIMEOUT. start: when it began;
    estimated_start: when the scheduler expects a job that waits to begin, null where it does not tell (the one that
    Flux brings with it does not). time_limit: null without one. cores, nodes: null where not yet decided. exception:
    what went wrong, "" where nothing did. returncode: as a shell would tell it, once it has ended. unread: why the
    entry can't be read.
    """

    id: str
    name: str = ""
    user: str = ""
    queue: str = ""
    bank: str = ""
    state: str = "unknown"
    nodes: int | None = None
    cores: int | None = None
    tasks: int | None = None
    time_limit: float | None = None
    urgency: int | None = None
    priority: int | None = None
    submitted: str | None = None
    start: str | None = None
    estimated_start: str | None = None
    ends: str | None = None
    runtime: float | None = None
    ranks: str = ""
    node_list: str = ""
    returncode: int | None = None
    dependencies: tuple[str, ...] = ()
    exception: str = ""
    uri: str = ""
    unread: str = ""


@dataclass(frozen=True, slots=True)
class FluxEvent:
    """An entry of a job's event log: time (RFC 3339 in UTC), name, and its context as JSON, "" without one."""

    time: str
    name: str
    context: str


@dataclass(frozen=True, slots=True)
class FluxJobDetail:
    """One job and its event log, oldest event first; events is null where the log can't be read, with its reason."""

    job: FluxJob
    events: tuple[FluxEvent, ...] | None
    events_unread: str = ""


def read_jobs(text: str) -> list[FluxJob]:
    """The jobs of `flux jobs --json`: an object with a list, or of one id the job itself.

    An entry that can't be read loses only itself. Raises OutputError where none can be read.
    """
    try:
        document = loads(text)
    except (ValueError, RecursionError):
        raise OutputError("flux jobs --json", "", f"no JSON; it says: {printable(text.strip()[:_RAW])}") from None
    rows = document.get("jobs", [document]) if isinstance(document, dict) else None
    if not isinstance(rows, list):
        raise OutputError("flux jobs --json", "", f"no list of jobs; it says: {printable(text.strip()[:_RAW])}")
    made = []
    for place, row in enumerate(rows):
        name = row.get("jobid") if isinstance(row, dict) else None
        try:
            made.append(_job(row if isinstance(row, dict) else {}))
        except ValueError as error:
            made.append(
                FluxJob(printable(name) if isinstance(name, str) else f"jobs[{place}]", unread=printable(str(error)))
            )
    if made and all(job.unread for job in made):
        said = f"{made[0].unread}; it says: {printable(text.strip()[:_RAW])}"
        raise OutputError("flux jobs --json", made[0].id, said)
    return made


def _job(row: Mapping[str, Any]) -> FluxJob:
    name = _text(row, "jobid") or str(_whole(row, "id") or "")
    state = _text(row, "status") or _text(row, "state")
    if not name or state not in _STATES:
        raise ValueError(f"a job's id and state expected, not {name[:40]!r} and {state[:40]!r}")
    limit, expiration = _real(row, "duration"), _real(row, "expiration")
    exception = row.get("exception")
    wrong = ""
    if isinstance(exception, dict) and exception.get("occurred"):
        note = _text(exception, "note")
        wrong = f"{_text(exception, 'type')}: {note}" if note else _text(exception, "type")
    dependencies = row.get("dependencies")
    possible(cores=(_whole(row, "ncores"),))
    return FluxJob(
        id=name,
        name=_text(row, "name"),
        user=_text(row, "username") or str(row.get("userid", "")),
        queue=_text(row, "queue"),
        bank=_text(row, "bank") or _text(row, "project"),
        state=state,
        nodes=_whole(row, "nnodes"),
        cores=_whole(row, "ncores"),
        tasks=_whole(row, "ntasks"),
        time_limit=limit or None,  # 0: none
        urgency=_whole(row, "urgency"),
        priority=_whole(row, "priority"),
        submitted=_time(row, "t_submit"),
        start=_time(row, "t_run"),
        estimated_start=_estimate(row) if state in ("SCHED", "DEPEND", "PRIORITY") else None,
        ends=_time(row, "expiration") if expiration and expiration < _NO_END else None,
        runtime=_real(row, "runtime"),
        ranks=_text(row, "ranks"),
        node_list=_text(row, "nodelist"),
        returncode=_signed(row, "returncode"),
        dependencies=tuple(map(str, dependencies)) if isinstance(dependencies, list) else (),
        exception=wrong,
        uri=_text(row, "uri"),
    )


def _estimate(row: Mapping[str, Any]) -> str | None:
    """`annotations.sched.t_estimate`: Fluxion's guess, in seconds since the epoch."""
    annotations = row.get("annotations")
    sched = annotations.get("sched") if isinstance(annotations, dict) else None
    return _time(sched, "t_estimate") if isinstance(sched, dict) and sched.get("t_estimate") else None


def read_events(text: str) -> tuple[FluxEvent, ...]:
    """The lines of `flux job eventlog --format=json`. Raises OutputError."""
    made = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = loads(line)
            when = _time(row, "timestamp") if isinstance(row, dict) else None
            if when is None or not _text(row, "name"):
                raise ValueError("a timestamp and a name expected")
        except (ValueError, RecursionError) as error:
            raise OutputError("flux job eventlog", f"line {number}", printable(str(error))) from None
        context = json.dumps(row["context"], ensure_ascii=False) if "context" in row else ""
        made.append(FluxEvent(when, _text(row, "name"), context))
    return tuple(made)


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    return printable(value) if isinstance(value, str) else ""


def _real(row: Mapping[str, Any], key: str) -> float | None:
    value = row.get(key)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 10**15:
        raise ValueError(f"{key} must be a number, not {str(value)[:40]!r}")
    return float(value)


def _whole(row: Mapping[str, Any], key: str) -> int | None:
    value = row.get(key)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**64:
        raise ValueError(f"{key} must be a whole number, not {str(value)[:40]!r}")
    return value


def _signed(row: Mapping[str, Any], key: str) -> int | None:
    """A return code: -128 of a job that was cancelled before it ran, "" of one that has none yet."""
    value = row.get(key)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**31) <= value < 2**31:
        raise ValueError(f"{key} must be a return code, not {str(value)[:40]!r}")
    return value


def _time(row: Mapping[str, Any], key: str) -> str | None:
    stamp = _real(row, key)
    if not stamp:
        return None
    try:
        return datetime.fromtimestamp(stamp, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    except (OverflowError, OSError, ValueError):
        raise ValueError(f"{key}: {stamp} is no time") from None
