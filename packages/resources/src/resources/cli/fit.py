"""`resources fit` and `resources explain`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from resources import fit as fitting
from resources.answer import Answer
from resources.arguments import read_inventory, read_request
from resources.clikit import echo_json, json_option, one_stdin
from resources.documents import dump_request
from resources.resource import Resource

MOST_PLACES = 20  # lines of placement that people are shown


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        json_option,
        click.option(
            "--count", default=1, type=click.IntRange(1, 1_000_000), metavar="N", help="So many copies at once."
        ),
        click.option("--in", "inventory", required=True, metavar="INVENTORY", help="A file, or - for stdin."),
        click.argument("request"),
    ):
        command = option(command)
    return command


@click.command()
@_options
@click.pass_context
def fit(ctx: click.Context, request: str, inventory: str, count: int, as_json: bool) -> None:
    """Say whether REQUEST fits: READY, BUSY, INCOMPATIBLE or UNKNOWN. Exits 0 for READY, else 1."""
    _, answer = _ask(request, inventory, count)
    if as_json:
        echo_json(answer.as_dict())
    else:
        click.echo(str(answer))
    ctx.exit(0 if answer else 1)


@click.command()
@_options
@click.pass_context
def explain(ctx: click.Context, request: str, inventory: str, count: int, as_json: bool) -> None:
    """Say in full why REQUEST fits or not. Exits 0 if it fits now, else 1."""
    need, answer = _ask(request, inventory, count)
    if as_json:
        echo_json({**answer.as_dict(), "request": dump_request(need)["resources"]}, lines=True)
    else:
        click.echo("\n".join(_lines(need, answer)))
    ctx.exit(0 if answer else 1)


def _ask(request: str, inventory: str, count: int) -> tuple[Resource, Answer]:
    one_stdin(request, inventory)
    need = read_request(request)
    return need, fitting(need, read_inventory(inventory), count)


def _lines(need: Resource, answer: Answer) -> list[str]:
    lines = [f"request   {need.text or 'nothing'}", f"verdict   {answer.verdict}: {_MEANING[answer.verdict]}"]
    lines.append(f"reason    {answer.reason}")
    if answer.copies > 1:
        lines.append(f"copies    {answer.fits} of {answer.copies} fit now")
    if answer.best_host:
        lines.append(f"closest   {answer.best_host}")
    lines += [f"short     {shortage}" for shortage in answer.shortages]
    for place in answer.placement[:MOST_PLACES]:
        lines.append(f"place     {place.host} (rank {place.rank}), {place.tasks} task{'s' * (place.tasks != 1)}")
    if len(answer.placement) > MOST_PLACES:
        lines.append(f"          and {len(answer.placement) - MOST_PLACES} hosts more (--json has all)")
    return lines


_MEANING = {
    "READY": "it fits now",
    "BUSY": "it fits this inventory, but not now",
    "INCOMPATIBLE": "it can never fit this inventory",
    "UNKNOWN": "hosts that might take it do not say what is free",
}
