"""What the nodes of an inventory are like: as much as all of them share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from resource_secretary.site.facts import Fact

if TYPE_CHECKING:
    from resources.documents import Inventory

Known = dict[str, Fact | str]  # key of the profile -> what is known of it, or why not
_MOST = 4  # different nodes that a comment names


def node_facts(inventory: Inventory) -> Known:
    """cores_per_node, gpus_per_node, memory_per_node, gpu_types."""
    from resources.units import memory_text

    cores, memory, gpus = Counter[int](), Counter[int](), Counter[int]()
    types: Counter[str] = Counter()
    for group in inventory.groups:
        of = {kind: group.total.get(kind) for kind in ("cores", "memory", "gpus")}
        count = len(group.hosts)
        cores[of["cores"].N if of["cores"] is not None else 0] += count
        memory[of["memory"].size if of["memory"] is not None else 0] += count
        gpus[of["gpus"].gpus if of["gpus"] is not None else 0] += count
        if of["gpus"] is not None:
            for name, amount in of["gpus"].types.items():
                types[name] += amount * count
    return {
        "cores_per_node": _alike(cores, "cores"),
        "memory_per_node": _alike(memory, "memory", memory_text),
        "gpus_per_node": _gpus(gpus),
        "gpu_types": _types(types),
    }


def _alike(counts: Counter[int], what: str, text: Callable[[int], str] | None = None) -> Fact | str:
    """What every node has; where they differ nothing that a profile could say."""
    if not counts or set(counts) == {0}:
        return f"the nodes tell no {what}" if counts else "no node is told"
    shown = text or str
    if len(counts) > 1:
        several = [f"{count} with {shown(amount) if amount else 'none told'}" for amount, count in counts.most_common()]
        return f"the nodes differ: {_some(several)}"
    [amount] = counts
    return Fact(text(amount) if text else amount, "on every node")


def _gpus(counts: Counter[int]) -> Fact | str:
    """The GPUs of a node that has some: a job that asks for them runs there."""
    with_some = Counter({amount: count for amount, count in counts.items() if amount})
    if not with_some:
        return "no GPU is told"
    found = _alike(with_some, "gpus")
    if isinstance(found, str):
        return found
    if with_some.total() == counts.total():
        return found
    return Fact(found.value, f"on each of the {with_some.total()} nodes (of {counts.total()}) that have any")


def _types(counts: Counter[str]) -> Fact | str:
    named = {name: count for name, count in sorted(counts.items()) if name}
    if not named:
        return "no type of GPU is told"
    return Fact(
        {name: name for name in named},
        "left: what jobs from elsewhere say",
        {name: f"{count} of them" for name, count in named.items()},
    )


def _some(texts: Iterable[str]) -> str:
    every = list(texts)
    more = f", and {len(every) - _MOST} kinds more" if len(every) > _MOST else ""
    return ", ".join(every[:_MOST]) + more
