"""`flux-burst status`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from resources.clikit import echo_json, json_option

from fluxburst.cli.common import state_option
from fluxburst.errors import FluxBurstError

LAST_LINES = 3  # of what brokers printed


@click.command()
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@state_option
@click.option("--output", "name", metavar="NAME", help="Only what the brokers of this burst printed, as far as kept.")
@json_option
def status(folder: Path | None, state: Path | None, name: str | None, as_json: bool) -> None:
    """Say what there is: bursts, pauses, brokers that did not join, refusals, and what is used of the limits.

    It reads the ledger only, whether a controller runs or not; DIR is the same as --state DIR.

    Exit code: 0 it was told, 1 there is no ledger, or no such burst, 2 usage.
    """
    if folder is not None and state is not None:
        raise click.UsageError("DIR and --state DIR are the same: give one")
    import time

    from fluxburst.cli.common import find, told_by_controller, wrapped
    from fluxburst.ledger import Ledger, holder
    from fluxburst.report import report

    place = find(folder or state)
    with Ledger.open(place.ledger, writable=False) as ledger:
        if name is not None:
            _output(ledger, name)
            return
        document = report(ledger, time.time())
    told, pid = told_by_controller(place.ledger), holder(place.ledger)
    running = {"running": bool(pid), "pid": pid if pid > 0 else None, "host": told.get("host")}
    document = {**document, "folder": str(place.folder), "controller": {**running, "since": told.get("since")}}
    if as_json:
        echo_json(document)
        return
    for text in _lines(document, place.option()):
        click.echo(text if "\n" in text else wrapped(text))


def _output(ledger: Any, name: str) -> None:
    from fluxburst.texts import clean, hint

    row = ledger.row(name)
    if row is None:
        raise FluxBurstError(f"there is no burst {name!r}; {hint(name, [one.name for one in ledger.history(200)])}")
    if not row.output:
        raise FluxBurstError(f"{name}: nothing that its brokers printed is kept; it is kept where brokers do not join")
    for line in row.output.splitlines():
        click.echo(clean(line.replace("\t", "    ")))


def _lines(document: dict[str, Any], option: str) -> Iterator[str]:
    from fluxburst.cli.bursts import cells, limits, strays, target
    from fluxburst.cli.common import grid
    from fluxburst.cli.lines import queue
    from fluxburst.texts import clean, clock, count, span_cell

    controller = document["controller"]
    yield f"lead {document['owner']}, ledger in {clean(document['folder'])}"
    if controller["running"]:
        where = f"process {controller['pid'] or '?'} on {controller['host'] or 'another machine'}"
        yield f"controlled by {where}, since {clock(controller['since']) if controller['since'] else '?'}"
    else:
        yield f"no controller runs: nothing is made, and bursts end at their leases; to go on: flux-burst run {option}"
    yield ""
    header, *rows = cells(document)
    yield grid(rows, header) if rows else "no burst is open"
    if document["plan"]:
        yield ""
        what = "queue" if controller["running"] else "queue, when it was last looked at"
        yield from map(clean, queue(document["plan"], what))
    for one in document["pauses"]:
        yield clean(f"{target(one)}: {one['text']}")
    for one in document["boot_failures"]:
        ago = f"{clock(one['at'])}, {span_cell(max(0.0, document['at'] - one['at']))} ago"
        later = "; brokers have joined since" if one["over"] else ""
        yield clean(f"{one['name']} ({ago}{later}): {one['reason']}")
        if one["output"] and not one["over"]:
            yield from (f"    {clean(line)}" for line in one["output"].splitlines()[-LAST_LINES:])
            yield f"    in full: flux-burst status --output {one['name']} {option}"
    yield from map(clean, strays(document))
    for one in document["learnt"]:
        what = f"{count(one['cores'], 'core')} and {count(one['gpus'], 'GPU')}, fewer than promised"
        yield clean(f"nodes of {one['plugin']}/{one['shape']} turned out to have {what}")
    for one in document["wishes"]:
        yield clean(f"asked for, and not done yet: {one['wish']} {one['name']}")
    yield ""
    yield grid(limits(document), ("LIMITS OF", "WHAT", "USED", "WITH LEASES", "LIMIT"))
