"""`flux-burst gc`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from resources.clikit import echo_json, json_option

from fluxburst.cli.common import PluginCommand, state_option, wait_option

if TYPE_CHECKING:
    from fluxburst.cli.wishes import Carrier


_Found = dict[str, Any]


@click.command(cls=PluginCommand)
@click.option("--dry-run", is_flag=True, help="Only say what there is; end nothing.")
@wait_option
@click.option("--plugin", "plugins", metavar="NAME", multiple=True, help="A plugin to ask besides; can be repeated.")
@state_option
@json_option
def gc(dry_run: bool, wait: float, plugins: tuple[str, ...], state: Path | None, as_json: bool, **values: Any) -> None:
    """Find what bears this lead's mark at its providers and is not open in the ledger, end it, and see that it goes.

    What was seen twice and is older than the grace of the settings is ended; a younger one may be about to be
    recorded. A controller does the same by itself all the time; this is for when none runs, and needs no lead.

    Exit code: 0 nothing is left, 1 something is, and is listed, 2 usage.
    """
    from fluxburst.cli.common import find
    from fluxburst.cli.wishes import Carrier
    from fluxburst.texts import span_cell

    with Carrier(find(state), plugins, values, new=True) as carrier:
        grace = carrier.place.settings.grace
        found, ended, left = look(carrier, wait, dry_run=dry_run)
        trouble = carrier.trouble()
        by_us = carrier.by_us
    if as_json:
        echo_json({"found": found, "ended": ended, "left": left, "trouble": trouble, "grace": grace})
    else:
        for one in found:
            click.echo(f"found: {one['plugin']} shows {one['name']}, {span_cell(one['age'])} old")
        for name in ended:
            click.echo(f"{name} is gone")
        for one in left:
            why = f"younger than the grace ({span_cell(grace)})" if one["age"] <= grace else "not ended yet"
            why = why if by_us or dry_run else f"{why}; the controller ends it"
            click.echo(f"left: {one['name']}: {'a dry run' if dry_run and one['age'] > grace else why}")
        for why in trouble.values():
            click.echo(f"not asked: {why}")
        if not left and not trouble:
            click.echo("nothing is left" if found else "nothing bears our mark but what the ledger knows")
    if left or trouble:
        raise click.exceptions.Exit(1)


def look(carrier: Carrier, wait: float, *, dry_run: bool) -> tuple[list[_Found], list[str], list[_Found]]:
    """What is found (name, plugin, age in seconds), the names of what has ended, and what is left."""
    grace = carrier.place.settings.grace
    found: dict[str, dict[str, Any]] = {}

    def strays() -> list[dict[str, Any]]:
        now = carrier.now()
        there: list[_Found] = [
            {"name": one.name, "plugin": one.plugin, "age": max(0.0, now - one.first), "seen": one.times}
            for one in carrier.ledger.strays()
        ]
        found.update((one["name"], one) for one in there)
        return there

    if not carrier.by_us:
        left = strays()
        return list(found.values()), [], left

    def done() -> bool:
        return dry_run or not any(one["age"] > grace for one in strays())

    carrier.until(done, wait, step=lambda reconciler: reconciler.collect(remove=not dry_run))
    left = strays()
    names = {one["name"] for one in left}
    return list(found.values()), [name for name in found if name not in names], left
