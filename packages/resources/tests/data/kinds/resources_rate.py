"""A kind for the tests whose amount is a float, and whose slots are written in the two unusual ways."""

from resources import InputError, Resource


class Rate(Resource):
    """So much of a rate; nothing is used up."""

    __slots__ = "rate"
    kind = "rate"

    def __init__(self, rate):
        if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate < 1e300:
            raise InputError("a rate is a number from 0 up")
        self.rate = rate

    def _request(self, res):
        return res.rate <= self.rate

    def _alloc(self, res):
        return res  # the request itself: the interface does not forbid it

    def _dealloc(self, res):
        pass

    def _stat(self):
        return 1, 1


class Hidden(Rate):
    """A private name in the slots."""

    __slots__ = ("__n",)

    def __init__(self, rate):
        super().__init__(rate)
        self.__n = rate

    @property
    def n(self):
        return self.__n


KIND = Rate
