"""`resource-secretary offer`: an inventory document of `resources`."""

from __future__ import annotations

import click
from resources.clikit import echo_json, json_option

from resource_secretary.cli.options import asking, timeout_option
from resource_secretary.secretary import ASKING, Secretary


@click.command("offer")
@click.option(
    "--from",
    "name",
    metavar="NAME",
    help="Every node of the cluster that this provider manages, such as flux or slurm; host for this host.",
)
@timeout_option(ASKING)
@json_option
def command(name: str | None, timeout: float, as_json: bool) -> None:
    """Print what there is to give and what of it is free, for `resources fit ... --in -`.

    Without --from it is this host: the cores and threads that this process may use (affinity, control groups), and its
    memory. All of those cores count as free: load is no reservation.
    """
    with asking():
        inventory = Secretary().offer(name, timeout)
    if as_json:
        echo_json(inventory.to_json())
    else:
        click.echo(inventory.to_text(), nl=False)
