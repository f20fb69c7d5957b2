"""A plan for people: a table, then what it comes to. Rich on a terminal, plain text otherwise."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import islice

import click
from resources.clikit import table

from fluxburst.cli.common import clean, count
from fluxburst.model import Decision, Plan

MOST_ROWS = 200  # nobody reads more; --json has all of them
MOST_REFUSALS = 20
_HEADER = ("JOB", "NAME", "NEEDS", "GOES TO", "NODES", "WHY")
_STYLE = {"lead": "cyan", "burst": "green", "refused": "red", "not selected": "dim"}


def show(plan: Plan) -> None:
    """Print a plan on stdout."""
    shown = plan.decisions[:MOST_ROWS]
    rows = [_row(decision) for decision in shown]
    if sys.stdout.isatty():
        _rich(rows, [_STYLE[decision.outcome] for decision in shown])
    else:
        click.echo(table(rows, _HEADER))
    if rest := len(plan.decisions) - len(shown):
        click.echo(f"... and {rest} more jobs (--json has all of them)")
    click.echo()
    for line in _summary(plan):
        click.echo(line)


def _row(decision: Decision) -> tuple[str, ...]:
    job = decision.job
    where = f"{decision.plugin}/{decision.shape}" if decision.plugin else decision.outcome
    parts = (("new", decision.new_nodes), ("shared", decision.shared_nodes), ("lead", decision.lead_nodes))
    nodes = " + ".join(f"{count} {what}" for what, count in parts if count)
    return clean(job.label), clean(job.name), str(job.demand or "?"), where, nodes or "-", clean(decision.why.text)


def _rich(rows: Iterable[tuple[str, ...]], styles: Iterable[str]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    made = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for name in _HEADER:
        made.add_column(name, overflow="fold", no_wrap=name in {"JOB", "GOES TO"})
    for row, style in zip(rows, styles, strict=True):
        made.add_row(*(Text(cell, style=style if at >= 3 else "") for at, cell in enumerate(row)))
    Console().print(made)


def _summary(plan: Plan) -> Iterable[str]:
    totals = plan.totals()
    for burst in plan.bursts:
        what = f"{count(burst.nodes, 'node')} of {burst.plugin}/{burst.shape}"
        yield f"would make {burst.name}: {what} for {count(len(burst.jobs), 'job')}"
    yield (
        f"{count(len(plan.decisions), 'job')}:"
        f" {totals['burst']} burst, {totals['lead']} fit on the lead,"
        f" {totals['refused']} refused, {totals['not selected']} not selected;"
        f" {count(totals['nodes'], 'new node')}"
    )
    refused: dict[int, list[Decision]] = {}
    for decision in plan.decisions:
        if decision.outcome == "refused":
            refused.setdefault(id(decision.why), []).append(decision)
    for same in islice(refused.values(), MOST_REFUSALS):
        names = ", ".join(clean(decision.job.label) for decision in same[:5])
        more = f" and {len(same) - 5} more" if len(same) > 5 else ""
        yield f"refused ({same[0].why.verdict}) {names}{more}: {clean(same[0].why.text)}"
    if len(refused) > MOST_REFUSALS:
        yield f"... and {len(refused) - MOST_REFUSALS} more reasons (--json has all of them)"
    for note in plan.notes:
        yield f"note: {note}"
