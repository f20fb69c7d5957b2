"""Journals of runs that never were: the tables as a run writes them, filled by a seed."""

from __future__ import annotations

import base64
import json
import os
import random
import select
import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

SCHEMA = """
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT);
CREATE TABLE events(seq INTEGER PRIMARY KEY, time REAL, name TEXT, job TEXT, context TEXT);
CREATE TABLE snapshot(seq INTEGER, state BLOB);
CREATE TABLE jobs(name TEXT PRIMARY KEY, grp TEXT, attempt INTEGER, id TEXT, state TEXT, submitted REAL, started REAL,
    ended REAL, outcome TEXT, status INTEGER, reason TEXT, hosts TEXT, nodes INTEGER, cores INTEGER);
CREATE TABLE decisions(seq INTEGER PRIMARY KEY, time REAL, rule INTEGER, shown TEXT, action TEXT, label TEXT,
    detail TEXT);
CREATE TABLE points(series TEXT, n INTEGER, time REAL, value REAL, mean REAL);
CREATE TABLE tails(name TEXT PRIMARY KEY, out TEXT, err TEXT);
"""
TEXT = """\
# A sweep, and what comes after it.
jobs:
  - name: sweep
    command: lmp -in sweep.lmp -var T 300
    count: 200
    nodes: 1
  - {name: analyse, command: python analyse.py, count: 20}
  - {name: plot, command: python plot.py}
rules:
  - trigger: start
    action: {name: submit, label: sweep}
  - trigger: metric
    name: count.sweep.finished
    when: 100
    action: {name: submit, label: analyse, repetitions: 2}
  - trigger: metric
    name: count.analyse.success
    when: 20
    action: {name: submit, label: plot}
  - trigger: metric
    name: mean.sweep-duration
    when: "> 4000"
    action: {name: terminate}
"""
GROUPS = {"sweep": (0.8, 60.0), "analyse": (0.18, 20.0), "plot": (0.02, 5.0)}  # share, seconds

Make = Callable[..., Path]


