"""`flux-burst plan`."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
from resources.clikit import echo_json, json_option, one_stdin, read_argument

from fluxburst.errors import FluxBurstError, ParameterError

if TYPE_CHECKING:
    from resources.documents import Inventory

    from fluxburst.handles import Handle
    from fluxburst.model import Observed, Offer, Plan

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
@click.option(
    "--delay", metavar="TIME", help="Leave out jobs that have waited for less (30s, 5m). Default: none is too young."
)
@json_option
def plan(
    queue: str | None,
    names: tuple[str, ...],
    inventory: str | None,
    config: str | None,
    delay: str | None,
    as_json: bool,
    **values: Any,
) -> None:
    """Say which pending jobs would burst, where to, how many nodes, and why. Nothing is made.

    Jobs count that wait for nodes and have `burstable` set in attributes.system of their jobspec. With
    --plugin NAME, --help shows the plugin's own options too. A recorded queue is planned for the time at
    which its inventory was observed, where that says so; else for now.

    Exit code: 0 a plan was made (it lists what it refuses), 1 every burstable job is refused or something
    can't be read, 2 usage.
    """
    one_stdin(queue, inventory, config)
    from fluxburst.client import FluxBurst
    from fluxburst.model import Observed, Policy
    from fluxburst.parameters import destination
    from fluxburst.planner import plan as make_plan
    from fluxburst.plugins import REGISTRY, offer
    from fluxburst.selection import is_burstable

    tables = {} if config is None else _configured(config)
    chosen = list(dict.fromkeys(names)) or list(tables)
    if not chosen:
        raise click.UsageError(f"name at least one --plugin (there are: {', '.join(REGISTRY.names())})")
    seconds = _seconds(delay)
    handle = _handle(queue, inventory)
    client = FluxBurst(handle)
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
    offers = tuple(offer(name, plugin) for name, plugin in client.plugins.items())
    gc.disable()  # one pass over a long list of jobs, none of them cyclic: collecting costs more than the plan
    try:
        jobs, lead = tuple(handle.jobs()), handle.inventory()
        observed = Observed(jobs, lead, now=_now(lead if queue else None))
        made = make_plan(observed, Policy(is_burstable, offers, seconds))
    finally:
        gc.enable()
    if as_json:
        echo_json(_document(made, observed, offers))
    else:
        from fluxburst.cli.show import show

        show(made, offers, observed.now)
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


def _seconds(delay: str | None) -> float:
    from resources.errors import InputError
    from resources.units import seconds

    try:
        return float(seconds(delay, "it")) if delay is not None else 0.0
    except InputError as error:
        raise click.BadParameter(str(error), param_hint="--delay") from None


def _now(recorded: Inventory | None) -> float:
    """The time to plan for, in seconds since the epoch: a recorded lead is planned for when it was recorded."""
    try:
        seen = datetime.fromisoformat(recorded.observed_at) if recorded and recorded.observed_at else None
    except ValueError:
        seen = None
    return (seen if seen.tzinfo else seen.replace(tzinfo=UTC)).timestamp() if seen else time.time()


def _document(made: Plan, observed: Observed, offers: tuple[Offer, ...]) -> dict[str, Any]:
    """The plan as JSON, with what its bursts cost."""
    from fluxburst.cli.show import price

    document = made.as_dict()
    for burst, entry in zip(made.bursts, document["bursts"], strict=True):
        hourly = price(burst, offers)
        hours = (burst.deadline - observed.now) / 3600 if burst.deadline else None
        entry["cost_per_hour"] = hourly or None
        entry["cost"] = round(hourly * hours, 6) if hourly and hours else None
    return document


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
