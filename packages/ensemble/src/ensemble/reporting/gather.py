"""What the page of a run shows, as plain JSON data of bounded size.

Jobs are columns of small integers: times in units of `unit` seconds since the start, submissions as differences.
Everything that is counted is counted over all jobs; only what is drawn or listed one by one is bounded, and says so.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from math import isfinite
from statistics import median
from typing import Any

from ensemble.reporting.rules import rules_of
from ensemble.rundir import RunDir, document_of, kind_of, loads

JOBS = 120_000  # drawn one by one
FAILURES = 20_000  # of these, kept before others
REASONS = 2_000
IDS_BYTES = 2_000_000
TAILS_BYTES = 2_000_000
TAIL_LINES, TAIL_CHARS = 20, 4_096
DECISIONS = 10_000
DETAIL_BYTES = 800_000
POINTS = 40_000
SERIES = 200
BINS = 1_000
TEXT_CHARS = 200_000
OUTCOMES = ("success", "failed", "timeout", "exception", "lost", "cancelled", "running", "pending", "held")
GOOD = {"success", "running", "pending", "held"}


def gather(run: RunDir, now: float | None = None) -> dict[str, Any]:
    """The data of the page; `now` (seconds since the epoch) is when it is made."""
    now = time.time() if now is None else now
    with run.at_once():
        run.refresh()
        state = run.state()
        rows = list(
            run.jobs(order="coalesce(submitted, started, ended) IS NULL, coalesce(submitted, started, ended), rowid")
        )
        start = run.number("started") or min((t for row in rows for t in row[5:8] if t), default=now)
        ended = run.number("ended")
        last = max((t for row in rows for t in row[5:8] if t), default=start)
        end = ended or (now if state.lives else last)
        end = max(end, last, start + 1e-3)
        superseded = run.superseded()
        counts = run.counts()
        decisions = run.decisions(limit=DECISIONS)
        document = document_of(run.value("text"))
        tails = {name: (out, err) for name, out, err in run.tails()}
        series = _series(run, start)
    kept = _choose(rows)
    capacity = run.number("cores")
    return {
        "made": now,
        "state": {"word": state.word, "text": state.text, "met": run.met},
        "run": {key: run.value(key) for key in ("run", "version", "file", "member", "cwd", "settings")},
        "folder": str(run.path.absolute()),
        "start": start,
        "end": end,
        "ended": ended,
        "cores": capacity,
        "outcomes": OUTCOMES,
        "groups": _groups(rows, counts, document),
        "jobs": _columns([rows[n] for n in kept], len(rows), list(counts), superseded, start, end),
        "use": _use(rows, start, end),
        "causes": _causes(rows, superseded),
        "tails": _tails(rows, tails),
        "series": series,
        "rules": rules_of(document, decisions, run.result),
        "decisions": _decisions(decisions, start),
        "calls": loads(run.meta.get("calls"), {}),
        "forgotten": int(run.number("forgotten") or 0),
        "errors": [str(text)[:2000] for text in run.result.get("errors", [])[:100]],
        "text": run.value("text")[:TEXT_CHARS],
    }


def _choose(rows: Sequence[Any]) -> list[int]:
    """Which rows are drawn: all, or the failures and an even sample of the others."""
    if len(rows) <= JOBS:
        return list(range(len(rows)))
    bad = [n for n, row in enumerate(rows) if row.state == "ended" and row.outcome not in GOOD][:FAILURES]
    others = [n for n, row in enumerate(rows) if not (row.state == "ended" and row.outcome not in GOOD)]
    room = JOBS - len(bad)
    step = len(others) / room if room < len(others) else 1
    return sorted(bad + [others[int(n * step)] for n in range(min(room, len(others)))])


class _Words:
    """Texts by number: each is told once."""

    def __init__(self, most: int = 1 << 60, chars: int = 300) -> None:
        self.known: dict[str, int] = {}
        self.most, self.chars = most, chars

    def number(self, text: str) -> int:
        text = text[: self.chars]
        if text not in self.known and len(self.known) >= self.most:
            text = "(one of many other reasons)"
        return self.known.setdefault(text, len(self.known))

    @property
    def words(self) -> list[str]:
        return list(self.known)


def _columns(
    rows: Sequence[Any], of: int, names: Iterable[str], superseded: dict[str, str], start: float, end: float
) -> dict[str, Any]:
    unit = 1e-4
    while (end - start) / unit > 1e7:
        unit *= 10
    groups, hosts, reasons = _Words(), _Words(20_000, 200), _Words(REASONS)
    for name in names:
        groups.number(name)
    columns: dict[str, list[Any]] = {
        name: []
        for name in ("group", "number", "submitted", "wait", "run", "outcome", "cores", "host", "reason", "id", "again")
    }
    before = 0
    room = IDS_BYTES
    for row in rows:
        first = row.submitted if row.submitted is not None else row.started if row.started is not None else row.ended
        placed = first is not None
        at = max(0, round((first - start) / unit)) if placed else before
        wait = -1 if row.started is None or not placed else max(0, round((row.started - first) / unit))
        since = row.started if row.started is not None else first
        took = -1 if row.ended is None or since is None else max(0, round((row.ended - since) / unit))
        kind = kind_of(row.state, row.started is not None, row.outcome)
        columns["group"].append(groups.number(row.grp))
        rest = row.name[len(row.grp) + 1 :] if row.name.startswith(f"{row.grp}.") else row.name
        columns["number"].append(int(rest) if rest.isdigit() and len(rest) < 10 else rest)
        columns["submitted"].append(at - before)
        before = at
        columns["wait"].append(wait)
        columns["run"].append(took)
        columns["outcome"].append(OUTCOMES.index(kind) if kind in OUTCOMES else OUTCOMES.index("failed"))
        columns["cores"].append(row.cores or 1)
        columns["host"].append(hosts.number(" ".join(row.host_list)))
        columns["reason"].append(0 if kind in GOOD else reasons.number(row.why) + 1)
        ident = row.id[:64]
        room -= len(ident.encode()) + 3
        columns["id"].append(ident if room > 0 or kind not in GOOD else 0)
        columns["again"].append(1 if row.name in superseded else 0)
    packed = {name: _pack(values) for name, values in columns.items()}
    words = {"groups": groups.words, "hosts": hosts.words, "reasons": reasons.words}
    return {"n": len(rows), "of": of, "unit": unit, **packed, **words}


def _pack(values: list[Any]) -> Any:
    """A column; one that is the same all over as that one value."""
    return {"all": values[0]} if values and all(value == values[0] for value in values) else values


def _groups(rows: Iterable[Any], counts: dict[str, dict[str, int]], document: Any) -> list[dict[str, Any]]:
    waits: dict[str, list[float]] = {}
    took: dict[str, list[float]] = {}
    busy: Counter[str] = Counter()
    for row in rows:
        if row.started is None:
            continue
        if row.submitted is not None:
            waits.setdefault(row.grp, []).append(max(0.0, row.started - row.submitted))
        if row.ended is not None:
            busy[row.grp] += (row.ended - row.started) * (row.cores or 1)
            if row.outcome in ("success", "failed"):
                took.setdefault(row.grp, []).append(row.ended - row.started)
    commands = {
        str(group.get("name")): _command(group.get("command"))
        for group in document.get("jobs") or ()
        if isinstance(group, dict)
    }
    return [
        {
            "name": name,
            "command": commands.get(name, ""),
            "counts": {key: number for key, number in number_of.items() if number},
            "wait": _spread(waits.get(name)),
            "took": _spread(took.get(name)),
            "busy": round(busy[name], 3),
        }
        for name, number_of in counts.items()
    ]


def _command(command: object) -> str:
    return (" ".join(map(str, command)) if isinstance(command, list) else str(command or ""))[:400]


def _spread(values: list[float] | None) -> list[float] | None:
    """Median, 95th percentile (the nearest rank) and maximum, in seconds."""
    if not values:
        return None
    values.sort()
    return [_short(median(values)), _short(values[-(-len(values) * 95 // 100) - 1]), _short(values[-1])]


def _use(rows: Iterable[Any], start: float, end: float) -> dict[str, Any]:
    """Cores at work, jobs that run and jobs that wait: the mean over each of BINS equal parts of the time."""
    width = (end - start) / BINS
    busy, running, waiting = (_Integral(BINS, width) for _ in range(3))
    for row in rows:
        if row.submitted is not None:
            until = row.started if row.started is not None else row.ended if row.ended is not None else end
            waiting.add(row.submitted - start, until - start, 1)
        if row.started is not None:
            until = row.ended if row.ended is not None else end
            running.add(row.started - start, until - start, 1)
            busy.add(row.started - start, until - start, row.cores or 1)
    return {
        "width": width,
        "busy": busy.means(),
        "running": running.means(),
        "waiting": waiting.means(),
        "total": _short(busy.total),
    }


class _Integral:
    """The mean of a sum of intervals over equal parts of the time, in one step an interval.

    The integral up to x of an interval from a of height h is h * (x - a) for x > a: of each part of the time we keep
    the sum of h and of h * a of what begins in it (negative for what ends).
    """

    def __init__(self, parts: int, width: float) -> None:
        self.parts, self.width = parts, width
        self.height, self.moment = [0.0] * (parts + 1), [0.0] * (parts + 1)
        self.total = 0.0

    def add(self, begin: float, end: float, height: float) -> None:
        whole = self.parts * self.width
        begin, end = min(max(begin, 0.0), whole), min(max(end, 0.0), whole)
        if end <= begin:
            return
        self.total += (end - begin) * height
        for at, change in ((begin, height), (end, -height)):
            part = min(self.parts, int(at / self.width))
            self.height[part] += change
            self.moment[part] += change * at

    def means(self) -> list[float]:
        found, height, moment, before = [], 0.0, 0.0, 0.0
        for part in range(self.parts):
            height += self.height[part]
            moment += self.moment[part]
            now = height * (part + 1) * self.width - moment
            found.append(_short(max(0.0, now - before) / self.width))
            before = now
        return found


def _causes(rows: Iterable[Any], superseded: dict[str, str]) -> dict[str, Any]:
    """Of what did not succeed: how many by group, outcome and reason, and by host; and how many were tried again."""
    reasons: Counter[tuple[str, str, str]] = Counter()
    hosts: Counter[str] = Counter()
    ran: Counter[str] = Counter()
    total = again = 0
    for row in rows:
        if row.state != "ended":
            continue
        for host in row.host_list:
            ran[host] += 1
        if row.outcome in GOOD:
            continue
        total += 1
        again += row.name in superseded
        reasons[row.grp, row.outcome or "lost", row.why[:300]] += 1
        for host in row.host_list:
            hosts[host] += 1
    return {
        "total": total,
        "again": again,
        "reasons": [[*key, number] for key, number in reasons.most_common(50)],
        "kinds": len(reasons),
        "hosts": [[host[:200], number, ran[host]] for host, number in hosts.most_common(20)],
        "hosts_of": len(ran),
    }


def _tails(rows: Iterable[Any], tails: dict[str, tuple[str, str]]) -> dict[str, list[str]]:
    """The end of the output of jobs that did not succeed, as many as there is room for."""
    found: dict[str, list[str]] = {}
    room = TAILS_BYTES
    for row in rows:
        if row.name in tails and room > 0:
            cut = [_last_lines(text) for text in tails[row.name]]
            room -= sum(len(embedded(text)) for text in cut)
            if room > 0:
                found[row.name] = cut
    return found


def _last_lines(text: str) -> str:
    lines = text[-TAIL_CHARS:].rstrip("\n").split("\n")
    return "\n".join(lines[-TAIL_LINES:])


def _series(run: RunDir, start: float) -> list[dict[str, Any]]:
    names = [name for (name,) in run.rows("SELECT DISTINCT series FROM points ORDER BY series")]
    most = max(40, POINTS // max(1, min(len(names), SERIES)))
    found = []
    for name in names[:SERIES]:
        rows = run.rows("SELECT time, value, mean, n FROM points WHERE series = ? ORDER BY time, n", name)
        total = max((row[3] for row in rows), default=0)
        if len(rows) > most:
            step = (len(rows) - 1) / (most - 1)
            rows = [rows[round(n * step)] for n in range(most)]
        rows = [(t, v, v if m is None else m) for t, v, m, _ in rows]
        rows = [row for row in rows if all(isinstance(x, (int, float)) and isfinite(x) for x in row)]
        found.append(
            {
                "name": name[:200],
                "count": total,
                "t": [round(row[0] - start, 3) for row in rows],
                "v": [_short(row[1]) for row in rows],
                "m": [_short(row[2]) for row in rows],
            }
        )
    return found


def _decisions(decisions: Iterable[Any], start: float) -> dict[str, Any]:
    shown, actions, labels = _Words(), _Words(), _Words()
    rows = []
    room = DETAIL_BYTES
    listed = list(decisions)
    for one, after in zip(listed, [*listed[1:], None], strict=True):
        if one.action == "trigger" and after and (after.rule, after.time) == (one.rule, one.time):
            continue  # what it did follows, and names it
        detail = one.detail if len(one.detail) <= 300 else f"{one.detail[:299]}…"
        detail = "" if detail in ("{}", "null") else detail
        room -= len(embedded(detail))
        rows.append(
            [
                round(one.time - start, 3),
                one.rule,
                shown.number(one.shown),
                actions.number(one.action),
                labels.number(one.label),
                detail if room > 0 else "",
            ]
        )
    return {"rows": rows, "shown": shown.words, "actions": actions.words, "labels": labels.words}


def _short(value: float) -> float:
    """Six digits are more than a picture shows."""
    if not isfinite(value):
        return 0.0
    short = float(f"{value:.6g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def embedded(value: object) -> str:
    """JSON that can stand in a script element of HTML: nothing in it can end the element or begin a comment.

    HTML, 4.12.1.3 "Restrictions for contents of script elements": `<!--`, `<script` and `</script` are what matters.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text.encode("utf-8", "replace").decode()  # a lone surrogate is no text
