"""Boxes and tables for a terminal. rich leaves colours out where NO_COLOR is set."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text


def panel(console: Console, title: str) -> None:
    console.print(Panel(Text(title, style="bold"), expand=False))


def table(console: Console, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table of plain texts: nothing in a cell is taken for markup. A cell YES is green."""
    made = Table(title=title, show_lines=any("\n" in cell for row in rows for cell in row))
    for name in header:
        made.add_column(name, overflow="fold", no_wrap=name in ("Category", "Name", "Provider", "Active"))
    for row in rows:
        made.add_row(*(Text(cell, style={"YES": "green", "NO": "dim"}.get(cell, "")) for cell in row))
    console.print(made)
