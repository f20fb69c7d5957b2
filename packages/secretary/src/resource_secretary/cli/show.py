"""Boxes and tables for a terminal. rich leaves colours out where NO_COLOR is set."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Column, Table
from rich.text import Text

_SHORT = ("Category", "Name", "Provider", "Active")  # columns that are as wide as their widest cell
_WIDE = 60  # characters of a terminal that has room for those and something beside them


def panel(console: Console, title: str) -> None:
    console.print(Panel(Text(title, style="bold"), expand=False))


def table(console: Console, title: str, header: Sequence[str], rows: Sequence[Sequence[str | tuple[str, str]]]) -> None:
    """A table of plain texts: nothing in a cell is taken for markup. A cell YES is green.

    A cell of two texts has the second below the first, set off from it.
    """
    wide = console.width >= _WIDE
    made = Table(title=title, show_lines=any("\n" in cell for row in rows for cell in row if isinstance(cell, str)))
    for name in header:
        justify = "center" if name == "Active" else "left"
        made.add_column(name, overflow="fold", no_wrap=wide and name in _SHORT, justify=justify)  # type: ignore[arg-type]
    for row in rows:
        made.add_row(*(_cell(cell) for cell in row))
    console.print(made)


def _cell(cell: str | tuple[str, str]) -> RenderableType:
    if isinstance(cell, str):
        return Text(cell, style={"YES": "green", "NO": "dim"}.get(cell, ""))
    first, second = cell
    return Group(Text(first), Padding(Text(second, style="dim"), (0, 0, 0, 2))) if second else Text(first)


def lines(console: Console, texts: Sequence[str]) -> None:
    """Plain lines; what does not fit goes on below, indented where the line is an entry of a list."""
    for text in texts:
        bullet, rest = text[:3], text[3:]
        if bullet != " • ":
            console.print(Text(text))
            continue
        entry = Table.grid(Column(width=3), Column(overflow="fold"))
        entry.add_row(" •", Text(rest))
        console.print(entry)
