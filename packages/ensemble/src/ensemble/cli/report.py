"""`ensemble report`."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import click

from ensemble.errors import EnsembleError
from ensemble.rundir import RunDir


@click.command()
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path, readable=False), default=".")
@click.option("-o", "--output", default="report.html", show_default=True, metavar="FILE", help="Where to; - is stdout.")
def report(folder: Path, output: str) -> None:
    """Make one self-contained page of the run in DIR: timeline, use, metrics, groups, failures, rules.

    It loads nothing, can be mailed, and also shows a run that has not ended.
    """
    from ensemble.reporting.html import page

    with RunDir(folder) as run:
        text = page(run)
    if output == "-":
        click.echo(text, nl=False)
        return
    path = Path(output)
    if path.is_dir():  # "." has no name that a part could be made of
        raise EnsembleError(f"can't write {output}: Is a directory")
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise EnsembleError(f"can't write {output}: {error.strerror}") from None
    click.echo(f"{output}: {len(text.encode()) / 1e6:.1f} MB", err=True)
