"""From sbatch's options to the neutral job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobspec.errors import ScriptError
from jobspec.job import UNLIMITED, Gpus, Gres, Job, Mail, Memory, Native, Nodes, Where
from jobspec.slurm.arguments import Given
from jobspec.slurm.counts import Conflict, Shape, shape
from jobspec.slurm.texts import in_order

_PER = (("gpus", "job"), ("gpus-per-node", "node"), ("gpus-per-task", "task"))
_RESOURCES = (("gpus",), ("gres",))
_MEMORY = (("mem", "node"), ("mem-per-cpu", "cpu"), ("mem-per-gpu", "gpu"))


def build(last: Mapping[str, Given]) -> Job:
    """The job of the options that count, by their keys. Raises ScriptError where they contradict one another."""
    asked = {key: given.value for key, given in last.items()}
    if "extra-node-info" in asked:
        _node_shape(asked, last)
    try:
        found = shape(asked)
    except Conflict as conflict:
        raise _placed(str(conflict), last, conflict.option) from None
    _check_times(asked, last)
    asked = {name: value for name, value in asked.items() if value != ""}  # nothing asked for
    get = asked.get
    nodes = None if found.least is None else Nodes(found.least, found.most)
    exclusive = last.get("exclusive")
    requeue = last.get("requeue")
    mail = None
    if "mail-type" in asked or "mail-user" in asked:
        mail = Mail(get("mail-user"), in_order(asked["mail-type"]) if "mail-type" in asked else ())
    where = {}
    for given in last.values():
        place = Where(given.last, given.at)
        for field in fields_of(given):
            where[field] = place
    placement = [one for one in map(_placement, last.values()) if one]
    return Job(
        system="slurm",
        name=get("job-name"),
        account=get("account"),
        qos=get("qos"),
        queue=get("partition"),
        reservation=get("reservation"),
        comment=get("comment"),
        nodes=nodes,
        tasks=_held_tasks(found),
        tasks_per_node=found.ntasks_per_node,
        cpus_per_task=found.cpus_per_task or 1,
        threads_per_core=found.threads,
        gpus=_gpus(asked, found),
        gres=tuple(Gres(*one) for one in get("gres") or () if one[0] != "gpu"),
        memory=next((Memory(asked[name], per) for name, per in _MEMORY if name in asked), None),  # type: ignore[arg-type]
        disk_per_node=get("tmp"),
        licenses=get("licenses") or (),
        exclusive=exclusive is not None and exclusive.text is not None and exclusive.text.lower() != "oversubscribe",
        burst_buffer=(asked["bb"],) if "bb" in asked else (),
        walltime_s=get("time"),
        walltime_min_s=get("time-min"),
        begin=get("begin"),
        deadline=get("deadline"),
        array=get("array"),
        dependency=get("dependency"),
        priority=get("priority"),
        hold="hold" in last,
        requeue=None if requeue is None else requeue.option.name == "requeue",
        constraint=get("constraint"),
        hosts=get("nodelist"),
        exclude_hosts=get("exclude"),
        placement=" ".join(placement) or None,
        workdir=get("chdir"),
        input=get("input"),
        output=get("output"),
        error=get("error"),
        open_mode=get("open-mode"),
        environment=get("export"),
        mail=mail,
        signal=get("signal"),
        native=tuple(one for one in map(_native, last.values()) if one),
        where=where,
    )


def fields_of(given: Given) -> tuple[str, ...]:
    """The fields that an option went into: GPUs are generic resources too, with a field of their own."""
    if given.option.name != "gres":
        return given.option.fields
    found = {"gpus" if name == "gpu" else "gres": None for name, _, _ in given.value or ()}
    return tuple(found) or given.option.fields


def _held_tasks(found: Shape) -> int:
    if found.ntasks is not None:
        return found.ntasks
    return 1 if found.least is None else found.least * (found.ntasks_per_node or 1)


def _placed(message: str, last: Mapping[str, Given], option: str) -> ScriptError:
    given = last.get(option)
    return ScriptError(message, given.last if given else 1, given.at if given else 1)


def _node_shape(asked: dict[str, Any], last: Mapping[str, Given]) -> None:
    """What -B says, unless a later option says it too."""
    keys = list(last)
    names = ("sockets-per-node", "cores-per-socket", "threads-per-core")
    for name, value in zip(names, asked["extra-node-info"], strict=True):
        if name not in last or keys.index(name) < keys.index("extra-node-info"):
            asked.pop(name, None)
            if value is not None:
                asked[name] = value


def _check_times(asked: Mapping[str, Any], last: Mapping[str, Given]) -> None:
    least, most = asked.get("time-min"), asked.get("time")
    if least is None or (least == UNLIMITED and most == UNLIMITED):
        return
    if least == UNLIMITED or (most not in {None, UNLIMITED} and least > most):
        raise _placed("--time-min is more than --time", last, "time-min")


def _gpus(asked: Mapping[str, Any], found: Shape) -> tuple[Gpus, ...]:
    gpus = [
        Gpus(count, per, kind)  # type: ignore[arg-type]
        for option, per in _PER
        for name, kind, count in asked.get(option) or ()
    ]
    gpus += [Gpus(count, "node", kind) for name, kind, count in asked.get("gres") or () if name == "gpu"]
    gpus += [Gpus(count * (found.sockets or 1), "node", kind) for _, kind, count in asked.get("gpus-per-socket") or ()]
    # In one order, whichever of the options said it.
    return tuple(sorted(gpus, key=lambda one: ("job", "node", "task").index(one.per)))


def _placement(given: Given) -> str:
    if given.option.fields != ("placement",):
        return ""
    return f"--{given.option.name}" if given.text is None else f"--{given.option.name}={given.text.strip()}"


def _native(given: Given) -> Native | None:
    option = given.option
    if option.fields == ("native",):
        return Native(option.name, given.text if given.text or given.source.endswith("=") else None)
    if option.name == "gpus-per-socket" or (option.fields[:1] in _RESOURCES and not _plain(given)):
        return Native(option.name, given.text)  # the job has them in other words
    if option.name == "job-name" and not given.text:
        return Native(option.name, "")  # a job without a name, which is not what it gets when nobody says one
    if option.name == "exclusive" and (given.text or "").lower() in {"user", "mcs", "oversubscribe"}:
        return Native("exclusive", given.text)
    return None


def _plain(given: Given) -> bool:
    """Whether the text can be made again of what it means: one with a count of 0, or with none at all, can't."""
    text = given.text or ""
    if given.option.name != "gres":
        return len(given.value) == text.count(",") + 1
    return all(part.rpartition(":")[2].strip("kKmMgGtT0").isdigit() for part in text.split(","))
