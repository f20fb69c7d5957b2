"""How large the job is that LSF holds."""

from __future__ import annotations

import math

from jobspec.job import Constraint, Gpus, Memory, Native, Nodes
from jobspec.lsf import resreq, values
from jobspec.lsf.held import Held
from jobspec.lsf.parts import Part

_GPU_COUNTS = ("ngpus", "ngpus_physical", "ngpus_excl_p", "ngpus_excl_t", "ngpus_shared")
_PLACED = ("order", "same", "cu")


def size(held: Held) -> None:
    """-n, -nnodes, span[], affinity[] and -x."""
    least = most = 1
    if part := held.part("n"):
        least, most = part.value
        held.hold(part, "tasks")
        if most != least:
            offset = part.value_column - part.column + part.text.rindex(",") - len("-n ") + 1
            held.aside(part, offset, f"-n ...,{most}", "n", f"{least},{most}")
    nnodes = held.part("nnodes")
    if nnodes:
        if "n" not in held.parts.last:
            least = most = nnodes.value
        held.fields |= {"nodes": Nodes(nnodes.value, nnodes.value), "exclusive": True}  # CSM gives whole nodes
        held.keep(nnodes, "nnodes", None, told=False)
        held.hold(nnodes, "nodes")
    for part in held.parts.lists.get("R", []):
        # `N*{...} + M*{...}`: its numbers are those of the tasks
        if (tasks := resreq.compound_tasks(part.value)) and "n" not in held.parts.last:
            least = most = tasks
            held.hold(part, "tasks")
        held.keep(part, "R", part.value)
    if part := held.part("span"):
        kind, number, text = part.value
        if nnodes or not kind:
            _place(held, part, text)
        elif kind == "hosts":
            held.fields["nodes"] = Nodes(1, 1)
            held.hold(part, "nodes")
        else:
            held.fields["tasks_per_node"] = number
            held.hold(part, "tasks_per_node")
            held.fields["nodes"] = Nodes(math.ceil(least / number), math.ceil(most / number))
    if part := held.part("affinity"):
        cores, text = part.value
        if cores:
            held.fields["cpus_per_task"] = cores
            held.hold(part, "cpus_per_task")
        else:
            _place(held, part, text)
    held.fields["tasks"] = least
    if part := held.part("x"):
        held.fields["exclusive"] = True
        held.hold(part, "exclusive")


def _place(held: Held, part: Part, text: str) -> None:
    before = held.fields.get("placement")
    held.fields["placement"] = f"{before} {text}" if before else text
    held.hold(part, "placement")


def gpus(held: Held) -> None:
    """-gpu, and the counts of rusage[]."""
    count, per, kind = 1, "node", ""
    asked = [key for key in held.parts.last if key.startswith("gpu.")]
    rest: list[str] = []
    for key in asked:
        part = held.part(key)
        if part is None:
            continue
        if key == "gpu.num":
            count, per = part.value
        elif key == "gpu.gmodel":
            kind = part.value
        elif key == "gpu.-":
            rest.append("-")
            held.hold(part, "gpus")
            continue
        else:
            rest.append(f"{key[4:]}={part.value}")
            held.hold(part, "native")
            if "gpu.num" in asked:
                continue
        held.hold(part, "gpus")
    if rest:
        held.native.append(Native("gpu", ":".join(rest)))
    if asked:
        held.fields["gpus"] = (Gpus(count, per, kind),)  # type: ignore[arg-type]
    for name in _GPU_COUNTS:
        part = held.part(f"rusage.{name}")
        if part is None:
            continue
        use: resreq.Use = part.value
        plain = use.value.isascii() and use.value.isdigit() and int(use.value[:9]) > 0 and len(use.value) < 10
        if "gpus" in held.fields or not plain or use.per == "job":
            held.keep(part, "rusage", use.text)
        else:
            per = "task" if use.per == "task" else "node"
            held.fields["gpus"] = (Gpus(int(use.value), per),)  # type: ignore[arg-type]
            held.keep(part, "ngpus", f"{name}/{use.per}".rstrip("/"), told=False)
            held.hold(part, "gpus")


def _bytes(held: Held, part: Part, text: str, unit: str, what: str) -> int:
    if not values.has_unit(text):
        assumed = held.unit or unit
        if not held.unit:
            held.warn(part, f"ambiguous: the unit of {what} is the site's; {text} read as {text} {assumed}",
                      "name the unit, or say memory_units in the profile")  # fmt: skip
        unit = assumed
    return values.size(text, unit)


def memory(held: Held) -> None:
    """rusage[mem], -M and rusage[tmp]."""
    site = held.profile.memory_per.get("lsf", "")
    site = "task" if site == "slot" else site  # each task has one slot
    if part := held.part("rusage.mem"):
        use: resreq.Use = part.value
        per = {"host": "node"}.get(use.per, use.per) or site
        if not per:
            per = "node"
            held.warn(part, "ambiguous: what rusage[mem] is reserved for is the site's; read as each host's",
                      "write mem=.../host or mem=.../task, or say memory_per in the profile")  # fmt: skip
        size = _bytes(held, part, use.value, "MB", "rusage[mem]")
        held.fields["memory"] = Memory(size, per)  # type: ignore[arg-type]
        held.hold(part, "memory")
    if part := held.part("M"):
        text: str = part.value
        hard = text.endswith("!")
        bare = text.removesuffix("!").rstrip()
        size = _bytes(held, part, bare, "KB", "-M")
        if "memory" in held.fields:
            told = size != held.fields["memory"].bytes
            held.keep(part, "M", text, told=told)
            if not told:
                held.hold(part, "memory")
        else:
            held.fields["memory"] = Memory(size, site or "task")  # type: ignore[arg-type]
            held.keep(part, "M", "!" if hard else None, told=False)
            held.hold(part, "memory")
            if not site:
                held.warn(part, "ambiguous: -M is the limit of a process or of the job; read as that of each task",
                          "say memory_per in the profile")  # fmt: skip
    if part := held.part("rusage.tmp"):
        use = part.value
        if use.per in {"", "host"}:
            held.fields["disk_per_node"] = values.size(use.value, "MB")
            held.hold(part, "disk_per_node")
        else:
            held.keep(part, "rusage", use.text)


def requirements(held: Held) -> None:
    """The rest of -R."""
    if selects := held.parts.lists.get("select", []):
        texts, excluded = list(dict.fromkeys(part.value for part in selects)), tuple[str, ...]()
        if not any("||" in text for text in texts):
            texts, excluded = resreq.without_hosts(texts)
        if excluded:
            held.fields["exclude_hosts"] = ",".join(excluded)
            for one in selects:
                if resreq.without_hosts([one.value])[1]:
                    held.hold(one, "exclude_hosts")
        names = tuple(dict.fromkeys(resreq.features(" && ".join(texts))))
        if len(texts) == 1:
            text = texts[0]
        else:
            text = " && ".join(names or (f"({one})" for one in texts))
        if text:
            held.fields["constraint"] = Constraint(text, names)
        for one in selects:
            if not excluded or resreq.without_hosts([one.value])[0]:
                held.hold(one, "constraint")
    for key in _PLACED:
        if part := held.part(key):
            _place(held, part, part.value)
    for one in held.parts.lists.get("rusage", []):
        held.keep(one, "rusage", one.value.text)
    for key in list(held.parts.last):
        if key.startswith("rusage.") and key not in held.taken and (found := held.part(key)):
            held.keep(found, "rusage", found.value.text)
