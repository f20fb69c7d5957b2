"""`ensemble validate`."""

from __future__ import annotations

import click
from resources.clikit import echo_json, json_option

from ensemble.errors import FileError
from ensemble.load import load


@click.command()
@click.argument("file")
@json_option
@click.pass_context
def validate(ctx: click.Context, file: str, as_json: bool) -> None:
    """Check FILE (- is stdin): every problem in a line with file, line and column. Exits with 1 where there is one."""
    try:
        document = load(file)
    except FileError as error:
        if as_json:
            echo_json({"file": file, "valid": False, "problems": [problem.as_dict() for problem in error.problems]})
        else:
            for problem in error.problems:
                click.echo(str(problem))
        ctx.exit(1)
    if as_json:
        jobs = [group.as_dict() for group in document.jobs.values()]
        echo_json({"file": file, "valid": True, "jobs": jobs, "rules": [rule.as_dict() for rule in document.rules]})
    else:
        groups, rules = len(document.jobs), len(document.rules)
        counted = f"{groups} group{'s' * (groups != 1)} of jobs, {rules} rule{'s' * (rules != 1)}"
        click.echo(f"{file}: valid ({counted})")
