"""The command line `resources`."""

from __future__ import annotations

import click

from resources import __version__
from resources.clikit import LazyGroup

COMMANDS = {
    "kinds": ("resources.cli.kinds:kinds", "List the kinds of resources."),
    "parse": ("resources.cli.parse:parse", "Read a request and print it in canonical form."),
    "fit": ("resources.cli.fit:fit", "Say whether a request fits an inventory."),
    "explain": ("resources.cli.fit:explain", "Say in full why a request fits an inventory or not."),
    "stat": ("resources.cli.stat:stat", "Sum up what an inventory holds and what is free."),
    "convert": ("resources.cli.convert:convert", "Convert requests and inventories between their forms."),
}


@click.group(cls=LazyGroup, lazy=COMMANDS)
@click.version_option(__version__, prog_name="resources")
def main() -> None:
    """What do you need, what have you got, does it fit, and why not.

    A REQUEST is text such as 'cores=4 memory=8GB walltime=1:00:00', a file, or - for stdin.
    An INVENTORY is a file or -: JSON, text, or a Flux resource set.
    """
