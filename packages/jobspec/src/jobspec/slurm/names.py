"""Options whose values are words that sbatch knows. Each raises ValueError for any other; sbatch(1) lists them."""

from __future__ import annotations

import re

from resources.units import shown

_ACCOUNTED = re.compile(r"(?:(?:task|energy|network|filesystem)=)?[0-9]{1,9}", re.IGNORECASE | re.ASCII)
_FREQUENCY = r"(?:[0-9]{1,9}|low|medium|high|highm1|high1)"
_GOVERNOR = r"(?:ondemand|performance|userspace)"  # those that slurm.conf(5), CpuFreqGovernors, allows by itself
_CPU_FREQ = re.compile(rf"(?:{_FREQUENCY}(?:-{_FREQUENCY}(?::{_GOVERNOR})?)?|{_GOVERNOR})", re.IGNORECASE | re.ASCII)
_GPU_FREQ = re.compile(r"(?:[0-9]{1,9}|low|medium|high|highm1)?", re.ASCII)
_NUMBERS = r"[0-9a-fA-Fx,*]{1,10000}"
_GPU_BIND = re.compile(
    rf"(?:verbose,|v,)?(?:closest|none|single:[0-9]{{1,9}}|per_task:[0-9]{{1,9}}|map_gpu:{_NUMBERS}|mask_gpu:{_NUMBERS})",
    re.IGNORECASE | re.ASCII,
)
_MEM_BIND = re.compile(rf"none|no|rank|local|prefer|p|sort|(?:map_mem|mask_mem):{_NUMBERS}", re.IGNORECASE | re.ASCII)
_LIMITS = frozenset(["ALL", "NONE", "CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE", "MEMLOCK", "AS"])
_USER_ENVIRONMENT = re.compile(r"[0-9]{0,9}[SLsl]?", re.ASCII)
_PROFILES = frozenset(("none", "energy", "task", "lustre", "network", "all"))
_IDENTITY = re.compile(r"[A-Za-z0-9_.$-]{1,64}", re.ASCII)


def _one(text: str, known: frozenset[str], what: str) -> str:
    if text.lower() not in known:
        raise ValueError(f"{shown(text)} is none of {what}")
    return text


def acctg_freq(text: str) -> str:
    """Seconds, or KIND=SECONDS."""
    if text and not all(_ACCOUNTED.fullmatch(part) for part in text.split(",")):
        raise ValueError(f"{shown(text)} is no [KIND=]SECONDS")
    return text


def cpu_freq(text: str) -> str:
    """A frequency, a range of them with a governor, or a governor."""
    if not _CPU_FREQ.fullmatch(text):
        raise ValueError(f"{shown(text)} is no frequency")
    return text


def gpu_freq(text: str) -> str:
    """A frequency, and that of the memory."""
    for part in text.split(","):
        if part != "verbose" and not _GPU_FREQ.fullmatch(part.removeprefix("memory=")):
            raise ValueError(f"{shown(text)} is no frequency")
    return text


def gpu_bind(text: str) -> str:
    """How tasks are bound to GPUs."""
    if not _GPU_BIND.fullmatch(text.removeprefix("gpu:")):
        raise ValueError(f"{shown(text)} binds no GPUs")
    return text


def mem_bind(text: str) -> str:
    """How tasks are bound to memory."""
    for part in text.split(",") if ":" not in text else [text]:
        if part.lower() not in {"q", "quiet", "v", "verbose"} and not _MEM_BIND.fullmatch(part):
            raise ValueError(f"{shown(text)} binds no memory")
    return text


_TASK_LAYOUTS = frozenset(("block", "cyclic", "*", "arbitrary"))
_CORE_LAYOUTS = frozenset(("block", "cyclic", "fcyclic", "*"))


def distribution(text: str) -> str:
    """`block|cyclic|*[:block|cyclic|fcyclic|*[:...]][,Pack|NoPack]`, or plane=SIZE."""
    lower = text.lower()
    if lower.startswith("plane="):
        if not re.fullmatch("[0-9]{1,9}", lower[6:]) or not int(lower[6:]):
            raise ValueError(f"{shown(text)} has no size")
        return text
    layout, *options = lower.removesuffix(",").split(",")
    first, *cores = layout.removesuffix(":").split(":")
    fits = first in _TASK_LAYOUTS and len(cores) < 3 and all(core in _CORE_LAYOUTS for core in cores)
    if (
        not fits
        or len(options) > 1
        or not all(option in {"pack", "nopack"} for option in options)
        or (first == "arbitrary" and cores)
    ):
        raise ValueError(f"{shown(text)} is no distribution of tasks")
    return text


def exclusive(text: str) -> str:
    """Nothing, or with whom the nodes are not shared."""
    return _one(text, frozenset(("", "exclusive", "user", "mcs", "oversubscribe")), "exclusive, user, mcs")


def get_user_env(text: str) -> str:
    """`[SECONDS][S|L]`."""
    if not _USER_ENVIRONMENT.fullmatch(text):
        raise ValueError(f"{shown(text)} is no [SECONDS][S|L]")
    return text


def gres_flags(text: str) -> str:
    """One flag."""
    return _one(text, frozenset(("disable-binding", "enforce-binding")), "disable-binding, enforce-binding")


def identity(text: str) -> str:
    """A user or group, by name or number."""
    if not _IDENTITY.fullmatch(text):
        raise ValueError(f"{shown(text)} is no name")
    return text


def no_kill(text: str) -> str:
    """Nothing, or off."""
    return _one(text, frozenset(("", "off", "no", "set")), "off")


def open_mode(text: str) -> str:
    """append or truncate: the first letter counts."""
    if text[:1].lower() not in {"a", "t"}:
        raise ValueError(f"{shown(text)} is neither append nor truncate")
    return "append" if text[0] in "aA" else "truncate"


def priority(text: str) -> str:
    """A number from 0 up, or TOP."""
    number = re.match(r"[ \t]{0,9}[+-]?[0-9]{1,20}", text)
    if number and not 0 <= int(number[0]) < 2**32 - 2:
        raise ValueError(f"{shown(text)} is out of range")
    return text


def profile(text: str) -> str:
    """What is recorded of each task."""
    if not any(part.lower() in _PROFILES for part in text.split(",")):
        raise ValueError(f"{shown(text)} is none of all, none, energy, task, lustre, network")
    return text


def propagate(text: str) -> str:
    """The limits that the job inherits."""
    for part in text.upper().removeprefix("RLIMIT_").split(",") if text else ():
        if part.removeprefix("RLIMIT_") not in _LIMITS:
            raise ValueError(f"{shown(text)}: no limit is named {shown(part)}")
    return text


def submit_file(text: str) -> str:
    """A file that sbatch reads when the script is submitted."""
    raise ValueError(f"{shown(text)} is a file that is read where the script is submitted, and is not there")


def wait_all_nodes(text: str) -> str:
    """0 or 1."""
    if not re.fullmatch(r"[ \t]{0,9}\+?0{0,9}[01]?", text):
        raise ValueError(f"{shown(text)} is neither 0 nor 1")
    return text


def yes_or_no(text: str) -> str:
    """yes or no."""
    return _one(text, frozenset(("yes", "no")), "yes, no")
