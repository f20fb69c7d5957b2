"""A run as JSON Lines."""

from __future__ import annotations

import sys
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resources.clikit import echo_json

from ensemble.reporting.text import context_of, end_counts

if TYPE_CHECKING:
    from ensemble.document import Document
    from ensemble.engine import Engine
    from ensemble.errors import CustomError
    from ensemble.events import Event
    from ensemble.member import Member
    from ensemble.results import Command, Result


class JsonReport:
    """One JSON object a line. `type`: event, trigger, the kinds of commands (submit, cancel, terminate, custom, retry,
    resize, message, set, avoid), metric, limit, lost and found (the member), member (its troubles), reader (a metric
    that can't be read, and why), error, stopped, end.
    """

    def __init__(self, document: Document, engine: Engine) -> None:
        self.engine = engine
        self._stdout = sys.stdout  # what custom functions print goes elsewhere

    def event(self, event: Event) -> None:
        if event.name == "metric":  # what was read may be no number that JSON has
            values = [[name, value if isfinite(value) else None] for name, value in event.context["values"]]
            self._write("metric", **event.as_dict() | {"context": {**event.context, "values": values}})
        else:
            self._write("event", **event.as_dict())

    def command(self, command: Command) -> None:
        if command.kind == "trigger":
            self._write("trigger", name=command.label, rule=command.rule.as_dict() if command.rule else None)
        else:
            self._write(command.kind, label=command.label, jobs=list(command.jobs), **context_of(command))

    def custom_failed(self, error: CustomError) -> None:
        self._write("error", file=error.file, line=error.line, message=error.message)

    def say(self, kind: str, text: str) -> None:
        self._write(kind, why=text)

    def stopped(self, why: str, result: Result, folder: Path) -> None:
        self._write("stopped", why=why, running=self.engine.running, failed=result.failed, directory=str(folder))

    def end(self, result: Result, member: Member) -> None:
        self._write("end", **end_of(result, self.engine, member))

    def _write(self, kind: str, **fields: Any) -> None:
        echo_json({"type": kind, **fields}, lines=True, file=self._stdout)


def end_of(result: Result, engine: Engine, member: Member) -> dict[str, Any]:
    """The last line of a run, which the journal keeps as `result`."""
    return {
        "met": result.met,
        "ended_by": result.ended_by or None,
        "counts": end_counts(engine),
        "summary": dict(engine.metrics.summaries()),
        "output": member.output or None,
        "failed": result.failed,
        "failures": [{**failure, "where": member.where(failure["job"]) or None} for failure in result.failures],
        "never_met": [rule.as_dict() for rule in result.never_met],
        "errors": list(result.errors),
        "lost": result.lost,
        "left": result.left,
    }


def write(kind: str, **fields: Any) -> None:
    """One line."""
    echo_json({"type": kind, **fields}, lines=True)
