"""What the writers of PBS Pro and Torque share: directive lines, and the options that are the same in both."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace

from jobspec.job import UNLIMITED
from jobspec.systems import SYSTEMS
from jobspec.writing import Saying, Script

FAMILY = frozenset({"pbspro", "torque", "moab"})
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PLAIN = re.compile(r"[^\s\"'\\#]+")
_SH = re.compile(r"#!\s*(?:\S*/)?(?:env\s+(?:-\S+\s+)*)?(?:ba|da|k|z|a)?sh\b")
# Options of the one that the other one takes too, with the same meaning.
COMMON = frozenset(
    {"j", "o", "e", "u", "I", "X", "W group_list", "W stagein", "W stageout"}
    | {f"l {name}" for name in ("cput", "pcput", "file", "nice", "software", "pvmem", "pmem")}
)

CANT: tuple[tuple[str, str], ...] = (
    ("comment", "qsub has no option for a comment"),
    ("threads_per_core", "qsub can't ask for a number of hardware threads per core"),
    ("disk_per_node", "there is no built-in resource for local disk"),
    ("burst_buffer", "there are no burst buffers"),
    ("deadline", "qsub has no latest time for the end"),
    ("exclude_hosts", "a request can't name hosts to leave out"),
    ("input", "qsub gives the script no standard input"),
    ("open_mode", "output files are always written anew"),
    ("signal", "qsub has no option for a signal before the end"),
)


def argument(value: str) -> str | None:
    """A value as one word of a directive; None where it can't be one."""
    if CONTROL.search(value) or not value:
        return None
    if _PLAIN.fullmatch(value):
        return value
    for quote in "\"'":
        if quote not in value:
            return f"{quote}{value}{quote}"
    return None


def is_sh(script: Script) -> bool:
    """Whether lines of a Bourne shell may stand at the top of the script."""
    return not script.shebang or _SH.match(script.shebang) is not None


class Lines:
    """The directive lines that are written, and the native options that were said in them."""

    def __init__(self, say: Saying) -> None:
        self.say = say
        self.made: list[str] = []
        # of the same system: the options that have a field, and those that say how it was asked for
        self.native = {one.option: one.value for one in say.job.native if say.same}
        self.used: set[str] = set()

    def add(self, option: str, value: str, field: str = "") -> bool:
        """A line `#PBS -option value`; the field is dropped where the value can't stand there."""
        text = argument(value)
        if text is None:
            if field:
                self.say.drop(field, f"{value[:40]!r} can't stand on a directive line")
            return False
        self.made.append(f"#PBS -{option} {text}")
        return True

    def resource(self, name: str, value: str, field: str = "") -> bool:
        """A line `#PBS -l name=value`; a value that would end there is none."""
        if set(value) & set(",\"'"):
            if field:
                self.say.drop(field, f"{value[:40]!r} can't be the value of a resource")
            return False
        return self.add("l", f"{name}={value}", field)

    def flag(self, option: str) -> None:
        self.made.append(f"#PBS -{option}")

    def marked(self, option: str) -> str | None:
        """How the same system's script asked for it, where it has several ways."""
        if option in self.native:
            self.used.add(option)
        return self.native.get(option)


def hours(seconds: int) -> str:
    """`H:MM:SS`"""
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def walltime(lines: Lines, default: str) -> None:
    say, value = lines.say, lines.say.job.walltime_s
    if value == UNLIMITED:
        say.approximate("walltime_s", f"no walltime is written: {default}")
    elif value is not None:
        lines.resource("walltime", hours(value))
        say.exact("walltime_s")


def size(amount: int) -> str:
    """Bytes in the largest unit that holds them exactly."""
    for unit in ("tb", "gb", "mb", "kb"):
        scale = 1 << {"tb": 40, "gb": 30, "mb": 20, "kb": 10}[unit]
        if amount and amount % scale == 0:
            return f"{amount // scale}{unit}"
    return f"{amount}b"


def natives(lines: Lines) -> None:
    """The options that only this system has, again; those of the sister dialect which this one has too."""
    say, job = lines.say, lines.say.job
    extensions = []
    for one in job.native:
        if not say.same and not _shared(say, one.option, one.value):
            continue
        if one.option in lines.used or one.option == "l select":
            say.carried(one.option)
            continue
        option, _, attribute = one.option.partition(" ")
        if attribute.startswith("x "):
            extensions.append(f"{attribute[2:]}:{one.value}")
            said = True
        elif attribute:
            value = one.value or ""
            if attribute == "umask" and not say.same:
                value = _umask(value, say.target)
            said = lines.add(option, attribute if one.value is None else f"{attribute}={value}")
        elif one.value is None:
            lines.flag(option)
            said = True
        else:
            said = lines.add(option, one.value)
        if said:
            say.carried(one.option)
    if extensions:
        lines.add("W", f"x={';'.join(extensions)}", "native")
    if say.same:
        say.exact("native")
    elif any(one.option not in say.options for one in job.native):
        say.drop("native", f"{say.label} has no such option: it is one of {SYSTEMS[job.system].label} only")


def _shared(say: Saying, option: str, value: str | None) -> bool:
    if say.job.system not in FAMILY or (option == "j" and value != "n") or option in {"o", "e"}:
        return False
    if say.target == "torque" and say.job.system == "moab":
        return option not in {"t", "q", "m", "w"}
    return option in COMMON or option == "W umask" or (option == "k" and "d" not in (value or ""))


def _umask(value: str, target: str) -> str:
    """Torque takes a number without a leading 0 for a decimal one; PBS Pro's are octal."""
    if target == "pbspro":
        return value if value.startswith("0") else f"{int(value):o}".zfill(3)
    return f"0{value.lstrip('0') or '0'}"


def go_to(lines: Lines, script: Script) -> Script:
    """A working directory that no option sets: a `cd` at the top of the script."""
    say, path = lines.say, lines.say.job.workdir
    if path is None:
        return script
    if CONTROL.search(path) or not is_sh(script):
        say.drop("workdir", "qsub has no option for the working directory, and the script is none of a Bourne shell")
        return script
    where = shlex.quote(path) if path.startswith("/") else '"${PBS_O_WORKDIR:-.}"/' + shlex.quote(path)
    say.approximate("workdir", "qsub has no option for it: a cd at the top of the script")
    return replace(script, shim=(f"cd {where} || exit 1", *script.shim))
