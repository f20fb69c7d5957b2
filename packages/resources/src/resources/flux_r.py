"""Flux resource sets: R version 1 (RFC 20) to an inventory and back.

R holds ranks, host names, core and GPU ids, properties and times. It holds no memory, no GPU types, no
states and nothing that is in use: writing R reports what of an inventory it can't say.
"""

from __future__ import annotations

from typing import Any

from resources import hostlist, idset
from resources.documents import Group, Inventory
from resources.errors import InputError
from resources.kinds.cores import Cores
from resources.kinds.gpus import ANY, Gpus
from resources.kinds.token import Token
from resources.resource import Resource, combine
from resources.strictjson import kept, take
from resources.units import LARGEST, shown

_ILLEGAL = frozenset("!&'\"^`|()")  # RFC 20, "R Format": in no property name
_OWN = {"R_lite", "nodelist", "properties"}  # what an inventory says itself; other members are kept as they are


def from_flux_r(document: object) -> Inventory:
    """The inventory of an R document. Raises InputError with the dotted path.

    Hosts are named by `nodelist`, in the order of the ranks; without one they are `rank0`, `rank1` ...
    """
    body = take(document, "", ("version", "execution", "scheduling", "attributes"), ("version", "execution"))
    if isinstance(body["version"], bool) or body["version"] != 1:
        raise InputError(f"this reads R version 1, not {shown(body['version'])}", "version")
    execution = body["execution"]
    if not isinstance(execution, dict) or not isinstance(execution.get("R_lite"), list):
        raise InputError("R_lite is a list", "execution.R_lite")
    rows: list[tuple[list[int], list[Resource]]] = []
    seen: set[int] = set()
    for at, row in enumerate(execution["R_lite"]):
        rows.append(_row(row, f"execution.R_lite[{at}]"))
        if not seen.isdisjoint(rows[-1][0]):
            raise InputError("a rank is in an entry before this one too", f"execution.R_lite[{at}].rank")
        seen.update(rows[-1][0])
    everyone = sorted(seen)
    names = _names(execution.get("nodelist"), everyone)
    properties = _properties(execution.get("properties", {}), set(everyone))
    groups = []
    for at, (ranks, leaves) in enumerate(rows):
        for tags, same in _split(ranks, properties):
            total = combine([*leaves, Token(tags)] if tags else list(leaves))
            try:
                groups.append(Group(tuple(names[rank] for rank in same), tuple(same), total, total))
            except InputError as error:
                raise error.at(f"execution.R_lite[{at}]") from None
    extra: dict[str, Any] = {"execution": {key: value for key, value in execution.items() if key not in _OWN}}
    if "nodelist" not in execution:
        extra["nodelist"] = False
    if "properties" in execution and not execution["properties"]:
        extra["execution"]["properties"] = {}
    extra.update({key: body[key] for key in ("scheduling", "attributes") if key in body})
    kept(extra, "")
    return Inventory(tuple(groups), flux=extra)


