"""A kind of resource: network bandwidth of a host, in Gbit/s. Being installed is all it takes to be found."""

from resources import InputError, Resource


class Bandwidth(Resource):
    """So many Gbit/s: `Bandwidth(25)`, or `bandwidth=25` in text. `.gbps` is the amount."""

    kind = "bandwidth"
    about = "network bandwidth of a host, in Gbit/s"

    def __init__(self, gbps: int) -> None:
        if isinstance(gbps, bool) or not isinstance(gbps, int) or gbps < 0:
            raise InputError(f"bandwidth is a whole number of Gbit/s, not {gbps!r}")
        self.gbps = gbps
        self.used = 0

    def _request(self, res: "Bandwidth") -> bool:
        return res.gbps <= self.gbps - self.used

    def _alloc(self, res: "Bandwidth") -> "Bandwidth":
        self.used += res.gbps
        return Bandwidth(res.gbps)

    def _dealloc(self, res: "Bandwidth") -> None:
        self.used -= res.gbps

    def _free(self) -> "Bandwidth":
        return Bandwidth(self.gbps - self.used)

    def _stat(self) -> tuple[int, int]:
        return self.gbps - self.used, self.gbps


KIND = Bandwidth
