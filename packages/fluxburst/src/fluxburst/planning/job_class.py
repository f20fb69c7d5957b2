"""What a plan knows of the jobs of one demand: what was found once holds for all of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

from resources.answer import Verdict

from fluxburst.demand import Demand
from fluxburst.model import Explanation
from fluxburst.planning.capacity import Ask
from fluxburst.planning.pools import Space


@dataclass(slots=True)
class JobClass:
    """duration: seconds, 0 where it is not known or every lease is long enough. hosts: those that it is tied to.

    What failed once is not tried again: `outgrown`: the lead can't hold it any more, `dry`: not even a part of it;
    `supply`, `kind`: the plugins and shapes before these can't make what it needs, and `reasons` says why; `refused`:
    nothing holds it, unless nodes on their way are let go; `first`: of the pools that were there from the start, those
    before have no room; `open`: those that may have since (another one may once it has grown after `seen`).
    """

    demand: Demand
    space: Space
    duration: float = 0.0
    problem: str = ""
    verdict: Verdict = "UNKNOWN"
    hosts: frozenset[str] | None = None
    outgrown: bool = False
    dry: bool = False
    refused: Explanation | None = None
    looked: int = 0  # how often nodes had been let go when it was refused
    supply: int = 0
    kind: int = 0
    welcome: bool = False  # whether that plugin bars it not
    nearest: tuple[float, str] = (inf, "")
    reasons: list[tuple[str, str]] = field(default_factory=list)
    first: int = 0
    open: list[int] = field(default_factory=list)
    seen: int = 0
    told: dict[tuple[int, bool], Explanation] = field(default_factory=dict)
    on_lead: Ask = field(init=False)
    ask: Ask = field(init=False)

    def __post_init__(self) -> None:
        cores, gpus = self.demand.unit
        self.on_lead = Ask(self.demand.nodes > 0, gpus, cores, self.demand.exclusive)
        self.ask = self.on_lead._replace(least=self.duration, most=self.demand.options.deadline or inf)
