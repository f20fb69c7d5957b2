"""`flux-burst plan`."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click
from resources.clikit import echo_json, json_option, one_stdin, read_argument

from fluxburst.errors import FluxBurstError, ParameterError

if TYPE_CHECKING:
    from fluxburst.handles import Handle

_OPTIONS = "fluxburst.plugin-options"


class PlanCommand(click.Command):
    """A command that has the options of the plugins that its arguments name."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing:
            ctx.meta[_OPTIONS] = list(_plugin_options(list(_named(args))))
        return super().parse_args(ctx, args)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        own = super().get_params(ctx)
        return [*own[:-1], *ctx.meta.get(_OPTIONS, ()), own[-1]]  # help stays the last one


def _named(args: list[str]) -> Iterator[str]:
    """The plugins that the arguments name, before they are parsed."""
    for at, arg in enumerate(args):
        if arg == "--":
            return
        if arg.startswith("--plugin="):
            yield arg.removeprefix("--plugin=")
        elif arg == "--plugin" and at + 1 < len(args):
            yield args[at + 1]


def _plugin_options(names: list[str]) -> Iterator[click.Option]:
    from fluxburst.parameters import click_options
    from fluxburst.plugins import REGISTRY

    for name in dict.fromkeys(names):
        yield from click_options(name, REGISTRY.load(name).options())


@click.command(cls=PlanCommand)
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
    from fluxburst.parameters import destination
    from fluxburst.plugins import REGISTRY

    tables = {} if config is None else _configured(config)
    chosen = list(dict.fromkeys(names)) or list(tables)
    if not chosen:
        raise click.UsageError(f"name at least one --plugin (there are: {', '.join(REGISTRY.names())})")
    client = FluxBurst(_handle(queue, inventory))
    for name in chosen:
        given = dict(tables.get(name, {}))
        for one in REGISTRY.load(name).options():
            value = values.get(destination(name, one.name))
            if value is not None and value != ():
                given[one.name] = list(value) if one.many else value
        try:
            client.load(name, **given)
        except ParameterError as error:
            raise ParameterError(error.message, f"{name}.{error.field}" if error.field else name) from None
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
