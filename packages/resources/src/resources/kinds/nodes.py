"""How many hosts a job runs on."""

from __future__ import annotations

from resources.kinds._number import Number


class Nodes(Number):
    """N different hosts: without `Tasks` the other amounts are per host."""

    __slots__ = ()
    kind = "nodes"
    about = "different hosts; other amounts are per host unless tasks are given"
    order = 10
    shows = ("nodes",)

    @property
    def nodes(self) -> int:
        """How many."""
        return self.N


KIND = Nodes
