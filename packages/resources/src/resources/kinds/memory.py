"""Memory."""

from __future__ import annotations

from resources.kinds._amount import Bytes


class Memory(Bytes):
    """Memory in GB (1024^3 bytes), or as text: '8GB', '8GiB', '8192MB'. `.M` is GB, `.size` bytes."""

    __slots__ = ()
    kind = "memory"
    about = "memory: GB (1024^3), or with a unit as 8GB, 512MB"
    order = 40
    shows = ("M", "size")


KIND = Memory
