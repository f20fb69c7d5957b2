"""The engine on the stream of events that Flux sends: `python bench_engine.py [--json FILE]`.

100 rules on metrics, ten events a job, two series a job; processor time. The early prototype (ensemble-python 0.0.16)
was told to take 16,000 events a second of such a stream; it is not run here.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from ensemble.engine import Engine, start_event
from ensemble.events import Event
from ensemble.load import parse

GROUPS, COUNT, ROUNDS = 10, 2_000, 3
BEFORE = ("submit", "validate", "depend", "priority", "alloc", "start")
AFTER = ("finish", "release", "free", "clean")
EARLY_PROTOTYPE = 16_000  # events a second, as it was told of ensemble-python 0.0.16


def text() -> str:
    """Ten groups, and ten rules on each: counts, series, an expression; none of them ends the run."""
    jobs = [f"  - {{name: g{n}, command: 'true', count: {COUNT}}}" for n in range(GROUPS)]
    rules = [f"  - {{trigger: start, action: {{name: submit, label: g{n}}}}}" for n in range(GROUPS)]
    for n in range(GROUPS):
        conditions = [f"name: count.g{n}.success, when: {COUNT * step // 5}" for step in range(1, 5)]
        conditions += [
            f"name: mean.g{n}-duration, when: '> 1000'",
            f"name: max.g{n}-duration, when: '> 1000'",
            f"name: iqr.g{n}-pending, when: '> 1000'",
            f"name: mad.g{n}-duration, when: '> 1000'",
            f"name: variance.g{n}-pending, when: '> 1000'",
            f"when: 'mean.g{n}-duration > 1000 and count.g{n}.failed > 5'",
        ]
        rules += [f"  - {{trigger: metric, {one}, action: {{name: message, label: hit}}}}" for one in conditions]
    return "\n".join(["jobs:", *jobs, "rules:", *rules])


def stream() -> list[Event]:
    """Jobs of all groups in turn, 64 at a time."""
    events: list[Event] = []
    running: list[str] = []
    names = [f"g{n}.{k}" for k in range(COUNT) for n in range(GROUPS)]
    for place, name in enumerate(names):
        at = 1.7e9 + place / 100
        for event in BEFORE:
            context = {"hosts": ["node1"]} if event == "alloc" else {"id": "f1"} if event == "submit" else {}
            events.append(Event(event, at + (0.5 if event == "start" else 0.0), name, context))
        running.append(name)
        if len(running) == 64 or place == len(names) - 1:
            for number, old in enumerate(running):
                ended = at + 1 + number % 7 / 10
                events += [Event(event, ended, old, {"status": 0} if event == "finish" else {}) for event in AFTER]
            running.clear()
    return events


def engine_rate(events: list[Event]) -> float:
    """Events a second."""
    engine = Engine(parse(text(), "bench.yaml"))
    engine.handle(start_event(1.7e9))
    began = time.process_time()
    handle = engine.handle
    for event in events:
        handle(event)
    seconds = time.process_time() - began
    finished = sum(counts["finished"] for counts in engine.metrics.counts.values())
    if finished != GROUPS * COUNT or not engine.done:
        raise SystemExit(f"{finished} of {GROUPS * COUNT} jobs finished")
    return len(events) / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the engine.")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    events = stream()
    ours = max(engine_rate(events) for _ in range(ROUNDS))
    print(f"engine, {len(events):,} events, 100 rules on metrics: {ours:,.0f} events/s")
    print(f"  {ours / EARLY_PROTOTYPE:.0f} times the {EARLY_PROTOTYPE:,}/s told of the early prototype")
    if options.json:
        found = {
            "events_per_s": ours,
            "ratio_to_told_prototype": ours / EARLY_PROTOTYPE,
        }
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
