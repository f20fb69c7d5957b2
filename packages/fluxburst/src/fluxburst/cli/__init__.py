"""The command line: each command is imported when it is called."""

from __future__ import annotations

import click
from resources.clikit import LazyGroup

from fluxburst import __version__
from fluxburst.errors import FluxBurstError


@click.group(
    cls=LazyGroup,
    errors=(FluxBurstError,),
    lazy={
        "check": ("fluxburst.cli.check:check", "Say what would keep a broker from joining the lead."),
        "init": ("fluxburst.cli.init:init", "Write the configuration of a lead that can grow."),
        "plan": ("fluxburst.cli.plan:plan", "Say which pending jobs would burst, where to, and why."),
        "plugins": ("fluxburst.cli.plugins:plugins", "List the burstable plugins and their options."),
    },
)
@click.version_option(__version__, prog_name="flux-burst")
def main() -> None:
    """Grow a Flux cluster into other machines, and let them go."""
