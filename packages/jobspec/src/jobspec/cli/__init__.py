"""The command line; each command is imported when it is called."""

from __future__ import annotations

import click
from resources.clikit import LazyGroup

from jobspec import __version__
from jobspec.errors import JobspecError


@click.group(
    cls=LazyGroup,
    lazy={
        "run": ("jobspec.cli.run:run", "Run a jobspec: write, stage, submit, wait."),
        "request": ("jobspec.cli.request:request", "What a batch script asks for, as a resources request."),
        "transformers": ("jobspec.cli.transformers:transformers", "List what a jobspec can be run with."),
    },
    errors=[JobspecError],
)
@click.version_option(__version__, prog_name="jobspec")
def main() -> None:
    """Say a job to any cluster, and say what was lost in saying it."""
