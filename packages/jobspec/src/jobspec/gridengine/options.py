"""The options of qsub that a script may have, as data: qsub(1) of Grid Engine 8.1.9."""

from __future__ import annotations

FLAGS = frozenset(("V", "clear", "cwd", "h", "hard", "notify", "soft", "terse", "verify"))
YES_NO = frozenset(("R", "b", "j", "now", "pty", "r", "shell", "sync"))
# One argument each; -pe takes two and -binding one or two.
_VALUES = "@ A C M N P S a ac ar c ckpt dc dl e hold_jid hold_jid_ad i js jsv l m masterq o p q sc t tc u v w wd"
VALUES = frozenset(_VALUES.split())
# These add up; of the others the last one counts.
_ADDING = "V ac dc hold_jid hold_jid_ad l m masterq q sc v"
ADDING = frozenset(_ADDING.split())
SAME = {"wd": "cwd"}
# Options of qrsh, qsh and qalter, and one that qsub takes on its command line only.
_ELSEWHERE = "help inherit display verbose noshell nostdin ot cell"
ELSEWHERE = frozenset(_ELSEWHERE.split())
INERT = {
    "@": "the options of another file are not read",
    "C": "qsub ignores it in a script",
    "b": "it says how qsub takes its command",
    "clear": "it drops what stands before it",
    "hard": "it says how to take what follows on its line",
    "jsv": "it checks the job on submission",
    "pty": "it concerns the terminal",
    "shell": "it has no effect on a script",
    "soft": "it says how to take what follows on its line",
    "sync": "it says how long qsub waits",
    "terse": "it says what qsub prints",
    "u": "it is qalter's",
    "verify": "qsub only prints the job, and submits nothing",
    "w": "it says how qsub checks the job",
}
NATIVE = {
    "ac": "context",
    "c": "checkpoint occasions",
    "ckpt": "a checkpointing environment",
    "dc": "context",
    "dl": "the time of the top priority",
    "js": "job share",
    "masterq": "the queue of the first host",
    "sc": "context",
}

# sge_types(5) "name", and what qmaster refuses beside that
NOT_IN_NAMES = "/:@\\*?"
RESERVED = frozenset(("none", "all", "template"))

# Parallel environments whose names say that their slots are on one host.
ONE_HOST = (
    "smp", "openmp", "omp", "shm", "thread", "pthread", "multithread", "multi_thread", "multicore", "shared",
    "single", "onehost", "one_host", "onenode", "one_node",
)  # fmt: skip

# The default complex (complex(5), qconf -sc): types of what may be requested, and its shortcuts.
TIME, MEMORY, INT, DOUBLE, BOOL, STRING = "time", "memory", "integer", "double", "boolean", "string"
TYPES = {
    **dict.fromkeys(("h_rt", "s_rt", "h_cpu", "s_cpu"), TIME),
    **dict.fromkeys(
        (
            "h_core", "s_core", "h_data", "s_data", "h_fsize", "s_fsize", "h_rss", "s_rss", "h_stack", "s_stack",
            "h_vmem", "s_vmem", "mem_free", "mem_total", "mem_used", "swap_free", "swap_rate", "swap_rsvd",
            "swap_total", "swap_used", "virtual_free", "virtual_total", "virtual_used",
        ),
        MEMORY,
    ),
    **dict.fromkeys(("m_core", "m_socket", "m_thread", "num_proc"), INT),
    "cpu": DOUBLE,
    "display_win_gui": BOOL,
    **dict.fromkeys(("arch", "calendar", "hostname", "m_topology", "m_topology_inuse", "qname"), STRING),
}  # fmt: skip
SHORTCUTS = {
    "a": "arch", "c": "calendar", "core": "m_core", "dwg": "display_win_gui", "h": "hostname", "mf": "mem_free",
    "mt": "mem_total", "mu": "mem_used", "p": "num_proc", "q": "qname", "s": "slots", "sf": "swap_free",
    "socket": "m_socket", "st": "swap_total", "su": "swap_used", "thread": "m_thread", "topo": "m_topology",
    "utopo": "m_topology_inuse", "vf": "virtual_free", "vt": "virtual_total", "vu": "virtual_used",
}  # fmt: skip
_NOT_REQUESTABLE = (
    "load_avg la load_long ll load_medium lm load_short ls min_cpu_interval mci np_load_avg nla np_load_long nll"
    " np_load_medium nlm np_load_short nls rerun re seq_no seq tmpdir tmp"
)
NOT_REQUESTABLE = frozenset(_NOT_REQUESTABLE.split())

# What sites call resources of a kind; the first name is the one that is written.
MEMORY_NAMES = (
    "h_vmem", "s_vmem", "mem_free", "virtual_free", "h_rss", "s_rss", "mem", "memory", "h_mem", "mem_req",
    "mem_requested", "mem_per_slot", "tmem", "rmem", "ram", "mem_total",
)  # fmt: skip
GPU_NAMES = ("gpu", "gpus", "ngpus", "GPU", "num_gpu", "gpu_count", "gpu_card", "nvidia_gpu", "cuda")
GPU_TYPE_NAMES = ("gpu_type", "gpu_model", "gputype", "gpu_name")
EXCLUSIVE_NAMES = ("exclusive", "excl", "exclusive_host")
ROLES = {
    **dict.fromkeys(MEMORY_NAMES, "memory"),
    **dict.fromkeys(GPU_NAMES, "gpus"),
    **dict.fromkeys(GPU_TYPE_NAMES, "gpu type"),
    **dict.fromkeys(EXCLUSIVE_NAMES, "exclusive"),
    "h_rt": "walltime_s",
    "s_rt": "signal",
    "hostname": "hosts",
    "qname": "queue",
}
MAIL = {"b": "BEGIN", "e": "END", "a": "FAIL"}  # "s" sends none so far: qsub(1) -m
