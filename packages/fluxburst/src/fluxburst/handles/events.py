"""The queue from what a job manager's journal tells: job information as Flux lists it, event by event (RFC 21)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fluxburst.handles.specs import described
from fluxburst.jobs import Job, read_job

_NEW, _DEPEND, _PRIORITY, _SCHED, _RUN, _CLEANUP = 1, 2, 4, 8, 16, 32
_PENDING = frozenset({_DEPEND, _PRIORITY, _SCHED})
_BACK = frozenset({"urgency", "jobspec-update", "flux-restart"})  # a job that was in SCHED is given a priority anew

# The events that change what waits. What a scheduler remarks ("annotations") changes nothing and comes often.
EVENTS = (
    "submit",
    "validate",
    "invalidate",
    "dependency-add",
    "dependency-remove",
    "depend",
    "priority",
    "urgency",
    "jobspec-update",
    "flux-restart",
    "memo",
    "alloc",
    "exception",
)


class Queue:
    """The jobs that wait, kept up to date by the messages of the journal."""

    def __init__(self) -> None:
        self._infos: dict[int, dict[str, Any]] = {}
        self._jobs: dict[int, Job] = {}
        self._touched: set[int] = set()
        self._listed: tuple[Job, ...] = ()

    def feed(self, message: Mapping[str, Any]) -> None:
        """Take one response of `job-manager.events-journal`: {"id", "events", "jobspec"?}."""
        identity = message["id"]
        for event in message["events"]:
            info = self._infos.get(identity)
            if event["name"] == "submit":
                info = {"id": identity, "spec": message.get("jobspec")}
            elif info is None:
                continue  # it runs or has ended, and never comes back
            elif identity not in self._touched:
                info = dict(info)  # the old one has been given away
            self._touched.add(identity)
            apply(info, event)
            if info["state"] <= _SCHED:
                self._infos[identity] = info
            else:
                self._infos.pop(identity, None)

    def jobs(self) -> tuple[Job, ...]:
        """In the order of the queue; the same object as before if nothing has changed."""
        changed = False
        for identity in self._touched:
            info, old = self._infos.get(identity), self._jobs.get(identity)
            new = read_job(info, strict=False) if info and info["state"] in _PENDING else None
            if new == old:
                continue
            changed = True
            if new:
                self._jobs[identity] = new
            else:
                del self._jobs[identity]
        self._touched.clear()
        if changed:
            self._listed = in_order(self._jobs)
        return self._listed


def in_order(jobs: Mapping[int, Job]) -> tuple[Job, ...]:
    """As Flux lists them: the highest priority first, then the oldest, which has the lowest id (RFC 19)."""
    return tuple(job for _, job in sorted(jobs.items(), key=lambda row: (-row[1].priority, row[0])))


def apply(info: dict[str, Any], event: Mapping[str, Any]) -> None:
    """Change a job's information by one event (RFC 18, RFC 21)."""
    name, when, context = event["name"], event["timestamp"], event.get("context") or {}
    state = info.get("state", _NEW)
    if name == "submit":
        info.update(userid=context["userid"], urgency=context["urgency"], t_submit=when)
        info.update(described(info["spec"]))
    elif name == "validate":
        state, info["t_depend"] = _DEPEND, when
    elif name == "depend" and state == _DEPEND:
        state = _PRIORITY
        info.setdefault("t_priority", when)
    elif name == "priority" and state in {_PRIORITY, _SCHED}:
        state, info["priority"] = _SCHED, context["priority"]
        info.setdefault("t_sched", when)
    elif name == "urgency":
        info["urgency"] = context["urgency"]
    elif name == "jobspec-update":
        for path, value in context.items():
            info["spec"] = _with(info["spec"], path.split("."), value)
        info.update(described(info["spec"]))
    elif name == "memo":
        _remark(info, context)
    elif name.startswith("dependency-"):
        _depend(info, name, context["description"])
    elif name == "alloc":
        state = _RUN
    elif name == "invalidate" or (name == "exception" and context["severity"] == 0 and state != _NEW):
        state = _CLEANUP
    if name in _BACK and state == _SCHED:
        state = _PRIORITY
        info.pop("priority", None)
    info["state"] = state


def _with(value: object, path: list[str], leaf: object) -> dict[str, Any]:
    """A copy of a document with one member set; what is not on the way to it is shared."""
    copy = dict(value) if isinstance(value, Mapping) else {}
    copy[path[0]] = _with(copy.get(path[0]), path[1:], leaf) if path[1:] else leaf
    return copy


def _remark(info: dict[str, Any], memo: Mapping[str, Any]) -> None:
    """What its user notes on a job (flux-job(1), memo); null takes a note away."""
    user = {**info.get("annotations", {}).get("user", {}), **memo}
    user = {key: value for key, value in user.items() if value is not None}
    if user:
        info["annotations"] = {"user": user}
    else:
        info.pop("annotations", None)


def _depend(info: dict[str, Any], name: str, description: str) -> None:
    left = [one for one in info.get("dependencies", []) if one != description]
    info["dependencies"] = [*left, description] if name == "dependency-add" else left
