"""`ensemble members`."""

from __future__ import annotations

from typing import Any

import click
from resources.clikit import echo_json, json_option, table
from resources.plugins import Listed

from ensemble.plugins import Plugin, registry, why_unavailable


@click.command()
@json_option
def members(as_json: bool) -> None:
    """List members and plugins, built-in and installed, what each gives, and whether it can be used here."""
    entries = [_entry(line) for line in registry().listing()]
    if as_json:
        echo_json({"members": entries})
        return
    rows = [
        (
            entry["name"],
            ", ".join(
                (["member"] if entry["member"] else [])
                + [f"{entry['name']}.{name}" for kind in ("actions", "readers", "rules") for name in entry[kind]]
            ),
            entry["origin"],
            "yes" if entry["usable"] else f"no: {entry['reason']}",
        )
        for entry in entries
    ]
    click.echo(table(rows, ("NAME", "GIVES", "FROM", "USABLE HERE")))


def _entry(line: Listed[Plugin]) -> dict[str, Any]:
    entry = line.as_dict()
    plugin = line.plugin
    entry["member"] = plugin is not None and plugin.member is not None
    for kind in ("actions", "readers", "rules"):
        entry[kind] = sorted(getattr(plugin, kind)) if plugin else []
    if plugin and plugin.member and (why := why_unavailable(plugin.member)):
        entry |= {"usable": False, "reason": why}
    return entry
