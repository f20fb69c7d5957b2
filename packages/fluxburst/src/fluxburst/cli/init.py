"""`flux-burst init`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from resources.clikit import echo_json, json_option

if TYPE_CHECKING:
    from fluxburst.setup.initialize import Made


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--lead", metavar="HOST", help="The lead's name in the host list. Default: the name of this machine.")
@click.option(
    "--slots",
    "asked",
    metavar="PLUGIN:COUNT[:cores=N,gpus=N]",
    multiple=True,
    help="Hosts that a plugin may add, and what each has for jobs (default: the cores of this machine);"
    " can be repeated.",
)
@click.option("--port", type=int, metavar="PORT", help="Where the lead listens. Default: 8050.")
@click.option(
    "--bind", metavar="ADDRESS", help="The interface or address that it listens at, or a URI tcp://ADDRESS:PORT."
)
@click.option(
    "--connect", metavar="ADDRESS", help="The name or address that brokers reach it by, or a URI. Default: HOST."
)
@click.option("--lead-cores", type=click.IntRange(0, 65536), help="Cores of the lead for jobs; 0: it runs none.")
@click.option("--lead-gpus", type=click.IntRange(0, 1024), help="GPUs of the lead for jobs.")
@json_option
def init(
    folder: Path,
    lead: str | None,
    asked: tuple[str, ...],
    port: int | None,
    bind: str | None,
    connect: str | None,
    lead_cores: int | None,
    lead_gpus: int | None,
    as_json: bool,
) -> None:
    """Write the configuration of a lead that can grow into DIR, and say how to start it.

    Each slot is a host that may join later; one that was not declared before the lead started can't. What is in
    DIR already is never overwritten: the same arguments change nothing, and more slots are added at the end.

    Exit code: 0 done, 1 it can't be done (and nothing was changed), 2 usage.
    """
    from resources import machine

    from fluxburst.setup.initialize import Options, initialize
    from fluxburst.setup.layout import Slots

    slots = tuple(Slots.from_text(text) for text in asked)
    host = machine.hostname() if lead is None else lead
    made = initialize(Options(folder, host, slots, port, bind, connect, lead_cores, lead_gpus))
    notes = [*made.notes, *_unknown({one.plugin for one in slots})]
    if as_json:
        echo_json(_document(made, notes))
        return
    _show(made)
    for note in notes:
        click.echo(f"note: {note}", err=True)


def _unknown(plugins: set[str]) -> list[str]:
    """Plugins that are not installed here: a word may be misspelt, or the plugin may come later."""
    from fluxburst.plugins import REGISTRY
    from fluxburst.texts import hint

    known = REGISTRY.names()
    return [
        f"there is no plugin {name!r} here yet; {hint(name, known)}" for name in sorted(plugins) if name not in known
    ]


def _document(made: Made, notes: list[str]) -> dict[str, Any]:
    from resources import hostlist

    from fluxburst.lead import start_commands

    lead = made.lead
    return {
        "folder": str(lead.folder),
        "lead": lead.host,
        "uri": lead.uri,
        "owner": lead.owner,
        "slots": {name: hostlist.compress(hosts) for name, hosts in lead.plugins.items()},
        "written": list(made.written),
        "added": list(made.added),
        "start": start_commands(lead),
        "notes": notes,
    }


def _show(made: Made) -> None:
    from resources import hostlist

    from fluxburst.lead import start_commands

    lead = made.lead
    slots = ", ".join(hostlist.compress(hosts) for hosts in lead.plugins.values())
    if made.added:
        click.echo(f"{lead.folder}: added {hostlist.compress(made.added)}; there are now {slots}")
    elif made.written:
        click.echo(f"{lead.folder}: wrote {', '.join(made.written)} for the lead {lead.host} with the slots {slots}")
    else:
        click.echo(f"{lead.folder}: nothing to do: it is there, for the lead {lead.host} with the slots {slots}")
    commands = start_commands(lead)
    plugins = " ".join(f"--plugin {name}" for name in lead.plugins)
    click.echo(f"""
Start the lead, with a shell inside it (also on a node of a Slurm allocation):
  {shlex.join(commands["shell"])}
or in the background, until 'kill' or 'flux shutdown':
  {shlex.join(commands["background"])} &
or as a unit of systemd:
  {shlex.join(commands["systemd"])}

Inside it, or after  {commands["inside"]}
  flux-burst check
  flux-burst run {plugins} --watch""")
