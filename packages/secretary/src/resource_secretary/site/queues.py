"""The queues and parallel environments of a manager, from its own tools, whatever their rows are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from resource_secretary.run import printable
from resource_secretary.site.facts import Fact

if TYPE_CHECKING:
    from resource_secretary.providers import BaseProvider
    from resource_secretary.site.nodes import Known

_TOOLS = ("queues", "partitions")
_ENVIRONMENTS = "parallel_environments"
_ONE_HOST = "$pe_slots"  # sge_pe(5), allocation_rule: all slots on one host
_CLOSED = {"down", "inactive", "drain", "closed", "unread"}  # takes no jobs, whatever else


def queue_facts(provider: BaseProvider) -> Known:
    """queues and default_queue. Raises CommandFailed, OutputError."""
    tool = next((getattr(provider, name) for name in _TOOLS if hasattr(provider, name)), None)
    if tool is None:
        why = f"{provider.name} has no tool that lists queues"
        return {"default_queue": why, "queues": why}
    rows = [row for row in tool() if _name(row)]
    if not rows:
        return dict.fromkeys(("default_queue", "queues"), f"{provider.name} has no queue with a name")
    taking = [row for row in rows if _takes_jobs(row)]
    default = [_name(row) for row in rows if getattr(row, "default", None) is True]
    if len(default) == 1:
        first: Fact | str = Fact(default[0], "jobs go there that name no queue")
    else:
        first = f"{provider.name} tells of {'several' if default else 'none'} that jobs go to by default"
    left_out = [_name(row) for row in rows if row not in taking]
    about = "left: the names that jobs from elsewhere give"
    if left_out:
        about += f"; left out, as they take no jobs: {printable(', '.join(left_out))[:300]}"
    found = Fact({_name(row): _name(row) for row in taking}, about, {_name(row): _limits(row) for row in taking})
    return {"default_queue": first, "queues": found if taking else "no queue takes jobs"}


def environment_facts(provider: BaseProvider) -> Known:
    """parallel_environments: each under its own name, and one for `smp` (one host) and for `mpi` (several).

    Raises CommandFailed, OutputError.
    """
    tool = getattr(provider, _ENVIRONMENTS, None)
    if tool is None:
        return {}
    rows = sorted((row for row in tool() if _name(row)), key=_name)
    if not rows:
        return {_ENVIRONMENTS: f"{provider.name} has none"}
    each = {_name(row): _rule(row) for row in rows}
    value: dict[str, str] = {}
    for kind in ("smp", "mpi"):
        fit = [row for row in rows if _kind(row) == kind and getattr(row, "slots", 1) != 0]
        if fit:
            # One that bears the name of its kind is meant for it; else the one with the most slots.
            best = max(fit, key=lambda row: (kind in _name(row).lower(), getattr(row, "slots", 0) or 0))
            value[kind] = _name(best)
            if kind not in each:
                others = f"; also {', '.join(_name(row) for row in fit if row is not best)}" if len(fit) > 1 else ""
                each[kind] = f"{_rule(best)}{others}"
    about = "smp: all slots on one host; mpi: on several; right: the parallel environment"
    own = {name: name for name in (_name(row) for row in rows) if name not in value}
    return {_ENVIRONMENTS: Fact({**value, **own}, about, each)}


def _name(row: Any) -> str:
    name = getattr(row, "name", "")
    return name if isinstance(name, str) and name.isprintable() else ""


def _takes_jobs(row: Any) -> bool:
    enabled = getattr(row, "enabled", None)
    state = str(getattr(row, "state", "")).lower()
    return (
        enabled is not False and not getattr(row, "unread", "") and not any(state.startswith(word) for word in _CLOSED)
    )


def _limits(row: Any) -> str:
    limit = getattr(row, "max_walltime", getattr(row, "max_time", None))
    if not isinstance(limit, (int, float)):
        return "no limit of time is told"
    from resources.units import seconds_text

    return f"at most {seconds_text(int(limit))}"


def _rule(row: Any) -> str:
    slots = getattr(row, "slots", None)
    of = f"; {slots} slots" if slots is not None else ""
    return f"allocation_rule {getattr(row, 'allocation_rule', None) or 'not told'}{of}"


def _kind(row: Any) -> str:
    """smp, mpi, or "" where the rule is not told. A number is so many slots on each host (sge_pe(5))."""
    rule = str(getattr(row, "allocation_rule", None) or "").strip()
    if not rule:
        return ""
    return "smp" if rule == _ONE_HOST else "mpi"
