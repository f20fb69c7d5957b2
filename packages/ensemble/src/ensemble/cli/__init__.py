"""The command line `ensemble`."""

from __future__ import annotations

import click
from resources.clikit import LazyGroup

from ensemble import __version__
from ensemble.errors import EnsembleError


@click.group(
    cls=LazyGroup,
    errors=(EnsembleError,),
    lazy={
        "run": ("ensemble.cli.run:run", "Run an ensemble until nothing runs and no rule can fire."),
        "validate": ("ensemble.cli.validate:validate", "Check a file, without running anything."),
        "cancel": ("ensemble.cli.cancel:cancel", "Cancel jobs or groups of a run, or all of it."),
        "logs": ("ensemble.cli.logs:logs", "Print the output of a job."),
        "report": ("ensemble.cli.report:report", "Make one self-contained page of a run."),
        "simulate": ("ensemble.cli.simulate:simulate", "Run a file in virtual time: what its rules do, and the cost."),
        "status": ("ensemble.cli.status:status", "Show where a run stands: groups, rules, metrics, failures."),
        "watch": ("ensemble.cli.watch:watch", "Follow a run until it ends."),
        "members": ("ensemble.cli.members:members", "List the members and plugins, and whether they can be used here."),
    },
)
@click.version_option(__version__, prog_name="ensemble")
def main() -> None:
    """Rules that drive jobs on any queue."""
