"""The table of `flux-burst run` on a terminal: how things are, and the newest events below."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, Self

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live as RichLive
from rich.table import Table
from rich.text import Text

from fluxburst.cli.bursts import cells, priced, strays, target
from fluxburst.cli.common import grid
from fluxburst.cli.lines import Lines, lines, queue
from fluxburst.texts import clean, clock, count, number_cell

EVENTS = 8  # lines
LEAST_NOTE = 20  # columns for notes beside the others; where there are fewer they stand below
_STYLE = {
    "creating": "yellow", "joining": "yellow", "ready": "green", "draining": "cyan", "deleting": "magenta",
    "planned": "dim",
}  # fmt: skip


class Live(Lines):
    """The live table. What stands on the screen last stays there."""

    def __init__(self) -> None:
        self._events: deque[str] = deque(maxlen=EVENTS)
        self._state: dict[str, Any] = {}
        self._console = Console()
        self._live = RichLive(console=self._console, auto_refresh=False, transient=False)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()

    def take(self, messages: list[dict[str, Any]], state: dict[str, Any]) -> None:
        for message in messages:
            if message["type"] != "queue":  # that is always shown
                self._events.extend(lines(message))
        if state:
            self._state = state
            self._live.update(self._render(), refresh=True)

    def end(self, text: str, why: str) -> None:
        self._live.stop()
        self._console.print(Text(text))

    def _render(self) -> RenderableType:
        return Group(*self._parts())

    def _parts(self) -> Iterator[RenderableType]:
        state = self._state
        if "owner" not in state:
            yield Text("the ledger can't be read at the moment", style="red")
            return
        nodes = count(sum(one["nodes"] for one in state["bursts"]), "node")
        cost = f", cost so far {number_cell(sum(one['cost'] for one in state['bursts']))}" if priced(state) else ""
        yield Text(
            f"flux-burst {clock(state['at'])}  lead {state['owner']}  {count(len(state['bursts']), 'burst')},"
            f" {nodes}{cost}",
            style="bold",
        )
        if state["plan"]:
            first, *rest = queue(state["plan"])
            yield Text(clean(first))
            for line in rest:
                yield Text(clean(line), style="red" if line.startswith("refused") else "dim")
        if state["bursts"]:
            header, *rows = cells(state)
            yield self._table(header, rows)
        if state["lead"]:
            yield Text(f"lead: {clean(state['lead'])}", style="red")
        for reason in state["trouble"].values():
            yield Text(clean(reason), style="red")
        for one in state["pauses"]:
            yield Text(clean(f"{target(one)}: {one['text']}"), style="yellow")
        for line in strays(state):
            yield Text(clean(line), style="yellow")
        for line in self._events:
            yield Text(line, style="dim")

    def _table(self, header: tuple[str, ...], rows: list[tuple[str, ...]]) -> RenderableType:
        fixed = sum(max(map(len, column)) + 3 for column in list(zip(header, *rows, strict=True))[:-1])
        if fixed + LEAST_NOTE > self._console.width:
            text = Text(grid(rows, header))
            for state, style in _STYLE.items():
                text.highlight_words([state], style)
            return text
        table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False)
        for name in header:
            table.add_column(name, overflow="fold", no_wrap=name != "NOTE")
        for one in rows:
            style = _STYLE.get(one[2], "")
            table.add_row(*(Text(cell, style=style if at == 2 else "") for at, cell in enumerate(one)))
        return table
