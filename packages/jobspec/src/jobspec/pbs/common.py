"""The options that qsub of PBS Pro, qsub of Torque and msub share."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from resources.units import shown

from jobspec.job import Dependency, Native
from jobspec.pbs import values
from jobspec.pbs.draft import Draft, Handler, Item

Fields = tuple[str, ...]
_PRO_NAME = re.compile(r"[A-Za-z0-9+_-][A-Za-z0-9+_.-]{0,235}", re.ASCII)
_NAME = re.compile(r"[A-Za-z][!-~]{0,1023}", re.ASCII)
_PRIORITY = re.compile(r"[+-]?[0-9]{1,4}", re.ASCII)
_MAIL = {"pbspro": frozenset("abej"), "torque": frozenset("abef"), "moab": frozenset("abef")}
MAIL_TYPES = {"a": "FAIL", "b": "BEGIN", "e": "END", "j": "ARRAY_TASKS", "f": "FAIL"}
HOST = re.compile(r"([A-Za-z0-9][A-Za-z0-9.-]{0,253}):(.{0,4096})")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_().%]{0,254}", re.ASCII)


def _name(draft: Draft, item: Item) -> Fields:
    pattern = _PRO_NAME if draft.system == "pbspro" else _NAME
    if not pattern.fullmatch(item.said):
        rule = "letters, digits, + - _ . (up to 236)" if draft.system == "pbspro" else "a letter, then no blanks"
        raise ValueError(f"{shown(item.said)} is no name of a job: {rule}")
    return _text("name")(draft, item)


def _text(name: str) -> Callable[[Draft, Item], Fields]:
    """Any text, which the server judges."""

    def handler(draft: Draft, item: Item) -> Fields:
        _plain(draft, item)
        return draft.set(name, item.said, item)

    return handler


def _plain(draft: Draft, item: Item) -> None:
    if not item.said:
        raise ValueError("the value is empty")
    if values.template(item.said):
        draft.warn(item, f"{item.text[:80]}: qsub takes it as it stands", values.FILL_IN)


def _queue(draft: Draft, item: Item) -> Fields | None:
    _plain(draft, item)
    queue, at, server = item.said.partition("@")
    if at and not server:
        raise ValueError("no server behind the @")
    if queue:
        draft.note(item, draft.set("queue", queue, item))
    if server:
        draft.native.append(Native("q", f"@{server}"))
        draft.note(item, ("native",), f"@{server}", item.at + len(queue))
    return None


def _priority(draft: Draft, item: Item) -> Fields:
    if not _PRIORITY.fullmatch(item.said) or not -1024 <= int(item.said) <= 1023:
        raise ValueError(f"{shown(item.said)} is no priority: -1024 to 1023")
    return draft.set("priority", str(int(item.said)), item)


def _requeue(draft: Draft, item: Item) -> Fields:
    if item.said not in {"y", "n"}:
        raise ValueError(f"{shown(item.said)} is neither y nor n")
    return draft.set("requeue", item.said == "y", item)


def _mail_types(draft: Draft, item: Item) -> Fields:
    letters = item.said
    alone = {"n", "p"} if draft.system != "pbspro" else {"n"}
    known = _MAIL[draft.system]
    if letters not in alone and not (letters and set(letters) <= known and set(letters) != {"j"}):
        raise ValueError(f"{shown(letters)}: it is n, or some of {' '.join(sorted(known))}")
    types = () if letters in alone else tuple(sorted({MAIL_TYPES[letter] for letter in letters}))
    if "f" in letters or letters == "p":
        draft.native.append(Native("m", "".join(sorted(set(letters)))))
    draft.set("mail types", types, item)
    return _moved(draft, "mail types", "mail")


def _mail_user(draft: Draft, item: Item) -> Fields:
    _plain(draft, item)
    draft.set("mail user", item.said, item)
    return _moved(draft, "mail user", "mail")


def _moved(draft: Draft, name: str, field: str) -> Fields:
    draft.where.setdefault(field, draft.where.pop(name))
    return (field,)


def _begin(draft: Draft, item: Item) -> Fields:
    return draft.set("begin", values.date(item.said), item)


def _hold(draft: Draft, item: Item) -> Fields:
    return draft.set("hold", True, item)


def _join(draft: Draft, item: Item) -> Fields:
    if item.said not in {"oe", "eo", "n"}:
        raise ValueError(f"{shown(item.said)} is none of oe, eo, n")
    if item.said == "eo":
        draft.native.append(Native("j", "eo"))
    if item.said == "n":
        return draft.keep(item)
    return draft.set("join", True, item)


def _path(stream: str) -> Handler:
    """-o and -e; the stream that is joined into the other one has no file of its own."""

    def handler(draft: Draft, item: Item) -> Fields | str | None:
        _not_empty(item)
        join = draft.last["j"].said if "j" in draft.last else "n"
        if join == ("eo" if stream == "output" else "oe"):
            return f"-j {join} writes this stream into the other one's file"
        field = "output" if join == "eo" else stream
        match = HOST.fullmatch(item.said)
        if not match:
            return draft.set(field, item.said, item)
        if match[2]:
            draft.note(item, draft.set(field, match[2], item))
        draft.native.append(Native(item.key, f"{match[1]}:"))
        if match[1] != "localhost" or not match[2]:
            draft.note(item, ("native",), f"{match[1]}:", item.at)
        return None

    return handler


def _not_empty(item: Item) -> None:
    if not item.said:
        raise ValueError("the value is empty")


def _keep_files(draft: Draft, item: Item) -> Fields:
    letters = set(item.said)
    known = {"e", "o", "d"} if draft.system == "pbspro" else {"e", "o"}
    if item.said != "n" and not (letters and letters <= known):
        raise ValueError(f"{shown(item.said)}: it is n, or some of {' '.join(sorted(known))}")
    return draft.keep(item)


def _variables(draft: Draft, item: Item) -> Fields:
    listed = draft.values.setdefault("environment list", [])
    for part in values.split_list(item.said):
        name, equals, value = part.strip().partition("=")
        if not VARIABLE.fullmatch(name):
            raise ValueError(f"{shown(name)} is no name of a variable")
        listed.append((name, values.unquoted(value) if equals else None))
    draft.set("environment list", listed, item)
    return _moved(draft, "environment list", "environment")


def _whole_environment(draft: Draft, item: Item) -> Fields:
    draft.set("environment all", True, item)
    return _moved(draft, "environment all", "environment")


def _depend(draft: Draft, item: Item) -> Fields:
    dialect = draft.system if draft.system != "moab" else "torque"
    terms = values.depend(item.said, dialect)
    if values.template(item.said):
        draft.warn(item, f"{item.text[:80]}: qsub takes it as it stands", values.FILL_IN)
    return draft.set("dependency", Dependency(item.said, terms), item)


def _umask(draft: Draft, item: Item) -> Fields:
    if (
        not item.said.isdecimal()
        or len(item.said) > 5
        or (draft.system == "pbspro" and not set(item.said) < set("01234567"))
    ):
        raise ValueError(f"{shown(item.said)} is no umask")
    return draft.keep(item)


def keep(draft: Draft, item: Item) -> Fields:
    """Any value, as only this system has it."""
    return draft.keep(item)


def near(*fields: str) -> Handler:
    """Only this system has it, and its loss is one of these fields'."""

    def handler(draft: Draft, item: Item) -> Fields:
        return draft.keep(item, *fields)

    return handler


