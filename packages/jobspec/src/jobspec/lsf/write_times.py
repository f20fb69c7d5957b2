"""How long, when and after what: -W, -b, -t, -w, -wa and -wt."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from jobspec.job import UNLIMITED, Dependency
from jobspec.lsf.write_resources import Asked
from jobspec.writing import Saying

_ELEMENT = re.compile(r"([0-9]{1,18})(?:_([0-9]{1,9}))?", re.ASCII)
_CONDITIONS = {"afterok": "done", "afterany": "ended", "afternotok": "exit", "after": "started", "aftercorr": "done"}


def times(say: Saying, own: Mapping[str, list[str | None]], asked: Asked) -> None:
    """Say them."""
    job = say.job
    if job.walltime_s == UNLIMITED:
        say.drop("walltime_s", "bsub has no word for no limit: without -W the queue's limit holds")
    elif isinstance(job.walltime_s, int):
        minutes = max(-(-job.walltime_s // 60), 1)
        [host, *_] = own.get("W host", [None])
        asked.options.append(("W", f"{minutes // 60}:{minutes % 60:02d}" + (f"/{host}" if host else "")))
        if minutes * 60 != job.walltime_s:
            say.approximate("walltime_s", f"bsub has no seconds: {job.walltime_s} s became {minutes} minutes")
        else:
            say.exact("walltime_s")
    if job.begin:
        if say.same or job.begin.at:
            asked.options.append(("b", job.begin.text if say.same else _moment(say, "begin", job.begin.at or "")))
        else:
            say.drop("begin", "bsub takes a date and time, not a time from the submission")
        if say.same:
            say.exact("begin")
    if job.deadline:
        if say.same:
            asked.options.append(("t", job.deadline))
            say.exact("deadline")
        else:
            try:
                asked.options.append(("t", _moment(say, "deadline", job.deadline)))
            except ValueError:
                say.drop("deadline", f"bsub takes a date and time, not {job.deadline!r}")
    if job.dependency:
        _dependency(say, job.dependency, asked)
    if job.signal:
        minutes = -(-job.signal.before_s // 60)
        if job.signal.name.isdigit():
            say.drop("signal", "bsub takes the name of a signal, not its number")
        else:
            asked.options += [("wa", job.signal.name), ("wt", str(minutes))]
            say.exact("signal")
            if minutes * 60 != job.signal.before_s:
                say.approximate("signal", f"sent {minutes} minutes before the end: bsub has no seconds")
            if job.signal.shell:
                say.approximate("signal", "sent to all processes of the job")


def _moment(say: Saying, field: str, text: str) -> str:
    at = datetime.fromisoformat(text)
    if at.second or at.microsecond:
        say.approximate(field, "bsub has no seconds")
    else:
        say.exact(field)
    return f"{at.year}:{at.month}:{at.day}:{at.hour}:{at.minute:02d}"


def _dependency(say: Saying, wanted: Dependency, asked: Asked) -> None:
    if say.same:
        asked.options.append(("w", wanted.text))
        say.exact("dependency")
        return
    conditions = []
    for kind, ids in wanted.terms:
        for job in ids:
            match = _ELEMENT.fullmatch(job)
            if kind not in _CONDITIONS or not match:
                say.drop("dependency", f"bsub has no condition for {kind}{':' if job else ''}{job}")
                return
            element = "[*]" if kind == "aftercorr" else f"[{match[2]}]" if match[2] else ""
            conditions.append(f"{_CONDITIONS[kind]}({match[1]}{element})")
    if not conditions:
        say.drop("dependency", f"{wanted.text!r} is in the words of its own system")
        return
    asked.options.append(("w", (" || " if wanted.any else " && ").join(conditions)))
    say.exact("dependency")
