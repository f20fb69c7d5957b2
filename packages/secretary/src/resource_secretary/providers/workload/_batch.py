"""What the batch systems of the PBS family, Grid Engine, LSF, Moab and Cobalt share: the records of their tools,
amounts and times as they write them, XML, and an inventory made of nodes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from resource_secretary.asking import Depth
from resource_secretary.errors import ArgumentError, OutputError
from resource_secretary.providers.workload import _alike
from resource_secretary.reading import possible
from resource_secretary.run import printable

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from resources.documents import Inventory
    from resources.resource import Resource

    from resource_secretary.system import System

QueueState = Literal["up", "closed", "stopped", "down", "unknown", "unread"]
NodeState = Literal["up", "down", "drained", "unknown"]
JobState = Literal["pending", "held", "running", "suspended", "finished", "failed", "unknown", "unread"]

RAW = 2000  # characters of an answer that is kept in the error where its format is not known
WAITING: tuple[JobState, ...] = ("pending", "held")
RUNNING: tuple[JobState, ...] = ("running", "suspended")

_JOB = re.compile(r"(\d{1,15}(?:\[\d{0,9}\])?)(?:\.[A-Za-z0-9._-]*)?", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_CLOCK = re.compile(r"(?:(?:(\d{0,9}):)?(\d{0,9}):)?(\d{1,9})(?:\.\d*)?", re.ASCII)
_AMOUNT = re.compile(r"(\d{1,15})(?:\.(\d{1,15}))?\s*([kKmMgGtTpP]?)(?:i?[bB])?", re.ASCII)
_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, section 2.2


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue. state: up takes jobs and starts them, closed takes none but starts those in it, stopped takes them but
    starts none, down neither; unread: what the manager says of it can't be read, `reason` says why. raw_state: as the
    manager writes it. enabled: whether it takes jobs. default: whether jobs go there that name no queue; None where not
    told. max_walltime: seconds, None without a limit or where not told. running, pending: jobs. limits: the manager's
    other limits, in its words.
    """

    name: str
    state: QueueState
    raw_state: str
    enabled: bool | None
    default: bool | None
    max_walltime: int | None
    running: int | None = None
    pending: int | None = None
    limits: dict[str, str] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """A node. state: up, down, drained (out of use for jobs: also reserved or disabled) or unknown (also where what is
    said of it can't be read; `reason` says why). cores: what the manager gives out as CPUs or slots. Memory in bytes.
    gpus: type ("" where it has none) -> how many. None where the manager does not tell. What is free counts for jobs
    of now: 0 on a node that takes none. features: names that jobs can ask for. host: the machine, where a node is a
    part of one.
    """

    name: str
    state: NodeState
    raw_state: str
    cores: int | None = None
    free_cores: int | None = None
    threads: int | None = None
    free_threads: int | None = None
    memory: int | None = None
    free_memory: int | None = None
    gpus: dict[str, int] | None = None
    free_gpus: dict[str, int] | None = None
    queues: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    host: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        cores = (self.cores, self.free_cores, self.threads, self.free_threads)
        possible(cores=cores, memory=(self.memory, self.free_memory))


@dataclass(frozen=True, slots=True)
class Job:
    """A job. state: one word; unread: what is said of it can't be read, `reason` says why. raw_state: the manager's.
    cores, nodes: asked for or given, None where not told. tasks: of an array that is shown as one. max_walltime:
    seconds, None where not told. submitted, started: RFC 3339 in UTC where the manager counts seconds, else the local
    time as it writes it, "" where not told. reason: why it waits, as far as the manager tells.
    """

    id: str
    name: str = ""
    user: str = ""
    queue: str = ""
    state: JobState = "unknown"
    raw_state: str = ""
    cores: int | None = None
    nodes: int | None = None
    tasks: int = 1
    max_walltime: int | None = None
    submitted: str = ""
    started: str = ""
    hosts: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        possible(cores=(self.cores,))


def unread_queue(name: str, why: Exception) -> Queue:
    return Queue(name, "unread", "", None, None, None, reason=reason_of(why))


def unread_node(name: str, why: Exception) -> Node:
    return Node(name, "unknown", "", reason=f"unread: {reason_of(why)}")