def make(
    folder: Path,
    *,
    jobs: int = 30,
    failing: float = 0.05,
    cores: int = 64,
    state: str = "ended",
    met: bool | None = None,
    tails: int = 1000,
    hosts: int = 8,
    rules: int = 0,
    meta: dict[str, Any] | None = None,
    rows: list[tuple[Any, ...]] | None = None,
    journal: str = "WAL",
    seed: int = 1,
) -> Path:
    """A run's directory. state: ended, running (by this process), dead or elsewhere."""
    rng = random.Random(seed)
    folder.mkdir(mode=0o700, parents=True)
    db = sqlite3.connect(folder / "run.sqlite", isolation_level=None)
    db.execute(f"PRAGMA journal_mode={journal}")
    db.executescript(SCHEMA)
    db.execute("BEGIN")
    start = 1_790_000_000.0
    free = [0.0] * cores
    listed: list[tuple[Any, ...]] = []
    points: list[tuple[Any, ...]] = []
    kept: list[tuple[str, str, str]] = []
    number: dict[str, int] = {}
    sums: dict[str, tuple[int, float]] = {}
    for index in range(jobs):
        group = rng.choices(list(GROUPS), [share for share, _ in GROUPS.values()])[0] if index > 2 else "sweep"
        number[group] = number.get(group, -1) + 1
        name = f"{group}.{number[group]}"
        slot = min(range(cores), key=free.__getitem__) if cores < 100 else rng.randrange(cores)
        submitted = start + 0.02 * index + rng.random() * 0.01
        host = f"node{slot * hosts // cores:03}"
        attempt = 0
        while True:
            began = max(start + free[slot], submitted) + 0.02 + rng.expovariate(10)
            took = rng.lognormvariate(0, 0.35) * GROUPS[group][1]
            bad = rng.random() < failing * (6 if slot * hosts // cores == 3 else 1)
            how, status, reason = "success", 0, ""
            if bad:
                how, status, reason, share = rng.choice(
                    [
                        ("failed", 256, "exit code 1", 0.3),
                        ("failed", 139, "killed by SIGSEGV", 0.1),
                        ("timeout", 15, "it ran longer than 120 s", 2.0),
                        ("exception", None, f"node {host} was lost", 0.5),
                        ("cancelled", 15, "cancelled", 0.4),
                    ]
                )
                took *= share
            ended = began + took
            free[slot] = ended - start
            full = f"{name}.{attempt}" if attempt else name
            row = (full, group, attempt, f"ƒ{rng.randrange(36**9):x}", "ended", submitted, began, ended, how)
            listed.append((*row, status, reason, json.dumps([host]), 1, 1))
            if bad and len(kept) < tails:
                err = f"step {rng.randrange(9999)}\nERROR: Lost atoms: original 4000 current {rng.randrange(4000)}\n"
                kept.append((full, "Setting up run ...\n" * 3, err * 4))
            for what, value in (("duration", took), ("pending", began - submitted), ("temperature", rng.gauss(300, 9))):
                if what == "temperature" and group != "sweep":
                    continue
                key = f"{group}-{what}"
                points.append((key, 0, ended, value, 0.0))
            if bad and how != "cancelled" and attempt < 1 and rng.random() < 0.5:
                attempt += 1
                submitted = ended
                continue
            break
    last = max((row[7] for row in listed), default=start)
    now = time.time()
    shift = now - last - (120 if state == "ended" else 0)
    middle = (last - start) * 0.6 + start
    if state != "ended":
        shift = now - middle
    moved = []
    for one in listed:
        row = list(one)
        for column in (5, 6, 7):
            row[column] += shift
        if state != "ended" and row[2] and row[5] > now:
            continue  # what it is the second attempt of has not failed yet
        if state != "ended" and row[7] > now:
            row[7:11] = [None, None, None, ""]
            row[4] = "running"
            if row[6] > now:
                row[6], row[4] = None, "submitted"
            if row[5] > now:
                row[5], row[4], row[3] = None, "held", ""
        moved.append(tuple(row))
    db.executemany(f"INSERT INTO jobs VALUES ({','.join('?' * 14)})", [*moved, *(rows or [])])
    points.sort(key=lambda point: point[2])
    series: dict[str, list[tuple[Any, ...]]] = {}
    for key, _, when, value, _ in points:
        count, total = sums.get(key, (0, 0.0))
        sums[key] = (count + 1, total + value)
        series.setdefault(key, []).append((key, count + 1, when, value, (total + value) / (count + 1)))
    for all_of in series.values():
        mine = [point for point in all_of if point[2] + shift <= now]
        step = max(1, len(mine) // 2000)
        db.executemany(
            "INSERT INTO points VALUES (?,?,?,?,?)", [(s, n, t + shift, v, m) for s, n, t, v, m in mine[::step][:2000]]
        )
    db.executemany("INSERT INTO tails VALUES (?,?,?)", kept)
    third = (last - start) / 3
    fired = [
        (0.0, 0, "start", "trigger", "start", {}),
        (0.0, 0, "start", "submit", "sweep", {"jobs": 200}),
        (third, 1, "count.sweep.finished", "trigger", "count.sweep.finished", {}),
        (third, 1, "count.sweep.finished", "submit", "analyse", {"jobs": 20}),
        (third * 1.4, 1, "count.sweep.finished", "trigger", "count.sweep.finished", {}),
        (third * 1.4, 1, "count.sweep.finished", "submit", "analyse", {"jobs": 20}),
        (third * 1.7, 2, "count.analyse.success", "trigger", "count.analyse.success", {}),
        (third * 1.7, 2, "count.analyse.success", "submit", "plot", {"jobs": 1}),
        (third * 1.8, -1, "", "message", "the plot is made", {}),
    ] + [
        (third * 3 * n / max(1, rules), 1, "count.sweep.finished", "trigger", "count.sweep.finished", {})
        for n in range(rules)
    ]
    db.executemany(
        "INSERT INTO decisions VALUES (?,?,?,?,?,?,?)",
        [
            (seq, start + shift + after, rule, shown, action, label, json.dumps(detail))
            for seq, (after, rule, shown, action, label, detail) in enumerate(fired)
            if start + shift + after <= now
        ],
    )
    failed = sum(row[8] not in ("success", None) for row in moved)
    values: dict[str, Any] = {
        "format": "1",
        "run": "r7f3a2c",
        "version": "1.0.0a1",
        "file": "sweep.yaml",
        "text": TEXT,
        "member": "flux",
        "settings": "{}",
        "cores": cores,
        "cwd": "/home/me/study",
        "started": start + shift,
        "ended": "" if state != "ended" else last + shift,
        "owner": "",
        "calls": json.dumps({"journal": 1, "job-list": 14}),
        "result": "",
    }
    if state == "ended":
        ok = (failed == 0) if met is None else met
        values["result"] = json.dumps({"type": "end", "met": ok, "ended_by": None, "failed": failed, "never_met": []})
    elif state == "running":
        values["owner"] = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": now})
    elif state == "dead":
        values["owner"] = json.dumps({"pid": 2**22 + 1, "host": socket.gethostname(), "since": now})
    elif state == "elsewhere":
        values["owner"] = json.dumps({"pid": 17, "host": "login9.example", "since": now})
    db.executemany(
        "INSERT INTO meta VALUES (?,?)", [(key, str(value)) for key, value in {**values, **(meta or {})}.items()]
    )
    db.executemany(
        "INSERT INTO events VALUES (?,?,?,?,?)",
        [(seq, row[5], "submit", row[0], json.dumps({"id": row[3]})) for seq, row in enumerate(moved[:50]) if row[5]],
    )
    db.execute("COMMIT")
    db.close()
    return folder


@pytest.fixture
def journal(tmp_path: Path) -> Make:
    """`journal(jobs=300)` makes a run's directory and gives its path."""

    def build(name: str = "run", **settings: Any) -> Path:
        return make(tmp_path / name, **settings)

    return build


class Browser:
    """Headless Chromium by its DevTools protocol over a pipe: opens a page, runs a script in it, takes a picture."""

    def __init__(self, profile: Path) -> None:
        down, up = os.pipe(), os.pipe()
        flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
        flags += " --disable-component-update --disable-sync --hide-scrollbars --remote-debugging-pipe"
        shell = f'exec 3<&{down[0]} 4>&{up[1]}; exec "$@"'
        command = ["bash", "-c", shell, "-", "chromium", *flags.split(), f"--user-data-dir={profile}", "about:blank"]
        self.process = subprocess.Popen(
            command, pass_fds=(down[0], up[1]), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(down[0])
        os.close(up[1])
        self._down, self._up = down[1], up[0]
        self._buffer = b""
        self._number = 0
        self.told: list[dict[str, Any]] = []  # events, in order
        self._session = ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._down, data) :]
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return dict(answer["result"])

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._up], [], [], 60)
            more = os.read(self._up, 1 << 20) if ready else b""
            if not more:
                raise RuntimeError("chromium does not answer")
            self._buffer += more
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        if "method" in message:
            self.told.append(message)
        return message

    def open(self, path: Path, *, dark: bool = False, width: int = 1280, height: int = 900, scale: float = 1) -> None:
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=scheme)
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=False
        )
        self.told.clear()
        self.call("Page.navigate", url=path.absolute().as_uri())
        while not any(one["method"] == "Page.loadEventFired" for one in self.told):
            self._read()
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")

    def run(self, script: str) -> Any:
        """The value of an expression, awaited."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(str(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def errors(self) -> list[str]:
        """What the page complained of: exceptions, blocked loads, messages of level error."""
        self.run("1")
        found = [str(one["params"]) for one in self.told if one["method"] == "Runtime.exceptionThrown"]
        return found + [
            one["params"]["entry"]["text"]
            for one in self.told
            if one["method"] == "Log.entryAdded" and one["params"]["entry"]["level"] == "error"
        ]

    def requests(self) -> list[str]:
        """The addresses that the page asked for, itself and its own data aside."""
        urls = [one["params"]["request"]["url"] for one in self.told if one["method"] == "Network.requestWillBeSent"]
        return [url for url in urls[1:] if not url.startswith("data:")]

    def picture(self, path: Path, *, whole: bool = False) -> None:
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def close(self) -> None:
        os.close(self._down)
        os.close(self._up)
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if not shutil.which("chromium"):
        pytest.skip("no chromium on PATH")
    made = Browser(tmp_path_factory.mktemp("chromium"))
    yield made
    made.close()
