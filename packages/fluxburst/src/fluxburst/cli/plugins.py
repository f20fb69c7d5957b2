"""`flux-burst plugins`."""

from __future__ import annotations

import click
from resources.clikit import echo_json, json_option

from fluxburst.cli.common import grid, wrapped
from fluxburst.plugins import REGISTRY


@click.command()
@json_option
def plugins(as_json: bool) -> None:
    """List the burstable plugins and their options.

    A plugin is an installed module named fluxburst_NAME, or a built-in one. One that can't be used is
    listed with its reason, and so is what has to be installed before it can be used.
    """
    listing = REGISTRY.listing()
    if as_json:
        lines = []
        for one in listing:
            options = one.plugin.options() if one.plugin else ()
            about = one.plugin.about if one.plugin else None
            missing = one.plugin.missing() if one.plugin else []
            lines.append(
                {
                    **one.as_dict(),
                    "about": about,
                    "missing": missing,
                    "options": [o.as_dict(one.name) for o in options],
                }
            )
        echo_json({"plugins": lines})
        return
    rows = []
    for one in listing:
        origin = f"{one.found.origin} (instead of the built-in one)" if one.found.replaces else one.found.origin
        rows.append((one.name, origin, one.plugin.about if one.plugin else f"not usable: {one.reason}"))
    click.echo(grid(rows, ("NAME", "FROM", "WHAT")))
    for one in listing:
        for what in one.plugin.missing() if one.plugin else ():
            click.echo(wrapped(f"{one.name}: {what}"))
    click.echo("Options of a plugin: flux-burst plan --plugin NAME --help", err=True)
