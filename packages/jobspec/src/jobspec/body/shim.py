"""The lines at the top of a script that give the variables of its old system their values on the new one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from jobspec.body.targets import ENVIRONMENT, HERE, NO_ARRAY, NODE_FILE, ONE_ID, ONE_INDEX, OWN_IDS, TARGETS
from jobspec.body.variables import LINE_IS_NODE
from jobspec.job import Job
from jobspec.report import APPROXIMATE, DROPPED, EXACT, Fate

Family = Literal["sh", "csh", "other"]
_CONSTANT = re.compile(r"@(\w{1,40})@")
_ONE_VARIABLE = re.compile(r"\$\{(\w{1,80})-\}\Z")
_RUNS_ON = (
    'BEGIN {k = split(t, a, ","); for (i = 1; i <= k; i++) {r = 1; if (match(a[i], /x[0-9]+/))'
    " r = substr(a[i], RSTART + 1) + 0; while (r-- > 0) m[++n] = a[i] + 0}}"
    " {for (i = 0; i < m[NR] * c; i++) print}"
)


@dataclass(frozen=True, slots=True)
class Provided:
    """How a variable is had: the lines, "" none; what became of it, and what differs."""

    lines: tuple[str, ...]
    fate: Fate
    why: str = ""


def provide(name: str, meaning: str, target: str, source: str, job: Job, family: Family) -> Provided:
    """The lines that give `name`, a variable of the source that means `meaning`, its value on the target."""
    if meaning in ("node_file", "host_slots_file", "gpu_file"):
        return _file(name, meaning, target, source, job, family)
    if meaning == "array_index" and job.array is None:
        return _no_index(name, target, NO_ARRAY.get(source, ""), family)
    value, why = _value(meaning, target, source, job)
    if value is None:
        return Provided((), DROPPED, why)
    fate: Fate = APPROXIMATE if why else EXACT
    return Provided((_export(name, value, family),), fate, why)


def _no_index(name: str, target: str, absent: str, family: Family) -> Provided:
    """The index where the script asks for no array: who submits it may; absent: what the source has without one."""
    value = TARGETS[target].get("array_index", ("", ""))[0]
    if family == "csh" or not value or target == "oar":  # every job of OAR is an array
        why = "only of an array that the script itself asks for" if value else ""
        line = (f"setenv {name} {absent}" if family == "csh" else f'export {name}="{absent}"',)
        return Provided(line if absent else (), APPROXIMATE if why else EXACT, why)
    if target in NO_ARRAY:
        first = f' export {name}="{absent}"' if absent else ""
        line = (f'case "{value}" in ""|{NO_ARRAY[target]}){first} ;; *) export {name}="{value}" ;; esac',)
    elif absent:
        line = (f'export {name}="{value[:-2]}:-{absent}}}"',)
    else:
        line = (f'[ -z "{value}" ] || export {name}="{value}"',)
    return Provided(line, EXACT)


def _export(name: str, value: str, family: Family) -> str:
    one = _ONE_VARIABLE.match(value)
    if family == "csh":
        if one:
            return f'setenv {name} "`printenv {one.group(1)}`"'
        if not value.strip("0123456789"):
            return f"setenv {name} {value}"
        # The text is sh's; csh would take its quotes apart, so the words of what it prints come by a list.
        return f'set jobspec_words = ( `sh -c \'echo "{value}"\'` ); setenv {name} "$jobspec_words"'
    return f'export {name}="{value}"'


def _value(meaning: str, target: str, source: str, job: Job) -> tuple[str | None, str]:
    """The text between double quotes, and what differs; None and why there is none."""
    table = TARGETS[target]
    if meaning.startswith("array_"):
        return _array(meaning, target, job)
    if meaning == "job_id" and job.array and (element := _element_id(source, target)):
        return element
    if meaning == "environment":
        return ENVIRONMENT.get(source, "BATCH"), ""
    if meaning == "init_dir":
        meaning = "submit_dir"
    found = table.get(meaning)
    if meaning == "node_index" and target in ONE_INDEX and job.array is not None:
        found = None  # there the index of a pod is that of the array
    if found is None and meaning in ("hosts_by_slot", "hosts_with_slots", "node_list"):
        return _hosts(meaning, target, job)
    if found is None and (constant := _constant(meaning, job)) is not None:
        return constant, ""
    if found is None:
        found = HERE.get(meaning)
    if found is None:
        return None, _missing(meaning, target)
    value, why = found
    if meaning == "submit_dir" and value == "$PWD" and job.workdir is not None:
        why = "the directory where the job starts"
    lacking: list[str] = []

    def constant_of(match: re.Match[str]) -> str:
        text = _constant(match.group(1), job)
        if text is None:
            lacking.append(match.group(1))
        return text or ""

    return _CONSTANT.sub(constant_of, value), why


def _element_id(source: str, target: str) -> tuple[str, str] | None:
    """The id of an element of an array, where the target's means another thing than the source's."""
    table = TARGETS[target]
    if source not in OWN_IDS:
        return None if target in ONE_ID else table.get("array_job_id")
    if target in ONE_INDEX:
        return "$HOSTNAME", "the name of the pod, which ends with the number of the element"
    if target not in ONE_ID:
        return None
    number, index = table["job_id"][0], table["array_index"][0]
    # a number, as scripts reckon with it
    why = "one number for each element: the id of the array and seven digits for the index"
    return f"$(({number} * 10000000 + {index}))", why


_LABELS = {
    "job_cookie": "a secret of the old system",
    "output_file": "the target does not tell where the output goes",
    "error_file": "the target does not tell where the errors go",
}


def _missing(meaning: str, target: str) -> str:
    return _LABELS.get(
        meaning, f"{target} does not tell it ({meaning.replace('_', ' ')}), and the script does not say it"
    )


def _constant(meaning: str, job: Job) -> str | None:
    """What the script itself asks for, as text for double quotes; None where it does not say."""
    nodes = job.nodes.least if job.nodes else None
    per_node = job.tasks_per_node
    if per_node is None and nodes:
        per_node = -(-job.tasks // nodes)
    gpus = job.gpus[0] if job.gpus else None
    text: str | int | None = None
    match meaning:
        case "tasks":
            text = job.tasks
        case "slots":
            text = job.tasks * job.cpus_per_task
        case "nodes":
            text = nodes
        case "tasks_per_node":
            text = per_node
        case "tasks_on_nodes":
            text = f"{per_node}(x{nodes})" if nodes and per_node and nodes > 1 else per_node or job.tasks
        case "slots_per_node" | "cpus_on_node":
            text = per_node * job.cpus_per_task if per_node else None
        case "cpus_on_nodes" if per_node and nodes:
            text = f"{per_node * job.cpus_per_task}" + (f"(x{nodes})" if nodes > 1 else "")
        case "cpus_per_task":
            text = job.cpus_per_task
        case "gpus" if gpus:
            each = {"job": 1, "node": nodes or 1, "task": job.tasks}[gpus.per]
            text = gpus.count * each
        case "gpus_per_node" | "gpus_on_node" if gpus and gpus.per == "node":
            text = gpus.count
        case "gpus_on_node" if gpus and nodes:
            text = gpus.count * (job.tasks if gpus.per == "task" else 1) // nodes
        case "gpus_per_task" if gpus and gpus.per == "task":
            text = gpus.count
        case "memory_per_node_mb" if job.memory and job.memory.per == "node":
            text = job.memory.bytes >> 20
        case "memory_per_cpu_mb" if job.memory and job.memory.per == "cpu":
            text = job.memory.bytes >> 20
        case "walltime_s" if isinstance(job.walltime_s, int):
            text = job.walltime_s
        case "job_name":
            text = job.name
        case "queue" | "submit_queue":
            text = job.queue
        case "account" | "qos" | "reservation":
            text = getattr(job, meaning)
        case "dependency" if job.dependency:
            text = job.dependency.text
    if text is None:
        return None
    plain = str(text)
    # nothing of a constant may be expanded, or end the line
    if not plain.isprintable() or any(char in plain for char in '"$`\\!'):
        return None
    return plain


def _array(meaning: str, target: str, job: Job) -> tuple[str | None, str]:
    table, array = TARGETS[target], job.array
    if meaning == "array_job_id":
        value, why = table.get(meaning, (None, "no id of the whole array"))
        return value, why
    if meaning == "array_index":
        value, why = table.get(meaning, (None, f"{target} has no job arrays"))
        return value, why
    if array is None or not array.ranges:
        return None, "the script asks for no array"
    ends = [(first, last - (last - first) % max(step, 1)) for first, last, step in array.ranges]
    numbers = {
        "array_first": min(first for first, _ in ends),
        "array_last": max(last for _, last in ends),
        "array_step": array.ranges[0][2],
        "array_count": sum((last - first) // max(step, 1) + 1 for first, last, step in array.ranges),
    }
    return str(numbers[meaning]), ""


def show_hostnames(target: str) -> tuple[str, ...]:
    """A shell function `scontrol` that knows `show hostnames [LIST]`; none where the target names no nodes."""
    hosts = TARGETS[target].get("hosts")
    if hosts is None:
        return ()
    # Flux expands brackets; a list that the script got elsewhere has none.
    listed = 'flux hostlist -e "$3"' if target == "flux" else "printf '%s\\n' \"$3\""
    return (
        "scontrol() {",
        '  case "$1 $2 ${3-}" in',
        f"    'show hostname '|'show hostnames ') {hosts[0][2:-1]} | tr -s ' ' '\\n' ;;",
        *(() if target == "flux" else ('    *\\[*) echo "scontrol: no brackets are known here: $3" >&2; return 1 ;;',)),
        f"    'show hostname '*|'show hostnames '*) {listed} | tr -s ' ,' '\\n' ;;",
        "    *) echo 'scontrol: only show hostnames is known here' >&2; return 1 ;;",
        "  esac",
        "}",
    )


def _hosts(meaning: str, target: str, job: Job) -> tuple[str | None, str]:
    hosts = TARGETS[target].get("hosts")
    if hosts is None:
        return None, f"{target} does not tell the names of the nodes"
    command, why = hosts[0][2:-1], hosts[1]
    nodes = job.nodes.least if job.nodes else 1
    each = max(1, -(-job.tasks * job.cpus_per_task // nodes))
    if meaning == "node_list":
        return f'$({command} | tr -s " " "\\n" | paste -sd, -)', why or "names joined by commas, without brackets"
    if meaning == "hosts_with_slots":
        return f'$({command} | tr -s " " "\\n" | sed "s/\\$/ {each}/" | paste -sd" " -)', why
    listed = f'$({command} | tr -s " " "\\n" | awk "{{for (i = 0; i < {each}; i++) print}}" | paste -sd" " -)'
    return listed, why or ("" if nodes == 1 or job.tasks_per_node else "as if the tasks were spread evenly")


def _file(name: str, meaning: str, target: str, source: str, job: Job, family: Family) -> Provided:
    """A file that names the nodes, made at the start of the script and taken away at its end."""
    if meaning == "gpu_file":
        return Provided((), DROPPED, "no file names the GPUs")
    same = NODE_FILE.get(target)
    by_node = source in LINE_IS_NODE
    if meaning == "node_file" and same and not by_node:
        line = _export(name, f"${{{same}-}}", family)
        return Provided((line,), EXACT)
    hosts = TARGETS[target].get("hosts")
    if hosts is None:
        return Provided((), DROPPED, f"{target} does not tell the names of the nodes")
    if family != "sh":
        return Provided((), DROPPED, "a file of the nodes is made in scripts of sh only")
    nodes = job.nodes.least if job.nodes else 1
    slots = job.cpus_per_task if source != "pbspro" else 1
    each = max(1, -(-job.tasks // nodes)) * slots
    why = hosts[1]
    command = hosts[0][2:-1]
    if meaning == "host_slots_file":
        tail, why = f" | tr -s ' ' '\\n' | sed 's/$/ {each} UNDEFINED UNDEFINED/'", why or "the queue is not named"
    elif by_node:
        tail = " | tr -s ' ' '\\n'"
    elif target == "slurm":
        tail = f" | awk -v t=\"${{SLURM_TASKS_PER_NODE-}}\" -v c={slots} '{_RUNS_ON}'"
    else:
        tail = f" | tr -s ' ' '\\n' | awk '{{for (i = 0; i < {each}; i++) print}}'"
        if nodes > 1 and job.tasks % nodes:
            why = why or "as if the tasks were spread evenly"
    lines = (f'export {name}="$(mktemp)"', f'{command}{tail} > "${name}"', f"trap 'rm -f \"${name}\"' EXIT")
    return Provided(lines, APPROXIMATE if why else EXACT, why)
