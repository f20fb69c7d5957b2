"""A journal against what the jobs themselves have written down: nothing lost, nothing twice, nothing made up."""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lasting.plan import Group


@dataclass(slots=True)
class Tally:
    """Jobs asked for, attempts that began, and how jobs ended."""

    ensembles: int = 0
    asked: int = 0
    began: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    retried: int = 0
    taken: Counter[str] = field(default_factory=Counter)  # attempts that the engine took away, by reason
    again: int = 0  # that an engine started once more, which had forgotten them when it was killed

    def add(self, other: Tally) -> None:
        self.ensembles += other.ensembles
        self.asked += other.asked
        self.began += other.began
        self.retried += other.retried
        self.again += other.again
        self.ends.update(other.ends)
        self.taken.update(other.taken)


@dataclass(slots=True)
class Attempts:
    """Attempts of one job, by number: their rows in the journal."""

    rows: dict[int, dict[str, Any]] = field(default_factory=dict)

    @property
    def last(self) -> dict[str, Any]:
        return self.rows[max(self.rows)]


def witnessed(path: Path) -> tuple[Counter[str], dict[str, list[int]]]:
    """What ran: how often each attempt began, and the codes with which it ended. Raises ValueError."""
    began, ended = Counter[str](), dict[str, list[int]]()
    text = path.read_text() if path.exists() else ""
    for line in text.splitlines():
        what, name, *code = line.split(" ")
        if what == "s" and not code:
            began[name] += 1
        elif what == "e" and len(code) == 1:
            ended.setdefault(name, []).append(int(code[0]))
        else:
            raise ValueError(f"{path}: {line!r}")
    return began, ended


def journal(folder: Path) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    """What a run's directory says: its meta data, and each attempt by GROUP.INDEX.ATTEMPT. Raises sqlite3.Error."""
    with closing(sqlite3.connect(f"file:{folder}/run.sqlite?mode=ro", uri=True, timeout=30)) as database:
        database.row_factory = sqlite3.Row
        meta = {row["key"]: row["value"] for row in database.execute("SELECT key, value FROM meta")}
        rows = [dict(row) for row in database.execute("SELECT * FROM jobs")]
    found = {}
    for row in rows:
        index = row["name"].removeprefix(f"{row['grp']}.").partition(".")[0]
        found[f"{row['grp']}.{index}.{row['attempt']}"] = row
    return meta, found


def file_of(folder: Path) -> str:
    """The text of the file that a run is of; empty where it can't be read yet."""
    try:
        with closing(sqlite3.connect(f"file:{folder}/run.sqlite?mode=ro", uri=True, timeout=5)) as database:
            return str(database.execute("SELECT value FROM meta WHERE key = 'text'").fetchone()[0])
    except sqlite3.Error:
        return ""


def progress(folder: Path) -> tuple[int, bool]:
    """The number of the last event of a run, -1 where it has none yet, and whether it has ended."""
    try:
        with closing(sqlite3.connect(f"file:{folder}/run.sqlite?mode=ro", uri=True, timeout=5)) as database:
            [last] = database.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()
            [ended] = database.execute("SELECT value FROM meta WHERE key = 'ended'").fetchone()
            return int(last), bool(ended)
    except sqlite3.Error:
        return -1, False


def going(folder: Path, witness: Path, *, forgot: bool) -> Iterator[str]:
    """What is wrong with a run that goes on. forgot: its engine may start again what has ended."""
    began, _ = witnessed(witness)
    if not began:
        return
    try:
        _, rows = journal(folder)
    except sqlite3.Error as error:
        yield f"{folder}: jobs have run, and the journal can't be read: {error}"
        return
    if not forgot:
        yield from twice(folder, began)
    for name in began.keys() - rows.keys():
        yield f"{folder}: {name} ran, and the journal does not know of it"


def twice(folder: Path, began: Mapping[str, int]) -> Iterator[str]:
    for name, times in began.items():
        if times > 1:
            yield f"{folder}: {name} ran {times} times"


