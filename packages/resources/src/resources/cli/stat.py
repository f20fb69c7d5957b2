"""`resources stat`."""

from __future__ import annotations

import click
from resources.arguments import read_inventory
from resources.clikit import echo_json, json_option, table
from resources.pool import Pool
from resources.units import memory_shown

_BYTES = {"memory", "disk"}


@click.command()
@click.argument("inventory", required=False)
@click.option("--in", "inventory_", metavar="INVENTORY", help="The same as the argument.")
@json_option
def stat(inventory: str | None, inventory_: str | None, as_json: bool) -> None:
    """Sum up INVENTORY: what is free and what there is, by kind. Without one: this machine."""
    if inventory is not None and inventory_ is not None:
        raise click.UsageError("give INVENTORY once")
    source = inventory_ if inventory is None else inventory
    pool = Pool.this_machine() if source is None else Pool.from_inventory(read_inventory(source))
    sums = pool.stat()
    if as_json:
        echo_json({kind: {"free": free, "total": total} for kind, (free, total) in sums.items()})
        return
    rows = []
    for kind, (free, total) in sums.items():
        amount = memory_shown if kind in _BYTES else str
        rows.append((kind, amount(free), amount(total), f"{100 * free / total:.0f}%" if total else "-"))
    click.echo(table(rows, ("KIND", "FREE", "TOTAL", "FREE %")))
