"""`flux-burst resume`."""

from __future__ import annotations

from pathlib import Path

import click
from resources.clikit import echo_json, json_option

from fluxburst.cli.common import state_option


@click.command()
@click.argument("plugins", metavar="[PLUGIN]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All of them.")
@state_option
@json_option
def resume(plugins: tuple[str, ...], every: bool, state: Path | None, as_json: bool) -> None:
    """Have plugins go on that are paused after a failure, or were stopped by `destroy --all`.

    Exit code: 0 done (also where nothing was paused), 1 there is no such plugin or no ledger, 2 usage.
    """
    if bool(plugins) == every:
        raise click.UsageError("name plugins, or give --all")
    from fluxburst.cli.common import find, unknown_plugins
    from fluxburst.errors import HeldError
    from fluxburst.ledger import Ledger
    from fluxburst.plugins import REGISTRY
    from fluxburst.report import controller

    place = find(state)
    with Ledger.open(place.ledger, writable=False) as ledger:
        told = controller(ledger).get("plugins", ())
        paused = [one.plugin for one in ledger.pauses()]
        stopping = [name for _, wish, name in ledger.wishes() if wish == "stop"]
        unknown_plugins(plugins, sorted({*REGISTRY.names(), *told, *paused}))
        chosen = list(dict.fromkeys(plugins or (*paused, *stopping)))
        ledger.wish("resume", chosen)
    try:
        with Ledger.open(place.ledger) as own:
            # Nobody controls: what is wished for plugins is done here; the rest is kept for the next controller.
            for seq, wish, name in own.wishes():
                if name in chosen and wish in {"stop", "resume"}:
                    own.fulfilled(seq)
            for name in chosen:
                own.resume(name)
    except HeldError:
        pass  # the controller does it at its next pass
    if as_json:
        echo_json({"resumed": chosen})
        return
    for name in chosen:
        click.echo(f"{name} goes on" if name in {*paused, *stopping} else f"{name} was not paused")
    if not chosen:
        click.echo("nothing is paused")
