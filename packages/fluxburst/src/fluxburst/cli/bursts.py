"""Bursts and what goes with them as cells and lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fluxburst.texts import clean, clock, number_cell, span_cell

HEADER = ("BURST", "WHAT", "STATE", "JOINED", "JOBS", "AGE", "COST", "LEFT", "NOTE")
_COST = HEADER.index("COST")


def priced(report: Mapping[str, Any]) -> bool:
    """Whether anything that is open or was ever made has a price, or cost is limited."""
    return any(one["what"] == "cost" and (one["held"] or one["limit"] is not None) for one in report["limits"])


def cells(report: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """A header, and a row for each burst, without what costs where nothing has a price."""
    rows = [HEADER, *map(row, report["bursts"])]
    return rows if priced(report) else [one[:_COST] + one[_COST + 1 :] for one in rows]


def row(burst: Mapping[str, Any]) -> tuple[str, ...]:
    """One burst as cells under HEADER. left: of its lease."""
    joined = "?" if burst["joined"] is None else burst["joined"]
    return (
        clean(burst["name"]),
        clean(f"{burst['plugin']}/{burst['shape']}"),
        burst["state"],
        f"{joined}/{burst['nodes']}",
        str(len(burst["jobs"])),
        span_cell(burst["age"]),
        number_cell(burst["cost"]),
        span_cell(burst["left"]),
        clean(burst["reason"]),
    )


def target(one: Mapping[str, Any]) -> str:
    """What a pause is of: a plugin, or a shape of it."""
    return "/".join(part for part in (one["plugin"], one["shape"]) if part)


def strays(report: Mapping[str, Any]) -> Iterator[str]:
    """What bears our mark and is in no ledger."""
    for one in report["strays"]:
        since = f"seen since {clock(one['since'])}"
        yield f"stray: {one['plugin']} shows {one['name']}, which is not in the ledger ({since}); flux-burst gc ends it"


def limits(report: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """What is used of each limit, and of what is used at all, as (plugin, what, used, held, limit)."""
    return [
        (one["plugin"] or "all", one["what"].replace("_", "-"), number_cell(one["used"]), number_cell(one["held"]),
         "none" if one["limit"] is None else number_cell(one["limit"]))
        for one in report["limits"]
        if one["limit"] is not None or (one["held"] and one["plugin"] is None)
    ]  # fmt: skip