def unread_job(name: str, why: Exception) -> Job:
    return Job(name, state="unread", reason=reason_of(why))


def reason_of(why: Exception) -> str:
    return printable(str(why))[:500]


def job_number(id: str) -> str:
    """The number of a job, with its index in an array: without the server's name, which a client would turn to.

    Raises ArgumentError for what is no number: the name of a queue, or of a job.
    """
    found = _JOB.fullmatch(id)
    if not found:
        raise ArgumentError("job", "id", f"must be a number, such as 12, 12[3] or 12.server, not {id!r:.60}")
    return found[1]


def queue_state(enabled: bool, started: bool) -> QueueState:
    return ("up" if started else "stopped") if enabled else ("closed" if started else "down")


def chosen(jobs: Iterable[Job], user: str | None, queue: str | None = None, state: str = "any") -> list[Job]:
    """The jobs of a user, in a queue (None: of all), in a state. Unread ones are told, whatever is asked."""
    return [
        job
        for job in jobs
        if job.state == "unread"
        or (user in (None, job.user) and queue in (None, job.queue) and state in ("any", job.state))
    ]


def depth_of(jobs: Iterable[Job], source: str) -> Depth:
    """The queue by its jobs, the tasks of arrays counted. Raises OutputError where a job can't be read."""
    count: Counter[str] = Counter()
    cores: int | None = 0
    for job in jobs:
        if job.state in ("unread", "unknown"):
            raise OutputError(source, job.id, job.reason or f"the state {job.raw_state!r} is not known")
        count["pending" if job.state in WAITING else "running" if job.state in RUNNING else "other"] += job.tasks
        if job.state in WAITING:
            cores = None if cores is None or job.cores is None else cores + job.cores * job.tasks
    return Depth(count["pending"], count["running"], cores)


def size(text: str, *, decimal: str = "") -> int:
    """Bytes: `16gb`, `23.541G`, `65442M`, `0b`, `1024`; units are powers of 1024. Raises ValueError.

    decimal: letters that are powers of 1000 here (Grid Engine: `kmg`, sge_types(1), MEMORY).
    """
    match = _AMOUNT.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text[:40]!r} is no amount of memory")
    whole, part, unit = match.groups()
    factor = int((1000 if unit and unit in decimal else 1024) ** " kmgtp".index(unit.lower() or " "))
    return int(whole) * factor + (int(part) * factor // 10 ** len(part) if part else 0)


def seconds(text: str) -> int:
    """`[[hours:]minutes:]seconds[.part]`, as POSIX 1003.2d and Grid Engine write times. Raises ValueError."""
    match = _CLOCK.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text[:40]!r} is no time: [[hours:]minutes:]seconds expected")
    hours, minutes, rest = (int(part or 0) for part in match.groups())
    return (hours * 60 + minutes) * 60 + rest


def whole(text: str) -> int:
    """A number of things, as `64` or `64.000000`. Raises ValueError."""
    number, _, part = text.strip().partition(".")
    if not (number.isascii() and number.isdecimal() and len(number) <= 15) or part.strip("0"):
        raise ValueError(f"{text[:40]!r} is no whole number")
    return int(number)


