"""`resources kinds`."""

from __future__ import annotations

import click

from resources.clikit import echo_json, json_option, table
from resources.kinds import REGISTRY


@click.command()
@json_option
def kinds(as_json: bool) -> None:
    """List the kinds of resources, built-in and installed (modules named resources_KIND)."""
    lines = REGISTRY.listing()
    lines.sort(key=lambda line: (line.plugin.order if line.plugin else 1000, line.name))
    if as_json:
        rows = [{**line.as_dict(), "about": line.plugin.about if line.plugin else None} for line in lines]
        echo_json({"kinds": rows})
        return
    cells = [
        (line.name, _origin(line.found.origin, line.found.replaces), line.plugin.about if line.plugin else line.reason)
        for line in lines
    ]
    click.echo(table(cells, ("KIND", "FROM", "WHAT IT IS")))


def _origin(origin: str, replaces: str) -> str:
    return f"{origin} (replaces the {replaces} one)" if replaces else origin
