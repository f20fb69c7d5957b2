"""`resource-secretary call`: one tool of one provider."""

from __future__ import annotations

import json
from dataclasses import asdict

import click
from resources.clikit import echo_json, json_option

from resource_secretary.cli.options import timeout_option
from resource_secretary.secretary import ASKING, Secretary


@click.command("call")
@click.argument("tool", metavar="PROVIDER.TOOL")
@click.argument("arguments", metavar="[KEY=VALUE]...", nargs=-1)
@timeout_option(ASKING)
@json_option
def command(tool: str, arguments: tuple[str, ...], timeout: float, as_json: bool) -> None:
    """Call a tool; `detect` lists them. Prints the result as JSON; with --json also when and where it was seen."""
    given: dict[str, object] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not key or not equals or key in given:
            raise click.UsageError(f"an argument is KEY=VALUE, each key once, not {argument!r}")
        given[key] = value
    answer = Secretary().call(tool, given, timeout)
    if as_json:
        echo_json(asdict(answer))
    else:
        click.echo(json.dumps(answer.result, indent=2, ensure_ascii=False))
