"""What may still be spent while a plan is made: of one plugin, or of all of them together."""

from __future__ import annotations

from math import inf

from fluxburst.model import Budget
from fluxburst.planning.reasons import of_nodes
from fluxburst.texts import money

_HOUR = 3600
_SLACK = 1e-9  # of what adding up many floats may be wrong by


class Balance:
    """whose: how a reason names it, "its" or "the common"."""

    def __init__(self, budget: Budget, whose: str) -> None:
        self.nodes, self.bursts = budget.nodes, budget.bursts
        self.node_hours, self.cost = budget.node_hours, budget.cost
        self.limited = budget != Budget()
        self._whose = whose

    def pays(self, count: int, price: float, lease: float, bursts: int) -> bool:
        """Whether so many new nodes are paid for; see `short`."""
        if not self.limited:
            return True
        if count > self.nodes or bursts > self.bursts:
            return False
        if not count or (self.node_hours == inf and (not price or self.cost == inf)):
            return True
        hours = count * lease / _HOUR
        return hours <= self.node_hours * (1 + _SLACK) and (not price or hours * price <= self.cost * (1 + _SLACK))

    def short(self, count: int, shape: str, price: float, lease: float, bursts: int) -> str:
        """What so many new nodes are too much for, and by how much; to be asked where they are not paid for.

        lease: seconds that they last, infinite without end. bursts: how many more there would be, 0 or 1.
        """
        new, whose = of_nodes(count, shape), self._whose
        if count > self.nodes:
            return f"needs {new}, {whose} budget has {max(0, self.nodes):g} nodes left"
        if bursts > self.bursts:
            return f"needs one more burst, {whose} budget has {max(0, self.bursts):g} bursts left"
        if price == inf and self.cost < inf:
            return f"{whose} cost is limited and the price of {shape} is not known: give it in the catalogue"
        if why := self.endless(price, lease):
            return why
        hours = count * lease / _HOUR
        if hours > self.node_hours * (1 + _SLACK):
            return f"{new} take {hours:.4g} node-hours, {whose} budget has {max(0, self.node_hours):.4g} left"
        return f"{new} cost {money(hours * price)}, {whose} budget has {money(max(0, self.cost))} left"

    def endless(self, price: float, lease: float) -> str:
        """Why nodes without end can't be reckoned for, "" where they can."""
        if lease < inf or (self.node_hours == inf and (not price or self.cost == inf)):
            return ""
        what = "node-hours are" if self.node_hours < inf else "cost is"
        return f"{self._whose} {what} limited and its nodes have no end: give a lease"

    def spend(self, count: int, price: float, lease: float, bursts: int) -> None:
        """Take what so many new nodes are."""
        if not self.limited:
            return
        self.nodes -= count
        self.bursts -= bursts
        if lease == inf:
            return
        hours = count * lease / _HOUR
        self.node_hours = max(0.0, self.node_hours - hours)
        if self.cost < inf:
            self.cost = max(0.0, self.cost - hours * price)
