"""The words of a plan: why a job is where it is, and why not elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf

from resources.answer import Shortage

from fluxburst.demand import Demand
from fluxburst.planning.capacity import usable
from fluxburst.texts import count, money, span

_NAMED = 3  # plugins that a one-line refusal names; all of them are in `others`


def lead_reason(demand: Demand, left_over: int, known: bool) -> str:
    """Why the lead does not run it now. left_over: units that found no place."""
    if not known:
        return "what it has free is not known"
    what = "nodes" if demand.nodes else "slots"
    return f"has room for {demand.units - left_over} of {demand.units} {what} now"


def too_small(demand: Demand, shapes: Iterable[tuple[str, int, int]]) -> str:
    """Why no shape (name, GPUs, cores) of a plugin holds even one unit: what the closest one lacks."""
    cores, gpus = demand.unit
    closest = min(shapes, key=lambda shape: (max(0, gpus - shape[1]), max(0, cores - shape[2])), default=None)
    if not closest:
        return "offers no node shape"
    name, has_gpus, has_cores = closest
    short = []
    if gpus > has_gpus:
        short.append(str(Shortage("gpus", gpus, has_gpus)))
    if cores > has_cores:
        short.append(str(Shortage("cores", cores, has_cores)))
    return f"{' and '.join(short)} on a node of {name}"


def smaller_than_slot(slot: str, slot_has: tuple[int, int], shape: str, shape_has: tuple[int, int]) -> str:
    """Why a shape can't be a slot: (GPUs, cores) of both. The lead's scheduler would fill what is not there."""
    kind, at = ("cores", 1) if slot_has[1] > shape_has[1] else ("gpus", 0)
    return f"the lead has declared {slot_has[at]} {kind} for {slot}, {shape} has {shape_has[at]}"


def no_slots(plugin: str, shape: str, needs: int, spare: int, declared: int) -> str:
    """Why the lead has no place for new nodes. spare: of the free slots that it has declared, those left."""
    if not declared:
        return f"the lead has no hosts to spare for {plugin}: flux-burst init --slots declares more"
    hosts = f"{count(spare, 'spare host') if spare else 'no spare hosts'}{' left' if spare < declared else ''}"
    return f"needs {of_nodes(needs, shape)}, the lead has {hosts} for {plugin}: flux-burst init --slots"


def over_limit(needs: int, shape: str, left: int, limit: int) -> str:
    """Why a plugin whose shape holds the demand does not make the nodes."""
    remain = "" if left == limit else f", {left} left"
    return f"needs {of_nodes(needs, shape)}, its limit is {limit}{remain}"


def too_dear(needs: int, shape: str, cost: float, lease: float, limit: float) -> str:
    """Why a job's own limit of cost keeps it from a shape."""
    if cost == inf:
        what = "its nodes have no end: give a lease" if lease == inf else f"the price of {shape} is not known"
        return f"the job has a max_cost and {what}"
    return f"{of_nodes(needs, shape)} cost {money(cost)} for {span(lease)}, its max_cost is {money(limit)}"


def too_long(duration: float, plugin: str, lease: float, deadline: float) -> str:
    """Why nodes end too early for a job. lease, deadline: seconds, of which the shorter one counts."""
    end = min(lease, deadline)
    nearly = f", of which {span(usable(end))} are for jobs" if duration <= end else ""
    if deadline <= lease:
        return f"runs {span(duration)}, its nodes would end by its deadline after {span(end)}{nearly}"
    return f"runs {span(duration)}, nodes of {plugin} end after {span(end)}{nearly}"


def refusal(plugins: Sequence[tuple[str, str]], *, never: bool, lead_could: bool) -> str:
    """One line for a refused demand, from the reasons of the plugins."""
    reasons = [f"{plugin}: {why}" for plugin, why in plugins[:_NAMED]]
    if len(plugins) > _NAMED:
        reasons.append(f"and {len(plugins) - _NAMED} more plugins")
    text = f"{'can never fit' if never else 'does not fit now'}: {'; '.join(reasons) or 'no plugin is asked'}"
    return f"{text}; the lead itself holds it once it is free" if lead_could else text


def of_nodes(nodes: int, shape: str) -> str:
    return f"{count(nodes, 'new node')} of {shape}"
