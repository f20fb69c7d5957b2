"""Hardware threads: the logical CPUs that an operating system counts."""

from __future__ import annotations

from resources.kinds._ids import Ids


class Threads(Ids):
    """N hardware threads; once allocated `.t` lists their ids.

    On a host that states both, thread t belongs to core t modulo the number of cores (Linux's usual
    numbering), and a thread and its core are not granted to two allocations.
    """

    __slots__ = ()
    kind = "threads"
    about = "hardware threads (logical CPUs): a number, or ids as [0-3,7]"
    order = 30
    shows = ("t", "threads")
    one = "thread"

    @property
    def threads(self) -> int:
        """How many, under a name that a combination with cores can show too."""
        return self.N

    @property
    def t(self) -> list[int]:
        """The ids of the allocated threads, ascending."""
        return self._ids()


KIND = Threads