def ended(
    folder: Path, witness: Path, groups: Sequence[Group], size: int, *, taken: bool, forgot: bool
) -> tuple[Tally, list[str]]:
    """Look at a run that has ended.

    taken: its engine was killed meanwhile, so that it may take jobs away. forgot: so that it lost what it knew of
    the last seconds, and may start again what had ended.
    """
    tally, wrong = Tally(ensembles=1), list[str]()
    began, codes = witnessed(witness)
    meta, rows = journal(folder)
    counts = json.loads(meta["result"])["counts"] if meta.get("result") else {}
    again = list(twice(folder, began))
    if forgot:
        tally.again = len(again)
    else:
        wrong += again
    wrong += [f"{folder}: {name} ran, and the journal does not know of it" for name in began.keys() - rows.keys()]
    tally.began = sum(began.values())
    jobs = dict[str, Attempts]()
    for name, row in rows.items():
        jobs.setdefault(name.rpartition(".")[0], Attempts()).rows[row["attempt"]] = row
    for group in groups:
        asked = group.count * size
        tally.asked += asked
        if counts.get(group.name, {}).get("submitted", 0) != asked:
            wrong.append(f"{folder}: {group.name}: {asked} jobs were asked for; counted: {counts.get(group.name)}")
        ends = Counter[str]()
        for index in range(asked):
            job = jobs.get(f"{group.name}.{index}")
            if job is None:
                wrong.append(f"{folder}: {group.name}.{index} is not in the journal")
                continue
            wrong += (
                f"{folder}: {text}" for text in _job(job, group, index, began, codes, tally, taken=taken, forgot=forgot)
            )
            ends[job.last["outcome"]] += 1
        tally.ends.update(ends)
        told = {end: number for end, number in counts.get(group.name, {}).items() if end in ENDS and number}
        if told != {end: number for end, number in ends.items() if end}:
            wrong.append(f"{folder}: {group.name}: the result says {told}, the journal's rows say {dict(ends)}")
    return tally, wrong


ENDS = ("success", "failed", "cancelled", "timeout", "exception", "lost")


def _job(
    job: Attempts,
    group: Group,
    index: int,
    began: Mapping[str, int],
    codes: Mapping[str, Sequence[int]],
    tally: Tally,
    *,
    taken: bool,
    forgot: bool,
) -> Iterator[str]:
    name = f"{group.name}.{index}"
    if sorted(job.rows) != list(range(len(job.rows))):
        yield f"{name} has the attempts {sorted(job.rows)}"
    tally.retried += len(job.rows) - 1
    own = 0
    for number, row in job.rows.items():
        token, end = f"{name}.{number}", row["outcome"]
        ran, out = began.get(token, 0), list(codes.get(token, ()))
        if row["state"] != "ended" or end not in ENDS:
            yield f"{token} has no end: {row['state']} {end}"
        elif end == "success" and (not ran or not out or any(out) or (not forgot and (ran, out) != (1, [0]))):
            yield f"{token} is a success, and began {ran} times and ended with {out}"
        elif end == "failed" and out == [0]:
            yield f"{token} is a failure ({row['reason']}), and ended with 0"
        elif end == group.end:
            own += 1
            if end == "failed" and set(out) != {group.code}:
                yield f"{token} failed with {row['status']} {row['reason']!r}, and ended with {out}"
        else:
            why = f"{end}: {row['reason'] or row['status']}"
            tally.taken[re.sub(r"\b\d+(_\d+)?\b", "N", why)[:80]] += 1
            if not taken:
                yield f"{token} ended as {why}, though nobody touched its engine"
            elif not row["reason"] and row["status"] is None:
                yield f"{token} ended as {end}, without a reason"
    if own > group.most:
        yield f"{name} was tried {own} times, {group.most} at most"
    if group.end == "failed" and job.last["outcome"] == "failed" and own != group.most:
        yield f"{name} was tried {own} times, not {group.most}"
