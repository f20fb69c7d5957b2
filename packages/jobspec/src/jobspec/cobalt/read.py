"""Cobalt's scripts, read as its qsub reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import groupby
from typing import Any

from jobspec.cobalt import values
from jobspec.cobalt.arguments import Given, Word, header, split, unread
from jobspec.cobalt.options import PLAIN
from jobspec.errors import ScriptError
from jobspec.job import Constraint, Environment, Job, Mail, Native, Nodes, Where
from jobspec.profile import Profile
from jobspec.reading import Directive, Problem, Reading
from jobspec.templates import FILL_IN, is_template, meant

_READ: Mapping[str, Callable[[str], Any]] = {
    "nodecount": values.count,
    "proccount": values.count,
    "time": values.time,
    "dependencies": values.dependency,
    "attrs": values.attributes,
    "env": values.environment,
    "mode": values.mode,
    "geometry": values.geometry,
    "umask": values.umask,
}
_FIELDS = {
    **PLAIN,
    "nodecount": "nodes",
    "proccount": "tasks",
    "time": "walltime_s",
    "dependencies": "dependency",
    "env": "environment",
    "error": "error",
    "output": "output",
    "held": "hold",
    "notify": "mail",
}
_INERT = {
    "mode": "a script has this mode anyhow",
    "debug": "it is about qsub's own messages",
    "verbose": "qsub does not use it",
}
_SAME = {"user_list": "run_users"}


def read(text: str, profile: Profile) -> Reading:
    """The reading of a script that is submitted as `qsub script`. Raises ScriptError for what qsub refuses."""
    lines = header(text)
    given, stray = split(lines, profile)
    last: dict[str, Given] = {}
    asked: dict[str, Any] = {}
    for one in given:
        _take(one, asked, last)
    if "env" in asked:
        every = {name: value for one in asked["env"] for name, value in one.values}
        text_of = ":".join(one.text for one in asked["env"])
        asked["env"] = Environment(text_of, all=False, values=tuple(every.items()))
    for name, label in (("time", "-t"), ("nodecount", "-n")):
        if name not in asked:
            raise ScriptError(*_missing(name, label, text, lines, stray))
    directives = _directives(given, last, asked)
    warnings: list[Problem] = []
    for number, group in groupby(stray, key=lambda word: word.line):
        words = list(group)
        why = f"qsub reads no option behind {stray[0].text[:60]!r}"
        given_there = " ".join(word.text for word in words)
        directives.append(Directive(number, words[0].column, given_there, "", (), "ignored", why))
        warnings.append(Problem(number, words[0].column, why, "qsub knows no comments behind #COBALT"))
    read_to = _end(text, lines)
    for number, column, line in unread(text, read_to):
        why = f"qsub reads #COBALT lines right behind the first line only, and stopped before line {read_to + 1}"
        directives.append(Directive(number, column, line, "", (), "ignored", why))
        warnings.append(Problem(number, column, why))
    for one in last.values():
        value = (one.value or "").replace("$jobid", "").replace("$COBALT_JOBID", "")
        if is_template(value):
            message = f"qsub expands nothing but the job's id: --{one.name} is taken as it stands"
            warnings.append(Problem(one.value_line, one.value_column, message, FILL_IN))
    job = _job(asked, last)
    return Reading(
        "cobalt",
        (job,),
        warnings=tuple(warnings),
        directives=tuple(directives),
        obeyed=frozenset(number for number, _ in lines),
    )


def _take(one: Given, asked: dict[str, Any], last: dict[str, Given]) -> None:
    name = _SAME.get(one.name, one.name)
    place = (one.value_line, one.value_column)
    if name in {"interactive", "help", "version"}:
        raise ScriptError(f"--{name} is for the command line: the mode of a script is 'script'", one.line, one.column)
    if name == "attrs" and name in asked:
        message = "several --attrs: qsub takes one, with all attributes: name=value:name=value"
        raise ScriptError(message, one.line, one.column)
    value = one.value
    if value is not None and name in _READ:
        try:
            read_value = _READ[name](value)
        except ValueError as error:
            raise ScriptError(f"--{name}: {error}", *place, meant=meant(value)) from None
        if name == "env":  # several are joined
            asked.setdefault(name, []).append(read_value)
        else:
            asked[name] = read_value
    else:
        asked[name] = True if value is None else value
    last[name] = one


def _end(text: str, lines: list[tuple[int, str]]) -> int:
    """The number of the last line that qsub reads."""
    return lines[-1][0] if lines else int(text.startswith("#!"))


def _missing(
    name: str, label: str, text: str, lines: list[tuple[int, str]], stray: list[Word]
) -> tuple[str, int, int, str, str]:
    message = f"{name!r} not provided"
    if stray and (template := meant(next(line for number, line in lines if number == stray[0].line))):
        return message, stray[0].line, stray[0].column, "", template
    if stray:
        return message, stray[0].line, stray[0].column, "", f"qsub reads no option behind {stray[0].text!r}"
    behind = next(unread(text, _end(text, lines)), None)
    if behind and not text.startswith("#!"):
        return (
            message,
            behind[0],
            behind[1],
            "",
            "qsub reads #COBALT lines only behind a first line that starts with '#!'",
        )
    if behind:
        return message, behind[0], behind[1], "", "qsub reads #COBALT lines right behind the first line only"
    return message, 1, 1, "", f"add #COBALT {label}, or give it to qsub"


def _directives(given: list[Given], last: Mapping[str, Given], asked: Mapping[str, Any]) -> list[Directive]:
    found: list[Directive] = []
    for one in given:
        name = _SAME.get(one.name, one.name)
        text = f"--{one.name}" if one.value is None else f"--{one.name} {one.value}"
        final = last[name]
        if (final.line, final.column) != (one.line, one.column) and name != "env":
            why = f"overridden by line {final.line}"
            found.append(Directive(one.line, one.column, text, one.name, (), "overridden", why))
        elif name in _INERT:
            found.append(Directive(one.line, one.column, text, one.name, (), "inert", _INERT[name]))
        elif name == "attrs":
            column = one.value_column
            for attribute in asked["attrs"]:
                field = "hosts" if attribute.startswith("location=") else "constraint"
                found.append(Directive(one.value_line, column, f"--attrs {attribute}", "attrs", (field,)))
                column += len(attribute) + 1
        elif name == "outputprefix":
            fields = tuple(field for field in ("output", "error") if field not in asked)
            state = ("obeyed", "") if fields else ("inert", "both its files are named by -o and -e")
            found.append(Directive(one.line, one.column, text, one.name, fields, *state))  # type: ignore[arg-type]
        else:
            found.append(Directive(one.line, one.column, text, one.name, (_FIELDS.get(name, "native"),)))
    return found


def _job(asked: Mapping[str, Any], last: Mapping[str, Given]) -> Job:
    fields: dict[str, Any] = {}
    where: dict[str, Where] = {}
    native: list[Native] = []
    for name, value in asked.items():
        field = _FIELDS.get(name)
        place = Where(last[name].line, last[name].column)
        if field:
            where[field] = place
            fields[field] = value
        elif name == "attrs":
            hosts = [one for one in value if one.startswith("location=")]
            others = [one for one in value if not one.startswith("location=")]
            if hosts:
                fields["hosts"], where["hosts"] = hosts[-1].partition("=")[2], place
            if others:
                plain = all("=" not in one for one in others)
                fields["constraint"] = Constraint(":".join(others), tuple(others) if plain else ())
                where["constraint"] = place
        elif name not in _INERT:
            native.append(Native(name, None if value is True else value))
    if "outputprefix" in asked:
        for field in ("output", "error"):
            if field not in fields:
                fields[field] = f"{asked['outputprefix']}.{field}"
                where[field] = Where(last["outputprefix"].line, last["outputprefix"].column)
    if "mail" in fields:
        fields["mail"] = Mail(fields["mail"], ("BEGIN", "END", "FAIL"))
    nodes = fields["nodes"]
    fields["nodes"] = Nodes(nodes, nodes)
    fields.setdefault("tasks", nodes)
    # Cobalt gives whole nodes.
    native.sort(key=lambda one: one.option)
    return Job(system="cobalt", exclusive=True, native=tuple(native), where=where, **fields)
