"""What a run prints: the lines for people, with a live view on a terminal, or JSON Lines."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from ensemble.document import Document
from ensemble.engine import Engine
from ensemble.errors import CustomError
from ensemble.events import Event
from ensemble.member import Member
from ensemble.results import Command, Result

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

SHOWN_FAILURES = 10


def _error(text: str) -> None:
    click.echo(text, err=True)


class TextReport:
    """The lines of a run, as they happen."""

    def __init__(self, document: Document, engine: Engine) -> None:
        self.document = document
        self.engine = engine

    def line(self, text: str, style: str = "") -> None:
        """One line on stdout; `style` is a colour where there are colours."""
        click.echo(text)

    def note(self, text: str) -> None:
        """One line on stderr."""
        _error(text)

    def event(self, event: Event) -> None:
        if self.document.debug:
            self.note(str(event.as_dict()))

    def command(self, command: Command) -> None:
        match command.kind:
            case "trigger":
                self.line(f"=> trigger {command.label}", "bold green")
            case "submit":
                self.line(f"   submit {command.label} {self._group(command.label)}", "cyan")
            case "custom":
                self.line(f"   custom {command.label}", "magenta")
            case "cancel" | "terminate":
                name = f"{command.kind} {command.label}".strip()
                self.line(f"   {name} (jobs:{len(command.jobs)})", "yellow")

    def custom_failed(self, error: CustomError) -> None:
        self.note(str(error))

    def stopping(self, why: str) -> None:
        self.note(f"stopping ({why}): {sum(self.engine.running.values())} jobs are cancelled")

    def end(self, result: Result, member: Member) -> None:
        """The summary on stdout; what went wrong, and how much was done, on stderr."""
        for name, values in self.engine.metrics.summaries():
            shown = ",".join(f"({statistic}:{value!r})" for statistic, value in values.items())
            self.line(f"🌊 Streaming ML Model Summary {name}: {shown}")
        for failure in result.failures[:SHOWN_FAILURES]:
            place = member.where(failure["job"])
            self.note(f"{failure['outcome']}: {failure['job']}: {failure['reason']}" + (f" ({place})" if place else ""))
        if result.failed > SHOWN_FAILURES:
            self.note(f"and {result.failed - SHOWN_FAILURES} more that did not succeed")
        for rule in result.never_met:
            wanted = f"{rule.shown} {rule.when or ''}".strip()
            self.note(f"never met: {wanted} -> {rule.action.name} {rule.action.label}")
        for group, counts in end_counts(self.engine).items():
            self.note(f"{group}: " + ", ".join(f"{number} {what}" for what, number in counts.items()))
        if member.output:
            self.note(f"output of the jobs: {member.output}")

    def _group(self, label: str) -> str:
        group = self.document.jobs[label]
        fields: dict[str, Any] = {"name": label, "command": group.command, "count": group.count, "nodes": group.nodes}
        if group.tasks != group.nodes:
            fields["tasks"] = group.tasks
        fields |= {key: value for key in ("duration", "workdir") if (value := getattr(group, key))}
        return ",".join(f"({key}:{value})" for key, value in fields.items())


class LiveReport(TextReport):
    """The same lines in colour, above a bar for each group that has jobs. For terminals."""

    def __init__(self, document: Document, engine: Engine) -> None:
        super().__init__(document, engine)
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self._console = Console(highlight=False)
        columns = (TextColumn("   {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress: Progress = Progress(
            *columns, console=self._console, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        self._bars: dict[str, TaskID] = {}
        self._progress.start()

    def line(self, text: str, style: str = "") -> None:
        from rich.text import Text

        # A style of its own: given to print() it would colour the bars below as well.
        self._console.print(Text(text, style), soft_wrap=True)

    def note(self, text: str) -> None:
        if sys.stderr.isatty():
            self.line(text, "dim")  # above the bars, which it would break otherwise
        else:
            super().note(text)

    def command(self, command: Command) -> None:
        super().command(command)
        self._update()

    def event(self, event: Event) -> None:
        super().event(event)
        self._update()

    def end(self, result: Result, member: Member) -> None:
        self.close()
        super().end(result, member)

    def close(self) -> None:
        self._progress.stop()

    def _update(self) -> None:
        for group, total in self.engine.submitted.items():
            if group not in self._bars:
                self._bars[group] = self._progress.add_task(group, total=total)
            done = self.engine.metrics.counts.get(group, {}).get("finished", 0)
            self._progress.update(self._bars[group], total=total, completed=done)


class JsonReport:
    """One JSON object a line. `type`: event, trigger, submit, cancel, terminate, custom, error, stopping, end."""

    def __init__(self, document: Document, engine: Engine) -> None:
        self.engine = engine

    def event(self, event: Event) -> None:
        _json("event", **event.as_dict())

    def command(self, command: Command) -> None:
        if command.kind == "trigger":
            _json("trigger", name=command.label, rule=command.rule.as_dict() if command.rule else None)
        else:
            _json(command.kind, label=command.label, jobs=list(command.jobs))

    def custom_failed(self, error: CustomError) -> None:
        _json("error", file=error.file, line=error.line, message=error.message)

    def stopping(self, why: str) -> None:
        _json("stopping", why=why)

    def end(self, result: Result, member: Member) -> None:
        _json(
            "end",
            met=result.met,
            ended_by=result.ended_by or None,
            counts=end_counts(self.engine),
            summary=dict(self.engine.metrics.summaries()),
            output=member.output or None,
            failed=result.failed,
            failures=[{**failure, "where": member.where(failure["job"]) or None} for failure in result.failures],
            never_met=[rule.as_dict() for rule in result.never_met],
            errors=result.errors,
        )


def end_counts(engine: Engine) -> dict[str, dict[str, int]]:
    """For each group how many were submitted, how they ended, and how many still run."""
    running = engine.running
    return {
        group: {"submitted": number}
        | dict(sorted(engine.metrics.counts.get(group, {}).items()))
        | ({"running": running[group]} if group in running else {})
        for group, number in engine.submitted.items()
    }


def _json(kind: str, **fields: Any) -> None:
    from resources.clikit import echo_json

    echo_json({"type": kind, **fields}, lines=True)
