"""`ensemble logs`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ensemble.rundir import RunDir


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, readable=False))
@click.argument("job")
@click.option("--err", "stream", flag_value="err", help="What it wrote to stderr.")
@click.option("--out", "stream", flag_value="out", default=True, help="What it wrote to stdout (the default).")
def logs(folder: Path, job: str, stream: str) -> None:
    """Print what JOB of the run in DIR wrote, as it wrote it. JOB is a job's name, or its id in the queue."""
    from ensemble.output import read_output

    with RunDir(folder) as run:
        found = read_output(run, job, stream)
        for note in found.notes:
            click.echo(note, err=True)
        for part in found.parts:
            sys.stdout.buffer.write(part)
    sys.stdout.buffer.flush()
