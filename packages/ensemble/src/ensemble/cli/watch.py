"""`ensemble watch`."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from resources.clikit import json_option


@click.command()
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path, readable=False), default=".")
@json_option
@click.pass_context
def watch(ctx: click.Context, folder: Path, as_json: bool) -> None:
    """Follow the run in DIR until it ends: what its rules did so far, and then what they do.

    A live view on a terminal, plain lines elsewhere, events and decisions as JSON Lines with --json. Exits as the run
    does; with 1 where its process has gone. Ctrl-C ends the watching, not the run.
    """
    from ensemble.reporting.watching import Watching

    live = sys.stdout.isatty() and not as_json
    watching = Watching(folder, "json" if as_json else "live" if live else "text")
    try:
        code = watching.follow()
    except KeyboardInterrupt:
        code = 130
    finally:
        watching.close()
    ctx.exit(code)
