"""A kind for the tests, written to the interface as a third party would: it keeps what is taken beside its amount."""

from resources import InputError, Resource


class Slots(Resource):
    """N slots of a colour, or of any."""

    kind = "slots"
    about = "slots of a colour: 3, or 3,red"

    def __init__(self, slots, colour=None):
        if isinstance(slots, bool) or not isinstance(slots, int) or not 0 <= slots <= 10**6:
            raise InputError("slots are a whole number up to a million")
        if colour is not None and not isinstance(colour, str):
            raise InputError("a colour is a text")
        self.slots, self.colour, self.used = slots, colour, 0

    def _request(self, res):
        return res.colour in (None, self.colour) and res.slots <= self.slots - self.used

    def _alloc(self, res):
        self.used += res.slots
        return Slots(res.slots, self.colour)

    def _dealloc(self, res):
        self.used -= res.slots

    def _free(self):
        return Slots(self.slots - self.used, self.colour)

    def _stat(self):
        return self.slots - self.used, self.slots


KIND = Slots
