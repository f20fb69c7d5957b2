"""What a controller tells, as lines for people or as JSON Lines."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self

import click
from resources.clikit import echo_json

from fluxburst.cli.bursts import target
from fluxburst.texts import clean, clock, count, span_cell


def lines(message: Mapping[str, Any]) -> Iterator[str]:
    """One message as lines, the time first."""
    at = clock(message["time"])
    for text in _TEXTS[message["type"]](message):
        yield f"{at} {clean(text)}"


def queue(document: Mapping[str, Any], what: str = "queue") -> Iterator[str]:
    """What the last plan said of the queue; `what` is the word for it."""
    totals = document["totals"]
    yield (
        f"{what}: {totals['burst']} of the pending jobs burst, {totals['lead']} fit on the lead,"
        f" {totals['refused']} refused, {totals['not selected']} not selected"
    )
    for one in document["refused"]:
        yield f"refused ({one['verdict']}), {count(one['jobs'], 'job')} of {one['request'] or '?'}: {one['reason']}"
    if document["due"]:
        yield f"the next job will have waited for the delay of the settings at {clock(document['due'])}"
    for note in document["notes"]:
        yield f"note: {note}"


def _event(message: Mapping[str, Any]) -> Iterator[str]:
    who, state, note = message["burst"], message["state"], message["note"]
    yield " ".join(part for part in (who, f"is {state}:" if state and note else f"is {state}" if state else "", note)
                   if part)  # fmt: skip


def _pause(message: Mapping[str, Any]) -> Iterator[str]:
    place = f" in {message['place']}" if message["place"] else ""
    yield f"{target(message)}{place}: {message['text']}"


def _trouble(message: Mapping[str, Any]) -> Iterator[str]:
    yield message["reason"] or f"plugin {message['plugin']!r} answers again"


def _lead(message: Mapping[str, Any]) -> Iterator[str]:
    if message["reason"]:
        yield f"{message['reason']}; trying again, at first in {span_cell(message['again'])}"
    else:
        yield "the lead answers again"


def _end(message: Mapping[str, Any]) -> Iterator[str]:
    yield message["text"]


_TEXTS: Mapping[str, Callable[[Mapping[str, Any]], Iterable[str]]] = {
    "event": _event,
    "pause": _pause,
    "trouble": _trouble,
    "lead": _lead,
    "queue": queue,
    "end": _end,
}


class Lines:
    """Prints a line for everything that happens; a context manager."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        return

    def take(self, messages: list[dict[str, Any]], state: dict[str, Any]) -> None:
        """state: how things are, as `report` tells it; empty where nothing is new."""
        for message in messages:
            for line in lines(message):
                click.echo(line)

    def end(self, text: str, why: str) -> None:
        click.echo(text)


class JsonLines(Lines):
    """The same as JSON Lines."""

    def take(self, messages: list[dict[str, Any]], state: dict[str, Any]) -> None:
        for message in messages:
            echo_json(message, lines=True)

    def end(self, text: str, why: str) -> None:
        echo_json({"type": "end", "time": time.time(), "why": why, "text": text}, lines=True)
