"""The options of Cobalt's qsub, as data. Source: qsub(1) of Cobalt 1.0.33."""

from __future__ import annotations

FLAG, VALUE = "flag", "value"

# long name -> (short letter, what it takes)
OPTIONS: dict[str, tuple[str, str]] = {
    "attrs": ("", VALUE),
    "cwd": ("", VALUE),
    "debug": ("d", FLAG),
    "debuglog": ("", VALUE),
    "dependencies": ("", VALUE),
    "disable_preboot": ("", FLAG),
    "env": ("", VALUE),
    "error": ("e", VALUE),
    "geometry": ("", VALUE),
    "held": ("h", FLAG),
    "help": ("", FLAG),
    "inputfile": ("i", VALUE),
    "interactive": ("I", FLAG),
    "ion_kernel": ("", VALUE),
    "ion_kerneloptions": ("", VALUE),
    "jobname": ("", VALUE),
    "kernel": ("", VALUE),
    "kerneloptions": ("K", VALUE),
    "mode": ("", VALUE),
    "nodecount": ("n", VALUE),
    "notify": ("M", VALUE),
    "output": ("o", VALUE),
    "outputprefix": ("O", VALUE),
    "preemptable": ("", FLAG),
    "proccount": ("", VALUE),
    "project": ("A", VALUE),
    "queue": ("q", VALUE),
    "run_project": ("", FLAG),
    "run_users": ("", VALUE),
    "time": ("t", VALUE),
    "umask": ("u", VALUE),
    "user_list": ("", VALUE),
    "verbose": ("v", FLAG),
    "version": ("", FLAG),
}
SHORT = {short: name for name, (short, _) in OPTIONS.items() if short}
# The field that a text goes to as it stands.
PLAIN = {
    "cwd": "workdir",
    "inputfile": "input",
    "jobname": "name",
    "project": "account",
    "queue": "queue",
}
