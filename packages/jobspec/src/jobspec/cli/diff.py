"""`jobspec diff`."""

from __future__ import annotations

import click
from resources.clikit import echo_json, json_option, table

from jobspec.cli._files import load, profile_option, read_all


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
    from jobspec.errors import JobspecError

    first, second = read_all((a, b), "", load(profile_file))
    for item in (first, second):
        for problem in item.reading.errors:
            from jobspec.cli._files import problem_text

            raise JobspecError(problem_text(item.file, problem, "error"))
    found = differences(first.reading.jobs, second.reading.jobs)
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
