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
        "convert": ("jobspec.cli.convert:convert", "Say batch scripts in another system's words, and what is lost."),
        "explain": ("jobspec.cli.explain:explain", "What batch scripts ask for, as their scheduler would hold it."),
        "validate": ("jobspec.cli.validate:validate", "Whether the scheduler would take batch scripts, and why not."),
        "detect": ("jobspec.cli.detect:detect", "Which batch system scripts are written for."),
        "diff": ("jobspec.cli.diff:diff", "Whether two batch scripts ask for the same."),
        "satisfy": ("jobspec.cli.satisfy:satisfy", "Whether an inventory can take what a file asks for."),
        "request": ("jobspec.cli.request:request", "What a batch script asks for, as a resources request."),
        "transformers": ("jobspec.cli.transformers:transformers", "List what a jobspec can be run with."),
    },
    errors=[JobspecError],
)
@click.version_option(__version__, prog_name="jobspec")
def main() -> None:
    """Say a job to any cluster, and say what was lost in saying it."""
