"""`resources parse`."""

from __future__ import annotations

import click

from resources.arguments import read_request
from resources.clikit import echo_json, json_option
from resources.documents import dump_request


@click.command()
@click.argument("request")
@json_option
def parse(request: str, as_json: bool) -> None:
    """Read REQUEST and print it in canonical form, as text or as its JSON document."""
    need = read_request(request)
    if as_json:
        echo_json(dump_request(need))
    else:
        click.echo(need.text)
