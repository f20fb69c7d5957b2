"""Disk space local to a host."""

from __future__ import annotations

from resources.kinds._amount import Bytes


class Disk(Bytes):
    """Local disk space in GB (1024^3 bytes), or as text with a unit. A combination shows it as `.disk`, in GB."""

    __slots__ = ()
    kind = "disk"
    about = "local disk space: GB (1024^3), or with a unit as 100GB"
    order = 50
    shows = ("disk",)

    @property
    def disk(self) -> int | float:
        """In GB (1024^3 bytes)."""
        return self.M


KIND = Disk
