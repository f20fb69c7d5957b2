"""`flux-burst check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from resources.clikit import echo_json, json_option

if TYPE_CHECKING:
    from fluxburst.setup.findings import Finding


@click.command()
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--join", "host", metavar="HOST", help="Check that a broker of this machine can join as HOST; DIR has its files."
)
@json_option
def check(folder: Path | None, host: str | None, as_json: bool) -> None:
    """Say what would keep a broker from joining the lead, one line for each check, and what to do.

    DIR is the folder that init wrote; inside a lead it is known. With --join it is the copy of the lead's files on
    the machine where the broker is to start (default: /etc/flux-burst); nothing is started.

    Exit code: 0 nothing would, 1 something would, 2 usage.
    """
    found = _lead(folder) if host is None else _join(folder, host)
    from fluxburst.cli.common import wrapped

    bad = any(one.state == "problem" for one in found)
    if as_json:
        echo_json({"ok": not bad, "checks": [one.as_dict() for one in found]})
    else:
        for one in found:
            click.echo(wrapped(f"{one.state:<8} {one}", 9))
    if bad:
        raise click.exceptions.Exit(1)


def _lead(folder: Path | None) -> list[Finding]:
    from fluxburst.lead import Lead, is_lead
    from fluxburst.setup.check import lead_findings, no_lead
    from fluxburst.setup.findings import running

    if folder is not None:
        lead = Lead.open(folder)
        return lead_findings(lead, running(lead.folder))
    around = running()
    if around is None:
        raise click.UsageError("name the lead's folder (the DIR of flux-burst init), or run this inside the lead")
    path = around.attributes.get("config.path", "")
    return lead_findings(Lead.at(path), around) if is_lead(path) else no_lead(around)


def _join(folder: Path | None, host: str) -> list[Finding]:
    from fluxburst.setup.check import join_findings

    return join_findings((folder or Path("/etc/flux-burst")).absolute(), host)
