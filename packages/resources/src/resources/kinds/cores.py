"""Physical CPU cores."""

from __future__ import annotations

from resources.kinds._ids import Ids


class Cores(Ids):
    """N physical cores; once allocated `.c` lists their ids."""

    __slots__ = ()
    kind = "cores"
    about = "physical CPU cores: a number, or ids as [0-3,7]"
    order = 20
    shows = ("N", "c")
    one = "core"

    @property
    def c(self) -> list[int]:
        """The ids of the allocated cores, ascending."""
        return self._ids()


KIND = Cores
