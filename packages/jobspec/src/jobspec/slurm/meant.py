"""What the author of a refused directive probably meant."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

TEMPLATE = "a template: fill it in first"
_TEMPLATE = re.compile(
    r"\{\{|\{[A-Za-z_%]|@@?[A-Za-z_]|\$[A-Za-z_{(]|<[^<>]{1,60}>|%%[A-Za-z_]|%\(|__[A-Za-z]|^[Xx]{1,9}$|\?\?"
)
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
# What people write, and what sbatch calls it.
_NAMES = {
    "workdir": "chdir",
    "walltime": "time",
    "wall": "time",
    "name": "job-name",
    "jobname": "job-name",
    "email": "mail-user",
    "mail": "mail-type and --mail-user",
    "queue": "partition",
    "project": "account",
    "ppn": "ntasks-per-node",
    "procs-per-node": "ntasks-per-node",
    "task-per-node": "ntasks-per-node",
    "ntask-per-node": "ntasks-per-node",
    "ncpus": "cpus-per-task",
    "cpu-per-task": "cpus-per-task",
    "cpus-per-node": "mincpus",
    "mem-per-node": "mem",
    "memory": "mem",
    "share": "oversubscribe",
    "shared": "oversubscribe",
    "log": "output",
    "stdout": "output",
    "stderr": "error",
}
_LETTERS = {"P": "-p (--partition)", "R": "-C (--constraint)", "l": "--time, --nodes, --mem", "j": "-J (--job-name)"}
_SRUN = {"mpi", "pty", "cpu-bind", "overlap", "exact", "label", "x11", "kill-on-bad-exit", "multi-prog", "jobid"}


def template(text: str) -> bool:
    """Whether there is a place in the text that something should have been put in."""
    return bool(_TEMPLATE.search(text))


def option(name: str, known: Iterable[str]) -> str:
    """For an option that there is not."""
    if template(name):
        return TEMPLATE
    plain = name.lower().replace("_", "-")
    if plain in _SRUN:
        return f"--{plain} is an option of srun"
    best = _NAMES.get(plain)
    if best is None:
        names = list(known)
        best = plain if plain in names else next(iter(get_close_matches(plain, names, 1, 0.75)), "")
    return f"did you mean --{best}?" if best else "a plug-in of the site? the profile can name its options"


def letter(word: str, letter: str, known: Iterable[str]) -> str:
    """For a short option that there is not."""
    name = word[1:].partition("=")[0].replace("_", "-")
    if len(name) > 2 and (name in known or name in _NAMES):
        return f"did you mean --{_NAMES.get(name, name)}? long options start with two dashes"
    return f"did you mean {_LETTERS[letter]}?" if letter in _LETTERS else ""


def stray(text: str) -> str:
    """For a word that is no option."""
    if any(dash in text[:2] for dash in _DASHES):
        return "an en dash or its like stands where a hyphen should"
    if template(text):
        return TEMPLATE
    if text[0] == "=":
        return "no blanks may stand around '='"
    return "a comment starts with '#'; a value with blanks needs quotes"


def value(name: str, text: str, source: str) -> str:
    """For a value that is not understood."""
    if template(text):
        return TEMPLATE
    if not source.startswith("--"):
        if text.startswith("="):
            return f"a short option takes its value without '=': {source[:2]} {text[1:60]}"
        long = source[1:].partition("=")[0].partition(" ")[0]
        if len(long) > 3 and long.isalpha():
            return "long options start with two dashes"
    if text.startswith("-") and len(text) > 2:
        return f"--{name} has no value, and took the next option for it"
    if text in {"", "="}:
        return "no blanks may stand around '='"
    if name.startswith("mem") or name == "tmp":
        unit = re.fullmatch(r"([0-9]{1,12})\s?([kmgt])ib", text, re.IGNORECASE)
        if unit:
            return f"--{name}={unit[1]}{unit[2].upper()}"
        if re.fullmatch(r"[0-9]{1,9}\.[0-9]{1,9}[gt]b?", text, re.IGNORECASE):
            number, scale = float(text.rstrip("GgTtBb")), 1024 if "g" in text.lower() else 1024**2
            return f"--{name}={round(number * scale)}M"
    if name.startswith("time"):
        unit = re.fullmatch(r"([0-9]{1,6})\s?(s|m|min|h|hours?|d|days?)", text, re.IGNORECASE)
        if unit:
            number, kind = int(unit[1]), unit[2][0].lower()
            return {"s": f"--{name}=0:{number}", "m": f"--{name}={number}", "h": f"--{name}={number}:00:00"}.get(
                kind, f"--{name}={number}-0"
            )
        if text.count(":") == 3:
            return "days stand before a dash: D-HH:MM:SS"
    if text != text.strip():
        return "no blanks around the value"
    return ""
