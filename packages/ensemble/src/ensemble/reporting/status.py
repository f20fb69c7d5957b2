"""Where a run stands, from its directory: one object, and the same as text."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ensemble.reporting.rules import rules_of
from ensemble.reporting.text import printable
from ensemble.rundir import RunDir, document_of, duration, loads

FAILURES = 5
TAIL_LINES = 5
COUNTS = (
    "jobs", "held", "pending", "running", "success", "failed", "timeout", "exception", "lost", "cancelled", "retried",
)  # fmt: skip


def status_of(run: RunDir, failures: int = FAILURES, now: float | None = None) -> dict[str, Any]:
    """All of it as JSON data. Times in seconds since the epoch, durations in seconds. Raises RunDirError."""
    now = time.time() if now is None else now
    with run.at_once():
        run.refresh()
        state = run.state()
        counts = run.counts()
        decisions = run.decisions()
        started, ended = run.number("started"), run.number("ended")
        until = ended or now if state.lives or ended else run.last_write()
        # The clock of a member that simulates runs ahead of ours.
        until = max(until, run.rows("SELECT max(ended) FROM jobs")[0][0] or 0.0)
        over = run.rows("SELECT count(*) FROM jobs WHERE state = 'ended'")[0][0]
        recent = run.rows("SELECT count(*) FROM jobs WHERE ended > ?", until - 60)[0][0]
        superseded = run.superseded()
        bad = "WHERE state = 'ended' AND outcome != 'success'"
        total = run.rows(f"SELECT count(*) FROM jobs {bad}")[0][0]  # noqa: S608 - our own text
        last: list[dict[str, Any]] = []
        for row in run.jobs(bad, order="ended DESC, rowid DESC"):
            if len(last) >= failures:
                break
            out, err = run.tail(row.name)
            last.append(
                {
                    "job": row.name,
                    "group": row.grp,
                    "outcome": row.outcome,
                    "reason": row.why,
                    "id": row.id or None,
                    "hosts": row.host_list,
                    "ended": row.ended,
                    "retried_as": superseded.get(row.name),
                    "where": _where(run, row.name),
                    "out": out.splitlines()[-TAIL_LINES:],
                    "err": err.splitlines()[-TAIL_LINES:],
                }
            )
        metrics = _metrics(run)
    took = max(0.0, until - started) if started else None
    return {
        "run": run.value("run"),
        "file": run.value("file"),
        "member": run.value("member"),
        "version": run.value("version"),
        "directory": str(run.path),
        "state": state.word,
        "text": state.text,
        "met": run.met,
        "ended_by": run.result.get("ended_by"),
        "started": started,
        "ended": until if ended else None,
        "took": took,
        "groups": counts,
        "rate": {"jobs_per_second": over / took if took else None, "last_minute": recent},
        "rules": rules_of(document_of(run.value("text")), decisions, run.result),
        "decisions": len(decisions),
        "metrics": metrics,
        "calls": loads(run.meta.get("calls"), {}),
        "did_not_succeed": total,
        "failures": last,
        "errors": run.result.get("errors", []),
    }


def exit_code(status: dict[str, Any]) -> int:
    """0 where it met its rules or still runs, else 1."""
    return 0 if status["met"] or status["state"] in ("running", "elsewhere") else 1


def _where(run: RunDir, job: str) -> str | None:
    for failure in run.result.get("failures", ()):
        if isinstance(failure, dict) and failure.get("job") == job and failure.get("where"):
            return str(failure["where"])
    return f"ensemble logs {run.path} {job} --err"


def _metrics(run: RunDir) -> dict[str, dict[str, float]]:
    """What the run summed up at its end; before it, what its points say: how many, the last value and the mean."""
    summary = run.result.get("summary")
    if isinstance(summary, dict) and summary:
        return summary
    found = {}
    for series, n, value, mean in run.rows("SELECT series, max(n), value, mean FROM points GROUP BY series"):
        found[series] = {"count": n, "last": value, "mean": mean}
    return found


def status_text(status: dict[str, Any], now: float | None = None) -> str:
    """For people."""
    now = time.time() if now is None else now
    lines = [f"{status['file'] or 'ensemble'}: {status['text']}"]
    if status["started"]:
        since = f"started {_clock(status['started'])} on {status['member']}"
        if status["ended"]:
            since += f", ended {_clock(status['ended'])}"
            if now >= status["ended"]:
                since += f" ({duration(now - status['ended'])} ago)"
        lines.append(f"{since}, {'took' if status['ended'] else 'for'} {duration(status['took'])}")
    jobs = sum(group["jobs"] for group in status["groups"].values())
    rate = status["rate"]["jobs_per_second"]
    if jobs and rate is not None:
        said = f"{rate:.1f} jobs/s" if rate >= 1 else f"{rate * 60:.1f} jobs/min"
        lines.append(f"{said} on average, {status['rate']['last_minute']} ended in the last minute of it")
    if status["groups"]:
        shown = [key for key in COUNTS if key == "jobs" or any(group.get(key) for group in status["groups"].values())]
        rows = [(name, *(str(group.get(key, 0)) for key in shown)) for name, group in status["groups"].items()]
        lines += ["", aligned(("GROUP", *(key.upper() for key in shown)), rows)]
    else:
        lines += ["", "no job has been submitted yet"]
    if status["rules"]:
        rows = [
            (
                str(rule["index"]),
                f"{rule['fired']}" + (f"/{rule['of']}" if rule["of"] is not None else ""),
                _clock(rule["last"]) if rule["last"] else "-",
                printable(rule["text"]) + ("  (never met)" if rule["never"] else ""),
            )
            for rule in status["rules"]
        ]
        lines += ["", aligned(("RULE", "FIRED", "LAST", "WHAT IT SAYS"), rows, left=(2, 3))]
    if status["metrics"]:
        names = list(dict.fromkeys(key for values in status["metrics"].values() for key in values))
        rows = [(name, *(_number(v.get(key)) for key in names)) for name, v in status["metrics"].items()]
        lines += ["", aligned(("SERIES", *(name.upper() for name in names)), rows)]
    if status["did_not_succeed"]:
        lines += ["", f"did not succeed: {status['did_not_succeed']}, the last of them:"]
        for failure in status["failures"]:
            lines += _failure(failure)
    for error in status["errors"]:
        lines.append(f"action failed: {printable(str(error))}")
    return "\n".join(lines)


def _failure(failure: dict[str, Any]) -> list[str]:
    where = f" on {','.join(failure['hosts'])}" if failure["hosts"] else ""
    ident = f" (id {failure['id']})" if failure["id"] else ""
    again = f"; tried again as {failure['retried_as']}" if failure["retried_as"] else ""
    why = f": {failure['reason']}" if failure["reason"] != failure["outcome"] else ""
    lines = [f"  {failure['job']}{ident}{where}: {failure['outcome']}{why}{again}"]
    lines.append(f"    output: {failure['where']}")
    lines += [f"    | {line}" for line in failure["err"] or failure["out"]]
    return [printable(line) for line in lines]


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int] = ()) -> str:
    """A plain table: the first column and those in `left` to the left, numbers to the right."""
    cells = [list(header), *map(list, rows)]
    widths = [max(len(row[n]) for row in cells) for n in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if n == 0 or n in left else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    )


def _number(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, (int, float)) else "-"


def _clock(epoch: float) -> str:
    return datetime.fromtimestamp(epoch).astimezone().strftime("%Y-%m-%d %H:%M:%S")
