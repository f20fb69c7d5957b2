"""`flux-burst plan`."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import click
from resources.clikit import echo_json, json_option, one_stdin, read_argument

from fluxburst.cli.common import PluginCommand, given, load
from fluxburst.errors import FluxBurstError

if TYPE_CHECKING:
    from fluxburst.handles import Handle


@click.command(cls=PluginCommand)
@click.option("--queue", metavar="FILE", help="A recorded queue, JSON Lines; '-' is stdin. Default: the Flux instance.")
@click.option(
    "--plugin", "names", metavar="NAME", multiple=True, help="A plugin to plan with; can be repeated, asked in order."
)
@click.option(
    "--inventory", metavar="FILE", help="What the lead has and what of it is free: an inventory, or a Flux R."
)
@click.option("--config", metavar="FILE", help="Parameters of plugins: TOML with a table [plugins.NAME] each.")
@json_option
def plan(
    queue: str | None,
    names: tuple[str, ...],
    inventory: str | None,
    config: str | None,
    as_json: bool,
    **values: Any,
) -> None:
    """Say which pending jobs would burst, where to, how many nodes, and why. Nothing is made.

    Jobs count that wait for nodes and have `burstable` set in attributes.system of their jobspec. With
    --plugin NAME, --help shows the plugin's own options too.

    Exit code: 0 a plan was made (it lists what it refuses), 1 every burstable job is refused or something
    can't be read, 2 usage.
    """
    one_stdin(queue, inventory, config)
    from fluxburst.client import FluxBurst
    from fluxburst.plugins import REGISTRY

    tables = {} if config is None else _configured(config)
    chosen = list(dict.fromkeys(names)) or list(tables)
    if not chosen:
        raise click.UsageError(f"name at least one --plugin (there are: {', '.join(REGISTRY.names())})")
    client = FluxBurst(_handle(queue, inventory))
    for name in chosen:
        load(client, name, {**tables.get(name, {}), **given(name, values)})
    gc.disable()  # one pass over a long list of jobs, none of them cyclic: collecting costs more than the plan
    try:
        made = client.plan()
    finally:
        gc.enable()
    if as_json:
        echo_json(made.as_dict())
    else:
        from fluxburst.cli.show import show

        show(made)
    totals = made.totals()
    if totals["refused"] and not totals["burst"] and not totals["lead"]:
        raise click.exceptions.Exit(1)


def _handle(queue: str | None, inventory: str | None) -> Handle:
    from resources.arguments import read_inventory

    from fluxburst.handles.flux import FluxHandle
    from fluxburst.handles.recorded import RecordedHandle

    if queue is None:
        if inventory is not None:
            raise click.UsageError("--inventory goes with --queue: a Flux instance says itself what it has")
        return FluxHandle()
    return RecordedHandle(queue, None if inventory is None else read_inventory(inventory))


def _configured(config: str) -> dict[str, dict[str, Any]]:
    """The tables of the plugins, in the order of the file."""
    import tomllib

    try:
        document = tomllib.loads(read_argument(config, "configuration"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise FluxBurstError(f"{config}: no TOML: {error}") from None
    tables = document.pop("plugins", {})
    if document:
        raise FluxBurstError(f"{config}: unknown key {next(iter(document))!r}; there is: plugins")
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise FluxBurstError(f"{config}: plugins holds a table for each plugin, [plugins.NAME]")
    return tables
