"""Resuming a run of 1,000,000 events: `python bench_resume.py [--json FILE]`.

What `ensemble run --resume` does before it asks the queue: the journal is checked and replayed into the engine. Once
as a run leaves it, with snapshots, and once as if every event since the beginning had to be taken in again.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from ensemble import journal as journals
from ensemble.engine import Engine, start_event
from ensemble.events import Event
from ensemble.journal import Journal
from ensemble.load import parse
from ensemble.runtime import replay

JOBS, EACH, BATCH = 100_000, 10, 1000
COURSE = ("submit", "validate", "depend", "priority", "alloc", "start", "finish", "release", "free", "clean")
TEXT = f"""
jobs: [{{name: a, command: "true", count: {JOBS}}}]
rules:
  - {{trigger: start, action: {{name: submit, label: a}}}}
  - {{trigger: metric, name: mean.a-duration, when: "> 1000", action: {{name: message, label: slow}}}}
  - {{trigger: job-validate, when: "count.a.failed > 5", action: {{name: message, label: look}}}}
"""


def write(folder: Path) -> int:
    """A run that was killed near its end, written as the runtime writes it; how many events its journal has."""
    document = parse(TEXT, "bench.yaml")
    engine = Engine(document)
    engine.changed = changed = {}
    journal = Journal.create(folder, {"run": "bench", "text": TEXT}, durable=False)
    batch = [start_event(1.7e9)]
    for number in range(JOBS - 10):
        at = 1.7e9 + number / 100
        for place, name in enumerate(COURSE):
            context = {"submit": {"id": f"f{number}"}, "alloc": {"hosts": ["node1"]}, "finish": {"status": 0}}
            batch.append(Event(name, at + place / 10, f"a.{number}", context.get(name, {})))
        if len(batch) >= BATCH:
            for event in batch:
                journal.add(event)
                engine.handle(event)
            journal.commit((name, job, (1, 1)) for name, job in changed.items())
            changed.clear()
            batch.clear()
            if journal.wants_snapshot:
                journal.snapshot(engine.state())
    [kept] = journal._database.execute("SELECT count(*) FROM events").fetchone()
    journal.close()
    return int(kept)


def resume(folder: Path) -> float:
    """Seconds."""
    began = time.perf_counter()
    journal = Journal.open(folder)
    engine = replay(parse(TEXT, "bench.yaml"), journal)
    seconds = time.perf_counter() - began
    journal.close()
    if not 0 < len(engine.jobs) <= BATCH:
        raise SystemExit(f"{len(engine.jobs)} jobs are left")
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how long a resume takes.")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = {}
    for what, every in (("with snapshots", journals.SNAPSHOT_EVERY), ("without snapshots", JOBS * EACH * 2)):
        journals.SNAPSHOT_EVERY = every
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            kept = write(Path(folder) / "run")
            size = (Path(folder) / "run" / journals.DATABASE).stat().st_size
            seconds = resume(Path(folder) / "run")
        found[what] = {"events": kept, "seconds": seconds, "bytes": size}
        print(f"{what:18} {kept:9,} events in the journal, {size / 1e6:6.1f} MB: resumed in {seconds:5.2f} s (aim: 20)")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
