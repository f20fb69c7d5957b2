"""`flux-burst history`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from resources.clikit import echo_json, json_option

from fluxburst.cli.common import state_option
from fluxburst.errors import FluxBurstError

_HEADER = ("BURST", "WHAT", "STATE", "NODES", "BEGAN", "LASTED", "NODE-HOURS", "COST", "WHY")


@click.command()
@click.option("--limit", type=click.IntRange(1, 100000), default=50, show_default=True, help="The latest so many.")
@click.option(
    "--events",
    "name",
    metavar="[NAME]",
    is_flag=False,
    flag_value="",
    help="Every step of the burst NAME instead; without NAME of all.",
)
@state_option
@json_option
def history(limit: int, name: str | None, state: Path | None, as_json: bool) -> None:
    """Say which bursts have ended, how long they lasted, what they cost, and why they ended.

    Exit code: 0 it was told, 1 there is no ledger, or no such burst, 2 usage.
    """
    import time

    from fluxburst.cli.common import find
    from fluxburst.ledger import Ledger
    from fluxburst.report import burst
    from fluxburst.texts import hint

    with Ledger.open(find(state).ledger, writable=False) as ledger:
        if name is not None:
            if name and ledger.row(name) is None:
                known = [one.name for one in ledger.history(200)]
                raise FluxBurstError(f"there is no burst {name!r}; {hint(name, known)}")
            _events(ledger.events(name, limit), as_json)
            return
        rows = [row for row in ledger.history(limit + len(ledger.rows())) if row.closed][:limit]
        ended = [burst(row, time.time()) for row in rows]
    if as_json:
        echo_json({"bursts": ended})
    elif ended:
        _table(ended)
    else:
        click.echo("no burst has ended yet")


def _events(events: list[tuple[float, str, str, str]], as_json: bool) -> None:
    from fluxburst.cli.common import grid
    from fluxburst.texts import clean, clock

    if as_json:
        echo_json({"events": [{"time": at, "burst": who, "state": state, "note": note}
                              for at, who, state, note in events]})  # fmt: skip
        return
    cells = [(clock(at), clean(who), state, clean(note)) for at, who, state, note in events]
    click.echo(grid(cells, ("TIME", "BURST", "STATE", "NOTE")))


def _table(ended: list[dict[str, Any]]) -> None:
    from fluxburst.cli.common import grid
    from fluxburst.texts import clean, clock, count, number_cell, span_cell

    rows: list[tuple[str, ...]] = [
        (clean(one["name"]), clean(f"{one['plugin']}/{one['shape']}"), one["state"], str(one["nodes"]),
         clock(one["planned"]), span_cell(one["age"]), number_cell(one["node_hours"]), number_cell(one["cost"]),
         clean(one["reason"]))
        for one in ended
    ]  # fmt: skip
    hours, cost = (sum(one[key] for one in ended) for key in ("node_hours", "cost"))
    header: tuple[str, ...] = _HEADER
    at = header.index("COST")
    if not cost:  # nothing had a price
        header, rows = header[:at] + header[at + 1 :], [row[:at] + row[at + 1 :] for row in rows]
    click.echo(grid(rows, header))
    total = f", cost {number_cell(cost)}" if cost else ""
    click.echo(f"{count(len(ended), 'burst')}: {number_cell(hours)} node-hours{total}")
