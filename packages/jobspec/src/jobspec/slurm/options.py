"""The options that sbatch 22.05 takes in a script, as data. Names, short letters and what they take: sbatch(1)."""

from __future__ import annotations

from dataclasses import dataclass

FLAG, VALUE, OPTIONAL = "flag", "value", "optional"


@dataclass(frozen=True, slots=True)
class Option:
    """`field` is the field of `Asked` that its value goes to, "" where it is no amount.

    `why` is why a request can't say it, "" where it says nothing about resources.
    """

    name: str
    short: str
    takes: str
    field: str = ""
    why: str = ""


# long name, short letter, field
_AMOUNTS = (
    ("cores-per-socket", "", "cores_per_socket"),
    ("cpus-per-gpu", "", "cpus_per_gpu"),
    ("cpus-per-task", "c", "cpus_per_task"),
    ("gpus", "G", "gpus"),
    ("gpus-per-node", "", "gpus_per_node"),
    ("gpus-per-socket", "", "gpus_per_socket"),
    ("gpus-per-task", "", "gpus_per_task"),
    ("gres", "", "gres"),
    ("job-name", "J", "name"),
    ("licenses", "L", "licenses"),
    ("mem", "", "mem"),
    ("mem-per-cpu", "", "mem_per_cpu"),
    ("mem-per-gpu", "", "mem_per_gpu"),
    ("nodelist", "w", "nodelist"),
    ("nodes", "N", "nodes"),
    ("ntasks", "n", "ntasks"),
    ("ntasks-per-gpu", "", "ntasks_per_gpu"),
    ("ntasks-per-node", "", "ntasks_per_node"),
    ("sockets-per-node", "", "sockets_per_node"),
    ("tasks-per-node", "", "ntasks_per_node"),
    ("threads-per-core", "", "threads_per_core"),
    ("time", "t", "time"),
    ("tmp", "", "tmp"),
)
# long name, short letter, what it takes, why a request can't say it
_PLACEMENT = (
    ("array", "a", VALUE, "the request is that of one element of the array"),
    ("batch", "", VALUE, "a request names no features"),
    ("bb", "", VALUE, "a request holds no burst buffer"),
    ("bbf", "", VALUE, "a request holds no burst buffer"),
    ("begin", "b", VALUE, "a request has no start time"),
    ("cluster", "", VALUE, "a request names no cluster"),
    ("cluster-constraint", "", VALUE, "a request names no cluster"),
    ("clusters", "M", VALUE, "a request names no cluster"),
    ("constraint", "C", VALUE, "a request names no features"),
    ("contiguous", "", FLAG, "a request says nothing about neighbouring nodes"),
    ("core-spec", "S", VALUE, "a request reserves no cores for the system"),
    ("cpu-freq", "", VALUE, "a request sets no frequency"),
    ("deadline", "", VALUE, "a request has no deadline"),
    ("dependency", "d", VALUE, "a request waits for no other job"),
    ("distribution", "m", VALUE, "a request spreads tasks evenly"),
    ("exclude", "x", VALUE, "a request names no hosts"),
    ("extra-node-info", "B", VALUE, "a request knows no sockets"),
    ("gpu-freq", "", VALUE, "a request sets no frequency"),
    ("gres-flags", "", VALUE, "a request binds no GPUs"),
    ("hint", "", VALUE, "a request leaves hardware threads to the site"),
    ("mincpus", "", VALUE, "a request has no least size of node"),
    ("network", "", VALUE, "a request names no network"),
    ("nodefile", "F", VALUE, "a request names no hosts"),
    ("ntasks-per-core", "", VALUE, "a request leaves hardware threads to the site"),
    ("ntasks-per-socket", "", VALUE, "a request knows no sockets"),
    ("overcommit", "O", FLAG, "a request does not share cores between tasks"),
    ("oversubscribe", "s", FLAG, "a request does not share cores between jobs"),
    ("partition", "p", VALUE, "a request names no queue"),
    ("prefer", "", VALUE, "a request names no features"),
    ("qos", "q", VALUE, "a request names no quality of service"),
    ("reservation", "", VALUE, "a request names no reservation"),
    ("spread-job", "", FLAG, "a request spreads tasks evenly"),
    ("switches", "", VALUE, "a request says nothing about neighbouring nodes"),
    ("thread-spec", "", VALUE, "a request reserves no threads for the system"),
    ("time-min", "", VALUE, "a request has one walltime"),
    ("use-min-nodes", "", FLAG, "a request has one number of nodes"),
)
# These say nothing about resources.
_OTHER = {
    VALUE: (
        "account:A acctg-freq chdir:D comment container delay-boot error:e export export-file gid gpu-bind input:i"
        " kill-on-invalid-dep mail-type mail-user mcs-label mem-bind open-mode output:o power priority profile signal"
        " uid umask wait-all-nodes wckey wrap"
    ),
    OPTIONAL: "get-user-env nice no-kill:k propagate",
    FLAG: (
        "help:h hold:H ignore-pbs no-requeue parsable quiet:Q reboot requeue test-only usage verbose:v version:V wait:W"
    ),
}

OPTIONS: tuple[Option, ...] = (
    *(Option(name, short, VALUE, field) for name, short, field in _AMOUNTS),
    Option("exclusive", "", OPTIONAL, "exclusive", "a request can't ask for whole nodes, only for amounts"),
    *(Option(name, short, takes, why=why) for name, short, takes, why in _PLACEMENT),
    *(
        Option(name, short, takes)
        for takes, names in _OTHER.items()
        for name, _, short in (entry.partition(":") for entry in names.split())
    ),
)
LONG = {option.name: option for option in OPTIONS}
SHORT = {option.short: option for option in OPTIONS if option.short}
