"""`resources convert`."""

from __future__ import annotations

import json
from typing import Any

import click

from resources.clikit import echo_json, json_option, one_stdin, read_argument
from resources.documents import Inventory, dump_request, load_inventory, load_request
from resources.errors import InputError
from resources.flux_r import to_flux_r
from resources.resource import Resource

FORMS = ("text", "json", "flux-r")


@click.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--to", "form", type=click.Choice(FORMS), required=True, help="flux-r is for inventories.")
@json_option
def convert(files: tuple[str, ...], form: str, as_json: bool) -> None:
    """Convert requests and inventories to text, JSON, or a Flux resource set (R version 1).

    What the other form can't hold is told on stderr; with --json, in one object a line.
    """
    one_stdin(*files)
    made = [(file, *_converted(file, form)) for file in files]
    for file, document, lost in made:
        if as_json:
            echo_json({"file": file, "to": form, "document": document, "lost": lost}, lines=True)
            continue
        click.echo(document.rstrip("\n") if isinstance(document, str) else json.dumps(document, indent=2))
        for line in lost:
            click.echo(f"lost: {line}", err=True)


def _converted(file: str, form: str) -> tuple[Any, list[str]]:
    text = file if "=" in file else read_argument(file)
    try:
        document = _document(text)
        if isinstance(document, Inventory):
            if form == "flux-r":
                return to_flux_r(document)
            return (document.to_text() if form == "text" else document.to_json()), []
        if form == "flux-r":
            raise InputError("a request is no resource set: flux-r takes an inventory")
        return (document.text if form == "text" else dump_request(document)), []
    except InputError as error:
        raise error.at("" if "=" in file else "stdin" if file == "-" else file) from None


def _document(text: str) -> Resource | Inventory:
    """A request or an inventory, whichever the text is."""
    start = text.lstrip()
    if start.startswith("{"):
        from resources.strictjson import loads

        body = loads(text)
        return load_request(body) if body.get("type") == "request" else load_inventory(text)
    return load_inventory(text) if start.startswith("inventory") else load_request(text)
