"""`ensemble status`."""

from __future__ import annotations

from pathlib import Path

import click
from resources.clikit import echo_json, json_option

from ensemble.rundir import RunDir


@click.command()
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path, readable=False), default=".")
@json_option
@click.pass_context
def status(ctx: click.Context, folder: Path, as_json: bool) -> None:
    """Show where the run in DIR (here, if not given) stands: groups, rules, metrics and the last failures.

    Exits with 0 where it met its rules or still runs, else with 1.
    """
    from ensemble.reporting.status import exit_code, status_of, status_text

    with RunDir(folder) as run:
        found = status_of(run)
    if as_json:
        echo_json(found)
    else:
        click.echo(status_text(found))
    ctx.exit(exit_code(found))
