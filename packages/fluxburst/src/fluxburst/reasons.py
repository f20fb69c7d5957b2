"""The words of a plan: why a job is where it is, and why not elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from resources.answer import Shortage

from fluxburst.capacity import Free
from fluxburst.demand import Demand

_NAMED = 3  # plugins that a one-line refusal names; all of them are in `others`


def lead_reason(demand: Demand, left_over: int, known: bool) -> str:
    """Why the lead does not run it now. left_over: units that found no place."""
    if not known:
        return "what it has free is not known"
    what = "nodes" if demand.nodes else "slots"
    return f"has room for {demand.units - left_over} of {demand.units} {what} now"


def too_small(demand: Demand, shapes: Iterable[tuple[str, Free]]) -> str:
    """Why no shape of a plugin holds even one unit: what the closest one lacks."""
    cores, gpus = demand.unit
    closest = min(
        shapes, key=lambda shape: (max(0, gpus - shape[1].gpus), max(0, cores - shape[1].cores)), default=None
    )
    if not closest:
        return "offers no node shape"
    name, free = closest
    short = []
    if gpus > free.gpus:
        short.append(str(Shortage("gpus", gpus, free.gpus)))
    if cores > free.cores:
        short.append(str(Shortage("cores", cores, free.cores)))
    return f"{' and '.join(short)} on a node of {name}"


def over_limit(needs: int, shape: str, left: int, limit: int) -> str:
    """Why a plugin whose shape holds the demand does not make the nodes."""
    remain = "" if left == limit else f", {left} left"
    return f"needs {needs} new {'node' if needs == 1 else 'nodes'} of {shape}, its limit is {limit}{remain}"


def refusal(plugins: Sequence[tuple[str, str]], *, never: bool, lead_could: bool) -> str:
    """One line for a refused demand, from the reasons of the plugins."""
    reasons = [f"{plugin}: {why}" for plugin, why in plugins[:_NAMED]]
    if len(plugins) > _NAMED:
        reasons.append(f"and {len(plugins) - _NAMED} more plugins")
    text = f"{'can never fit' if never else 'does not fit now'}: {'; '.join(reasons) or 'no plugin is asked'}"
    return f"{text}; the lead itself holds it once it is free" if lead_could else text
