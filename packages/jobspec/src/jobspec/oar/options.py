"""The options that oarsub 2.6.1 takes in a script, as data: oarsub(1), and what it says of the others."""

from __future__ import annotations

TEXT, NUMBER, FLAG = "text", "number", "flag"
# name, its spellings, what it takes; the rest of the line is the value, blanks or none before it
_OPTIONS = (
    ("l", "-l --resource", TEXT),
    ("q", "-q --queue", TEXT),
    ("p", "-p --property", TEXT),
    ("n", "-n --name", TEXT),
    ("project", "--project", TEXT),
    ("O", "-O --stdout", TEXT),
    ("E", "-E --stderr", TEXT),
    ("d", "-d --directory", TEXT),
    ("a", "-a --anterior", NUMBER),
    ("t", "-t --type", TEXT),
    ("array", "--array", NUMBER),
    ("array-param-file", "--array-param-file", TEXT),
    ("notify", "--notify", TEXT),
    ("checkpoint", "--checkpoint", NUMBER),
    ("signal", "--signal", NUMBER),
    ("k", "-k --use-job-key", FLAG),
    ("e", "-e --export-job-key-to-file", TEXT),
    ("i", "-i --import-job-key-from-file", TEXT),
    ("hold", "--hold", FLAG),
)
SPELLINGS = sorted(
    ((spelling, name, takes) for name, spellings, takes in _OPTIONS for spelling in spellings.split()),
    key=lambda one: -len(one[0]),
)
ADDING = frozenset(("l", "a", "t"))
# On the command line of oarsub only.
ELSEWHERE = (
    "-r", "--reservation", "-I", "--interactive", "-C", "--connect", "-S", "--scanscript", "--resubmit", "-h",
    "--help", "-V", "--version", "-v", "-D", "-X", "-Y", "-J", "--import-job-key-inline",
)  # fmt: skip
SHORT = {name: f"-{name}" for name, _, _ in _OPTIONS if len(name) == 1}

NODES = frozenset(("nodes", "host", "network_address", "node"))
CORES = frozenset(("core", "thread", "resource_id"))
GPUS = frozenset(("gpu", "gpunum", "gpudevice", "gpu_num", "gpu_device"))
SOCKETS = frozenset(("cpu", "socket"))
GPU_TYPES = ("gpumodel", "gpu_model", "gputype", "gpu_type")

TAGS = {"RUNNING": "BEGIN", "END": "END", "ERROR": "FAIL"}
SIGNALS = {
    1: "HUP", 2: "INT", 3: "QUIT", 9: "KILL", 10: "USR1", 12: "USR2", 14: "ALRM", 15: "TERM", 18: "CONT", 19: "STOP",
    20: "TSTP", 23: "URG", 24: "XCPU",
}  # fmt: skip
DEFAULT_SIGNAL = 12  # oarsub(1), --signal
