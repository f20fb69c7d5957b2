"""Between what the package works with and the messages of the service; and messages cut into parts that fit."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol, TypeVar

from ensemble.errors import MemberError, ServiceError
from ensemble.events import COURSE, JOB_EVENTS, Event
from ensemble.job import Job, Known, Spec
from ensemble.member import SubmitLimit, Unreachable
from ensemble.service.v1 import ensemble_pb2 as pb

MOST_BYTES = 1 << 20  # of the items of a message; a single one may have three times as much
MOST_ITEMS = 1_000
MOST_LENGTH = 10_000  # characters of one value, in an event that has too many in all
LARGEST = 3 << 20  # bytes of one job: no message may have more than 4 MiB (gRPC's default limit)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}", re.ASCII)  # of jobs, tokens and clusters; never a path
RUN = re.compile(r"[A-Za-z0-9]{1,64}", re.ASCII)

KNOWN_EVENTS = frozenset(JOB_EVENTS)


class Sized(Protocol):
    """A protobuf message."""

    def ByteSize(self) -> int: ...


M = TypeVar("M")


def job_message(job: Job) -> pb.Job:
    """Raises ValueError where it can't be said in a message: text that is no Unicode, or far too much of it."""
    spec = job.spec
    message = pb.Job(
        name=job.name,
        token=job.token,
        avoid=job.avoid,
        group=spec.group,
        argv=spec.argv,
        nodes=spec.nodes,
        tasks=spec.tasks,
        cores=spec.cores,
        gpus=spec.gpus,
        memory=spec.memory,
        duration=spec.duration,
        workdir=spec.workdir,
        environment=dict(spec.environment),
        stdin=spec.stdin,
        output=spec.output,
        attributes=json.dumps(dict(spec.attributes)) if spec.attributes else "",
        metrics=spec.metrics,
    )
    if (size := message.ByteSize()) > LARGEST:
        raise ValueError(f"it has {size} bytes, more than the {LARGEST} that one job may have")
    return message


def job_of(message: pb.Job) -> Job:
    """Raises ServiceError where it is none that could be run."""
    for what, text in (("name", message.name), ("token", message.token)):
        if not NAME.fullmatch(text):
            raise ServiceError(f"{text[:80]!r} is no {what} of a job")
    if not message.argv:
        raise ServiceError(f"job {message.name} has no command")
    spec = Spec(
        group=message.group,
        argv=tuple(message.argv),
        nodes=message.nodes,
        tasks=message.tasks,
        cores=message.cores,
        gpus=message.gpus,
        memory=message.memory,
        duration=message.duration,
        workdir=message.workdir,
        environment=dict(message.environment),
        stdin=message.stdin,
        output=message.output,
        attributes=_mapping(message.attributes, f"the attributes of job {message.name}"),
        metrics=message.metrics,
    )
    return Job(message.name, message.token, spec, tuple(message.avoid))


def known_of(message: pb.Known) -> Known:
    """Raises ServiceError."""
    if message.seen and message.seen not in COURSE:
        raise ServiceError(f"{message.seen[:80]!r} is no event of {', '.join(COURSE)}")
    return Known(job_of(message.job), message.id, message.seen)


def event_message(event: Event, where: str = "") -> pb.JobEvent:
    """What is far too long for a message is left out of the context."""
    context = json.dumps(dict(event.context), default=str) if event.context else ""
    if len(context) > MOST_BYTES:
        parts_ = {
            key: value for key, value in event.context.items() if len(json.dumps(value, default=str)) < MOST_LENGTH
        }
        context = json.dumps(parts_, default=str)
    return pb.JobEvent(name=event.name, time=event.time, job=event.job, context=context, where=unicode(where))


def unicode(text: str) -> str:
    """Text as a message can have it: a path may have bytes that are no UTF-8."""
    return text.encode(errors="backslashreplace").decode()


def event_of(message: pb.JobEvent) -> Event:
    """Raises ServiceError where it is no event of a job."""
    if message.name not in KNOWN_EVENTS or not NAME.fullmatch(message.job) or not math.isfinite(message.time):
        raise ServiceError(f"no event of a job: {message.name[:40]!r} of {message.job[:80]!r} at {message.time}")
    context = _mapping(message.context, f"the context of {message.name} of {message.job}")
    if message.name == "finish" and not isinstance(context.get("status"), int):
        raise ServiceError(f"finish of {message.job} has no status")
    if message.name == "exception" and not (
        isinstance(context.get("severity"), int) and isinstance(context.get("type"), str)
    ):
        raise ServiceError(f"exception of {message.job} has no type and severity")
    if message.name == "alloc" and not isinstance(context.get("hosts", []), list):
        raise ServiceError(f"alloc of {message.job} has hosts that are no list")
    return Event(message.name, message.time, message.job, context)


def error_message(error: BaseException) -> pb.Error:
    """What a member raised, with its kind."""
    kind = pb.Error.KIND_REFUSED
    if isinstance(error, Unreachable):
        kind = pb.Error.KIND_UNREACHABLE
    elif isinstance(error, SubmitLimit):
        kind = pb.Error.KIND_LIMIT
    text = str(error) if isinstance(error, (MemberError, ServiceError)) else f"{type(error).__name__}: {error}"
    return pb.Error(kind=kind, message=unicode(" ".join(text.split())[:2000]))


def error_of(message: pb.Error, cluster: str) -> MemberError:
    if message.kind == pb.Error.KIND_UNREACHABLE:
        return Unreachable(cluster, message.message)
    if message.kind == pb.Error.KIND_LIMIT:
        return SubmitLimit(cluster, message.message)
    return MemberError(cluster, message.message)


def parts(items: Iterable[M], size: Callable[[M], int]) -> Iterator[tuple[list[M], bool]]:
    """Items in parts of a message each, and whether more follow; one empty part where there are none."""
    part: list[M] = []
    total = 0
    for item in items:
        bytes_ = size(item) + 8  # tag and length
        if part and (len(part) >= MOST_ITEMS or total + bytes_ > MOST_BYTES):
            yield part, True
            part, total = [], 0
        part.append(item)
        total += bytes_
    yield part, False


def size_of(message: Sized) -> int:
    return message.ByteSize()


def _mapping(text: str, what: str) -> Mapping[str, Any]:
    if not text:
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ServiceError(f"{what}: no JSON object")
    return found
