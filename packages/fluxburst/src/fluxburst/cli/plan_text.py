"""A plan for people: a table, then what it comes to. Rich on a terminal, plain text otherwise."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from itertools import islice
from math import ceil, inf
from textwrap import fill

import click
from resources.clikit import table

from fluxburst.model import Burst, Decision, Offer, Outcome, Plan
from fluxburst.texts import clean, count, money, span

MOST_ROWS = 200  # nobody reads more; --json has all of them
MOST_REFUSALS = 20
WIDE = 110  # columns; in fewer there is no room for reasons beside the jobs
_HEADER = ("JOB", "NAME", "NEEDS", "GOES TO", "NODES", "WHY")
_STYLE = {"lead": "cyan", "burst": "green", "refused": "red", "not selected": "dim"}


def show(plan: Plan, offers: Sequence[Offer] = (), now: float = 0.0) -> None:
    """Print a plan on stdout. offers: for the prices. now: seconds since the epoch, for what that costs."""
    shown = plan.decisions[:MOST_ROWS]
    rows = [_row(decision) for decision in shown]
    tty = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns
    if tty:
        _rich(rows, [_STYLE[decision.outcome] for decision in shown], width)
    else:
        click.echo(table(rows, _HEADER))
    if rest := len(plan.decisions) - len(shown):
        click.echo(f"... and {rest} more jobs (--json has all of them)")
    click.echo()
    for line in _summary(plan, offers, now, narrow=tty and width < WIDE):
        click.echo(fill(line, max(40, width - 1), subsequent_indent="  ", break_on_hyphens=False) if tty else line)


def _row(decision: Decision) -> tuple[str, ...]:
    job = decision.job
    where = f"{decision.plugin}/{decision.shape}" if decision.plugin else decision.outcome
    parts = (("new", decision.new_nodes), ("shared", decision.shared_nodes), ("lead", decision.lead_nodes))
    nodes = " + ".join(f"{count} {what}" for what, count in parts if count)
    return clean(job.label), clean(job.name), str(job.demand or "?"), where, nodes or "-", clean(decision.why.text)


def _rich(rows: Iterable[tuple[str, ...]], styles: Iterable[str], width: int) -> None:
    """The table of a terminal. On a narrow one each job has one line, and the reasons stand below."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    made = Table(
        box=SIMPLE_HEAD, header_style="bold", pad_edge=False, padding=(0, 1) if width >= WIDE else (0, 1, 0, 0)
    )
    names = _HEADER if width >= WIDE else _HEADER[:-1]
    rows = list(rows)
    for at, name in enumerate(names):
        whole = name in {"JOB", "GOES TO", "NODES"}
        least = min(20, max(len(row[at]) for row in [_HEADER, *rows])) if whole else 6
        made.add_column(
            name, overflow="fold" if width >= WIDE else "ellipsis", no_wrap=whole or width < WIDE, min_width=least
        )
    for row, style in zip(rows, styles, strict=True):
        made.add_row(*(Text(cell, style=style if at >= 3 else "") for at, cell in enumerate(row[: len(names)])))
    Console().print(made)


def _summary(plan: Plan, offers: Sequence[Offer], now: float, *, narrow: bool) -> Iterable[str]:
    totals = plan.totals()
    for burst in plan.bursts:
        what = f"{count(burst.nodes, 'node')} of {burst.plugin}/{burst.shape}"
        where = f" in namespace {burst.namespace}" if burst.namespace else ""
        yield f"would make {burst.name}: {what}{where} for {count(len(burst.jobs), 'job')}{_cost(burst, offers, now)}"
    for (plugin, shape), nodes in plan.unused.items():
        yield f"on their way and not needed: {count(nodes, 'node')} of {plugin}/{shape}"
    yield (
        f"{count(len(plan.decisions), 'job')}:"
        f" {totals['burst']} burst, {totals['lead']} fit on the lead,"
        f" {totals['refused']} refused, {totals['not selected']} not selected;"
        f" {count(totals['nodes'], 'new node')}"
    )
    yield from _grouped(plan, "refused")
    if narrow:
        yield from _grouped(plan, "not selected")
    if plan.due < inf:
        yield f"the next job will have waited long enough in {span(ceil(max(1, plan.due - now)))}"
    for note in plan.notes:
        yield f"note: {note}"


def _grouped(plan: Plan, outcome: Outcome) -> Iterable[str]:
    """The reasons of the jobs of one outcome, each once."""
    found: dict[int, list[Decision]] = {}
    for decision in plan.decisions:
        if decision.outcome == outcome:
            found.setdefault(id(decision.why), []).append(decision)
    for same in islice(found.values(), MOST_REFUSALS):
        names = ", ".join(clean(decision.job.label) for decision in same[:5])
        more = f" and {len(same) - 5} more" if len(same) > 5 else ""
        verdict = f" ({same[0].why.verdict})" if same[0].why.verdict else ""
        yield f"{outcome}{verdict} {names}{more}: {clean(same[0].why.text)}"
    if len(found) > MOST_REFUSALS:
        yield f"... and {len(found) - MOST_REFUSALS} more reasons (--json has all of them)"


def price(burst: Burst, offers: Iterable[Offer]) -> float:
    """What the nodes of a burst cost together for an hour; 0 where no price is known."""
    prices = (
        shape.price for o in offers if o.plugin == burst.plugin for shape in o.shapes if shape.name == burst.shape
    )
    return burst.nodes * next(prices, 0.0)


def _cost(burst: Burst, offers: Sequence[Offer], now: float) -> str:
    hourly = price(burst, offers)
    if not 0 < hourly < inf:
        return ""
    lease = burst.deadline - now
    return f", ~{money(hourly * lease / 3600)} for {span(lease)}" if burst.deadline else f", ~{money(hourly)} an hour"
