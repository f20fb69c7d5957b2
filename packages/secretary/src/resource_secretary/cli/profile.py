"""`resource-secretary profile`: what this site is like, for `jobspec`."""

from __future__ import annotations

import click
from resources.clikit import echo_json, json_option

from resource_secretary.cli.options import Choice, asking, choosing, timeout_option
from resource_secretary.secretary import ASKING


@click.command("profile")
@click.option("--from", "name", metavar="NAME", help="The manager of the site, such as slurm; host for this host.")
@choosing
@timeout_option(ASKING)
@json_option
def command(name: str | None, choice: Choice, timeout: float, as_json: bool) -> None:
    """Print a site profile (YAML) for `jobspec convert --profile`: queues, parallel environments, nodes, limits.

    Without --from it is of the first workload manager that is active here, as `ask` takes them; else of this host. What
    is not known is left out, with a comment that says why.
    """
    from resource_secretary.site.document import to_yaml

    with asking():
        site = choice.secretary().site(name, timeout)
    if as_json:
        echo_json(site.as_dict())
    else:
        click.echo(to_yaml(site), nl=False)
