"""`jobspec request`."""

from __future__ import annotations

import click
from resources.clikit import echo_json, json_option


@click.command()
@click.argument("file")
@json_option
def request(file: str, as_json: bool) -> None:
    """What the batch script FILE (- is stdin) asks for, as a request that `resources fit` reads.

    Only Slurm's scripts are read so far, as sbatch reads them. What a request can't say is told on stderr.
    """
    from resources.documents import dump_request

    from jobspec.readers import load_script, read_script
    from jobspec.request import request as request_of

    need, notes = request_of(read_script(load_script(file), file))
    for note in notes:
        click.echo(f"{file}:{note.where.line}:{note.where.column}: {note.text}", err=True)
    if as_json:
        echo_json(dump_request(need))
    else:
        click.echo(str(need))
