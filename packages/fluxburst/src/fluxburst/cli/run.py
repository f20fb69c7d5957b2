"""`flux-burst run`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from resources.clikit import echo_json, json_option

from fluxburst.cli.common import PluginCommand, state_option
from fluxburst.errors import FluxBurstError

if TYPE_CHECKING:
    from fluxburst.cli.common import Place
    from fluxburst.client import FluxBurst


@click.command(cls=PluginCommand)
@click.option("--once", is_flag=True, help="One pass: look, decide, act; print what was done.")
@click.option("--watch", is_flag=True, help="Go on until Ctrl-C. This is what happens without --once, too.")
@click.option("--until-idle", is_flag=True, help="Go on until no burstable job waits and no burst is left.")
@click.option(
    "--plugin",
    "names",
    metavar="NAME",
    multiple=True,
    help="A plugin to burst with; can be repeated, asked in order. Default: those of the settings.",
)
@click.option("--config", metavar="FILE", help="Settings. Default: burst.toml in the lead's folder.")
@state_option
@json_option
def run(
    once: bool,
    watch: bool,
    until_idle: bool,
    names: tuple[str, ...],
    config: str | None,
    state: Path | None,
    as_json: bool,
    **values: Any,
) -> None:
    """Be the controller of the lead around: make nodes for the jobs that wait, and have them go when they idle.

    On a terminal it shows a live table, otherwise a line for everything that happens, with --json as JSON Lines.
    Ctrl-C ends the controller and leaves the bursts: the next one goes on with them, and without one each ends at
    its lease. What each plugin may do stands in the settings. With --plugin NAME, --help shows its own options too.

    Exit code: 0 done; 1 with --once every burstable job is refused or something failed, with --until-idle jobs are
    left that can never run, or an error; 2 usage; 130 or 143 stopped by Ctrl-C or SIGTERM.
    """
    if once and (watch or until_idle):
        raise click.UsageError("--once is one pass; --watch and --until-idle go on")
    from fluxburst.cli.common import find

    place = find(state, config)
    client = _client(place, names, values)
    _remember(client, place, names, values, config)
    if once:
        _once(client, as_json)
        return
    from fluxburst.cli.watch import watch_until

    watch_until(client, place, until_idle=until_idle, as_json=as_json)


def _client(place: Place, names: tuple[str, ...], values: dict[str, Any]) -> FluxBurst:
    """A client with the plugins that were asked for, and those that have bursts to be looked after."""
    from fluxburst.cli.common import connect, given, load, unknown_plugins
    from fluxburst.client import FluxBurst
    from fluxburst.plugins import REGISTRY

    chosen = list(dict.fromkeys(names)) or list(place.settings.plugins)
    known = REGISTRY.names()
    if not chosen:
        raise click.UsageError(f"name at least one --plugin (there are: {', '.join(known)})")
    unknown_plugins(chosen, known)
    client = FluxBurst(connect(place.lead), settings=place.settings, ledger=place.ledger, lead=place.lead)
    for name in chosen:
        load(client, name, {**place.settings.of(name).parameters, **(given(name, values) if name in names else {})})
    return client


def _remember(
    client: FluxBurst, place: Place, names: tuple[str, ...], values: dict[str, Any], config: str | None
) -> None:
    """Take the ledger, leave in it who controls with what, and see to what would keep brokers from joining."""
    import os

    from fluxburst.cli.common import given, load
    from fluxburst.plugins import guarded
    from fluxburst.report import controller, limits, remember

    ledger = client.controller.ledger
    chosen = tuple(client.plugins)
    before = controller(ledger).get("options", {})
    open_ = {row.plugin for row in ledger.rows()} - set(chosen)
    for name in sorted(open_):
        try:
            load(client, name, {**place.settings.of(name).parameters, **before.get(name, {})})
            click.echo(f"note: {name} has open bursts: they are looked after, and no new ones are made", err=True)
        except Exception as error:  # noqa: BLE001 - whatever it is, the others are looked after
            click.echo(f"warning: {name} has open bursts and can't be loaded, so nobody ends them: {error}", err=True)
    options = {name: _plain(given(name, values)) for name in chosen if name in names}
    most = {name: guarded(name, "max_nodes", lambda name=name: client.plugins[name].max_nodes) for name in chosen}  # type: ignore[misc]
    told = {
        "pid": os.getpid(),
        "host": os.uname().nodename,
        "since": client.controller.clock(),
        "plugins": list(chosen),
        "options": {**before, **options},
        "lead": str(place.lead.folder) if place.lead else None,
        "config": None if config is None else str(Path(config).absolute()),
        "limits": limits(place.settings, most),
    }
    remember(ledger, told)
    if problems := _problems(client, place):
        for one in problems:
            click.echo(f"problem: {one}", err=True)
        if not ledger.rows():
            raise FluxBurstError("no broker could join, so nothing is made: mend that first (flux-burst check)")
        click.echo("no broker could join, so nothing new is made; what there is is looked after", err=True)
        chosen = ()
    client.set_ordering(lambda plugins: [(name, one) for name, one in plugins.items() if name in chosen])


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Parameters as JSON holds them; a path is a text there, and is read back as a path."""
    return {
        key: [str(one) if isinstance(one, Path) else one for one in value]
        if isinstance(value, list)
        else str(value) if isinstance(value, Path) else value
        for key, value in values.items()
    }  # fmt: skip


def _problems(client: FluxBurst, place: Place) -> list[str]:
    if place.lead is None:
        return []
    from fluxburst.setup.check import problems

    return [str(one) for one in problems(place.lead, client.controller.handle)]


def _once(client: FluxBurst, as_json: bool) -> None:
    from fluxburst.cli.lines import lines
    from fluxburst.controller import Controller

    controller = Controller(client.controller)
    done = client.run_burst()
    messages = list(controller.changes(done))
    client.close()
    totals = done.plan.totals() if done.plan else dict.fromkeys(("burst", "lead", "refused"), 0)
    if as_json:
        echo_json(
            {
                "created": [burst.as_dict() for burst in done.created],
                "failed": [{**burst.as_dict(), "reason": why} for burst, why in done.failed],
                "trouble": dict(done.trouble),
                "changes": messages,
            }
        )
    else:
        for message in messages:
            for line in lines(message):
                click.echo(line)
        if not messages:
            click.echo("nothing to do")
    every_refused = totals["refused"] and not totals["burst"] and not totals["lead"]
    if every_refused or done.failed or done.trouble:
        sys.exit(1)
