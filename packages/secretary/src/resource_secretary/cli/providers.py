"""`resource-secretary providers`: the catalogue, and what of it is active here."""

from __future__ import annotations

import click
from resources.clikit import echo_json, json_option
from resources.clikit import table as plain_table

from resource_secretary.cli.options import Choice, asking, choosing, for_people, timeout_option
from resource_secretary.cli.text import one_line
from resource_secretary.system import DEADLINE

_HEADER = ("Category", "Name", "Active", "Description", "Reason")


@click.command("providers")
@click.option("--category", metavar="C", help="Only those of a category.")
@choosing
@timeout_option(DEADLINE)
@json_option
def command(category: str | None, choice: Choice, timeout: float, as_json: bool) -> None:
    """List all providers. Active = YES: it was found on this system; otherwise the reason says what was looked for, or
    what the client said that gave no answer."""
    with asking():
        manifest = choice.secretary().detect(category, timeout=timeout)
    if as_json:
        document = manifest.as_dict()
        for provider in document["providers"]:
            del provider["metadata"], provider["tools"]
        echo_json(document)
        return
    rows = [
        (
            entry.known.category.upper(),
            entry.known.name.upper(),
            "YES" if entry.active else "NO",
            entry.known.description,
            one_line(entry.result.reason),
        )
        for entry in manifest.entries
    ]
    if not for_people():
        click.echo(plain_table(rows, _HEADER))
        return
    from rich.console import Console

    from resource_secretary.cli import show

    console = Console()
    show.panel(console, "Resource Secretary: Provider Catalog")
    shown = [(*row[:3], row[3:]) for row in rows]
    show.table(console, "Available Resource Providers", _HEADER[:4], shown)
    seen = f"Active = YES: it was found, seen from {manifest.observed_on} at {manifest.observed_at}."
    show.lines(console, [seen, "Where it is NO, the reason stands below the description."])
