"""When and after what a job runs, and its array, in Grid Engine's words."""

from __future__ import annotations

from datetime import datetime

from jobspec import arrays
from jobspec.errors import JobspecError
from jobspec.gridengine.derive import NOTIFY_S
from jobspec.gridengine.words import job_name, line, word
from jobspec.writing import Saying, Script

_MOST_FILES = 1000


def clock(seconds: int) -> str:
    """h:mm:ss."""
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def limits(say: Saying) -> list[str]:
    job, lines = say.job, list[str]()
    if job.walltime_s is not None:
        say.exact("walltime_s")
        text = "INFINITY" if job.walltime_s == "unlimited" else clock(job.walltime_s)
        lines.append(f"#$ -l h_rt={text}")
    if job.signal:
        lines += _signal(say)
    return lines


def _signal(say: Saying) -> list[str]:
    """-notify sends SIGUSR2 before the end, s_rt SIGUSR1 (queue_conf(5)); nothing else can be sent."""
    job = say.job
    if not job.signal:
        return []
    before, limit = job.signal.before_s, job.walltime_s
    if job.signal.name in {"USR2", "12"} and (say.same or not isinstance(limit, int)):
        say.exact("signal")
        if before != NOTIFY_S:
            say.approximate("signal", "so long before the end as the queue's notify time says")
        return ["#$ -notify"]
    if not isinstance(limit, int) or not 0 < before < limit:
        say.drop("signal", "Grid Engine sends SIGUSR1 at a soft limit of time, which needs a hard one behind it")
        return []
    if job.signal.name in {"USR1", "10"}:
        say.exact("signal")
    else:
        say.approximate("signal", "SIGUSR1 is sent instead, at the soft limit of time")
    if job.signal.shell:
        say.approximate("signal", "it goes to all processes of the job")
    return [f"#$ -l s_rt={clock(limit - before)}"]


def order(say: Saying) -> list[str]:
    job, lines = say.job, list[str]()
    if job.begin:
        if say.same:
            say.exact("begin")
            lines += line(say, "begin", "a", job.begin.text)
        elif job.begin.at:
            say.exact("begin")
            lines.append(f"#$ -a {datetime.fromisoformat(job.begin.at):%Y%m%d%H%M.%S}")
        else:
            say.drop("begin", "qsub takes a date only, no time from now")
    if job.dependency:
        lines += _dependency(say)
    if job.hold:
        say.exact("hold")
        lines.append("#$ -h")
    if job.requeue is not None:
        say.exact("requeue")
        lines.append(f"#$ -r {'y' if job.requeue else 'n'}")
    if job.priority is not None:
        lines += _priority(say, job.priority)
    return lines


def _priority(say: Saying, text: str) -> list[str]:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 10):
        say.drop("priority", "a priority of Grid Engine is a number from -1023 to 1024")
        return []
    value = min(max(int(text), -1023), 1024)
    if say.same:
        say.exact("priority")
    else:
        say.approximate("priority", "the scale differs; users may only lower it")
    return [f"#$ -p {value}"]


_WAITS = {
    "after": "it waits for the end of the other job, not for its start",
    "afterok": "it waits for the end of the other job, however that ends",
    "afternotok": "it waits for the end of the other job, however that ends",
}


def _dependency(say: Saying) -> list[str]:
    dependency = say.job.dependency
    if not dependency:
        return []
    plain: list[str] = []
    by_task: list[str] = []
    for kind, ids in dependency.terms:
        if kind == "singleton":
            if say.job.name:
                plain.append(job_name(say, say.job.name))
                say.approximate("dependency", "the jobs of this name that there are at submission")
            else:
                say.drop("dependency", "singleton needs a job name")
        elif kind == "aftercorr" and say.job.array:
            by_task += ids
            if not say.same:
                say.approximate("dependency", "a task waits for the end of the same task, however that ends")
        else:
            plain += ids
            if kind in _WAITS:
                say.approximate("dependency", _WAITS[kind])
    if dependency.any and len(plain) + len(by_task) > 1:
        say.approximate("dependency", "it waits for all of them")
    every = [*plain, *by_task]
    if not every or any("," in one or word(one) != one for one in every):
        say.drop("dependency", "no list of jobs")
        return []
    say.exact("dependency")
    lines = [f"#$ -hold_jid {','.join(plain)}"] if plain else []
    return lines + ([f"#$ -hold_jid_ad {','.join(by_task)}"] if by_task else [])


def array_lines(say: Saying, script: Script) -> list[tuple[list[str], Script]]:
    """For each file the lines, and the script with the index that its body expects."""
    array = say.job.array
    if not array:
        return [([], script)]
    say.exact("array")
    throttle = [f"#$ -tc {array.throttle}"] if array.throttle else []
    if say.same:
        return [([f"#$ -t {array.text}", *throttle], script)]
    cap = (say.profile.array_cap or 2**31) - 1
    pieces = arrays.chunks(arrays.spans(array), cap)
    if len(pieces) > _MOST_FILES:
        raise JobspecError(f"the array would become {len(pieces)} files, as qsub takes one range; give it in parts")
    if len(pieces) > 1:
        say.approximate("array", f"{len(pieces)} files: qsub takes one range")
        if throttle:
            say.approximate("array", "each file's tasks are throttled apart")
    return [_piece(say, script, piece, cap, throttle) for piece in pieces]


def _piece(say: Saying, script: Script, piece: arrays.Span, cap: int, throttle: list[str]) -> tuple[list[str], Script]:
    first, last, step = piece
    offset = 0
    if first < 1 or last > cap:
        # Shifted, so that it starts with 1: no index may be 0, or beyond the site's largest.
        offset, first, last = first - 1, 1, last - first + 1
    text = f"{first}" if first == last else f"{first}-{last}" + (f":{step}" if step > 1 else "")
    lines = [f"#$ -t {text}", *throttle]
    if not offset:
        return lines, script
    say.renumbered()
    counting = script.counting("SGE_TASK_ID", offset, say.job.shell)
    if counting:
        say.approximate("array", "shifted indexes, which a line at the top of the script sets right")
    else:
        say.drop("array", f"no shell reads this script: it must add {offset} to SGE_TASK_ID itself")
    return lines, counting or script
