"""The two documents that flow between programs: a request, and an inventory of what a machine holds.

Both are versioned and have a JSON Schema in `resources/schemas`. Their text forms hold the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from resources import hostlist, idset
from resources.errors import InputError
from resources.language import parse, resources_from_json, resources_to_json
from resources.lexer import pairs, quote, unquote
from resources.resource import ZERO, Resource
from resources.strictjson import kept, loads, take
from resources.units import count, shown

VERSION = 1
_CUT = re.compile(r'"(?:[^"\\]|\\.)*"?|\|')
STATES = ("up", "down", "drained", "unknown")


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of "request" or "inventory", complete in itself. Raises KeyError for other names."""
    from importlib.resources import files

    if name not in ("request", "inventory"):
        raise KeyError(name)
    made: dict[str, Any] = json.loads(files("resources").joinpath("schemas", f"{name}-{VERSION}.json").read_text())
    if name == "inventory":
        # It refers to the other one; inside it (JSON Schema 2020-12, section 9.3.1) a validator needs no more.
        made["$defs"] = {**made.get("$defs", {}), "request": schema("request")}
    return made


def load_request(document: str | dict[str, Any]) -> Resource:
    """A request from its text form, its JSON document, or the document as a dict. Raises InputError."""
    if isinstance(document, str):
        if not document.lstrip().startswith("{"):
            return parse(document.strip())
        document = loads(document, "request")
    body = _versioned(document, "request", ("resources",))
    return resources_from_json(body.get("resources"), "resources")


def dump_request(need: Resource) -> dict[str, Any]:
    """The JSON document of a request."""
    return {"type": "request", "version": VERSION, "resources": resources_to_json(need)}


