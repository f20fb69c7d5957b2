"""The documents of planning: what was observed, what the policy is, and the plan."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any, Literal, get_args

from fluxburst.errors import FluxBurstError

if TYPE_CHECKING:
    from resources import Resource
    from resources.answer import Verdict
    from resources.documents import Inventory

    from fluxburst.demand import Demand
    from fluxburst.jobs import Job

# The life of a burst, in order; `gone` and `failed` are its ends, and nothing is left of it in either.
State = Literal["planned", "creating", "joining", "ready", "draining", "deleting", "gone", "failed"]
# What a provider can say of a burst: asked for, there, ending, and confirmed to have ended.
Seen = Literal["pending", "running", "ending", "gone"]
Outcome = Literal["lead", "burst", "refused", "not selected"]
Selector = Callable[[Mapping[str, Any]], bool]

_SHAPE_TEXT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]{0,62})\s*:(.*)", re.ASCII | re.DOTALL)

_PRICE = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class NodeShape:
    """One kind of node that a plugin can make.

    holds: what one such node has. price: of one node for an hour, in the currency of the user's catalogue; infinite
    where that is not known, and then no limit of cost allows it. place: the zone, partition or pool that it comes
    from; a lack of capacity is remembered by shape and place.
    """

    name: str
    holds: Resource
    price: float = 0.0
    place: str = ""

    @classmethod
    def from_text(cls, text: str) -> NodeShape:
        """Read `NAME: cores=16 memory=64GB price=0.75 place=us-east-1a`; the last two may be left out.

        Raises FluxBurstError or resources' InputError.
        """
        from resources import parse

        match = _SHAPE_TEXT.fullmatch(text)
        if not match:
            raise FluxBurstError(f"a node shape is written 'NAME: cores=16 gpus=2', not {text[:60]!r}")
        own: dict[str, str] = {}
        rest = []
        for word in match[2].split():
            key, _, value = word.partition("=")
            if key not in {"price", "place"}:
                rest.append(word)
            elif key in own or not value:
                raise FluxBurstError(f"node shape {match[1]!r}: {key} is given {'twice' if key in own else 'nothing'}")
            else:
                own[key] = value
        holds = parse(" ".join(rest))
        if amount(holds, "cores") < 1:
            raise FluxBurstError(f"node shape {match[1]!r} has no cores")
        return cls(match[1], holds, _price(own.get("price", "0"), match[1]), own.get("place", ""))

    def __str__(self) -> str:
        price = f" price={self.price:g}" if 0 < self.price < inf else ""
        place = f" place={self.place}" if self.place else ""
        return f"{self.name}: {self.holds}{price}{place}"


@dataclass(frozen=True, slots=True)
class Burst:
    """Some nodes of one shape that a plugin makes; the order that `create` gets.

    name: unique for all time, and known before anything is made: providers tag what they make with it. hosts: the
    names that the lead has for its brokers. jobs: ids of the jobs that they are for. deadline: seconds since the
    epoch at which it ends by itself, 0 for none. namespace: where its user wants it, for providers that have such.
    id: the provider's own name for it, "" while that is not known.
    """

    name: str
    plugin: str
    shape: str
    hosts: tuple[str, ...]
    jobs: tuple[str, ...] = ()
    state: State = "planned"
    deadline: float = 0.0
    namespace: str = ""
    id: str = ""

    @property
    def nodes(self) -> int:
        return len(self.hosts)

    def left(self, now: float) -> int:
        """Whole seconds until its deadline, at least 1."""
        return max(1, int(self.deadline - now))

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "plugin": self.plugin,
            "shape": self.shape,
            "nodes": self.nodes,
            "hosts": list(self.hosts),
            "state": self.state,
            "jobs": list(self.jobs),
            "deadline": self.deadline,
            "namespace": self.namespace,
            "id": self.id,
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Burst:
        """Read what `as_dict` gave. Raises FluxBurstError."""
        try:
            name, plugin, shape, state = (document[key] for key in ("name", "plugin", "shape", "state"))
            hosts, jobs = tuple(document["hosts"]), tuple(document["jobs"])
        except (KeyError, TypeError) as error:
            raise FluxBurstError(f"no burst: {type(error).__name__}: {error}") from None
        namespace, id, deadline = document.get("namespace", ""), document.get("id", ""), document.get("deadline", 0.0)
        if (
            state not in get_args(State)
            or not all(isinstance(one, str) for one in (name, plugin, shape, namespace, id, *hosts, *jobs))
            or isinstance(deadline, bool)
            or not isinstance(deadline, (int, float))
        ):
            raise FluxBurstError(
                f"no burst: state is one of {', '.join(get_args(State))}, deadline a number, the rest are texts"
            )
        return cls(name, plugin, shape, hosts, jobs, state, float(deadline), namespace, id)


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a provider says of one burst that bears our mark.

    seen: `gone` is said only of what the provider confirms to have ended; what it does not know, it leaves out.
    id: the provider's own name. since: seconds since the epoch at which it was made, 0 where that is not told.
    reason: why it waits, ends or has ended. preempted: the provider took it back, which is nobody's failure.
    output: the end of what its brokers printed, for one that does not join. hosts: those of its hosts that exist,
    where only some do; None: all of them.
    """

    name: str
    seen: Seen
    id: str = ""
    since: float = 0.0
    reason: str = ""
    preempted: bool = False
    output: str = ""
    hosts: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Budget:
    """What may still be taken of each; infinite where there is no limit. cost: in the currency of the prices."""

    nodes: float = inf
    bursts: float = inf
    node_hours: float = inf
    cost: float = inf


NO_LIMIT = Budget()


