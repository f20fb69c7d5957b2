"""The options that sbatch 22.05 takes in a script, as data. Names, short letters and what they take: sbatch(1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jobspec.slurm import names, texts, times, values

FLAG, VALUE, OPTIONAL = "flag", "value", "optional"


@dataclass(frozen=True, slots=True)
class Option:
    """`key`: options of one key override one another. `read` gives the value or raises ValueError.

    fields: of the Job.
    inert: why sbatch obeys it without effect on the job, "" where it has one.
    """

    name: str
    short: str
    takes: str
    key: str
    fields: tuple[str, ...]
    read: Callable[[str], Any]
    inert: str = ""


# name, short letter, what reads the value, fields of the job; the key is the name unless it is given
_VALUE: tuple[tuple[str, str, Callable[[str], Any], str, str], ...] = (
    ("account", "A", values.words, "account", ""),
    ("acctg-freq", "", names.acctg_freq, "native", ""),
    ("array", "a", texts.array, "array", ""),
    ("batch", "", values.words, "native", ""),
    ("bb", "", values.words, "burst_buffer", ""),
    ("bbf", "", names.submit_file, "burst_buffer", ""),
    ("begin", "b", times.begin, "begin", ""),
    ("chdir", "D", values.words, "workdir", ""),
    ("cluster", "", values.words, "native", "clusters"),
    ("cluster-constraint", "", values.words, "native", ""),
    ("clusters", "M", values.words, "native", "clusters"),
    ("comment", "", values.words, "comment", ""),
    ("constraint", "C", texts.constraint, "constraint", ""),
    ("container", "", values.words, "native", ""),
    ("context", "", values.words, "native", ""),
    ("core-spec", "S", values.core_spec, "native", "core-spec"),
    ("cores-per-socket", "", values.whole, "placement", ""),
    ("cpu-freq", "", names.cpu_freq, "native", ""),
    ("cpus-per-gpu", "", values.whole, "placement", ""),
    ("cpus-per-task", "c", values.whole, "cpus_per_task", ""),
    ("deadline", "", times.deadline, "deadline", ""),
    ("delay-boot", "", values.seconds, "native", ""),
    ("dependency", "d", texts.dependency, "dependency", ""),
    ("distribution", "m", names.distribution, "placement", ""),
    ("error", "e", values.words, "error", ""),
    ("exclude", "x", values.words, "exclude_hosts", ""),
    ("export", "", texts.environment, "environment", ""),
    ("export-file", "", names.submit_file, "native", ""),
    ("extra-node-info", "B", values.node_shape, "placement", ""),
    ("gid", "", names.identity, "native", ""),
    ("gpu-bind", "", names.gpu_bind, "native", ""),
    ("gpu-freq", "", names.gpu_freq, "native", ""),
    ("gpus", "G", values.gpus, "gpus", ""),
    ("gpus-per-node", "", values.gpus, "gpus", ""),
    ("gpus-per-socket", "", values.gpus, "gpus", ""),
    ("gpus-per-task", "", values.gpus, "gpus", ""),
    ("gres", "", values.gres, "gres", ""),
    ("gres-flags", "", names.gres_flags, "native", ""),
    ("hint", "", values.words, "native", ""),
    ("input", "i", values.words, "input", ""),
    ("job-name", "J", values.words, "name", ""),
    ("kill-on-invalid-dep", "", names.yes_or_no, "native", ""),
    ("licenses", "L", values.licenses, "licenses", ""),
    ("mail-type", "", texts.mail_types, "mail", ""),
    ("mail-user", "", values.words, "mail", ""),
    ("mcs-label", "", values.words, "native", ""),
    ("mem", "", values.memory, "memory", ""),
    ("mem-bind", "", names.mem_bind, "native", ""),
    ("mem-per-cpu", "", values.memory, "memory", ""),
    ("mem-per-gpu", "", values.memory, "memory", ""),
    ("mincpus", "", values.whole, "placement", ""),
    ("network", "", values.words, "native", ""),
    ("nodefile", "F", names.submit_file, "hosts", "nodelist"),
    ("nodelist", "w", values.hosts, "hosts", "nodelist"),
    ("nodes", "N", values.nodes, "nodes", ""),
    ("ntasks", "n", values.whole, "tasks", ""),
    ("ntasks-per-core", "", values.whole, "placement", ""),
    ("ntasks-per-gpu", "", values.whole, "placement", ""),
    ("ntasks-per-node", "", values.whole, "tasks_per_node", ""),
    ("ntasks-per-socket", "", values.whole, "placement", ""),
    ("ntasks-per-tres", "", values.whole, "placement", "ntasks-per-gpu"),
    ("open-mode", "", names.open_mode, "open_mode", ""),
    ("output", "o", values.words, "output", ""),
    ("partition", "p", values.words, "queue", ""),
    ("power", "", values.words, "native", ""),
    ("prefer", "", texts.constraint, "native", ""),
    ("priority", "", names.priority, "priority", ""),
    ("profile", "", names.profile, "native", ""),
    ("qos", "q", values.words, "qos", ""),
    ("reservation", "", values.words, "reservation", ""),
    ("signal", "", texts.signal, "signal", ""),
    ("sockets-per-node", "", values.whole, "placement", ""),
    ("switches", "", values.switches, "placement", ""),
    ("tasks-per-node", "", values.whole, "tasks_per_node", "ntasks-per-node"),
    ("thread-spec", "", values.core_spec, "native", "core-spec"),
    ("threads-per-core", "", values.whole, "threads_per_core", ""),
    ("time", "t", values.time, "walltime_s", ""),
    ("time-min", "", values.time, "walltime_min_s", ""),
    ("tmp", "", values.memory, "disk_per_node", ""),
    ("uid", "", names.identity, "native", ""),
    ("wait-all-nodes", "", names.wait_all_nodes, "native", ""),
    ("wckey", "", values.words, "native", ""),
)
_OPTIONAL: tuple[tuple[str, str, Callable[[str], Any], str, str], ...] = (
    ("exclusive", "", names.exclusive, "exclusive", "exclusive"),
    ("get-user-env", "", names.get_user_env, "native", ""),
    ("nice", "", values.nice, "native", ""),
    ("no-kill", "k", names.no_kill, "native", ""),
    ("propagate", "", names.propagate, "native", ""),
)
_FLAG = (
    ("contiguous", "", "placement", ""),
    ("hold", "H", "hold", ""),
    ("no-requeue", "", "requeue", "requeue"),
    ("overcommit", "O", "placement", ""),
    ("oversubscribe", "s", "native", "exclusive"),
    ("reboot", "", "native", ""),
    ("requeue", "", "requeue", "requeue"),
    ("spread-job", "", "placement", ""),
    ("use-min-nodes", "", "placement", ""),
)
_COMMAND_LINE = "has its effect on the command line only"
_ANSWER = "changes what sbatch prints or waits for, not the job"
_INERT = (
    ("help", "h", FLAG, _COMMAND_LINE),
    ("ignore-pbs", "", FLAG, "says that #PBS and #BSUB lines are comments"),
    ("parsable", "", FLAG, _ANSWER),
    ("quiet", "Q", FLAG, _COMMAND_LINE),
    ("test-only", "", FLAG, "sbatch only tests the job, and submits none"),
    ("usage", "", FLAG, _COMMAND_LINE),
    ("verbose", "v", FLAG, _COMMAND_LINE),
    ("version", "V", FLAG, _COMMAND_LINE),
    ("wait", "W", FLAG, _ANSWER),
    ("wrap", "", VALUE, _COMMAND_LINE),
)

OPTIONS: tuple[Option, ...] = (
    *(Option(name, short, VALUE, key or name, (field,), read) for name, short, read, field, key in _VALUE),
    *(Option(name, short, OPTIONAL, key or name, (field,), read) for name, short, read, field, key in _OPTIONAL),
    *(Option(name, short, FLAG, key or name, (field,), values.words) for name, short, field, key in _FLAG),
    *(Option(name, short, takes, name, (), values.words, why) for name, short, takes, why in _INERT),
)
LONG = {option.name: option for option in OPTIONS}
SHORT = {option.short: option for option in OPTIONS if option.short}
