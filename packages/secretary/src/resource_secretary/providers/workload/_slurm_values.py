"""The odd strings of Slurm as values: states, times, amounts, generic resources. Data first, then what reads it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

from resource_secretary.reading import possible

# sinfo(1), "NODE STATE CODES": long names, short ones, and the signs of flags that follow a state.
_UP = {"IDLE", "ALLOCATED", "ALLOC", "MIXED", "MIX", "COMPLETING", "COMP", "PLANNED", "PLND", "CLOUD", "DYNAMIC_NORM"}
_DOWN = {"DOWN", "ERROR", "FAIL", "FAILING", "FAILG", "NOT_RESPONDING", "NO_RESPOND", "INVAL", "INVALID_REG"}
_DOWN |= {"POWERED_DOWN", "POW_DN", "POWER_DOWN", "POWERING_DOWN", "POWER_UP", "POWERING_UP", "POW_UP"}
_DOWN |= {"REBOOT_ISSUED"}
_DRAINED = {"DRAIN", "DRAINED", "DRAINING", "DRNG", "MAINT", "MAINTENANCE", "RESERVED", "RESV", "REBOOT", "BOOT"}
_DRAINED |= {"REBOOT_REQUESTED", "BLOCKED", "NPC", "PERFCTRS"}
_SIGNS = {
    **dict.fromkeys("*", "NOT_RESPONDING"),
    **dict.fromkeys("~#", "POWERED_DOWN"),
    **dict.fromkeys("!%", "POWERING_DOWN"),
    "$": "MAINTENANCE",
    "@": "REBOOT_REQUESTED",
    "^": "REBOOT_ISSUED",
    "-": "PLANNED",
}

# squeue(1), "JOB STATE CODES".
JOB_STATES = {
    "BF": "BOOT_FAIL",
    "CA": "CANCELLED",
    "CD": "COMPLETED",
    "CF": "CONFIGURING",
    "CG": "COMPLETING",
    "DL": "DEADLINE",
    "F": "FAILED",
    "NF": "NODE_FAIL",
    "OOM": "OUT_OF_MEMORY",
    "PD": "PENDING",
    "PR": "PREEMPTED",
    "R": "RUNNING",
    "RD": "RESV_DEL_HOLD",
    "RF": "REQUEUE_FED",
    "RH": "REQUEUE_HOLD",
    "RQ": "REQUEUED",
    "RS": "RESIZING",
    "RV": "REVOKED",
    "S": "SUSPENDED",
    "SE": "SPECIAL_EXIT",
    "SI": "SIGNALING",
    "SO": "STAGE_OUT",
    "ST": "STOPPED",
    "TO": "TIMEOUT",
}
_LONG_STATES = frozenset(JOB_STATES.values())
FINISHED = frozenset(
    {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED"}
    | {"TIMEOUT"}
)

# What stands where a time limit is none, and where there is none to tell; squeue(1), sinfo(1), sacct(1).
_NO_LIMIT = frozenset({"UNLIMITED", "INFINITE"})
_NO_TIME = frozenset({"", "NONE", "N/A", "NOT_SET", "INVALID", "PARTITION_LIMIT", "(NULL)", "UNKNOWN", "-"})
NOTHING = frozenset({"", "(null)", "N/A", "None", "none", "(none)", "Unknown", "n/a", "n/s"})
_CLOCK = re.compile(
    r"(?:([0-9]{1,7})-)?([0-9]{1,7})(?::([0-9]{2}))?(?::([0-9]{2}))?(?:\.[0-9]{1,6})?", re.ASCII
)  # [days-]hours:minutes:seconds, minutes:seconds, days-hours[:minutes], minutes
_STAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}", re.ASCII)
_GRES = re.compile(r"([^,:()\s]+)((?::(?:\(null\)|[^,:()\s]+))*)(\([^()]*\))?(?:,|$)", re.ASCII)
_MEMORY = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)([KMGTP]?)B?([nc]?)", re.ASCII)
_UNITS = {"K": 2**10, "": 2**20, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50}
LONGEST = 10**12  # seconds: 30,000 years


def node_state(raw: str) -> str:
    """What a node's state means for somebody who wants to place a job: up, down, drained, or unknown.

    Long and short names, flags after `+`, signs at the end: `idle*`, `MIXED+DRAIN`, `drng@`, `mixed-`.
    """
    flags = set()
    for word in raw.upper().split("+"):
        while word and word[-1] in _SIGNS:
            flags.add(_SIGNS[word[-1]])
            word = word[:-1]
        flags.add(word)
    for state, names in (("drained", _DRAINED), ("down", _DOWN)):
        if flags & names:
            return state
    return "up" if flags <= _UP else "unknown"


def job_state(raw: str) -> str:
    """The long name of a job's state: `PD` is PENDING, `CANCELLED by 1000` CANCELLED; others as they are."""
    word = raw.strip().upper().partition(" ")[0].rstrip("+")
    return JOB_STATES.get(word, word)


def known_job_state(state: str) -> bool:
    return state in _LONG_STATES


