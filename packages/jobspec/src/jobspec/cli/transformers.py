"""`jobspec transformers`."""

from __future__ import annotations

import click
from resources.clikit import echo_json, json_option, table


@click.command()
@json_option
def transformers(as_json: bool) -> None:
    """List what a jobspec can be run with: built in or installed, and whether it works here."""
    from jobspec.transformer import TRANSFORMERS

    rows = []
    for line in TRANSFORMERS.listing():
        row = {**line.as_dict(), "description": None, "steps": []}
        if line.plugin:
            row |= {"description": line.plugin.description, "steps": sorted(line.plugin.steps)}
            try:
                reason = line.plugin().why_not()
            except Exception as error:  # noqa: BLE001 - a stranger's code changes only its own line
                reason = f"{type(error).__name__}: {error}"
            row |= {"usable": not reason, "reason": reason or None}
        rows.append(row)
    if as_json:
        echo_json({"transformers": rows})
        return
    cells = [
        (row["name"], row["origin"], " ".join(row["steps"]), " ".join((row["reason"] or "ok").split())) for row in rows
    ]
    click.echo(table(cells, ("NAME", "ORIGIN", "STEPS", "WORKS HERE")))
