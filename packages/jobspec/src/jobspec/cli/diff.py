"""`jobspec diff`."""

from __future__ import annotations

import click
from resources.clikit import echo_json, json_option, table

from jobspec.cli._files import accepted, load, profile_option, read_all


@click.command()
@click.argument("a")
@click.argument("b")
@profile_option
@json_option
def diff(a: str, b: str, profile_file: str | None, as_json: bool) -> None:
    """Whether two batch scripts A and B ask for the same, whatever systems they are written for.

    Exits 1 where they differ.
    """
    from jobspec.compare import differences

    first, second = [accepted(item.file, item.reading) for item in read_all((a, b), "", load(profile_file))]
    found = differences(first, second)
    if as_json:
        rows = [{"field": field, "a": one, "b": other} for field, one, other in found]
        echo_json({"a": a, "b": b, "same": not found, "differences": rows})
    elif found:
        click.echo(table([(field, _cell(one), _cell(other)) for field, one, other in found], ("FIELD", a, b)))
    else:
        click.echo("the same")
    if found:
        raise click.exceptions.Exit(1)


def _cell(value: object) -> str:
    return "-" if value is None else str(value)
