"""What the writers of PBS Pro and Torque share: directive lines, and the options that are the same in both."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace

from jobspec import patterns
from jobspec.job import UNLIMITED, Begin, Dependency
from jobspec.pbs.common import HOST, VARIABLE
from jobspec.systems import SYSTEMS
from jobspec.writing import Saying, Script

FAMILY = frozenset({"pbspro", "torque", "moab"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PLAIN = re.compile(r"[^\s\"'\\#]+")
_AT = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d))?)?", re.ASCII)
_CLOCK = re.compile(r"(\d\d?):(\d\d)(?::(\d\d))?", re.ASCII)
_JOB_ID = re.compile(r"\d{1,12}(?:\[\d{0,9}\])?(?:\.[A-Za-z0-9.-]{1,253})?", re.ASCII)
_ARRAY_TASK = re.compile(r"(\d{1,12})_(\d{1,9})", re.ASCII)
_LETTERS = {"BEGIN": "b", "END": "e", "FAIL": "a", "ARRAY_TASKS": "j"}
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
    if _CONTROL.search(value) or not value:
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


def name(lines: Lines, allowed: re.Pattern[str], first: re.Pattern[str], limit: int) -> None:
    """-N; characters that it can't have become `_`."""
    say, value = lines.say, lines.say.job.name
    if value is None:
        return
    if not value:
        say.approximate("name", "an empty name is none: the job is called after its script")
        return
    fitting = allowed.sub("_", value)
    fitting = (fitting if first.match(fitting) else f"J{fitting}")[:limit]
    if fitting == value:
        say.exact("name")
    else:
        say.approximate("name", f"{say.label} allows no such name: it becomes {fitting!r}")
    lines.add("N", fitting, "name")


def who(lines: Lines) -> None:
    """Account, queue, mail and the rest that is said in the same way everywhere."""
    say, job = lines.say, lines.say.job
    account = say.named("account")
    if account:
        project = lines.native.get("P") == job.account and lines.marked("P")
        lines.add("P" if project else "A", account, "account")
    queue, server = say.named("queue"), lines.marked("q") or ""
    if queue and "@" in queue:
        say.drop("queue", "what follows an @ is a server")
    elif queue or server:
        lines.add("q", f"{queue or ''}{server}", "queue")
    if job.hold:
        lines.flag("h")
        say.exact("hold")
    if job.requeue is not None:
        _requeue(lines)
    if job.priority is not None:
        _priority(lines)
    if job.shell is not None and lines.add("S", job.shell, "shell"):
        say.exact("shell")
    _mail(lines)
    if job.begin:
        _begin(lines, job.begin)
    if job.dependency:
        _depend(lines, job.dependency)
    _files(lines)
    _environment(lines)


def _requeue(lines: Lines) -> None:
    say, job = lines.say, lines.say.job
    if job.array and not job.requeue and say.target == "pbspro" and not say.same:
        say.drop("requeue", "job arrays are always rerunnable")
        return
    lines.add("r", "y" if job.requeue else "n")
    say.exact("requeue")


def _priority(lines: Lines) -> None:
    say, text = lines.say, lines.say.job.priority or ""
    if say.job.system in FAMILY:
        lines.add("p", text, "priority")
        say.exact("priority")
    else:
        say.drop("priority", "-p is -1024 to 1023 among the jobs of a user: another scale")


def _mail(lines: Lines) -> None:
    say, mail = lines.say, lines.say.job.mail
    if not mail:
        return
    letters = lines.marked("m")
    if letters is None:
        known = {**_LETTERS, "ARRAY_TASKS": ""} if say.target != "pbspro" else _LETTERS
        letters = "".join(known.get(one, "") for one in mail.types)
        lost = [one for one in mail.types if one not in known and one != "NONE"]
        if letters == "j":
            letters, lost = "", ["ARRAY_TASKS"]
        if say.job.system not in FAMILY and "FAIL" in mail.types:
            if say.target == "torque":
                letters += "f"
            elif "e" not in letters:
                say.approximate(
                    "mail", "-m a is about jobs that the batch system ends, not those that fail by themselves"
                )
        if lost:
            say.approximate("mail", f"-m has no {', '.join(lost)}")
    lines.add("m", "".join(sorted(letters)) or "n")
    if mail.user and not lines.add("M", mail.user, "mail"):
        return
    say.exact("mail")


def _begin(lines: Lines, begin: Begin) -> None:
    say = lines.say
    if say.job.system in FAMILY:
        text: str | None = begin.text
    elif begin.at and (match := _AT.fullmatch(begin.at)):
        year, month, day, hour, minute, second = (part or "00" for part in match.groups())
        text = f"{year}{month}{day}{hour}{minute}" + (f".{second}" if second != "00" else "")
    elif match := _CLOCK.fullmatch(begin.text):
        text = f"{int(match[1]):02d}{match[2]}" + (f".{match[3]}" if match[3] else "")
    else:
        text = None
    if text:
        lines.add("a", text, "begin")
        say.exact("begin")
    else:
        after = f": qsub -a \"$(date -d '+{begin.offset_s} sec' +%Y%m%d%H%M.%S)\"" if begin.offset_s else ""
        say.drop("begin", f"-a takes a time of day, not a time from now{after}")