def seconds(text: str) -> int | None:
    """A time limit or an elapsed time; None where it is unlimited (`is_unlimited` tells) or there is none.

    squeue(1), "%l": days-hours:minutes:seconds, where what is zero in front is left out: `4:00` is four minutes,
    and a bare number is minutes (sbatch(1), "--time"). Raises ValueError.
    """
    word = text.strip()
    if word.upper() in _NO_LIMIT or word.upper() in _NO_TIME:
        return None
    match = _CLOCK.fullmatch(word)
    if not match:
        raise ValueError(f"{word[:40]!r} is no time: [days-]hours:minutes:seconds")
    days, first, second, third = match.groups()
    if days is not None:  # days-hours[:minutes[:seconds]]
        parts = (int(days), int(first), int(second or 0), int(third or 0))
    elif third is not None:
        parts = (0, int(first), int(second), int(third))
    elif second is not None:
        parts = (0, 0, int(first), int(second))
    else:
        parts = (0, 0, int(first), 0)
    if (second is not None and int(second) > 59) or (third is not None and int(third) > 59):
        raise ValueError(f"{word[:40]!r} is no time: more than 59 minutes or seconds")
    made = ((parts[0] * 24 + parts[1]) * 60 + parts[2]) * 60 + parts[3]
    if made > LONGEST:
        raise ValueError(f"{word[:40]!r} is no time: it is too long")
    return made


def is_unlimited(text: str) -> bool:
    return text.strip().upper() in _NO_LIMIT


def moment(text: str) -> str | None:
    """A time stamp in this host's time zone as RFC 3339 in UTC; None where there is none. Raises ValueError."""
    word = text.strip()
    if word.upper() in _NO_TIME:
        return None
    stamp = epoch(word)
    return None if stamp is None else utc(stamp)


def epoch(text: str) -> float | None:
    """A time stamp such as 2026-11-21T15:38:02, in this host's time zone, in seconds since the epoch, or None."""
    if not _STAMP.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no time stamp")
    try:
        return datetime.fromisoformat(text).timestamp()  # a naive time is one of this host
    except (OverflowError, OSError):
        return None
    except ValueError:
        raise ValueError(f"{text[:40]!r} is no time stamp") from None


def utc(stamp: float) -> str:
    """Seconds since the epoch as RFC 3339. Raises ValueError for what no calendar holds."""
    try:
        return datetime.fromtimestamp(stamp, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    except (OverflowError, OSError):
        raise ValueError(f"{stamp} is no time") from None


def clock(amount: int) -> str:
    """Seconds as sbatch takes them: days-hours:minutes:seconds."""
    minutes, second = divmod(amount, 60)
    hours, minute = divmod(minutes, 60)
    day, hour = divmod(hours, 24)
    return f"{day}-{hour:02}:{minute:02}:{second:02}"


def memory(text: str) -> tuple[int, str] | None:
    """Bytes, and of what they are an amount: "n" of a node, "c" of a CPU, "" not told. None where there is none.

    `300M`, `62.50G`, `4Gn`, `2Gc`, `1000` (MB); 0 is all of a node's memory (sbatch(1), "--mem"). Raises ValueError.
    """
    if text in NOTHING or text.upper() in _NO_LIMIT:
        return None
    match = _MEMORY.fullmatch(text)
    if not match:
        raise ValueError(f"{text[:40]!r} is no amount of memory")
    made = round(float(match[1]) * _UNITS[match[2]])
    possible(memory=(made,))
    return made, match[3]


def gres(text: str) -> dict[str, int]:
    """The GPUs in a list of generic resources: type ("" where it has none) -> how many. Raises ValueError.

    slurm.conf(5), "Gres": `name[:type]:count`; what `scontrol` adds in parentheses are sockets and indices. A job's
    list (squeue(1), "%b") puts `gres/` or `gres:` in front.
    """
    return dict(_gres(text))


@lru_cache(maxsize=1024)  # most of 10,000 nodes say the same
def _gres(text: str) -> tuple[tuple[str, int], ...]:
    gpus: dict[str, int] = {}
    at = 0
    while at < len(text) and text not in NOTHING:
        match = _GRES.match(text, at)
        if not match:
            raise ValueError(f"{text[at : at + 40]!r} is no generic resource")
        at = match.end()
        name = match[1].removeprefix("gres/")
        parts = [part for part in match[2].split(":") if part]
        if name == "gres" and parts:
            name = parts.pop(0)
        amount = int(parts.pop()) if parts and parts[-1].isdecimal() and len(parts[-1]) < 10 else 1
        kind = parts[0] if parts and parts[0] != "(null)" else ""
        if name == "gpu" and (amount or kind):
            gpus[kind] = gpus.get(kind, 0) + amount
    return tuple(gpus.items())


def tres(text: str) -> dict[str, str]:
    """Trackable resources as they are written: `cpu=4,mem=16G,gres/gpu:a100=2`. Raises ValueError."""
    if text in NOTHING:
        return {}
    found: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if not equals or not name.strip():
            raise ValueError(f"{part[:40]!r} is no trackable resource")
        found[name.strip()] = value.strip()
    return found


def tres_gpus(found: dict[str, str]) -> dict[str, int]:
    """The GPUs of trackable resources by type; the sum without a type counts where no type is told."""
    typed = {name.partition(":")[2]: value for name, value in found.items() if name.startswith("gres/gpu:")}
    if not typed and "gres/gpu" in found:
        typed = {"": found["gres/gpu"]}
    return {
        kind: int(value) for kind, value in typed.items() if value.isascii() and value.isdecimal() and len(value) < 10
    }
