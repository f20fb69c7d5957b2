"""From the options of a script to the job that Grid Engine would hold."""

from __future__ import annotations

from typing import Any, cast

from jobspec.gridengine import values
from jobspec.gridengine.checks import Given
from jobspec.gridengine.options import MAIL, NATIVE, ONE_HOST, SAME
from jobspec.gridengine.requests import Notes, requested
from jobspec.job import Array, Begin, Dependency, Environment, Job, Mail, Native, Nodes, Signal, Where
from jobspec.profile import Profile

NOTIFY_S = 60  # queue_conf(5): the default of "notify"
_PATHS = frozenset(("i", "o", "e"))
_TEXTS = {
    "N": "name",
    "P": "account",
    "i": "input",
    "o": "output",
    "e": "error",
    "S": "shell",
    "p": "priority",
    "ar": "reservation",
}


def derive(found: list[Given], profile: Profile, notes: Notes) -> Job:
    """The job. Fills in the fields of each option. Raises ScriptError where options don't fit together."""
    last: dict[str, Given] = {}
    lists: dict[str, list[Given]] = {}
    for one in found:
        if one.state == "obeyed":
            last[SAME.get(one.option, one.option)] = one
            lists.setdefault(one.option, []).append(one)
    job: dict[str, Any] = {"system": "gridengine"}
    native: list[Native] = []
    _together(last)
    for option, field in _TEXTS.items():
        if option in last:
            job[field] = _path(last[option].value) if option in _PATHS else last[option].value or None
            last[option].fields = (field,)
    _accounts(last, job, native)
    if "cwd" in last:
        job["workdir"] = "." if last["cwd"].option == "cwd" else last["cwd"].value or None
        last["cwd"].fields = ("workdir",)
    _switches(last, job, native)
    _slots(last, job, native, notes)
    _time(last, job, notes)
    _array(last, job)
    _dependency(lists, job)
    _mail(lists, last, job)
    _environment(lists, job)
    _queues(lists, job, native)
    requested(lists.get("l", []), job, native, profile, notes)
    for option in NATIVE:
        for one in lists.get(option, []):
            native.append(Native(option, one.value))
            one.fields = ("native",)
    if "binding" in last:
        native.append(Native("binding", last["binding"].value))
        last["binding"].fields = ("native",)
    job["native"] = tuple(sorted(native, key=lambda one: one.option))
    where: dict[str, Where] = {}
    for one in found:
        if one.state == "obeyed":
            for field in one.fields:
                where.setdefault(field, Where(one.line, one.column))
    return Job(**job, where=where)


def _path(text: str) -> str:
    """A path without the colon that only says that no host stands before it (qsub(1), -e)."""
    return text[1:] if text.startswith(":") and text.count(":") == 1 else text


def _together(last: dict[str, Given]) -> None:
    """What qmaster refuses of options that are right alone."""
    tasks = "t" in last and values.array(last["t"].value) is not None
    if "tc" in last and last["tc"].value != "0" and not tasks:
        raise last["tc"].error("-tc is for array jobs: -t is missing")
    if "hold_jid_ad" in last and not tasks:
        raise last["hold_jid_ad"].error("-hold_jid_ad is for array jobs: -t is missing")
    if "c" in last and last["c"].value != "n" and "ckpt" not in last:
        raise last["c"].error("-c is for checkpointing jobs: -ckpt is missing")
    if "masterq" in last and "pe" not in last:
        raise last["masterq"].error("-masterq is for parallel jobs: -pe is missing")


def _accounts(last: dict[str, Given], job: dict[str, Any], native: list[Native]) -> None:
    """Who pays: the project before the account string, which only goes into the records."""
    if "P" in last and last["P"].value:
        native.append(Native("P", last["P"].value))
        if "A" in last:
            native.append(Native("A", last["A"].value))
            last["A"].fields = ("native",)
    elif "A" in last:
        job["account"] = last["A"].value or None
        last["A"].fields = ("account",)


def _switches(last: dict[str, Given], job: dict[str, Any], native: list[Native]) -> None:
    for option, field in (("j", "join"), ("r", "requeue")):
        if option in last:
            job[field] = last[option].value[0].lower() == "y"
            last[option].fields = (field,)
    if "h" in last:
        job["hold"] = True
        last["h"].fields = ("hold",)
    for option, what in (("R", "a reservation of resources while the job waits"), ("now", "to start at once or never")):
        if option in last:
            one = last[option]
            if one.value[0].lower() == "y":
                native.append(Native(option, "y"))
                one.fields = ("native",)
            else:
                one.state, one.why = "inert", f"{what}: no, which is the default"


