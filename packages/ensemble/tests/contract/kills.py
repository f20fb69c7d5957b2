"""Runs an ensemble, kills its process again and again, and compares with a run that nobody killed.

    python kills.py MEMBER FOLDER MOMENTS SEED

Prints one JSON object: `same` (whether decisions and counts are those of the unbroken run), `once` (whether each job
ran exactly once), `kills` (how often a living process was killed), and the two records.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

TEXT = """
jobs:
  - {name: a, command: [sh, -c, "echo {job} >> WITNESS; sleep 0.1"], count: 24}
  - {name: b, command: [sh, -c, "echo {job} >> WITNESS; sleep 0.05; exit {code}"], parameters: {code: [0, 3, 0]}}
  - {name: c, command: [sh, -c, "echo {job}.{attempt} >> WITNESS; exit 1"], retries: 2}
  - {name: d, command: [sh, -c, "echo {job} >> WITNESS"], count: 4, depends_on: [a]}
variables: {seen: 0}
rules:
  - {trigger: start, action: {name: submit, label: a}}
  - {trigger: start, action: {name: submit, label: d}}
  - {trigger: metric, name: count.a.success, when: 3, action: {name: submit, label: b, repetitions: 3, backoff: 2}}
  - {trigger: metric, name: count.a.success, when: 12, action: {name: custom, label: more}}
  - {trigger: metric, name: count.c.failed, when: 1, action: {name: set, label: seen, value: "var.seen + 1"}}
  - trigger: metric
    when: "var.seen >= 1 and count.a.finished >= 24"
    action: {name: submit, label: a, value: {count: 6}}
custom: |
  def more(**known):
      return Action({"name": "submit", "label": "c"})
"""
LONGEST = 0.5  # seconds that a process lives


class Process:
    """`ensemble run ARGUMENTS` in a process of its own; forked, so that the start of Python is not what gets killed."""

    def __init__(self, *arguments: str, log: Path) -> None:
        self.log = log
        self.pid = os.fork()
        if self.pid:
            return
        code = 70
        try:
            out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            for number in (1, 2):
                os.dup2(out, number)
            from ensemble.cli import main

            main(["run", *arguments], prog_name="ensemble")
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        finally:
            os._exit(code)

    def wait(self, seconds: float) -> int | None:
        """Its exit code; None where it had to be killed."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.002)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        return None


def record(folder: Path) -> dict[str, Any]:
    """What was decided, and how the jobs ended."""
    with sqlite3.connect(f"file:{folder / 'run.sqlite'}?mode=ro", uri=True) as database:
        fired = database.execute("SELECT rule FROM decisions WHERE action = 'trigger'").fetchall()
        ends = database.execute("SELECT name, outcome FROM jobs ORDER BY name").fetchall()
        [result] = database.execute("SELECT value FROM meta WHERE key = 'result'").fetchone()
    database.close()
    return {
        "fired": sorted(rule for (rule,) in fired),
        "ends": dict(ends),
        "counts": json.loads(result)["counts"],
    }


def unbroken(member: str, folder: Path) -> dict[str, Any]:
    file, witness = write(folder, "whole")
    process = Process(str(file), "--member", member, "--dir", str(folder / "whole"), log=folder / "log")
    if process.wait(60) != 1:  # jobs of it fail
        raise SystemExit(f"the unbroken run went wrong: {process.log.read_text()}")
    return {**record(folder / "whole"), "ran": Counter(witness.read_text().split())}


def write(folder: Path, name: str) -> tuple[Path, Path]:
    file, witness = folder / f"{name}.yaml", folder / f"{name}.txt"
    file.write_text(TEXT.replace("WITNESS", str(witness)))
    return file, witness


def killed(member: str, folder: Path, name: str, dice: random.Random) -> tuple[int, dict[str, Any]]:
    """One run, killed until it has come to its end all the same; how often, and its record."""
    file, witness = write(folder, name)
    kills = 0
    began = time.monotonic()
    while True:
        arguments = (str(file), "--member", member, "--dir", str(folder / name), "--resume")
        process = Process(*arguments, log=folder / "log")
        # Later ones are let live for longer, so that it comes to its end.
        code = process.wait(dice.uniform(0.0, LONGEST) * (1 + kills / 20))
        said = process.log.read_text()
        if code is None:
            kills += 1
        elif code not in (0, 1) or "Traceback" in said:
            raise SystemExit(f"{name} ended with {code}: {said}")
        elif "has ended" in said:
            return kills, {**record(folder / name), "ran": Counter(witness.read_text().split())}
        elif not (folder / name / "run.sqlite").exists():
            raise SystemExit(f"{name} can't begin: {said}")
        if time.monotonic() - began > 120:
            raise SystemExit(f"{name} does not come to its end: {said}")


def main() -> None:
    member, folder, moments, seed = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    import ensemble.cli.run  # noqa: F401 - so that what is forked need not read it again

    dice = random.Random(seed)
    whole = unbroken(member, folder)
    kills = runs = 0
    answer: dict[str, Any] = {"same": True, "once": set(whole["ran"].values()) == {1}, "whole": whole}
    while kills < moments and answer["same"] and answer["once"]:
        times, found = killed(member, folder, f"run{runs}", dice)
        kills, runs = kills + times, runs + 1
        answer["same"] = all(found[key] == whole[key] for key in ("fired", "ends", "counts"))
        answer["once"] = found["ran"] == whole["ran"]
        if not (answer["same"] and answer["once"]):
            answer["found"] = found
    print(json.dumps({**answer, "kills": kills, "runs": runs}))


if __name__ == "__main__":
    main()