def to_flux_r(inventory: Inventory) -> tuple[dict[str, Any], list[str]]:
    """The R document of an inventory, and a line for each thing that R can't say.

    Raises InputError where a host has no cores: R needs core ids of every rank.
    """
    rows: list[dict[str, Any]] = []
    lost: dict[str, None] = {}
    properties: dict[str, list[int]] = {}
    for at, group in enumerate(inventory.groups):
        cores = group.total.get("cores")
        if cores is None or not cores.N:
            raise InputError("R needs the cores of every host", f"groups[{at}].total")
        children: dict[str, str] = {"core": idset.text(cores.mask)}
        leaf: Any
        for leaf in group.total.leaves:
            if leaf.kind == "gpus":
                if leaf.mask:
                    children["gpu"] = idset.text(leaf.mask)
                lost.update(
                    {f"{group_name(group)}: the GPU type {t!r} is dropped": None for t in leaf.types if t != ANY}
                )
            elif leaf.kind == "token":
                for tag in leaf.tokens:
                    if not _ILLEGAL.isdisjoint(tag):
                        lost[f"{group_name(group)}: the token {tag!r} is dropped, R has no such property name"] = None
                        continue
                    properties.setdefault(tag, []).extend(group.ranks)
            elif leaf.kind != "cores":
                lost[f"{group_name(group)}: {leaf.kind}={leaf.to_text()} is dropped"] = None
        if group.state != "up":
            lost[f"{group_name(group)}: the state {group.state!r} is dropped"] = None
        if group.free != group.total:
            lost[f"{group_name(group)}: what is free is dropped, R holds the total"] = None
        row: dict[str, Any] = {"rank": idset.text(idset.mask_of(group.ranks, "rank")), "children": children}
        if rows and rows[-1]["children"] == children and _follows(inventory.groups[at - 1], group):
            rows[-1]["rank"] = idset.text(idset.parse(rows[-1]["rank"]) | idset.parse(row["rank"]))
        else:
            rows.append(row)
    if inventory.shared_total.leaves:
        lost[f"shared {inventory.shared_total} is dropped"] = None
    if inventory.observed_at or inventory.observed_on:
        lost["when and where it was observed is dropped"] = None
    execution: dict[str, Any] = {"R_lite": rows}
    if inventory.flux.get("nodelist") is not False:
        execution["nodelist"] = [hostlist.compress(name for _, name, _ in inventory.hosts())]
    if properties:
        execution["properties"] = {tag: idset.text(idset.mask_of(ranks, "rank")) for tag, ranks in properties.items()}
    execution.update(inventory.flux.get("execution", {"starttime": 0.0, "expiration": 0.0}))
    made: dict[str, Any] = {"version": 1, "execution": execution}
    made.update({key: inventory.flux[key] for key in ("scheduling", "attributes") if key in inventory.flux})
    return made, list(lost)


def group_name(group: Group) -> str:
    return hostlist.compress(group.hosts)


def _row(value: object, place: str) -> tuple[list[int], list[Resource]]:
    row = take(value, place, ("rank", "children", "node"), ("rank", "children"))
    children = take(row["children"], f"{place}.children", ("core", "gpu"), ("core",))
    try:
        ranks = idset.ids_of(_idset(row["rank"], "rank"))
        leaves: list[Resource] = [Cores.of_mask(_idset(children["core"], "core"))]
        if "gpu" in children:
            leaves.append(Gpus.of_masks([(ANY, _idset(children["gpu"], "GPU"))]))
    except InputError as error:
        raise error.at(place) from None
    if not ranks:
        raise InputError("rank names no rank", place)
    return ranks, leaves


def _idset(value: object, what: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(min(value, LARGEST))  # flux-core writes a single rank as text; older documents hold a number
    if not isinstance(value, str):
        raise InputError(f"{what} is an idset such as 0-3, not {shown(value)}")
    return idset.parse(value, what)


def _names(nodelist: object, ranks: list[int]) -> dict[int, str]:
    if nodelist is None:
        return {rank: f"rank{rank}" for rank in ranks}
    if not isinstance(nodelist, list):
        raise InputError(f"nodelist is a list, not {shown(nodelist)}", "execution.nodelist")
    try:
        names = [name for part in nodelist for name in hostlist.expand(part)]
    except InputError as error:
        raise error.at("execution.nodelist") from None
    if len(names) != len(ranks):
        raise InputError(f"{len(names)} names for {len(ranks)} ranks", "execution.nodelist")
    return dict(zip(ranks, names, strict=True))


def _properties(value: object, ranks: set[int]) -> dict[int, list[str]]:
    if not isinstance(value, dict):
        raise InputError(f"properties is an object, not {shown(value)}", "execution.properties")
    tags: dict[int, list[str]] = {}
    for tag, where in value.items():
        try:
            members = idset.ids_of(_idset(where, "rank"))
        except InputError as error:
            raise error.at(f"execution.properties.{tag}") from None
        for rank in members:
            if rank not in ranks:
                raise InputError(f"rank {rank} is not in R_lite", f"execution.properties.{tag}")
            tags.setdefault(rank, []).append(tag)
    return tags


def _split(ranks: list[int], properties: dict[int, list[str]]) -> list[tuple[list[str], list[int]]]:
    """Neighbouring ranks with the same properties."""
    runs: list[tuple[list[str], list[int]]] = []
    for rank in ranks:
        tags = sorted(properties.get(rank, ()))
        if runs and runs[-1][0] == tags:
            runs[-1][1].append(rank)
        else:
            runs.append((tags, [rank]))
    return runs


def _follows(before: Group, group: Group) -> bool:
    return max(before.ranks) < min(group.ranks)
