"""`resource-secretary detect`: what is here, with metadata and tools."""

from __future__ import annotations

import json

import click
from resources.clikit import echo_json, json_option
from resources.clikit import table as plain_table

from resource_secretary.cli.options import Choice, choosing, for_people, timeout_option
from resource_secretary.manifest import Entry, Manifest
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
    manifest = choice.secretary().detect(category, name, timeout)
    title = f"Resource Secretary - System Detect ({(category or 'all').title()})"
    if as_json:
        echo_json(manifest.as_dict())
    elif for_people():
        _show(manifest, title)
    else:
        click.echo(title)
        if manifest.active:
            click.echo("\n" + plain_table([_row(entry, None) for entry in manifest.active], _HEADER))
        click.echo("\n".join(_lines(manifest)))
    if not manifest.active:
        ctx.exit(1)


def _row(entry: Entry, indent: int | None) -> tuple[str, str, str]:
    metadata = json.dumps(entry.metadata, indent=indent, ensure_ascii=False)
    return entry.known.category.upper(), entry.known.name.upper(), metadata


def _lines(manifest: Manifest) -> list[str]:
    """The tools of what is active, and the reasons of what is not."""
    lines = []
    if manifest.active:
        lines += ["", "Tool Discovery (Agent Visibility)"]
        lines += [
            f" • {entry.known.name}: {', '.join(tool.name for tool in entry.tools) or 'none'}"
            for entry in manifest.active
        ]
    silent = [entry for entry in manifest.entries if not entry.active]
    if silent:
        lines += ["", "Not active"]
        lines += [f" • {entry.known.name}: {entry.result.state}: {entry.result.reason}" for entry in silent]
    return [*lines, "", f"Seen from {manifest.observed_on} at {manifest.observed_at}."]


def _show(manifest: Manifest, title: str) -> None:
    from rich.console import Console

    from resource_secretary.cli import show

    console = Console()
    show.panel(console, title)
    if manifest.active:
        show.table(console, "Provider Manifest", _HEADER, [_row(entry, 2) for entry in manifest.active])
    for line in _lines(manifest):
        console.print(line, markup=False, highlight=False)
