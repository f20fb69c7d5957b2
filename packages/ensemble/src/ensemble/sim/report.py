"""What a simulation tells: the lines of a run with virtual times, and a summary, for people or as JSON."""

from __future__ import annotations

import os
import sys
from collections import Counter
from typing import Any

import click
from resources.units import seconds_text

from ensemble.document import Document
from ensemble.engine import Engine
from ensemble.reporting.text import TextReport, end_counts, failure_line
from ensemble.results import Command, Result
from ensemble.sim.queue import SimQueue
from ensemble.sim.simulate import Summary

MOST_LINES = 1000  # commands that are printed
MOST_FIRINGS = 10_000  # that JSON has
SHOWN = 10  # of each kind of thing that there may be many of


def shown_time(seconds: float) -> str:
    """Short times with hundredths, longer ones as `h:mm:ss`."""
    return f"{seconds:.2f} s" if seconds < 60 else seconds_text(round(seconds))


class SimText(TextReport):
    """The lines of a run, each with its virtual time in front."""

    def __init__(self, document: Document, engine: Engine) -> None:
        super().__init__(document, engine)
        self.fired: Counter[str] = Counter()
        self._time, self._lines = 0.0, 0

    def at(self, command: Command, time: float) -> None:
        """Tell a command."""
        if command.kind == "trigger":
            self.fired[command.label] += 1
        self._time = time
        self._lines += 1
        if self._lines <= MOST_LINES:
            self.command(command)
        elif self._lines == MOST_LINES + 1:
            self.note(f"more than {MOST_LINES} lines: the rest is not shown")

    def line(self, text: str, style: str = "") -> None:
        colour = style.split()[-1] if style and sys.stdout.isatty() and not os.environ.get("NO_COLOR") else None
        click.secho(f"[{shown_time(self._time):>10}] {text}", fg=colour)


class SimJson:
    """Keeps what JSON tells of the firings."""

    def __init__(self) -> None:
        self.fired: Counter[str] = Counter()
        self.firings: list[dict[str, Any]] = []

    def at(self, command: Command, time: float) -> None:
        if command.kind == "trigger":
            self.fired[command.label] += 1
        if len(self.firings) < MOST_FIRINGS:
            told: dict[str, Any] = {"time": time, "kind": command.kind, "label": command.label}
            if command.jobs:
                told["jobs"] = len(command.jobs)
            if command.kind == "resize":
                told["nodes"] = command.nodes
            if command.reason:
                told["reason"] = command.reason
            self.firings.append(told)


def why_ended(summary: Summary, fired: Counter[str]) -> str:
    """What ended it, in a line."""
    most = ", ".join(f"{label} ({count} times)" for label, count in fired.most_common(3))
    match summary.ended:
        case "time":
            return (
                f"it does not end by itself within {shown_time(summary.makespan)} (--limit); rules that fired: {most}"
            )
        case "events":
            return (
                f"it does not seem to end: given up after {summary.events} events and {summary.firings} firings"
                f" (--events, --firings); rules that fired: {most}"
            )
        case "stuck" if summary.stuck:
            return f"it is stuck: {summary.stuck} jobs need more than the nodes that there are, and no rule adds any"
        case "stuck":
            return "it is stuck: nothing is left to happen, but rules still wait"
    return "nothing runs and no rule can fire any more"


def as_dict(
    queue: SimQueue, engine: Engine, result: Result, summary: Summary, report: SimJson, assumed: list[str], seed: int
) -> dict[str, Any]:
    """The whole answer as one object."""
    return {
        "met": result.met and summary.ended == "done",
        "why_ended": why_ended(summary, report.fired),
        "ended_by": result.ended_by or None,
        "machine": {
            "nodes": summary.sizes[0][1],
            "cores": queue.cores,
            "gpus": queue.gpus,
            "memory": queue.memory or None,
        },
        "seed": seed,
        **summary.as_dict(),
        "sizes": [{"time": time, "nodes": nodes} for time, nodes in summary.sizes],
        "counts": end_counts(engine),
        "metrics": dict(engine.metrics.summaries()),
        "failed": result.failed,
        "never_met": [rule.as_dict() for rule in result.never_met],
        "errors": result.errors,
        "assumed": assumed,
        "fired": dict(report.fired),
        "commands": report.firings,
    }


def print_text(
    queue: SimQueue, engine: Engine, result: Result, summary: Summary, fired: Counter[str], assumed: list[str]
) -> None:
    """The summary on stdout; what is wrong or was assumed on stderr."""
    counts = end_counts(engine)
    kinds = list(dict.fromkeys(kind for group in counts.values() for kind in group))
    rows = [[group, *(str(numbers.get(kind, 0)) for kind in kinds)] for group, numbers in counts.items()]
    if rows:
        _table(["group", *kinds], rows)
    usage, wait = summary.usage, summary.wait
    facts = [
        ("makespan", shown_time(summary.makespan)),
        ("node-hours", f"{usage['node_hours']:.4g} there, {usage['busy_node_hours']:.4g} in use"),
        ("cores in use", f"{summary.utilisation:.1%} of {queue.cores} on each node"),
        ("nodes", _sizes(summary)),
    ]
    if wait:
        waits = ", ".join(f"{name} {shown_time(value)}" for name, value in wait.items())
        facts.append(("waiting", f"{waits}; longest queue {summary.longest_queue} jobs"))
    facts.append(("rules fired", f"{summary.firings} times, {summary.events} events"))
    ended = f"by {result.ended_by}" if result.ended_by and summary.ended == "done" else why_ended(summary, fired)
    facts.append(("ended", ended))
    for name, text in facts:
        click.echo(f"{name + ':':14}{text}")
    for rule in result.never_met[:SHOWN]:
        wanted = f"{rule.shown} {rule.when or ''}".strip() if rule.metric else rule.shown
        click.echo(f"never met: {wanted} -> {rule.action.name} {rule.action.label}", err=True)
    for failure in result.failures[:SHOWN]:
        click.echo(failure_line(failure), err=True)
    if result.failed > SHOWN:
        click.echo(f"and {result.failed - SHOWN} more that did not succeed", err=True)
    for text in assumed:
        click.echo(f"assumed: {text}", err=True)


def _sizes(summary: Summary) -> str:
    text = ", ".join(
        f"{nodes} from {shown_time(time)}" if time else str(nodes) for time, nodes in summary.sizes[:SHOWN]
    )
    return text + (f" and {len(summary.sizes) - SHOWN} more changes" if len(summary.sizes) > SHOWN else "")


def _table(header: list[str], rows: list[list[str]]) -> None:
    if not sys.stdout.isatty():
        from resources.clikit import table

        click.echo(table(rows, [name.upper() for name in header]))
        return
    from rich.console import Console
    from rich.table import Table

    shown = Table(box=None, header_style="bold")
    for place, name in enumerate(header):
        shown.add_column(name, justify="right" if place else "left")
    for row in rows:
        shown.add_row(*row)
    Console(highlight=False).print(shown)