@dataclass(frozen=True, slots=True)
class Offer:
    """What one plugin could make now.

    shapes: in its order of preference. max_nodes: in all, with those that exist. slots: the hosts that the lead has
    declared for it and that are free to be used, in order; None where no lead says. budget: what is left of its
    limits. lease: seconds that a burst lasts at most, and that its cost is reckoned for; 0: without end. paused: why
    the plugin makes nothing now, "" if it does. cooling: the same by shape.
    """

    plugin: str
    shapes: tuple[NodeShape, ...]
    max_nodes: int
    slots: tuple[str, ...] | None = None
    budget: Budget = NO_LIMIT
    lease: int = 0
    paused: str = ""
    cooling: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observed:
    """What a plan starts from.

    inventory: the lead's nodes and what is free of them, None where that is not known; it tells what a slot counts
    for, too. bursts: those that exist, with the hosts that are there or on their way; of these, the ones that are
    not up yet hold jobs to come. now: seconds since the epoch, 0 where time plays no part. stopped: queues of the lead
    that start no jobs, with the reason.
    """

    jobs: tuple[Job, ...]
    inventory: Inventory | None = None
    bursts: tuple[Burst, ...] = ()
    now: float = 0.0
    stopped: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JobRules:
    """What a job may say for itself in `attributes.system.burst`: these keys, and namespaces; None: any."""

    allow: frozenset[str] = frozenset({"plugin", "shape", "max_cost", "deadline", "namespace"})
    namespaces: frozenset[str] | None = None


NO_RULES = JobRules()


@dataclass(frozen=True, slots=True)
class Policy:
    """Which jobs may burst, and where to: offers in the order in which they are tried.

    delay: seconds that a job must have waited. budget: what is left of the limits over all plugins. name: of a new
    burst, from its plugin and its place among the new ones.
    """

    selector: Selector
    offers: tuple[Offer, ...]
    delay: float = 0.0
    budget: Budget = NO_LIMIT
    rules: JobRules = NO_RULES
    name: Callable[[str, int], str] | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why jobs of one demand got what they got; shared by all of them.

    verdict: READY on the lead, by a burst or by nodes to come; BUSY later perhaps; INCOMPATIBLE never;
    UNKNOWN this planner can't tell; None for jobs that were not considered. others: (who, why not) for the
    lead and every plugin that was not chosen, in the order of trying.
    """

    outcome: Outcome
    verdict: Verdict | None
    text: str
    demand: Demand | None = None
    others: tuple[tuple[str, str], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {
            "outcome": self.outcome,
            "verdict": self.verdict,
            "request": str(self.demand) if self.demand else None,
            "reason": self.text,
            "others": [{"who": who, "reason": why} for who, why in self.others],
        }


@dataclass(frozen=True, slots=True)
class Decision:
    """What a plan says of one job.

    lead_nodes: nodes of the lead that it runs on; shared_nodes: burst nodes that exist or that the plan
    makes for another job already; new_nodes: nodes that the plan makes for it. burst: where those belong.
    """

    job: Job
    why: Explanation
    plugin: str = ""
    shape: str = ""
    lead_nodes: int = 0
    shared_nodes: int = 0
    new_nodes: int = 0

    @property
    def outcome(self) -> Outcome:
        return self.why.outcome


@dataclass(frozen=True, slots=True)
class Plan:
    """A decision for every job, in the order of the queue; the bursts to make; remarks on what was not known.

    unused: of the nodes that are on their way, how many no job of the queue needs, by (plugin, shape). due: seconds
    since the epoch at which the next job will have waited long enough; the plan changes by itself no earlier.
    """

    decisions: tuple[Decision, ...]
    bursts: tuple[Burst, ...]
    notes: tuple[str, ...] = ()
    unused: Mapping[tuple[str, str], int] = field(default_factory=dict)
    due: float = inf

    @property
    def explanations(self) -> tuple[Explanation, ...]:
        """Each explanation once, in the order of the first job that has it."""
        return tuple({id(decision.why): decision.why for decision in self.decisions}.values())

    def totals(self) -> dict[str, int]:
        """How many jobs have which outcome, and how many nodes are to be made."""
        counts = dict.fromkeys(("lead", "burst", "refused", "not selected"), 0)
        for decision in self.decisions:
            counts[decision.outcome] += 1
        return {**counts, "nodes": sum(burst.nodes for burst in self.bursts)}

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints; each job names its explanation by its place in the list."""
        explanations = self.explanations
        places = {id(why): at for at, why in enumerate(explanations)}
        return {
            "type": "burst-plan",
            "version": 1,
            "jobs": [
                {
                    "id": decision.job.id,
                    "name": decision.job.name,
                    "outcome": decision.outcome,
                    "plugin": decision.plugin or None,
                    "shape": decision.shape or None,
                    "new_nodes": decision.new_nodes,
                    "shared_nodes": decision.shared_nodes,
                    "lead_nodes": decision.lead_nodes,
                    "explanation": places[id(decision.why)],
                }
                for decision in self.decisions
            ],
            "bursts": [burst.as_dict() for burst in self.bursts],
            "explanations": [why.as_dict() for why in explanations],
            "totals": self.totals(),
            "unused": [{"plugin": plugin, "shape": shape, "nodes": n} for (plugin, shape), n in self.unused.items()],
            "due": self.due if self.due < inf else None,
            "notes": list(self.notes),
        }


def _price(text: str, shape: str) -> float:
    if not _PRICE.fullmatch(text):
        raise FluxBurstError(f"node shape {shape!r}: a price is an amount for an hour such as 0.75, not {text[:30]!r}")
    return float(text)


def amount(resource: Resource, kind: str) -> int:
    """How many cores or GPUs a resource holds; 0 where it has none."""
    leaf = resource.get(kind)
    return int(leaf.N) if leaf is not None else 0
