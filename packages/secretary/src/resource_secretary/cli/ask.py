"""`resource-secretary ask`: does a request fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from resources.clikit import echo_json, json_option

from resource_secretary.cli.options import Choice, asking, choosing, for_people, timeout_option
from resource_secretary.secretary import ASKING

if TYPE_CHECKING:
    from resource_secretary.asking import Answer

MEANING = {
    "READY": "it fits now",
    "BUSY": "it fits, but not now",
    "INCOMPATIBLE": "it can never fit",
    "UNKNOWN": "could not be found out",
}


@click.command("ask")
@click.argument("request")
@click.option("--from", "name", metavar="NAME", help="The manager to ask, such as flux or slurm; host for this host.")
@choosing
@timeout_option(ASKING)
@json_option
@click.pass_context
def command(ctx: click.Context, request: str, name: str | None, choice: Choice, timeout: float, as_json: bool) -> None:
    """Say whether REQUEST fits: READY now, BUSY later, INCOMPATIBLE never, UNKNOWN. Exits 0 for READY, else 1.

    REQUEST is text such as "nodes=2 cores=4 memory=8GB", a file, or - for stdin. Without --from all workload managers
    that are active here are asked, and the best answer is shown; where there is none, it is about this host.
    """
    from resources.arguments import read_request

    need = read_request(request)
    with asking():
        answer = choice.secretary().ask(need, name, timeout)
    if as_json:
        from resource_secretary.tools import as_json as plain

        echo_json(plain(answer))
    else:
        for name, text in lines(answer):
            shown = f"{name:<10}{text}"
            bold = name == "verdict" and for_people()
            click.echo(click.style(shown, bold=True) if bold else shown)
    ctx.exit(0 if answer.verdict == "READY" else 1)


def lines(answer: Answer) -> list[tuple[str, str]]:
    """An answer as people read it: a word, and what it is."""
    shown = [
        ("request", answer.request or "nothing"),
        ("verdict", f"{answer.verdict}: {MEANING[answer.verdict]}"),
        *(("reason", reason) for reason in answer.reasons),
        ("manager", "none: this host" if answer.manager == "host" else answer.manager),
    ]
    if answer.cores is not None:
        free = "unknown how many free" if answer.free_cores is None else f"{answer.free_cores} free"
        shown.append(("cores", f"{answer.cores} up, {free}"))
    if answer.fits is not None:
        from resource_secretary.asking import MOST_FITS

        more = " or more" if answer.fits >= MOST_FITS else ""
        shown.append(("fits", f"{answer.fits}{more} of such requests at once"))
    if answer.depth is not None:
        depth = answer.depth
        cores = "" if depth.pending_cores is None else f" for {depth.pending_cores} cores"
        shown.append(("queue", f"{depth.pending} waiting{cores}, {depth.running} running"))
    if answer.start is not None:
        shown.append(("start", f"{answer.start}, in {duration(answer.wait or 0)}"))
    shown += [("note", note) for note in answer.notes]
    return [*shown, ("seen", f"from {answer.observed_on} at {answer.observed_at}")]


def duration(seconds: float) -> str:
    """Such as `1d 02:03:04` or `00:00:09`."""
    whole = round(seconds)
    days, rest = divmod(whole, 86400)
    clock = f"{rest // 3600:02}:{rest % 3600 // 60:02}:{rest % 60:02}"
    return f"{days}d {clock}" if days else clock
