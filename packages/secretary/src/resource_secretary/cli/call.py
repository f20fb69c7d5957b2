"""`resource-secretary call`: one tool of one provider."""

from __future__ import annotations

from dataclasses import asdict

import click
from resources.clikit import echo_json, json_option

from resource_secretary.cli.options import Choice, asking, choosing, dispatch_option, timeout_option
from resource_secretary.cli.text import as_text
from resource_secretary.secretary import ASKING


@click.command("call")
@click.argument("tool", metavar="PROVIDER.TOOL")
@click.argument("arguments", metavar="[KEY=VALUE]...", nargs=-1)
@dispatch_option
@choosing
@timeout_option(ASKING)
@json_option
def command(
    tool: str, arguments: tuple[str, ...], dispatch: bool, choice: Choice, timeout: float, as_json: bool
) -> None:
    """Call a tool; `tools` lists them. Prints the result as JSON; with --json also when and where it was seen.

    A list is printed in pages: call again with cursor=NEXT for the next one. An argument that is a list is written as a
    shell has it: argv="hostname -f".
    """
    given: dict[str, object] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not key or not equals or key in given:
            raise click.UsageError(f"an argument is KEY=VALUE, each key once, not {argument!r}")
        given[key] = value
    with asking():
        answer = choice.secretary(dispatch=dispatch).call(tool, given, timeout, text=True)
    if as_json:
        echo_json(asdict(answer))
        return
    click.echo(as_text(answer.result))
    if answer.notice:
        click.echo(answer.notice, err=True)
