"""`resource-secretary tools`: the tools of what is active here, with their parameters."""

from __future__ import annotations

from typing import Any

import click
from resources.clikit import echo_json, json_option
from resources.clikit import table as plain_table

from resource_secretary.cli.options import Choice, asking, choosing, dispatch_option, for_people, timeout_option
from resource_secretary.cli.text import as_text
from resource_secretary.system import DEADLINE
from resource_secretary.tools import Tool

_HEADER = ("Tool", "Parameters", "Description")


@click.command("tools")
@click.option("--all", "every", is_flag=True, help="Of all providers, active or not: nothing is probed.")
@dispatch_option
@choosing
@timeout_option(DEADLINE)
@json_option
def command(every: bool, dispatch: bool, choice: Choice, timeout: float, as_json: bool) -> None:
    """List the tools that `call` can call. With --json: the JSON Schema of what they take and give."""
    with asking():
        secretary = choice.secretary(dispatch=dispatch)
        if every:
            found = [(known.name, secretary.tools(known)) for known in secretary.catalog.entries]
        else:
            found = [(entry.known.name, entry.tools) for entry in secretary.detect(timeout=timeout).active]
    if as_json:
        listed: list[dict[str, Any]] = []
        for provider, tools in found:
            listed += [{"provider": provider, **tool.as_dict()} for tool in tools]
        echo_json({"tools": listed})
        return
    rows = [
        (f"{provider}.{tool.name}", _parameters(tool), f"{tool.description}{_WARNING if tool.kind != 'read' else ''}")
        for provider, tools in found
        for tool in tools
    ]
    if not for_people():
        click.echo(plain_table(rows, _HEADER))
        return
    from rich.console import Console

    from resource_secretary.cli import show

    show.table(Console(), "Tools", _HEADER, rows)


_WARNING = " (changes state)"


def _parameters(tool: Tool) -> str:
    """Such as `queue state=any [user]`: the first is required; how to turn pages goes without saying."""
    needed = tool.input_schema.get("required", ())
    shown = []
    for name, schema in tool.input_schema["properties"].items():
        if tool.paged and name in ("limit", "cursor"):
            continue
        default = schema.get("default")
        value = default if isinstance(default, str) and default else as_text(default, compact=True)
        optional = f"[{name}]" if default is None else f"{name}={value}"
        shown.append(name if name in needed else optional)
    return " ".join(shown)
