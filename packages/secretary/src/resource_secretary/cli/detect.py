"""`resource-secretary detect`: what is here, with metadata and tools."""

from __future__ import annotations

import click
from resources.clikit import echo_json, json_option
from resources.clikit import table as plain_table

from resource_secretary.cli.options import Choice, asking, choosing, for_people, timeout_option
from resource_secretary.cli.text import as_text, one_line
from resource_secretary.manifest import Entry, Manifest
from resource_secretary.result import Absent
from resource_secretary.system import DEADLINE

_HEADER = ("Category", "Provider", "Metadata (Static)")


@click.command("detect")
@click.argument("category", required=False)
@click.argument("name", required=False)
@choosing
@timeout_option(DEADLINE)
@json_option
@click.pass_context
def command(
    ctx: click.Context, category: str | None, name: str | None, choice: Choice, timeout: float, as_json: bool
) -> None:
    """Detect everything, a CATEGORY, or one provider of it by NAME. Exits with 1 where nothing of it is active."""
    with asking():
        manifest = choice.secretary().detect(category, name, timeout)
    title = f"Resource Secretary - System Detect ({(category or 'all').title()})"
    if as_json:
        echo_json(manifest.as_dict())
    elif for_people():
        _show(manifest, title, every=category is not None)
    else:
        click.echo(title)
        if manifest.active:
            click.echo("\n" + plain_table([_row(entry, compact=True) for entry in manifest.active], _HEADER))
        click.echo("\n".join(_lines(manifest, every=category is not None)))
    if not manifest.active:
        ctx.exit(1)


def _row(entry: Entry, *, compact: bool) -> tuple[str, str, str]:
    return entry.known.category.upper(), entry.known.name.upper(), as_text(entry.metadata, compact=compact)


def _lines(manifest: Manifest, *, every: bool) -> list[str]:
    """The tools of what is active, and what is not; the reasons of all that is absent only where `every` is wanted."""
    lines = []
    if manifest.active:
        lines += ["", "Tool Discovery (Agent Visibility)"]
        lines += [
            f" • {entry.known.name}: {', '.join(tool.name for tool in entry.tools) or 'none'}"
            for entry in manifest.active
        ]
    silent = [entry for entry in manifest.entries if not entry.active]
    told = [entry for entry in silent if every or not isinstance(entry.result, Absent)]
    if told:
        lines += ["", "Not active"]
        lines += [f" • {entry.known.name}: {entry.result.state}: {one_line(entry.result.reason)}" for entry in told]
    if absent := [entry.known.name for entry in silent if entry not in told]:
        lines += ["", "Absent (`resource-secretary providers` tells what was looked for)", f" • {', '.join(absent)}"]
    return [*lines, "", f"Seen from {manifest.observed_on} at {manifest.observed_at}."]


def _show(manifest: Manifest, title: str, *, every: bool) -> None:
    from rich.console import Console

    from resource_secretary.cli import show

    console = Console()
    show.panel(console, title)
    if manifest.active:
        rows = [_row(entry, compact=False) for entry in manifest.active]
        show.table(console, "Provider Manifest", _HEADER, rows)
    show.lines(console, _lines(manifest, every=every))
