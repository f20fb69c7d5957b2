"""`ensemble run`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click
from resources.clikit import json_option

from ensemble.custom import Functions
from ensemble.errors import EnsembleError, FileError
from ensemble.load import load
from ensemble.member import Options
from ensemble.plugins import choose, registry, why_no_action
from ensemble.reporting.json import JsonReport
from ensemble.reporting.live import LiveReport
from ensemble.reporting.text import TextReport
from ensemble.runtime import Runtime


@click.command()
@click.argument("file")
@click.option("--member", default="", metavar="NAME", help="Where the jobs run: local, flux, or a plugin's.")
@click.option("--cores", type=click.IntRange(min=1), help="Use this many cores of this machine (local).")
@click.option(
    "--dir", "folder", type=click.Path(path_type=Path), help="Where the jobs' output goes: a new or empty folder."
)
@json_option
@click.pass_context
def run(ctx: click.Context, file: str, member: str, cores: int | None, folder: Path | None, as_json: bool) -> None:
    """Run the ensemble in FILE (- is stdin) until nothing runs and no rule can fire.

    Exits with 0 where all went as the rules say; with 1 where jobs failed, an action failed, or a rule was never met.
    """
    plugins = registry()
    try:
        document = load(file, lambda label: why_no_action(label, plugins))
    except FileError as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        ctx.exit(1)
    if folder is not None:
        _check_empty(folder)
    asked = member or document.member
    name, chosen = choose(asked, Options(cores, folder), plugins)
    if not asked:
        click.echo(f"no member was asked for: using {name}", err=True)
    live = sys.stdout.isatty() and not as_json
    runtime = Runtime(document, chosen, Functions(document, plugins))
    report = (JsonReport if as_json else LiveReport if live else TextReport)(document, runtime.engine)
    try:
        result = asyncio.run(runtime.run(report))
        report.end(result, chosen)
    finally:
        if isinstance(report, LiveReport):
            report.close()
    if not result.met or result.ended_by not in ("", "terminate"):
        ctx.exit(1)


def _check_empty(folder: Path) -> None:
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise EnsembleError(f"--dir {folder} is there and not empty: output of two runs is not mixed")
    except OSError as error:
        raise EnsembleError(f"--dir {folder}: {error.strerror}") from None
