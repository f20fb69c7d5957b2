"""The lines of a run, as the document shows them; and how a decision reads that a journal kept."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ensemble.document import Document
    from ensemble.engine import Engine
    from ensemble.errors import CustomError
    from ensemble.events import Event
    from ensemble.member import Member
    from ensemble.results import Command, Result

SHOWN_FAILURES = 10
SHOWN_LINES = 3  # of each one's stderr
STYLES = {"trigger": "bold green", "submit": "cyan", "custom": "magenta", "message": "bold", "retry": "yellow"}
STYLES |= {"cancel": "yellow", "terminate": "yellow", "avoid": "yellow", "resize": "blue", "set": "blue"}


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
        click.echo(text, err=True)

    def event(self, event: Event) -> None:
        if self.document.debug:
            self.note(str(event.as_dict()))

    def command(self, command: Command) -> None:
        group = None
        if command.kind == "submit" and command.label in self.document.jobs:
            changed = self.document.jobs[command.label].overridden(command.action.overrides if command.action else {})
            group = {**changed.as_dict(), "count": len(command.jobs) or changed.total()}
        if command.kind == "submit" and command.reason == "retry":
            return  # its retry has been told
        if text := command_line(command.kind, command.label, context_of(command), group, command.jobs):
            self.line(text, STYLES.get(command.kind, ""))

    def custom_failed(self, error: CustomError) -> None:
        self.note(str(error))

    def say(self, kind: str, text: str) -> None:
        """What the runtime has to tell: `limit` (the queue takes no more now), `lost` and `found` (the member)."""
        said = {"limit": "submission waits: ", "lost": "the member can't be reached: "}.get(kind, "")
        self.note(f"{said}{text}")

    def stopped(self, why: str, result: Result, folder: Path) -> None:
        """The run was stopped before its end."""
        running, place = self.engine.running, shlex.quote(str(folder))
        groups = ", ".join(f"{group}: {number}" for group, number in running.items())
        still = f"{sum(running.values())} jobs are left to their queue ({groups})" if running else "nothing runs"
        self.note(f"stopped ({why}): {still}")
        self.note(f"go on with: ensemble run --resume {place}; end it with: ensemble cancel {place}")

    def end(self, result: Result, member: Member) -> None:
        """The summary on stdout; what went wrong, and how much was done, on stderr."""
        for name, values in self.engine.metrics.summaries():
            self.line(summary_line(name, values))
        for failure in result.failures[:SHOWN_FAILURES]:
            place = member.where(failure["job"])
            self.note(failure_line(failure, place))
        if result.failed > SHOWN_FAILURES:
            self.note(f"and {result.failed - SHOWN_FAILURES} more that did not succeed")
        if result.lost:
            self.note(f"lost: nobody knows the end of {result.lost} jobs")
        if result.left:
            self.note(f"left running: {result.left} jobs")
        for rule in result.never_met:
            wanted = f"{rule.shown} {rule.when or ''}".strip() if rule.name else rule.shown
            self.note(f"never met: {wanted} -> {rule.action.name} {rule.action.label}")
        for group, counts in end_counts(self.engine).items():
            self.note(f"{group}: " + ", ".join(f"{number} {what}" for what, number in counts.items()))
        if member.output:
            self.note(f"output of the jobs: {member.output}")


def context_of(command: Command) -> dict[str, Any]:
    """What more a command says, as plain data."""
    more: dict[str, Any] = {"nodes": command.nodes} if command.kind == "resize" else {}
    if command.kind == "terminate":
        more["leave"] = command.leave
    return more | ({"reason": command.reason} if command.reason else {})


def command_line(
    kind: str, label: str, detail: Mapping[str, Any], group: Mapping[str, Any] | None, jobs: Iterable[str] = ()
) -> str:
    """One line for what is done: `=> trigger start`, `   submit sleep (name:sleep),...`, `   cancel sleep (jobs:3)`.

    group: the fields of the group that is submitted, where they are known.
    """
    names = list(jobs)
    number = len(names) or detail.get("jobs", 0)
    match kind:
        case "trigger":
            return f"=> trigger {label}"
        case "submit":
            waits = " (waits for the groups that it depends on)" if detail.get("reason") == "held" else ""
            return f"   submit {label} {group_fields(label, group or {}, number)}".rstrip() + waits
        case "cancel" | "terminate":
            return f"   {f'{kind} {label}'.strip()} (jobs:{number})" + (
                " (left running)" if detail.get("leave") else ""
            )
        case "retry":
            return f"   retry {', '.join(map(str, names)) or label}{_because(detail)}"
        case "resize":
            nodes = detail.get("nodes")
            return f"   resize {label}".rstrip() + (f" (nodes:{nodes})" if nodes is not None else "")
        case "message":
            return f"   message {label}"
        case _:
            return f"   {kind} {label}{_because(detail)}".rstrip()


def _because(detail: Mapping[str, Any]) -> str:
    return f" ({detail['reason']})" if detail.get("reason") else ""


def group_fields(name: str, group: Mapping[str, Any], number: object = 0) -> str:
    """`(name:sleep),(command:sleep 10),(count:5),(nodes:1)`; what differs from the usual follows."""
    if not group.get("command"):
        return f"(jobs:{number})" if number else ""
    command = group["command"]
    nodes = group.get("nodes", 1)
    fields: dict[str, Any] = {
        "name": name,
        "command": " ".join(map(str, command)) if isinstance(command, (list, tuple)) else command,
        "count": number or group.get("count", 1),
        "nodes": nodes,
    }
    if group.get("tasks", nodes) != nodes:
        fields["tasks"] = group["tasks"]
    fields |= {key: value for key in ("duration", "workdir") if (value := group.get(key))}
    return ",".join(f"({key}:{value})" for key, value in fields.items())


def summary_line(name: str, values: Mapping[str, float]) -> str:
    """The document's summary of a series."""
    shown = ",".join(f"({statistic}:{value!r})" for statistic, value in values.items())
    return f"🌊 Streaming ML Model Summary {name}: {shown}"


def failure_line(failure: Mapping[str, Any], place: str = "") -> str:
    """`failed: bad.0 (id 7, on n1): exit code 3 (DIR/bad.0.err)`, and below it the last lines of its stderr."""
    known = [f"id {failure['id']}"] if failure.get("id") else []
    known += [f"on {', '.join(failure['hosts'])}"] if failure.get("hosts") else []
    which = f"{failure['job']} ({', '.join(known)})" if known else failure["job"]
    line = f"{failure['outcome']}: {which}: {failure['reason']}" + (f" ({place})" if place else "")
    last = printable(failure.get("stderr") or "").splitlines()[-SHOWN_LINES:]
    return "\n".join([line, *(f"   | {text}" for text in last)])


def end_counts(engine: Engine) -> dict[str, dict[str, int]]:
    """For each group how many were submitted, how they ended, and how many still run."""
    running = engine.running
    return {
        group: {"submitted": number}
        | {what: n for what, n in sorted(engine.metrics.counts.get(group, {}).items()) if what != "submitted"}
        | ({"running": running[group]} if group in running else {})
        for group, number in engine.submitted.items()
    }


def printable(text: str) -> str:
    """Text of jobs, safe on a terminal: control characters but for tab and the end of a line are shown, not obeyed."""
    return "".join(
        char if char in "\n\t" or (char.isprintable() or char == " ") else f"\\x{ord(char):02x}" for char in text
    )
