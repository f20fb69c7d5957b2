"""From the options of a script to the job that OAR would hold."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from jobspec.job import Array, Constraint, Dependency, Gpus, Job, Mail, Native, Nodes, Signal, Where
from jobspec.oar import hierarchy
from jobspec.oar.given import NOTIFY, Given
from jobspec.oar.options import DEFAULT_SIGNAL, GPU_TYPES, NODES, SIGNALS, TAGS
from jobspec.reading import Directive, Problem

_TEXTS = {"q": "queue", "n": "name", "project": "account", "O": "output", "E": "error", "d": "workdir"}
_NATIVE = frozenset(("array-param-file", "k", "e", "i"))
_EQUAL = re.compile(r"([A-Za-z_]\w{0,60})[ ]{0,20}=[ ]{0,20}'([^']{1,200})'", re.ASCII)
_HOSTS = re.compile(
    r"(?:host|network_address) {1,9}(not {1,9})?in {0,9}"
    r"\(('[A-Za-z0-9._-]{1,255}'(?: {0,9}, {0,9}'[A-Za-z0-9._-]{1,255}'){0,9999})\)",
    re.ASCII | re.IGNORECASE,
)
_AND = re.compile(r"[ ]{1,20}and[ ]{1,20}", re.IGNORECASE)
_CANONICAL = ("nodes", "gpu", "core")
_SOCKET = "a cpu is a socket, whose cores are not known"


class _Making:
    """The job so far, and its directives."""

    def __init__(self) -> None:
        self.job: dict[str, Any] = {"system": "oar"}
        self.native: list[Native] = []
        self.directives: list[Directive] = []
        self.where: dict[str, Where] = {}
        self.warnings: list[Problem] = []

    def say(self, one: Given, *fields: str, why: str = "", text: str = "", column: int = 0) -> None:
        place = column or one.column
        self.directives.append(Directive(one.line, place, text or one.text, one.option, fields, why=why))
        for field in fields:
            self.where.setdefault(field, Where(one.line, place))

    def keep(self, one: Given) -> None:
        self.native.append(Native(one.option, one.value or None))
        self.say(one, "native")


def derive(found: list[Given]) -> tuple[Job, list[Directive], tuple[Problem, ...]]:
    """The job, its directives in order, and warnings."""
    make = _Making()
    obeyed = [one for one in found if one.state == "obeyed"]
    first = next((one for one in obeyed if one.option == "l"), None)
    for one in obeyed:
        if one is first:
            _resources(make, one)
    for one in found:
        if one.state != "obeyed":
            make.directives.append(Directive(one.line, one.column, one.text, one.option, (), one.state, one.why))
        elif one.option in _TEXTS:
            make.job[_TEXTS[one.option]] = one.value
            make.say(one, _TEXTS[one.option])
        elif one.option in _NATIVE:
            make.keep(one)
        elif one.option == "l" and one is not first:
            make.native.append(Native("l", one.value))
            make.say(one, "native", why="another choice of a moldable job")
        elif one.option in _DOERS:
            _DOERS[one.option](make, one)
    _signal(make, obeyed)
    after = tuple(one.value for one in obeyed if one.option == "a")
    if after:
        # "Job dependencies" of the manual: the job does not run where the other one failed.
        make.job["dependency"] = Dependency(",".join(after), (("afterok", after),))
    native = tuple(sorted(make.native, key=lambda one: one.option))
    job = Job(**make.job, native=native, where=make.where)
    return job, make.directives, tuple(make.warnings)


def _resources(make: _Making, one: Given) -> None:
    resources, limit, at = hierarchy.walltime(one.value)
    found = hierarchy.groups(resources)
    if limit is not None:
        make.job["walltime_s"] = hierarchy.seconds(limit)
    if found:
        fields, why = _amounts(make, found)
        native = any(group.filter for group in found)
        if not _plain(found):
            make.native.append(Native("resource", resources))
        make.say(one, *fields, *(("native",) if native else ()), why=why, text=f"-l {resources}")
    if limit is not None:
        make.say(one, "walltime_s", text=f"-l walltime={limit}", column=one.at + at)


def _plain(found: list[hierarchy.Group]) -> bool:
    """Whether we would write the same."""
    names = [name for name, _ in found[0].levels]
    order = [name for name in _CANONICAL if name in names]
    return len(found) == 1 and not found[0].filter and not found[0].open and names == order


def _amounts(make: _Making, found: list[hierarchy.Group]) -> tuple[list[str], str]:
    """The sum of the groups; what that leaves out."""
    job, why, fields = make.job, list[str](), list[str]()
    nodes = [group.nodes for group in found]
    if any(nodes):
        least = sum(count or 0 for count in nodes)
        job["nodes"] = Nodes(least, None if any(group.open for group in found) else least)
        fields.append("nodes")
    cores = sum(group.cores or group.nodes or 1 for group in found)
    job["tasks"] = cores
    single = found[0] if len(found) == 1 else None
    if any(group.cores for group in found):
        fields.append("tasks")
        if single and single.nodes and single.cores:
            job["tasks_per_node"] = single.cores // single.nodes
            fields.append("tasks_per_node")
    gpus = sum(group.gpus or 0 for group in found)
    if gpus:
        fields.append("gpus")
        by_node = single and single.nodes
        job["gpus"] = (Gpus(gpus // by_node, "node") if by_node else Gpus(gpus, "job"),)
    if single and single.nodes and not (single.cores or single.gpus or single.sockets):
        job["exclusive"] = True
        fields.append("exclusive")
    if not fields:
        fields.append("tasks")
    if len(found) > 1:
        why.append("several groups of resources, taken as their sum")
    for group in found:
        if group.sockets and not group.cores:
            why.append(_SOCKET)
        if group.open:
            why.append("ALL and BEST are as many as there are")
        others = [name for name, _ in group.levels if name not in _CANONICAL and name not in NODES]
        if others and not (group.sockets and not group.cores):
            why.append(f"the neutral job has no {', '.join(others)}")
    return fields, "; ".join(dict.fromkeys(why))


def _property(make: _Making, one: Given) -> None:
    match = _EQUAL.fullmatch(one.value)
    name = match[1].lower() if match else ""
    gpus = make.job.get("gpus")
    if match and name in GPU_TYPES and gpus:
        make.job["gpus"] = (Gpus(gpus[0].count, gpus[0].per, match[2]),)
        make.native.append(Native("p", one.value))
        make.say(one, "gpus")
    elif match and name in {"host", "network_address"}:
        make.job["hosts"] = match[2]
        make.native.append(Native("p", one.value))
        make.say(one, "hosts")
    elif hosts := _HOSTS.fullmatch(one.value):
        field = "exclude_hosts" if hosts[1] else "hosts"
        make.job[field] = ",".join(name.strip(" '") for name in hosts[2].split(","))
        make.native.append(Native("p", one.value))
        make.say(one, field)
    else:
        terms = [_EQUAL.fullmatch(term) for term in _AND.split(one.value)]
        plain = tuple(term[1] for term in terms if term and term[2] == "YES")
        make.job["constraint"] = Constraint(one.value, plain if len(plain) == len(terms) else ())
        make.say(one, "constraint")


def _type(make: _Making, one: Given) -> None:
    if one.value == "idempotent":
        make.job["requeue"] = True
        make.say(one, "requeue", why="resubmitted if it exits with 99 after more than a minute")
    else:
        make.keep(one)


def _array(make: _Making, one: Given) -> None:
    make.job["array"] = Array(f"1-{int(one.value)}", ((1, int(one.value), 1),))
    make.say(one, "array")


def _notify(make: _Making, one: Given) -> None:
    match = NOTIFY.fullmatch(one.value)
    if not match or match[2] == "exec":
        return make.keep(one)
    tags = [tag.strip() for tag in match[1].split(",")] if match[1] is not None else list(TAGS)
    make.job["mail"] = Mail(match[3], tuple(sorted(TAGS[tag] for tag in set(tags) if tag in TAGS)))
    return make.say(one, "mail")


def _hold(make: _Making, one: Given) -> None:
    make.job["hold"] = True
    make.say(one, "hold")


def _signal(make: _Making, obeyed: list[Given]) -> None:
    delay = next((one for one in obeyed if one.option == "checkpoint"), None)
    number = next((one for one in obeyed if one.option == "signal"), None)
    if delay:
        value = int(number.value) if number else DEFAULT_SIGNAL
        make.job["signal"] = Signal(SIGNALS.get(value, str(value)), int(delay.value))
        make.say(delay, "signal")
        if number:
            make.say(number, "signal")
    elif number:
        make.keep(number)


_DOERS: dict[str, Callable[[_Making, Given], None]] = {
    "p": _property,
    "t": _type,
    "array": _array,
    "notify": _notify,
    "hold": _hold,
    "a": lambda make, one: make.say(one, "dependency"),
}
