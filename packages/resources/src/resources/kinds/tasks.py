"""How many tasks a job has."""

from __future__ import annotations

from resources.kinds._number import Number


class Tasks(Number):
    """N tasks: the other amounts are then per task, placed freely, or spread evenly over `Nodes` where given."""

    __slots__ = ()
    kind = "tasks"
    about = "tasks of the job; other amounts are then per task"
    order = 11
    shows = ("tasks",)

    @property
    def tasks(self) -> int:
        """How many."""
        return self.N


KIND = Tasks
