"""A launch, said with the options of the target's launcher."""

from __future__ import annotations

import re

from jobspec.body.launch import Launch, NotUnderstood
from jobspec.body.launchers import MPI, SAYS, TARGET
from jobspec.job import Job

_NUMBER = re.compile(r"[0-9]{1,9}\Z")
# A number, or a variable that can stand in shell arithmetic.
_COUNT = re.compile(r"(?:[0-9]{1,9}|\"?\$(?:[A-Za-z_]\w{0,100}|\{[A-Za-z_]\w{0,100}(?::?-[0-9]{1,9})?\})\"?)\Z")
# Names, or a variable that holds them.
_HOSTS = re.compile(
    r"(?:[\w.,\[\]-]{1,500}|\"?\$(?:[A-Za-z_]\w{0,100}|\{[A-Za-z_]\w{0,100}(?:\[\$?\w{1,100}\])?\})\"?)\Z"
)
# Where no scheduler starts the tasks, and no site's MPI is to be expected.
_WITHOUT_MPI = frozenset({"jobspec", "kubernetes", "jobset", "hyperqueue", "htcondor"})


def say(launch: Launch, target: str, job: Job, source: str) -> tuple[str, list[str]]:
    """The target's launcher with its options, and what differs. Raises NotUnderstood."""
    launcher = TARGET[target]
    says = SAYS[launcher]
    asked = dict(launch.asked)
    _jsrun(launch, asked, job)
    differs = list(launch.doubts)
    _count(launch, asked, job, source, differs, spread=launcher == "flux run")
    if "nodes" not in says and "nodes" not in launch.asked:
        asked.pop("nodes", None)
    if launcher == "flux run":
        _flux_gpus(asked, job, differs)
        _flux_spelling(asked, differs)
    parts = [launcher]
    if target == "oar":
        parts.append('-machinefile "$OAR_NODEFILE"')
    if asked.pop("hostfile", None):
        differs.append(f"{launcher} starts on the nodes of the job, without a file of hosts")
    for meaning, pattern in says.items():
        if meaning in asked:
            parts.append(pattern.format(asked.pop(meaning)))
    if launcher == "srun" and launch.env:
        # of several --export only the last counts
        parts.append(says["env"].format(",".join(launch.env)))
    elif "env" in says:
        parts += [says["env"].format(value) for value in launch.env]
    elif launch.env:
        differs.append(f"the environment {', '.join(launch.env)[:100]} is not set")
    if target in _WITHOUT_MPI and launcher in MPI and launch.launcher not in MPI:
        differs.append(f"{launcher} and the MPI of the program must be where the script runs")
    lost = [f"{meaning.replace('_', ' ')} {value}".rstrip() for meaning, value in asked.items()]
    if launcher in MPI:
        lost = [one for one in lost if one != "cpus 1"]
    if lost or launch.lost:
        differs.append(f"{launcher} has no {', '.join([*lost, *launch.lost])}")
    return " ".join(parts), differs


def _number(value: str | None) -> int | None:
    return int(value) if value is not None and _NUMBER.match(value) else None


