"""How often a job that did not succeed is run again, and with how much more."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from resources import units
from resources.units import shown

from ensemble.errors import SpecError
from ensemble.events import OUTCOMES
from ensemble.faults import Fields
from ensemble.metrics import did_you_mean

RETRIED = ("failed", "timeout", "exception")  # unless `on` says otherwise
CAN_RETRY = tuple(name for name in OUTCOMES if name != "success")
ESCALATED = ("memory", "duration", "timeout", "cores", "gpus", "tasks", "nodes")
INFRASTRUCTURE = 3  # attempts more for what was the machine's fault
KEYS = ("max", "on", "infrastructure", "escalate")


@dataclass(frozen=True, slots=True)
class Escalation:
    """A field times `factor` at each further attempt, at most `cap` (0: no cap), in the field's unit."""

    factor: float
    cap: int = 0

    def at(self, base: int, attempt: int) -> int:
        """The amount of an attempt (0: the first), rounded up."""
        if not attempt or not base:
            return base
        factor = Fraction(str(self.factor))
        top = self.cap or units.LARGEST
        # More attempts than this only reach the top again, and would take numbers of millions of digits.
        steps = min(attempt, math.ceil(64 / math.log2(self.factor)) + 1)
        return max(base, min(math.ceil(base * factor**steps), top))


@dataclass(frozen=True, slots=True)
class Retries:
    """max: attempts more for the outcomes `on`; infrastructure: those for what was the machine's fault."""

    max: int = 0
    on: frozenset[str] = frozenset(RETRIED)
    infrastructure: int = INFRASTRUCTURE
    escalate: Mapping[str, Escalation] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        escalate: dict[str, Any] = {
            name: {"factor": each.factor, "max": f"{each.cap}B" if name == "memory" else each.cap}
            if each.cap
            else each.factor
            for name, each in self.escalate.items()
        }
        return {
            "max": self.max,
            "on": [name for name in CAN_RETRY if name in self.on],
            "infrastructure": self.infrastructure,
            "escalate": escalate,
        }


def read_retries(value: object) -> Retries:
    """From a number, or a mapping with KEYS. Raises SpecError with every fault."""
    fields = Fields(value if isinstance(value, Mapping) else {"max": value}, "retries", KEYS)
    if not isinstance(value, Mapping):
        try:
            return Retries(units.count(value, "retries"))
        except ValueError as error:
            raise SpecError(f"{getattr(error, 'message', error)} (or a mapping with {', '.join(KEYS)})") from None
    most = fields.count("max", 0)
    infrastructure = fields.count("infrastructure", INFRASTRUCTURE)
    given = fields.given.get("on", list(RETRIED))
    outcomes = given if isinstance(given, list) else [given]
    for index, outcome in enumerate(outcomes):
        if outcome not in CAN_RETRY:
            where = ("on", index) if isinstance(given, list) else ("on",)
            hint = "; a success is not retried" if outcome == "success" else did_you_mean(str(outcome), CAN_RETRY)
            fields.wrong(where, f"no outcome {shown(outcome)}{hint}")
    escalate = {}
    for name, each in fields.mapping("escalate").items():
        if name not in ESCALATED:
            fields.wrong(("escalate", name), f"{name}: unknown key{did_you_mean(str(name), ESCALATED)}", at_key=True)
            continue
        read = fields.attempt(("escalate", name), lambda n=name, e=each: _escalation(n, e), None)  # type: ignore[misc]
        if read is not None:
            escalate[name] = read
    if escalate and not most and not infrastructure:
        fields.wrong(("escalate",), "nothing is retried, so nothing escalates: set max")
    fields.finish()
    return Retries(most, frozenset(outcomes), infrastructure, escalate)


def _escalation(name: str, value: object) -> Escalation:
    fields = Fields(value if isinstance(value, Mapping) else {"factor": value}, name, ("factor", "max"))
    whole = isinstance(value, Mapping)
    factor = fields.given.get("factor")
    if isinstance(factor, bool) or not isinstance(factor, (int, float)) or not 1 < factor <= 1000:
        text = (
            "factor is missing" if whole and "factor" not in fields else f"a factor is more than 1, not {shown(factor)}"
        )
        fields.wrong(("factor",) if whole else (), f"escalate {name}: {text}")
        factor = 2
    if name == "memory":
        cap = fields.memory("max")
    elif name in ("duration", "timeout"):
        cap = fields.seconds("max")
    else:
        cap = fields.count("max", 0, least=1)
    fields.finish()
    return Escalation(float(factor), cap)
