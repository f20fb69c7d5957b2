"""`flux-burst plan`."""

from __future__ import annotations

import gc
import time
from datetime import UTC, datetime
from math import inf
from typing import TYPE_CHECKING, Any

import click
from resources.clikit import echo_json, json_option, one_stdin

from fluxburst.cli.common import PluginCommand, find, given, load, read_config
from fluxburst.errors import HandleError

if TYPE_CHECKING:
    from collections.abc import Callable

    from resources.documents import Inventory

    from fluxburst.client import FluxBurst
    from fluxburst.model import Observed, Offer, Plan


@click.command(cls=PluginCommand)
@click.option("--queue", metavar="FILE", help="A recorded queue, JSON Lines; '-' is stdin. Default: the Flux instance.")
@click.option(
    "--plugin", "names", metavar="NAME", multiple=True, help="A plugin to plan with; can be repeated, asked in order."
)
@click.option(
    "--inventory", metavar="FILE", help="What the lead has and what of it is free: an inventory, or a Flux R."
)
@click.option("--config", metavar="FILE", help="Settings, as burst.toml. Default: that of the lead around.")
@click.option(
    "--delay", metavar="TIME", help="Leave out jobs that have waited for less (30s, 5m). Default: as settings."
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
    --plugin NAME, --help shows the plugin's own options too. Inside a lead it is what the next pass of
    `flux-burst run` would do. A recorded queue is planned for the time at which its inventory was observed,
    where that says so, else for now; no job in it is too young unless --delay or --config say so.

    Exit code: 0 a plan was made (it lists what it refuses), 1 every burstable job is refused or something
    can't be read, 2 usage.
    """
    one_stdin(queue, inventory, config)
    from fluxburst.planning.planner import plan as make_plan
    from fluxburst.plugins import REGISTRY

    client = _recorded(queue, inventory, config) if queue is not None else _live(inventory, config)
    if delay is not None:
        client.set_delay(_seconds(delay))
    chosen = list(dict.fromkeys(names)) or list(client.settings.plugins)
    if not chosen:
        raise click.UsageError(f"name at least one --plugin (there are: {', '.join(REGISTRY.names())})")
    for name in chosen:
        load(client, name, {**client.settings.of(name).parameters, **given(name, values)})
    gc.disable()  # one pass over a long list of jobs, none of them cyclic: collecting costs more than the plan
    try:
        observed, policy = client.situation()
        made = make_plan(observed, policy)
    finally:
        gc.enable()
    if as_json:
        echo_json(_document(made, observed, policy.offers))
    else:
        from fluxburst.cli.plan_text import show

        show(made, policy.offers, observed.now)
    totals = made.totals()
    if totals["refused"] and not totals["burst"] and not totals["lead"]:
        raise click.exceptions.Exit(1)


def _recorded(queue: str, inventory: str | None, config: str | None) -> FluxBurst:
    from resources.arguments import read_inventory

    from fluxburst.client import FluxBurst
    from fluxburst.handles.recorded import RecordedHandle

    settings = None if config is None else read_config(config)
    lead = None if inventory is None else read_inventory(inventory)
    return FluxBurst(RecordedHandle(queue, lead), settings=settings, clock=_clock(lead))


def _live(inventory: str | None, config: str | None) -> FluxBurst:
    from fluxburst.cli.common import connect
    from fluxburst.client import FluxBurst
    from fluxburst.handles.flux import FluxHandle
    from fluxburst.lead import is_lead

    if inventory is not None:
        raise click.UsageError("--inventory goes with --queue: a Flux instance says itself what it has")
    try:
        handle = FluxHandle()
    except HandleError as error:
        raise HandleError(f"{error}; run this inside a lead, or plan a recorded queue with --queue FILE") from None
    if not is_lead(handle.attribute("config.path") or ""):  # an instance that `flux-burst init` knows nothing of
        return FluxBurst(handle, settings=None if config is None else read_config(config))
    place = find(None, config)
    return FluxBurst(connect(place.lead), settings=place.settings, ledger=place.ledger, lead=place.lead)


def _seconds(delay: str) -> int:
    from resources.errors import InputError
    from resources.units import seconds

    try:
        return seconds(delay, "it")
    except InputError as error:
        raise click.BadParameter(str(error), param_hint="--delay") from None


def _clock(recorded: Inventory | None) -> Callable[[], float]:
    """The time to plan for, in seconds since the epoch: a recorded lead is planned for when it was recorded."""
    try:
        seen = datetime.fromisoformat(recorded.observed_at) if recorded and recorded.observed_at else None
    except ValueError:
        seen = None
    if seen is None:
        return time.time
    at = (seen if seen.tzinfo else seen.replace(tzinfo=UTC)).timestamp()
    return lambda: at


def _document(made: Plan, observed: Observed, offers: tuple[Offer, ...]) -> dict[str, Any]:
    """The plan as JSON, with what its bursts cost."""
    from fluxburst.cli.plan_text import price

    document = made.as_dict()
    for burst, entry in zip(made.bursts, document["bursts"], strict=True):
        hourly = price(burst, offers) if price(burst, offers) < inf else 0.0
        hours = (burst.deadline - observed.now) / 3600 if burst.deadline else None
        entry["cost_per_hour"] = hourly or None
        entry["cost"] = round(hourly * hours, 6) if hourly and hours else None
    return document
