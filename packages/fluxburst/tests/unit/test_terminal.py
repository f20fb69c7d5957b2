"""Lists on terminals of any width, and no costs where nothing costs."""

from __future__ import annotations

import pytest

from fluxburst.cli import common
from fluxburst.cli.bursts import HEADER, cells

ROWS = [("a" * 20, "ready", "a note that is longer than all of the others are here"), ("b", "ready", "")]
NAMES = ("BURST", "STATE", "NOTE")


@pytest.mark.parametrize("columns", [None, 200, 65, 45, 40, 24])
def test_a_list_fits_and_loses_nothing(monkeypatch, columns):
    monkeypatch.setattr(common, "width", lambda: columns)
    lines = common.grid(ROWS, NAMES).splitlines()
    assert max(map(len, lines)) <= max(columns or 200, 40)
    said = " ".join(" ".join(lines).split())
    assert all(cell in said for row in ROWS for cell in row)


@pytest.mark.parametrize(("held", "limit", "shown"), [(0.0, None, False), (2.5, None, True), (0.0, 10.0, True)])
def test_costs_are_shown_where_something_has_a_price_or_a_limit(held, limit, shown):
    burst = dict.fromkeys(["name", "plugin", "shape", "state", "reason"], "x")
    burst |= {"joined": 1, "nodes": 1, "jobs": [], "age": 1.0, "cost": 0.0, "left": None}
    report = {"bursts": [burst], "limits": [{"what": "cost", "held": held, "limit": limit}]}
    header, row = cells(report)
    assert len(header) == len(row)
    assert ("COST" in header) is shown
    assert set(HEADER) - set(header) == (set() if shown else {"COST"})