def _depend(lines: Lines, dependency: Dependency) -> None:
    say = lines.say
    if say.same or (say.job.system in FAMILY and dependency.terms and "array" not in dependency.text):
        if lines.add("W", f"depend={dependency.text}", "dependency"):
            say.exact("dependency")
        return
    if dependency.any or not dependency.terms:
        say.drop("dependency", "-W depend waits for all of what it lists, and for other jobs only")
        return
    terms = []
    for kind, ids in dependency.terms:
        if kind == "aftercorr":
            say.approximate("dependency", "afterok waits for the whole other array, not for its task of the same index")
            kind = "afterok"
        if kind == "singleton":
            say.drop("dependency", "-W depend knows no jobs by name")
            continue
        fitting = [_ARRAY_TASK.sub(r"\1[\2]", one) for one in ids]
        if not ids or any(not _JOB_ID.fullmatch(one) for one in fitting):
            say.drop("dependency", f"{':'.join(ids)[:60]!r} are no ids of PBS jobs")
            continue
        terms.append(":".join((kind, *fitting)))
    if terms and lines.add("W", f"depend={','.join(terms)}", "dependency"):
        say.exact("dependency")


def _files(lines: Lines) -> None:
    """-j, -o, -e."""
    say, job = lines.say, lines.say.job
    into_error = job.join and lines.marked("j") == "eo"
    if job.join:
        lines.add("j", "eo" if into_error else "oe")
        say.exact("join")
    for field, option in (("output", "e" if into_error else "o"), ("error", "e")):
        value = _path(say, field)
        host = lines.marked(option) or "" if field != "error" or not job.join else ""
        if value and not host and HOST.fullmatch(value):
            value = f"./{value}"  # the part before a colon would be a host
        if (value or host) and not (field == "error" and job.join):
            lines.add(option, f"{host}{value or ''}", field)
        elif value:
            say.approximate("error", "-j oe: the error is in the output's file")


def _path(say: Saying, field: str) -> str | None:
    """A path in the target's patterns. What PBS Pro has no pattern for, a name of its own choice makes unique."""
    value: str | None = getattr(say.job, field)
    if not value or say.target != "pbspro" or say.job.system not in patterns.TOKENS:
        return say.path(field)
    tokens = patterns.TOKENS[say.job.system]
    name = say.job.name
    if name and "%%" not in value:
        for token in (token for token, meaning in tokens.items() if meaning == "name"):
            value = value.replace(token, name)
    text, lost = patterns.translate(value, say.job.system, say.target)
    folder, slash, file = value.rpartition("/")
    if not lost:
        say.exact(field)
    elif patterns.translate(file, say.job.system, say.target)[1]:
        if patterns.translate(folder, say.job.system, say.target)[1]:
            folder = slash = ""
        text = folder + slash
        say.approximate(field, f"PBS Pro has nothing for {' '.join(lost)} in a path: it names the file itself")
    else:
        say.approximate(field, f"PBS Pro has nothing for {' '.join(lost)} in a path")
    return text or None


def _environment(lines: Lines) -> None:
    """-V and -v."""
    say, asked = lines.say, lines.say.job.environment
    parts: list[str] = []
    if asked:
        say.exact("environment")
        if asked.all:
            lines.flag("V")
        parts += [one for one in asked.names if VARIABLE.fullmatch(one)]
        if len(parts) < len(asked.names):
            say.drop("environment", "-v takes names of variables only")
        for key, value in asked.values:
            text = _assignment(key, value)
            if text:
                parts.append(text)
            else:
                say.drop("environment", f"the value of {key[:40]} can't stand on a directive line")
    if parts:
        lines.add("v", ",".join(parts), "environment")


def _assignment(key: str, value: str) -> str | None:
    if not VARIABLE.fullmatch(key) or "'" in value or '"' in value or _CONTROL.search(value):
        return None
    return f"{key}='{value}'" if "," in value or value != value.strip() else f"{key}={value}"


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
    if _CONTROL.search(path) or not is_sh(script):
        say.drop("workdir", "qsub has no option for the working directory, and the script is none of a Bourne shell")
        return script
    where = shlex.quote(path) if path.startswith("/") else '"${PBS_O_WORKDIR:-.}"/' + shlex.quote(path)
    say.approximate("workdir", "qsub has no option for it: a cd at the top of the script")
    return replace(script, shim=(f"cd {where} || exit 1", *script.shim))
