"""A kind for the tests that lowers its own amount while it is taken, and fails on demand."""

from resources import Resource


class Fault(Exception):
    """What a plugin may raise at any call."""


class Lanes(Resource):
    """N lanes. `plan` says at which calls (1, 2 ...) of `_alloc` and `_dealloc` the class fails, half done."""

    kind = "lanes"
    plan: dict = {}
    calls: dict = {}

    def __init__(self, lanes):
        self.lanes = lanes

    @classmethod
    def arm(cls, **plan):
        cls.plan, cls.calls = plan, dict.fromkeys(("alloc", "dealloc"), 0)

    @classmethod
    def _strike(cls, what):
        cls.calls[what] = cls.calls.get(what, 0) + 1
        if cls.calls[what] in cls.plan.get(what, ()):
            raise Fault(f"{what} {cls.calls[what]}")

    def _request(self, res):
        return res.lanes <= self.lanes

    def _alloc(self, res):
        self.lanes -= res.lanes
        self.scratch = "an attribute that was not there before"
        self._strike("alloc")
        del self.scratch
        return Lanes(res.lanes)

    def _dealloc(self, res):
        self.lanes += res.lanes
        self._strike("dealloc")

    def _stat(self):
        return self.lanes, self.lanes


KIND = Lanes
