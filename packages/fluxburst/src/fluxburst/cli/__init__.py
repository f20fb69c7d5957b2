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
        "init": ("fluxburst.cli.init:init", "Write the configuration of a lead that can grow."),
        "check": ("fluxburst.cli.check:check", "Say what would keep a broker from joining the lead."),
        "plugins": ("fluxburst.cli.plugins:plugins", "List the burstable plugins and their options."),
        "plan": ("fluxburst.cli.plan:plan", "Say which pending jobs would burst, where to, and why."),
        "run": ("fluxburst.cli.run:run", "Make nodes for the jobs that wait, and have them go when they idle."),
        "status": ("fluxburst.cli.status:status", "Say what there is, what is paused, and what failed."),
        "history": ("fluxburst.cli.history:history", "Say which bursts have ended, and what they cost."),
        "drain": ("fluxburst.cli.drain:drain", "Have bursts finish their jobs and go."),
        "destroy": ("fluxburst.cli.destroy:destroy", "End bursts now, and see that nothing is left."),
        "resume": ("fluxburst.cli.resume:resume", "Have plugins go on that are paused or stopped."),
        "gc": ("fluxburst.cli.gc:gc", "Find and end what bears our mark and is in no ledger."),
    },
)
@click.version_option(__version__, prog_name="flux-burst")
def main() -> None:
    """Grow a Flux cluster into other machines, and let them go."""