def size(*fields: str) -> Handler:
    """A size that only this system has."""

    def handler(draft: Draft, item: Item) -> Fields:
        values.size(item.said)
        return draft.keep(item, *fields)

    return handler


def time(*fields: str) -> Handler:
    """A time that only this system has."""

    def handler(draft: Draft, item: Item) -> Fields:
        values.duration(item.said, days=draft.system != "pbspro")
        return draft.keep(item, *fields)

    return handler


def walltime(field: str) -> Handler:
    def handler(draft: Draft, item: Item) -> Fields:
        return draft.set(field, values.duration(item.said, days=draft.system != "pbspro"), item)

    return handler


def later(draft: Draft, item: Item) -> None:
    """A resource that is read together with others."""


def inert(why: str) -> Handler:
    def handler(draft: Draft, item: Item) -> str:
        return why

    return handler


HANDLERS: Mapping[str, Handler] = {
    "N": _name,
    "A": _text("account"),
    "q": _queue,
    "p": _priority,
    "h": _hold,
    "r": _requeue,
    "m": _mail_types,
    "M": _mail_user,
    "a": _begin,
    "o": _path("output"),
    "e": _path("error"),
    "j": _join,
    "k": _keep_files,
    "S": _text("shell"),
    "v": _variables,
    "V": _whole_environment,
    "C": inert("-C in a directive is ignored"),
    "z": inert("it only concerns what qsub prints"),
    "W depend": _depend,
    "W umask": _umask,
    "l walltime": walltime("walltime_s"),
    "l cput": time("walltime_s"),
    "l pcput": time("walltime_s"),
    "l file": size(),
    "l pvmem": size("memory"),
}
