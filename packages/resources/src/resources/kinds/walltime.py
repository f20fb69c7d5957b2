"""Time limits."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from resources.errors import InputError
from resources.lexer import elements, quote, unquote
from resources.resource import Resource
from resources.units import seconds, seconds_text, shown


class WTime(Resource):
    """A time limit, in seconds or as `[d-]hh:mm:ss`.

    T: the hard limit; a run that reaches it fails. softT: what a provider must still have left for the
    run to start; T where it is not given. group: a tag under which limits are estimated from earlier
    runs (`resources.Estimator`). countdown: whether a provider's limit runs down from the moment it
    starts to provide (the default for a provider), or holds for each run anew (False).
    """

    __slots__ = ("_T", "_clock", "_countdown", "_deadline", "_group", "_softT")
    kind = "walltime"
    about = "time limit: seconds, [d-]hh:mm:ss, 90s 15m 2h 1d; with softT=, group=, countdown="
    order = 70
    shows = ("T", "softT", "group", "countdown")
    unlimited = True

    def __init__(
        self,
        T: int | float | str | None = None,
        softT: int | float | str | None = None,
        group: str | None = None,
        countdown: bool | None = None,
    ) -> None:
        if T is None and group is None:
            raise InputError("WTime needs a limit T or a group")
        if group is not None and (not isinstance(group, str) or not group or not group.isprintable()):
            raise InputError(f"a group is a text of printable characters, not {shown(group)}")
        if countdown is not None and not isinstance(countdown, bool):
            raise InputError(f"countdown is true or false, not {shown(countdown)}")
        self._T = None if T is None else seconds(T)
        self._softT = None if softT is None else seconds(softT, "softT")
        self._group, self._countdown = group, countdown
        self._deadline: float | None = None
        self._clock: Callable[[], float] = time.time
        if self._T is not None and self._softT is not None and self._softT > self._T:
            raise InputError(f"softT {seconds_text(self._softT)} is longer than T {seconds_text(self._T)}")

    @property
    def T(self) -> int | None:
        """The hard limit in seconds; None where the group decides."""
        return self._T

    @property
    def softT(self) -> int | None:
        """The soft limit in seconds: T unless given."""
        return self._T if self._softT is None else self._softT

    @property
    def group(self) -> str | None:
        """The tag for estimated limits."""
        return self._group

    @property
    def countdown(self) -> bool:
        """Whether it runs down: said so, or started as a provider."""
        return self._deadline is not None if self._countdown is None else self._countdown

    def start(self, clock: Callable[[], float] = time.time) -> None:
        """Begin to provide: from now on a limit that counts down does. Starting twice changes nothing."""
        if self._T is not None and self._deadline is None and self._countdown is not False:
            self._clock = clock
            self._deadline = clock() + self._T

    def remaining(self) -> float:
        """Seconds that it can still give, as a provider; never negative."""
        if self._T is None:
            return float("inf")
        return float(self._T) if self._deadline is None else max(0.0, self._deadline - self._clock())

    @property
    def expired(self) -> bool:
        """Whether, as a provider, its own time is up: it takes no new work at all."""
        return self._deadline is not None and self.remaining() <= 0

    def __eq__(self, other: object) -> bool:
        # The limit, not how much of it a provider has used up: a clock is no difference.
        if not isinstance(other, WTime):
            return NotImplemented
        return (self._T, self._softT, self._group, self._countdown) == (
            other._T,
            other._softT,
            other._group,
            other._countdown,
        )

    __hash__ = Resource.__hash__

    def __deepcopy__(self, memo: dict[int, Any]) -> WTime:
        twin = WTime(self._T, self._softT, self._group, self._countdown)
        twin._deadline, twin._clock = self._deadline, self._clock  # the same clock, not a copy of one
        return twin

    def _request(self, res: WTime) -> bool:
        self.start()
        return not self.expired and (res.softT or 0) <= self.remaining()

    def _alloc(self, res: WTime) -> WTime:
        return WTime(res._T, res._softT, res._group, False)

    def _dealloc(self, res: WTime) -> None:
        """Time is not given back."""

    def _stat(self) -> tuple[int, int]:
        total = self._T or 0
        return (total if self._deadline is None else int(self.remaining())), total

    def _times(self, n: int) -> WTime:
        return self

    def _options(self) -> dict[str, Any]:
        options = {"softT": self._softT, "group": self._group, "countdown": self._countdown}
        return {name: value for name, value in options.items() if value is not None}

    def _repr(self) -> str:
        parts = [repr(seconds_text(self._T))] if self._T is not None else []
        parts += [f"{name}={value!r}" for name, value in self._options().items()]
        return f"WTime({', '.join(parts)})"

    @classmethod
    def from_text(cls, text: str) -> WTime:
        given: dict[str, Any] = {}
        for element in elements(text):
            name, equals, value = element.partition("=")
            if not equals:
                name, value = "T", element
            if name not in {"T", "softT", "group", "countdown"}:
                raise InputError(f"walltime has T, softT, group and countdown, not {shown(name)}")
            if name in given:
                raise InputError(f"{name} is given twice in {shown(text)}")
            given[name] = value
        if "group" in given:
            given["group"] = unquote(given["group"])
        if "countdown" in given:
            if given["countdown"] not in {"true", "false"}:
                raise InputError(f"countdown is true or false, not {shown(given['countdown'])}")
            given["countdown"] = given["countdown"] == "true"
        return cls(**given)

    def to_text(self) -> str:
        parts = [seconds_text(self._T)] if self._T is not None else []
        if self._softT is not None:
            parts.append(f"softT={seconds_text(self._softT)}")
        if self._group is not None:
            parts.append(f"group={quote(self._group)}")
        if self._countdown is not None:
            parts.append(f"countdown={str(self._countdown).lower()}")
        return ",".join(parts)

    @classmethod
    def from_json(cls, value: object) -> WTime:
        if isinstance(value, dict):
            if not value.keys() <= {"T", "softT", "group", "countdown"}:
                raise InputError(f"walltime has T, softT, group and countdown, not {shown(list(value))}")
            return cls(**value)
        if isinstance(value, str):
            return cls.from_text(value)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InputError(f"walltime is seconds, a text or an object, not {shown(value)}")
        return cls(value)

    def to_json(self) -> Any:
        options = self._options()
        if not options:
            return self._T
        return options if self._T is None else {"T": self._T, **options}


KIND = WTime