def _jsrun(launch: Launch, asked: dict[str, str], job: Job) -> None:
    """Resource sets are said as tasks (jsrun(1): a set has 1 task, 1 CPU and no GPU unless said)."""
    if launch.launcher != "jsrun":
        return
    sets, each = asked.pop("sets", None), asked.pop("tasks_per_set", "1")
    cpus, gpus = asked.pop("cpus_per_set", "1"), asked.pop("gpus_per_set", None)
    on_node = asked.pop("sets_per_node", None)
    if sets is None and "tasks" in asked:
        return
    if sets is None and on_node and job.nodes and _number(on_node):
        sets = str(job.nodes.least * int(on_node))
    if sets is None or sets.upper() == "ALL_HOSTS":
        raise NotUnderstood("the number of resource sets is not said")
    if each == "1":
        asked["tasks"], asked["cpus"] = sets, cpus
        if gpus:
            asked["gpus_per_task"] = gpus
        if on_node:
            asked["per_node"] = on_node
        return
    of, count, share = _number(sets), _number(each), _number(cpus)
    if of is None or not count or share is None:
        raise NotUnderstood("resource sets of several tasks, said with variables")
    asked["tasks"] = str(of * count)
    asked["cpus"] = str(max(1, share // count)) if cpus.isdigit() else cpus
    if share % count:
        launch.doubts.append(f"{count} tasks share {cpus} CPUs")
    if on_node and _number(on_node):
        asked["per_node"] = str(int(on_node) * count)
    if gpus and gpus != "0":
        if (_number(gpus) or 0) % count == 0 and _number(gpus):
            asked["gpus_per_task"] = str(int(gpus) // count)
        else:
            asked["gpus_shared"] = gpus
            launch.doubts.append(f"{count} tasks share {gpus} GPUs")


def _count(launch: Launch, asked: dict[str, str], job: Job, source: str, differs: list[str], *, spread: bool) -> None:
    """Tasks and nodes as the source's launcher takes them where they are not said, and all on one footing."""
    nodes = str(job.nodes.least) if job.nodes else None
    whole = "tasks" in job.where or "tasks_per_node" in job.where
    if launch.launcher == "srun":
        # SLURM_NTASKS is -n where the job asked for tasks; elsewhere one task a node, or what is said per node.
        if "tasks" not in asked and not (whole and source == "slurm") and ("nodes" in asked or "per_node" in asked):
            asked["tasks"] = _times(asked.get("nodes", nodes or "1"), asked.get("per_node", "1"))
        asked.setdefault("tasks", str(job.tasks))
        if whole and "per_node" in launch.asked and "tasks" not in launch.asked and source == "slurm":
            asked.pop("per_node", None)
            differs.append(f"srun heeds no tasks per node where the job asks for tasks: it runs {job.tasks}")
        if nodes and "nodes" not in asked and "per_node" not in asked:
            asked["nodes"] = nodes
    elif launch.launcher == "lrun":
        asked.setdefault("nodes", nodes or "1")
        if "tasks" not in asked:
            asked["tasks"] = _times(asked["nodes"], asked.get("per_node", "1"))
    elif launch.launcher in ("aprun", "flux run", "runjob"):
        if "tasks" not in asked and "per_node" in asked and "nodes" in asked:
            asked["tasks"] = _times(asked["nodes"], asked["per_node"])
        asked.setdefault("tasks", asked.get("nodes", "1"))
    elif "tasks" not in asked:
        if "per_node" in asked and nodes:
            asked["tasks"] = _times(nodes, asked["per_node"])
        else:
            asked["tasks"] = str(job.tasks)
    fits = (_number(asked["tasks"]) or 0) <= job.tasks
    if spread and fits and "cpus" not in asked and job.cpus_per_task > 1 and launch.launcher in (*MPI, "srun"):
        # srun(1), --cpus-per-task: the job's is not inherited; without one a step is not --exact and has all CPUs
        asked["cpus"] = str(job.cpus_per_task)
        differs.append(f"{launch.launcher} may use all CPUs of the job without -c; flux run is told those of the job")
    least = asked.get("nodes", "").partition("-")
    if least[1]:
        asked["nodes"] = least[0]
        differs.append("the least number of nodes is taken")
    if spread:
        _spread(asked, differs)


def _times(one: str, two: str) -> str:
    first, second = _number(one), _number(two)
    if first is not None and second is not None:
        return str(first * second)
    if one == "1" or two == "1":
        return two if one == "1" else one
    if not _COUNT.match(one) or not _COUNT.match(two):
        raise NotUnderstood(f"the product of {one[:40]} and {two[:40]}")
    return '"$(({} * {}))"'.format(one.strip('"'), two.strip('"'))


def _spread(asked: dict[str, str], differs: list[str]) -> None:
    """Say tasks per node as a number of nodes, and never more nodes than tasks."""
    each, tasks = asked.pop("per_node", None), _number(asked["tasks"])
    if each is not None and "nodes" not in asked:
        if tasks is not None and (count := _number(each)):
            asked["nodes"] = str(-(-tasks // count))
        elif _COUNT.match(each) and _COUNT.match(asked["tasks"]):
            total, bare = asked["tasks"].strip('"'), each.strip('"')
            asked["nodes"] = f'"$((({total} + {bare} - 1) / {bare}))"'
        else:
            differs.append(f"{each[:40]} tasks per node is not said")
    nodes = _number(asked.get("nodes"))
    if tasks is not None and nodes is not None and nodes > tasks > 0:
        asked["nodes"] = str(tasks)
    if asked.get("nodes") == "1" and asked["tasks"] == "1":
        del asked["nodes"]
    if asked.get("cpus") == "1":
        del asked["cpus"]


def _flux_gpus(asked: dict[str, str], job: Job, differs: list[str]) -> None:
    """A step of Slurm has the GPUs of its job; flux run gives a task only those of -g."""
    tasks = _number(asked["tasks"])
    nodes = _number(asked.get("nodes")) or 1
    total: int | None = None
    shared = asked.pop("gpus_shared", None)
    per_node, said = asked.pop("gpus_per_node", None), asked.pop("gpus", None)
    if asked.get("gpus_per_task") == "0":
        del asked["gpus_per_task"]
        return
    if "gpus_per_task" in asked:
        return
    if per_node is not None:
        count = _number(per_node.rpartition(":")[2])
        total = count * nodes if count is not None else None
    elif said is not None:
        total = _number(said.rpartition(":")[2])
    elif shared is None:
        if not job.gpus:
            return
        gpus = job.gpus[0]
        if gpus.per == "task":
            asked["gpus_per_task"] = str(gpus.count)
            return
        total = gpus.count * nodes if gpus.per == "node" else gpus.count
    if total == 0:
        return
    if total and tasks and total % tasks == 0:
        asked["gpus_per_task"] = str(total // tasks)
    else:
        asked["gpu_affinity"] = ""
        differs.append("the GPUs are not divided among the tasks: they see those of the job")


def _flux_spelling(asked: dict[str, str], differs: list[str]) -> None:
    """Values that flux-run(1) writes in another way."""
    for stream in ("output", "error", "input"):
        value = asked.get(stream, "")
        if "%" in value:
            plain = value.replace("%t", "{{taskid}}").replace("%j", "{{id}}")
            if "%" in plain or stream == "input":
                differs.append(f"{stream} {asked.pop(stream)[:80]} has no equal")
            else:
                asked[stream] = plain
                differs.append(f"{stream}: {{{{id}}}} is the id of the launch")
        elif stream == "input" and value in ("none", "all"):
            del asked[stream]
    if "time" in asked:
        seconds = _seconds(asked.pop("time"))
        if seconds:
            asked["time"] = str(seconds)
        else:
            differs.append("the time limit is not said")
    if "hosts" in asked and not _HOSTS.match(asked["hosts"]):
        differs.append(f"host list {asked.pop('hosts')[:60]}")
    if "binding" in asked:
        kind = asked.pop("binding").rpartition(",")[2].lower()
        if kind in ("none", "no", "off"):
            asked["binding"] = "off"
        elif kind in ("cores", "core", "threads", "rank", "cpu", "depth", "packed", "sockets", "socket", "ldoms"):
            asked["binding"] = "per-task"
        elif kind not in ("quiet", "verbose", "v", "q"):
            differs.append(f"binding {kind[:40]} is not said")
    if "gpu_affinity" in asked:
        del asked["gpu_affinity"]
        asked["binding"] = asked.get("binding", "on") + " -o gpu-affinity=off"


_TIME = re.compile(r"(?:([0-9]{1,4})-)?([0-9]{1,6})(?::([0-9]{1,2}))?(?::([0-9]{1,2}))?\Z")


def _seconds(text: str) -> int | None:
    """A time of Slurm (srun(1), --time), in seconds."""
    match = _TIME.match(text)
    if not match:
        return None
    days, first, second, third = (int(one) if one else None for one in match.groups())
    if days is not None:
        return days * 86400 + (first or 0) * 3600 + (second or 0) * 60 + (third or 0)
    if third is not None:
        return (first or 0) * 3600 + (second or 0) * 60 + third
    return (first or 0) * 60 + (second or 0)