def moment(epoch: str) -> str:
    """Seconds (or milliseconds) since the epoch as RFC 3339; other text stays as it is."""
    text = epoch.strip()
    if not (text.isascii() and text.isdecimal() and 9 <= len(text) <= 13):
        return "" if text in ("0", "") else text[:40]
    number = int(text) / (1000 if len(text) > 11 else 1)
    return datetime.fromtimestamp(number, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def unknown_format(source: str, place: str, message: str, raw: str) -> OutputError:
    """The error for an answer whose format is not known; it keeps the beginning of it."""
    return OutputError(source, place, f"{message}; its format is not known, it begins: {printable(raw[:RAW])!r}")


def xml(text: str, source: str) -> Element:
    """The root of an XML document. Raises OutputError; for a document type or entity too: managers write none."""
    from xml.etree import ElementTree

    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise unknown_format(source, "", "a document type is refused", text)
    try:
        return ElementTree.fromstring(_FORBIDDEN.sub("?", text).strip())  # noqa: S314 - no document type passes
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise unknown_format(source, "", f"no XML: {error}", text) from None


def elements(text: str, source: str, tag: str) -> Iterator[tuple[str, Element | OutputError]]:
    """The elements of a name that stand below the root, with their text; of a document that is broken in one of them
    the others. Raises OutputError where none can be told from another."""
    try:
        root = xml(text, source)
    except OutputError:
        pieces = text.split(f"<{tag}>")[1:]
        if not pieces:
            raise
        for piece in pieces:
            body, end, _ = piece.partition(f"</{tag}>")
            try:
                if not end:
                    raise OutputError(source, "", "it ends within a record") from None
                yield body, xml(f"<{tag}>{body}{end}", source)
            except OutputError as error:
                yield body, error
        return
    for element in root.iter(tag):
        yield "", element


def inventory_of(nodes: Sequence[Node], source: str, system: System) -> Inventory:
    """The nodes as an inventory, those that are alike as one group. Nothing is known to be free where a node is not up
    or the manager does not tell. Parts of one machine count together. Raises OutputError."""
    from resources.errors import InputError

    rows = []
    try:
        machines = _machines(nodes)
    except ValueError as error:
        raise OutputError(source, "", str(error)) from None
    for node in machines:
        if not _HOST.fullmatch(node.name):
            raise OutputError(source, "", f"{node.name[:60]!r} is no name of a host")
        try:
            rows.append((node.name, node.state, *_resources(node)))
        except InputError as error:  # such as a type of GPU that is no name
            raise OutputError(source, node.name, str(error)) from None
    return _alike.inventory_of(source, rows, system)


def _machines(nodes: Sequence[Node]) -> list[Node]:
    """The nodes by machine: of the parts of one those that are up, added up; where none is, in the first's state."""
    parts: dict[str, list[Node]] = {}
    for node in nodes:
        parts.setdefault(node.host or node.name, []).append(node)
    made = []
    for name, some in parts.items():
        up = [node for node in some if node.state == "up"] or some
        made.append(
            replace(
                up[0],
                name=name,
                cores=_sum([node.cores for node in up]),
                free_cores=_sum([node.free_cores for node in up]),
                threads=_sum([node.threads for node in up]),
                free_threads=_sum([node.free_threads for node in up]),
                memory=_sum([node.memory for node in up]),
                free_memory=_sum([node.free_memory for node in up]),
                gpus=_sum_by_type([node.gpus for node in up]),
                free_gpus=_sum_by_type([node.free_gpus for node in up]),
            )
        )
    return made


def _sum(amounts: Sequence[int | None]) -> int | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if len(known) == len(amounts) else None


def _sum_by_type(amounts: Sequence[dict[str, int] | None]) -> dict[str, int] | None:
    total: Counter[str] = Counter()
    for amount in amounts:
        if amount is None:
            return None
        total.update(amount)
    return dict(total)


def _resources(node: Node) -> tuple[Resource, Resource | None]:
    """What a node holds, and what of it is free: None unless it is up and all of it is told."""
    from resources import Cores, Gpus, Memory, Threads
    from resources.resource import ZERO, combine

    pairs: list[tuple[Resource, Resource | None]] = []
    if node.cores is not None:
        pairs.append((Cores(node.cores), None if node.free_cores is None else Cores(node.free_cores)))
    if node.threads is not None:
        pairs.append((Threads(node.threads), None if node.free_threads is None else Threads(node.free_threads)))
    if node.memory is not None:
        left = None if node.free_memory is None else Memory(f"{node.free_memory}B")
        pairs.append((Memory(f"{node.memory}B"), left))
    if node.gpus:
        free_gpus = _types(node.free_gpus)
        pairs.append((Gpus(_types(node.gpus) or 0), Gpus(free_gpus) if free_gpus else None))
    total = combine([pair[0] for pair in pairs]) if pairs else ZERO
    free = [pair[1] for pair in pairs if pair[1] is not None]
    told = node.state == "up" and node.cores is not None and len(free) == len(pairs)
    return total, combine(free) if told else None


def _types(gpus: dict[str, int] | None) -> dict[str, int] | None:
    """A mapping of several types names each of them, so one without a name is called so."""
    if gpus and "" in gpus and len(gpus) > 1:
        return {name or "other": amount for name, amount in gpus.items()}
    return gpus
