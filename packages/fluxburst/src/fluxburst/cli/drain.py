"""`flux-burst drain`."""

from __future__ import annotations

from pathlib import Path

import click
from resources.clikit import echo_json, json_option

from fluxburst.cli.common import state_option
from fluxburst.errors import FluxBurstError


@click.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("--wait", metavar="SECONDS", type=click.FloatRange(0), default=0.0, help="Wait so long for them to go.")
@state_option
@json_option
def drain(names: tuple[str, ...], wait: float, state: Path | None, as_json: bool) -> None:
    """Have bursts take no more jobs, finish those that run on them, and go.

    The controller that runs does it. Where none runs, this drains them in the lead, and a later controller or their
    leases end them; with --wait this ends them itself once their jobs have finished.

    Exit code: 0 done, 1 it can't be done, or with --wait they are not gone in time, 2 usage.
    """
    from fluxburst.cli.common import find
    from fluxburst.cli.wishes import Carrier, check_names, who

    with Carrier(find(state)) as carrier:
        check_names(carrier, names)
        if carrier.by_us and carrier.lead:
            raise FluxBurstError(f"{carrier.lead}; to drain, it must be asked (flux-burst destroy does without it)")
        carrier.wish("drain", names)
        went = carrier.until(lambda: not {row.name for row in carrier.rows()} & set(names), wait, least=2)
        rows = [row for name in dict.fromkeys(names) if (row := carrier.ledger.row(name))]
        if as_json:
            echo_json({"by_us": carrier.by_us, "bursts": [row.burst.as_dict() for row in rows]})
        else:
            for row in rows:
                click.echo(f"{row.name} is {row.state}: {row.reason}" if carrier.by_us or row.closed else
                           f"{row.name} is to be drained: {who(carrier)}")  # fmt: skip
    if wait and not went:
        raise click.exceptions.Exit(1)
