"""`flux-burst destroy`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from resources.clikit import echo_json, json_option

from fluxburst.cli.common import PluginCommand, state_option, wait_option

if TYPE_CHECKING:
    from fluxburst.cli.wishes import Carrier


@click.command(cls=PluginCommand)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Stop the plugins, and end every burst.")
@wait_option
@click.option("--plugin", "plugins", metavar="NAME", multiple=True, help="A plugin whose options are given here.")
@state_option
@json_option
def destroy(
    names: tuple[str, ...],
    every: bool,
    wait: float,
    plugins: tuple[str, ...],
    state: Path | None,
    as_json: bool,
    **values: Any,
) -> None:
    """End bursts now, whatever runs on them, and wait until their providers confirm it.

    With --all nothing new is made either, until flux-burst resume. The controller that runs does it; where none
    runs, this does it, and needs no lead for it.

    Exit code: 0 nothing is left of them, 1 something is, and is listed, 2 usage.
    """
    if bool(names) == every:
        raise click.UsageError("name bursts, or give --all")
    from fluxburst.cli.common import find
    from fluxburst.cli.wishes import Carrier, check_names, who

    with Carrier(find(state), plugins, values) as carrier:
        if every:
            carrier.wish("stop", carrier.plugins)
            names = tuple(row.name for row in carrier.rows())
        else:
            names = tuple(row.name for row in check_names(carrier, names))
        if not as_json and names:
            click.echo(f"ending {', '.join(names)}: {who(carrier)}", err=True)
        asked: set[str] = set()

        def ended() -> bool:
            left = {row.name for row in carrier.rows() if every or row.name in names}
            carrier.wish("destroy", left - asked)
            asked.update(left)
            return not left

        ended()
        carrier.until(ended, wait)
        left = _left(carrier, None if every else set(names))
        gone = [name for name in sorted(asked) if (row := carrier.ledger.row(name)) and row.closed]
    if as_json:
        echo_json({"gone": gone, "left": left})
    else:
        for name in gone:
            click.echo(f"{name} is gone")
        for one in left:
            click.echo(f"left: {one['name']}: {one['reason']}")
        if every and not left:
            click.echo("nothing is left; nothing new is made until: flux-burst resume --all")
    if left:
        raise click.exceptions.Exit(1)


def _left(carrier: Carrier, names: set[str] | None) -> list[dict[str, str]]:
    """What survived. names: of bursts; None: all, what is in no ledger, and what could not be asked."""
    rows = [row for row in carrier.rows() if names is None or row.name in names]
    trouble = carrier.trouble()
    found = []
    for row in rows:
        notes = [note for _, _, _, note in carrier.ledger.events(row.name, 1)]
        what = trouble.get(row.plugin) or (notes[-1] if notes else row.reason)
        found.append({"name": row.name, "plugin": row.plugin, "state": row.state, "reason": f"{row.state}: {what}"})
    if names is None:
        for stray in carrier.ledger.strays():
            reason = f"{stray.plugin} shows it, and it is not in the ledger: flux-burst gc ends it"
            found.append({"name": stray.name, "plugin": stray.plugin, "state": "stray", "reason": reason})
        told = {row.plugin for row in rows}
        used = {row.plugin for row in carrier.ledger.history()}
        for plugin, why in trouble.items():
            if plugin not in used:
                click.echo(f"note: never used, and not asked: {why}", err=True)
            elif plugin not in told:
                found.append({"name": plugin, "plugin": plugin, "state": "unknown", "reason": why})
    return found