@dataclass(frozen=True, slots=True)
class Group:
    """Hosts that are alike.

    hosts: names in order; one name may occur several times. ranks: one for each host, unique in an
    inventory. total: what each host has. free: what of it is free on each; None: not known. state: one
    of STATES. observed_at (ISO 8601) and observed_on (a login node, inside an allocation, a container):
    "" means as the inventory says.
    """

    hosts: tuple[str, ...]
    ranks: tuple[int, ...]
    total: Resource
    free: Resource | None
    state: str = "up"
    observed_at: str = ""
    observed_on: str = ""

    def __post_init__(self) -> None:
        if len(self.hosts) != len(self.ranks) or not self.hosts:
            raise InputError(f"{len(self.hosts)} hosts and {len(self.ranks)} ranks: as many of each, at least one")
        if self.state not in STATES:
            raise InputError(f"state is one of {', '.join(STATES)}, not {shown(self.state)}")
        for leaf in self.free.leaves if self.free is not None else ():
            own = self.total.get(leaf.kind)
            if own is None or not _is_part(own, leaf):
                raise InputError(f"free {leaf.kind}={leaf.to_text()} is not within total {own or 'without it'}")

    @property
    def like(self) -> tuple[object, ...]:
        """What hosts of one group share."""
        return (self.total, self.free, self.state, self.observed_at, self.observed_on)


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a machine or cluster holds and what of it is free.

    shared_total, shared_free: what belongs to no host, such as licenses. flux: members of a Flux resource
    set that only Flux reads (starttime, expiration, nslots, scheduling ...), kept as they are.
    """

    groups: tuple[Group, ...] = ()
    observed_at: str = ""
    observed_on: str = ""
    shared_total: Resource = ZERO
    shared_free: Resource | None = ZERO
    flux: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        seen: set[int] = set()
        for at, group in enumerate(self.groups):
            for rank in group.ranks:
                if rank in seen:
                    raise InputError(f"rank {rank} occurs twice", f"groups[{at}].ranks")
                seen.add(rank)
        for leaf in self.shared_free.leaves if self.shared_free is not None else ():
            own = self.shared_total.get(leaf.kind)
            if own is None or not _is_part(own, leaf):
                raise InputError(
                    f"{leaf.kind}={leaf.to_text()} is not within total {own or 'without it'}", "shared.free"
                )

    @property
    def _has_shared(self) -> bool:
        return not (self.shared_total == self.shared_free == ZERO)

    def hosts(self) -> Iterator[tuple[int, str, Group]]:
        """(rank, name, group) of every host, by rank."""
        return iter(
            sorted(
                (
                    (rank, name, group)
                    for group in self.groups
                    for rank, name in zip(group.ranks, group.hosts, strict=True)
                ),
                key=lambda row: row[0],
            )
        )

    def merged(self) -> Inventory:
        """The same inventory with neighbouring groups that are alike as one."""
        groups: list[Group] = []
        for group in self.groups:
            if groups and groups[-1].like == group.like:
                last = groups[-1]
                groups[-1] = replace(last, hosts=last.hosts + group.hosts, ranks=last.ranks + group.ranks)
            else:
                groups.append(group)
        return replace(self, groups=tuple(groups))

    def to_json(self) -> dict[str, Any]:
        """The JSON document."""
        made: dict[str, Any] = {"type": "inventory", "version": VERSION}
        made.update(_seen(self.observed_at, self.observed_on))
        made["groups"] = [_group_json(group) for group in self.groups]
        if self._has_shared:
            made["shared"] = {
                "total": resources_to_json(self.shared_total),
                "free": None if self.shared_free is None else resources_to_json(self.shared_free),
            }
        if self.flux:
            made["flux"] = self.flux
        return made

    @classmethod
    def from_json(cls, document: str | dict[str, Any]) -> Inventory:
        """Read the JSON document. Raises InputError with the dotted path."""
        if isinstance(document, str):
            document = loads(document, "inventory")
        body = _versioned(document, "inventory", ("observed_at", "observed_on", "groups", "shared", "flux"))
        rows = body.get("groups")
        if not isinstance(rows, list):
            raise InputError(f"groups is a list, not {shown(rows)}")
        groups: list[Group] = []
        next_rank = hosts = 0
        for at, row in enumerate(rows):
            groups.append(_group_from_json(row, f"groups[{at}]", next_rank))
            next_rank = max(groups[-1].ranks) + 1
            hosts += len(groups[-1].hosts)
            if hosts > hostlist.MOST_HOSTS:
                raise InputError(f"an inventory has at most {hostlist.MOST_HOSTS} hosts", f"groups[{at}].hosts")
        total, free = _total_and_free(take(body.get("shared", {"total": {}}), "shared", ("total", "free")), "shared")
        flux = body.get("flux", {})
        _flux(flux)
        return cls(tuple(groups), _text(body, "observed_at", ""), _text(body, "observed_on", ""), total, free, flux)

    def to_text(self) -> str:
        """The text form: a head, then a line for each group with `|` before total and free."""
        head = [
            "inventory",
            f"version={VERSION}",
            *(f"{k}={quote(v)}" for k, v in _seen(self.observed_at, self.observed_on).items()),
        ]
        if self.flux:
            head.append(f"flux={json.dumps(json.dumps(self.flux, allow_nan=False))}")
        lines = [" ".join(head)]
        for group in self.groups:
            words = [
                f"hosts={hostlist.compress(group.hosts)}",
                f"ranks={_ranks_text(group.ranks)}",
                f"state={group.state}",
            ]
            words += [f"{k}={quote(v)}" for k, v in _seen(group.observed_at, group.observed_on).items()]
            lines.append(" | ".join((" ".join(words), str(group.total), _free_text(group.free))))
        if self._has_shared:
            lines.append(f"shared | {self.shared_total} | {_free_text(self.shared_free)}")
        return "\n".join(lines) + "\n"

    @classmethod
    def from_text(cls, text: str) -> Inventory:
        """Read the text form. Raises InputError with the line."""
        rows = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
        rows = [(number, line) for number, line in rows if line and not line.startswith("#")]
        if not rows or rows[0][1].split(None, 1)[0] != "inventory":
            empty = "" if rows else "it is empty; "
            raise InputError(f"{empty}an inventory is JSON, or text that starts with the word 'inventory'")
        made: dict[str, Any] = {"type": "inventory", "groups": []}
        for number, line in rows:
            try:
                _read_line(line, made)
            except InputError as error:
                raise error.at(f"line {number}") from None
        return cls.from_json(made)


def load_inventory(document: str) -> Inventory:
    """An inventory from JSON, its text form, or a Flux R (version 1) document. Raises InputError."""
    if not document.lstrip().startswith("{"):
        return Inventory.from_text(document)
    body = loads(document, "inventory")
    if "type" not in body and "execution" in body:
        from resources.flux_r import from_flux_r

        return from_flux_r(body)
    return Inventory.from_json(body)


def _read_line(line: str, made: dict[str, Any]) -> None:
    words, *parts = _columns(line)
    if words.partition(" ")[0] == "inventory":
        if len(made) > 2 or parts:
            raise InputError("the line 'inventory' comes once, first, and has no '|'")
        given: dict[str, Any] = dict(_members(words[len("inventory") :]))
        take(given, "", ("version", "observed_at", "observed_on", "flux"))
        if "flux" in given:
            made["flux"] = loads(given.pop("flux"), "flux member")
        made.update(given, version=count(given.get("version", ""), "version"))
        return
    if not 1 <= len(parts) <= 2:
        raise InputError("expected: hosts=... | total | free")
    row: dict[str, Any] = {"total": resources_to_json(parse(parts[0]))}
    if len(parts) == 2:
        row["free"] = None if parts[1] == "unknown" else resources_to_json(parse(parts[1]))
    if words == "shared":
        if "shared" in made:
            raise InputError("the line 'shared' comes once")
        made["shared"] = row
        return
    members = _members(words)
    take(members, "", ("hosts", "ranks", "state", "observed_at", "observed_on"), ("hosts",))
    made["groups"].append({**members, **row})


def _columns(line: str) -> list[str]:
    """A line cut at each `|` that stands outside quotes."""
    cuts = [-1, *(match.start() for match in _CUT.finditer(line) if match[0] == "|"), len(line)]
    return [line[start + 1 : end].strip() for start, end in pairwise(cuts)]


def _members(words: str) -> dict[str, str]:
    """The `key=value` words of a line. Raises InputError where a key occurs twice."""
    made: dict[str, str] = {}
    for pair in pairs(words):
        if pair.key in made:
            raise InputError(f"{pair.key} is given twice")
        made[pair.key] = pair.value if pair.key == "hosts" else unquote(pair.value)
    return made


def _versioned(document: object, kind: str, members: tuple[str, ...]) -> dict[str, Any]:
    if isinstance(document, dict) and document.get("type", kind) != kind:  # before its members are unknown keys
        raise InputError(f"expected a document of type {kind!r}, not {shown(document['type'])}", "type")
    body = take(document, "", ("type", "version", *members), ("type", "version"))
    if isinstance(body["version"], bool) or body["version"] != VERSION:
        raise InputError(f"this reads version {VERSION}, not {shown(body['version'])}", "version")
    return body


def _flux(flux: object) -> None:
    """Raise InputError unless this is what `flux_r` keeps of a resource set: nothing that the inventory says itself."""
    members = take(flux, "flux", ("execution", "nodelist", "scheduling", "attributes"))
    if "nodelist" in members and members["nodelist"] is not False:
        raise InputError("it is false, or the hosts' names are the inventory's", "flux.nodelist")
    execution = members.get("execution", {})
    if not isinstance(execution, dict) or execution.keys() & {"R_lite", "nodelist"} or execution.get("properties"):
        raise InputError("expected an object without R_lite, nodelist and properties", "flux.execution")
    kept(flux, "flux")


def _group_json(group: Group) -> dict[str, Any]:
    return {
        "hosts": hostlist.compress(group.hosts),
        "ranks": _ranks_text(group.ranks),
        "state": group.state,
        **_seen(group.observed_at, group.observed_on),
        "total": resources_to_json(group.total),
        "free": None if group.free is None else resources_to_json(group.free),
    }


def _group_from_json(value: object, place: str, next_rank: int) -> Group:
    keys = ("hosts", "ranks", "state", "observed_at", "observed_on", "total", "free")
    row = take(value, place, keys, ("hosts", "total"))
    try:
        hosts = hostlist.expand(_text(row, "hosts", ""))
    except InputError as error:
        raise error.at(f"{place}.hosts") from None
    ranks: Iterable[int]
    if "ranks" in row:
        try:
            ranks = _ranks(_text(row, "ranks", ""))
        except InputError as error:
            raise error.at(f"{place}.ranks") from None
    else:
        ranks = range(next_rank, next_rank + len(hosts))
    total, free = _total_and_free(row, place)
    try:
        return Group(
            tuple(hosts),
            tuple(ranks),
            total,
            free,
            _text(row, "state", "up"),
            _text(row, "observed_at", ""),
            _text(row, "observed_on", ""),
        )
    except InputError as error:
        raise error.at(place) from None


def _total_and_free(row: dict[str, Any], place: str) -> tuple[Resource, Resource | None]:
    """`free` that is missing means all of it is free, null that it is not known."""
    total = resources_from_json(row.get("total"), f"{place}.total")
    if "free" not in row:
        return total, total
    return total, None if row["free"] is None else resources_from_json(row["free"], f"{place}.free")


def _ranks(text: str) -> list[int]:
    """Ranks in the order of the hosts: numbers and ranges, not sorted."""
    if not re.fullmatch(r"[0-9,-]*", text, re.ASCII):
        raise InputError(f"{shown(text)} is no list of ranks such as 0-3,7")
    return [int(name) for name in hostlist.expand(f"[{text}]")] if text else []


def _ranks_text(ranks: tuple[int, ...]) -> str:
    if list(ranks) == sorted(set(ranks)) and ranks and ranks[-1] <= idset.LARGEST_ID:
        return idset.text(idset.mask_of(ranks, "rank"))
    return ",".join(map(str, ranks))


def _text(row: dict[str, Any], key: str, default: str) -> str:
    value = row.get(key, default)
    if not isinstance(value, str):
        raise InputError(f"{key} is a text, not {shown(value)}")
    return value


def _seen(observed_at: str, observed_on: str) -> dict[str, str]:
    pair = {"observed_at": observed_at, "observed_on": observed_on}
    return {key: value for key, value in pair.items() if value}


def _free_text(free: Resource | None) -> str:
    return "unknown" if free is None else str(free)


def _is_part(total: Any, free: Any) -> bool:
    """Whether what is free lies within the total: ids where both name them, else the amount."""
    if free.unlimited or not hasattr(total, "_request"):
        return True
    if getattr(free, "is_list", False):
        if hasattr(free, "masks"):
            return all(mask & ~total.masks.get(name, 0) == 0 for name, mask in free.masks.items())
        return not free.mask & ~total.mask
    return bool(total._request(free))
