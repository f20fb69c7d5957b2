"""The nodes of Flux, one by one, and its queues as `flux queue` prints them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from resource_secretary.errors import OutputError
from resource_secretary.run import printable

if TYPE_CHECKING:
    from resources.documents import Inventory

# What a queue is, by names that `flux queue list` of 0.5x and later knows; those in front are since 0.6x.
QUEUE = (
    *("queue", "submission", "scheduling", "defaults.timelimit", "limits.timelimit"),
    *("limits.min.nnodes", "limits.max.nnodes", "limits.min.ncores", "limits.max.ncores", "limits.max.ngpus"),
)
DRAINED = ("ranks", "timestamp", "state", "reason")
_STATUS = re.compile(
    r"^(?:(?P<queue>\S+): )?(?P<what>Job submission|Scheduling) is (?P<state>enabled|disabled|started|stopped)"
    r"(?:: (?P<why>.*))?$",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class FluxNode:
    """A broker and its host. state: up, down or drained. free_*: what no job has; null where the node is not up.

    properties: what a job may require. drained_since: RFC 3339 in UTC; drained_reason: "" where nobody gave one.
    """

    rank: int
    host: str
    state: str
    cores: int
    gpus: int
    free_cores: int | None
    free_gpus: int | None
    properties: tuple[str, ...]
    drained_since: str | None
    drained_reason: str


@dataclass(frozen=True, slots=True)
class FluxQueue:
    """A queue; name is "" where the instance has none by name. Times in seconds; null without a limit or default.

    enabled: whether it takes jobs, started: whether it starts them; reason: why not, "" where nobody said.
    """

    name: str
    enabled: bool | None
    started: bool | None
    reason: str = ""
    default_time: float | None = None
    max_time: float | None = None
    min_nodes: int | None = None
    max_nodes: int | None = None
    min_cores: int | None = None
    max_cores: int | None = None
    max_gpus: int | None = None


def nodes_of(inventory: Inventory, drained: str) -> list[FluxNode]:
    """The nodes of an inventory by rank, with the reasons of `flux resource drain`. Raises OutputError."""
    since = read_drained(drained)
    made = []
    for rank, host, group in inventory.hosts():
        when, why = since.get(rank, (None, ""))
        total, free = group.total, group.free
        tokens = total.get("token")
        made.append(
            FluxNode(
                rank=rank,
                host=host,
                state=group.state,
                cores=_amount(total.get("cores")) or 0,
                gpus=_amount(total.get("gpus")) or 0,
                free_cores=None if free is None else _amount(free.get("cores")) or 0,
                free_gpus=None if free is None else _amount(free.get("gpus")) or 0,
                properties=tokens.tokens if tokens is not None else (),
                drained_since=when if group.state == "drained" else None,
                drained_reason=why if group.state == "drained" else "",
            )
        )
    return made


def _amount(leaf: object) -> int | None:
    return None if leaf is None else int(leaf.N)  # type: ignore[attr-defined]


def read_drained(text: str) -> dict[int, tuple[str | None, str]]:
    """rank -> (since, reason) of `flux resource drain -o` with the fields of DRAINED. Raises OutputError."""
    from resources import idset
    from resources.errors import InputError

    from resource_secretary.providers.workload._slurm_values import utc

    made: dict[int, tuple[str | None, str]] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        parts = line.split("|", len(DRAINED) - 1)
        try:
            if len(parts) != len(DRAINED):
                raise ValueError(f"{len(DRAINED)} fields expected")
            when = utc(_number(parts[1]) or 0) if parts[1].strip() else None
            for rank in idset.ids_of(idset.parse(parts[0], "rank")):
                made[rank] = (when, printable(parts[3].strip()))
        except (ValueError, InputError) as error:
            raise OutputError("flux resource drain", f"line {number}", printable(str(error))) from None
    return made


def read_queues(text: str) -> list[FluxQueue]:
    """The lines of `flux queue list -o` with the fields of QUEUE. Raises OutputError."""
    made = []
    for number, line in enumerate(text.splitlines() or [""], 1):  # there is always a queue, with a name or without
        parts = line.strip().split("|")
        try:
            if len(parts) != len(QUEUE):
                raise ValueError(f"{len(QUEUE)} fields expected, not {printable(line[:80])!r}")
            least_nodes, most_nodes, least_cores, most_cores, most_gpus = (_count(part) for part in parts[5:])
            made.append(
                FluxQueue(
                    name=parts[0],
                    enabled=_either(parts[1], "enabled", "disabled"),
                    started=_either(parts[2], "started", "stopped"),
                    default_time=_number(parts[3]),
                    max_time=_number(parts[4]),
                    min_nodes=least_nodes,
                    max_nodes=most_nodes,
                    min_cores=least_cores,
                    max_cores=most_cores,
                    max_gpus=most_gpus,
                )
            )
        except ValueError as error:
            raise OutputError("flux queue list", f"line {number}", str(error)) from None
    return made


def read_status(text: str) -> dict[str, tuple[bool | None, bool | None, str]]:
    """queue -> (enabled, started, why not) of `flux queue status`, which older versions have too."""
    made: dict[str, tuple[bool | None, bool | None, str]] = {}
    for match in _STATUS.finditer(text):
        name = match["queue"] or ""
        enabled, started, why = made.get(name, (None, None, ""))
        if match["what"] == "Scheduling":
            started = match["state"] == "started"
        else:
            enabled = match["state"] == "enabled"
        made[name] = (enabled, started, "; ".join(part for part in (why, printable(match["why"] or "")) if part))
    return made


def _either(text: str, yes: str, no: str) -> bool:
    if text not in (yes, no):
        raise ValueError(f"{yes} or {no} expected, not {printable(text[:40])!r}")
    return text == yes


def _number(text: str) -> float | None:
    """A number; None for `inf` and for nothing."""
    word = text.strip()
    if word in ("", "inf"):
        return None
    try:
        value = float(word)
    except ValueError:
        raise ValueError(f"a number expected, not {printable(word[:40])!r}") from None
    if not 0 <= value < 10**15:
        raise ValueError(f"a number expected, not {word[:40]!r}")
    return value


def _count(text: str) -> int | None:
    value = _number(text)
    return None if value is None else int(value)