def _slots(last: dict[str, Given], job: dict[str, Any], native: list[Native], notes: Notes) -> None:
    one = last.get("pe")
    if not one:
        return
    environment, _, wanted = one.value.partition(" ")
    found = values.slots(wanted)
    first, end, _ = min(found, key=lambda item: item[0])
    job["tasks"] = first
    one.fields = ("tasks",)
    native.append(Native("pe", one.value))
    if len(found) > 1 or end != first:
        one.why = "a range of slots: the least of it"
    if environment.lower().startswith(ONE_HOST):
        job["nodes"] = Nodes(1, 1)
        one.fields = ("tasks", "nodes")
        notes.append(
            (one.line, one.column, f"ambiguous: {environment} is taken for slots on one host, as its name says")
        )


def _time(last: dict[str, Given], job: dict[str, Any], notes: Notes) -> None:
    if "a" in last:
        one = last["a"]
        job["begin"] = Begin(one.value, at=values.date_time(one.value))
        one.fields = ("begin",)
    if "notify" in last:
        one = last["notify"]
        job["signal"] = Signal("USR2", NOTIFY_S)
        one.fields = ("signal",)
        notes.append(
            (one.line, one.column, f"ambiguous: the queue's notify time is taken to be {NOTIFY_S} s, its default")
        )


def _array(last: dict[str, Given], job: dict[str, Any]) -> None:
    one = last.get("t")
    if not one:
        return
    found = values.array(one.value)
    if not found:
        one.state, one.why = "inert", "qsub makes no array job of a range without an end"
        return
    throttle = int(last["tc"].value) if "tc" in last else 0
    job["array"] = Array(one.value.strip().replace(" ", "-"), (found,), throttle or None)
    one.fields = ("array",)
    if "tc" in last:
        last["tc"].fields = ("array",)


def _dependency(lists: dict[str, list[Given]], job: dict[str, Any]) -> None:
    terms, texts = [], []
    for option, kind in (("hold_jid", "afterany"), ("hold_jid_ad", "aftercorr")):
        given = lists.get(option, [])
        ids = tuple(job_id for one in given for job_id in one.value.replace(" ", ",").split(",") if job_id)
        if ids:
            terms.append((kind, ids))
            texts.append(f"-{option} {','.join(ids)}")
        for one in given:
            one.fields = ("dependency",)
    if terms:
        job["dependency"] = Dependency(" ".join(texts), tuple(terms))


def _mail(lists: dict[str, list[Given]], last: dict[str, Given], job: dict[str, Any]) -> None:
    letters: set[str] = set()
    for one in lists.get("m", []):
        # "n" takes back what was asked for before, and with it in the same word.
        letters = set() if "n" in one.value else letters | set(one.value)
        one.fields = ("mail",)
    user = last["M"].value.strip(",") if "M" in last else None
    if "M" in last:
        last["M"].fields = ("mail",)
    if user is not None or "m" in lists:
        job["mail"] = Mail(user, tuple(sorted(MAIL[letter] for letter in letters if letter in MAIL)))


def _environment(lists: dict[str, list[Given]], job: dict[str, Any]) -> None:
    everything, given = lists.get("V", []), lists.get("v", [])
    if not everything and not given:
        return
    names: dict[str, str | None] = {}
    for one in given:
        for variable in one.value.split(","):
            name, equals, value = variable.partition("=")
            if name:
                names[name] = value if equals else None
    for one in (*everything, *given):
        one.fields = ("environment",)
    bare = [name for name, value in names.items() if value is None]
    shown = ",".join([*bare, *(f"{name}={value}" for name, value in names.items() if value is not None)])
    text = ["-V"] * bool(everything) + [f"-v {shown}"] * bool(shown)
    job["environment"] = Environment(
        " ".join(text),
        bool(everything),
        tuple(bare),
        tuple((name, value) for name, value in names.items() if value is not None),
    )


def _queues(lists: dict[str, list[Given]], job: dict[str, Any], native: list[Native]) -> None:
    """-q: a list of queues, queue@host or queue@@group; one plain queue@host is a queue and a host."""
    hard = [one for one in lists.get("q", []) if not one.soft]
    for one in lists.get("q", []):
        if one.soft:
            native.append(Native("soft", f"-q {one.value}"))
            one.fields = ("native",)
        else:
            one.fields = ("queue",)
    text = ",".join(part for one in hard for part in one.value.split(",") if part)
    queue, at, host = text.partition("@")
    if at and "," not in text and host and not set(host) & set("@*?[]!|&()"):
        job["hosts"] = host
        hard[0].fields = ("hosts",) if queue == "*" else ("queue", "hosts")
        text = "" if queue == "*" else queue
    if text:
        job["queue"] = text


def native_of(job: Job, option: str) -> list[str]:
    """The values of a native option."""
    return [cast("str", one.value) for one in job.native if one.option == option]
