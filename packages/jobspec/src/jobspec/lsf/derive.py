"""From the parts of a script to the job that LSF holds."""

from __future__ import annotations

from jobspec.job import Job, Mail, Signal
from jobspec.lsf.derive_resources import gpus, memory, requirements, size
from jobspec.lsf.held import Held
from jobspec.lsf.options import PLAIN
from jobspec.templates import FILL_IN, is_template

_TEXTS = ("J", "P", "G", "U", "m", "cwd", "o", "e", "i", "app", "g")


def derive(held: Held) -> Job:
    """The job. Notes in `held` what each part went into."""
    for key in _TEXTS:
        one = held.parts.last.get(key)
        if one and is_template(one.text):
            held.warn(one, f"bsub expands no variables: -{one.option} is taken as it stands", FILL_IN)
    for option, field in PLAIN.items():
        if part := held.part(option):
            held.fields[field] = part.value
            held.hold(part, field)
    _names(held)
    size(held)
    gpus(held)
    memory(held)
    requirements(held)
    _times(held)
    _files(held)
    _mail(held)
    _rest(held)
    # In an order of their own, since that of the options means nothing but for the files of -f.
    held.native.sort(key=lambda one: (one.option, "" if one.option == "f" else one.value or ""))
    return Job(system="lsf", where=held.where, native=tuple(held.native), **held.fields)


def _names(held: Held) -> None:
    if part := held.part("J"):
        name, array = part.value
        if name:
            held.fields["name"] = name
            held.hold(part, "name")
        if array:
            held.fields["array"] = array
            held.hold(part, "array")
    for key, field in (("q", "queue"), ("w", "dependency"), ("env", "environment")):
        if part := held.part(key):
            held.fields[field] = part.value
            held.hold(part, field)
    if part := held.part("G"):
        if "account" in held.fields:
            held.keep(part, "G", part.value)
        else:
            # Without a project the group of the fair share is who pays.
            held.fields["account"] = part.value
            held.keep(part, "G", None, told=False)
            held.hold(part, "account")


def _times(held: Held) -> None:
    if part := held.part("W"):
        held.fields["walltime_s"], host = part.value
        held.hold(part, "walltime_s")
        if host:
            offset = part.value_column - part.column + part.text.rindex("/") - len("-W ") + 1
            held.aside(part, offset, f"-W .../{host}", "W host", host)
    if part := held.part("b"):
        held.fields["begin"] = part.value
        held.hold(part, "begin")
    if part := held.part("t"):
        held.fields["deadline"] = part.value.text
        held.hold(part, "deadline")
    warning, before = held.part("wa"), held.part("wt")
    if warning and before and warning.value.isalnum() and warning.value.upper() == warning.value != "CHKPNT":
        held.fields["signal"] = Signal(warning.value.removeprefix("SIG"), before.value[0])
        held.hold(warning, "signal")
        held.hold(before, "signal")
    else:
        for one in (warning, before):
            if one:
                held.keep(one, one.option, one.text[len(one.option) + 2 :])
    if part := held.part("sp"):
        held.fields["priority"] = str(part.value)
        held.hold(part, "priority")
    if part := held.part("H"):
        held.fields["hold"] = True
        held.hold(part, "hold")
    if part := held.part("r"):
        held.fields["requeue"] = part.option == "r"
        held.hold(part, "requeue")


def _files(held: Held) -> None:
    mode = ""
    for key, field in (("o", "output"), ("e", "error")):
        part = held.part(key)
        if not part:
            continue
        held.fields[field] = part.value
        held.hold(part, field)
        own = "truncate" if len(part.option) == 2 else "append"
        if not mode:
            mode = held.fields["open_mode"] = own
            held.hold(part, "open_mode")
        elif own != mode:
            held.aside(part, 1, f"-{part.option} {'overwrites' if own == 'truncate' else 'appends'}", part.option, None)
    if part := held.part("i"):
        held.fields["input"] = part.value
        held.hold(part, "input")
        if part.option == "is":
            held.keep(part, "is", None, told=False)


def _mail(held: Held) -> None:
    types = []
    if part := held.part("B"):
        types.append("BEGIN")
        held.hold(part, "mail")
    if part := held.part("N"):
        types += [] if part.option == "Ne" else ["END"]
        types += [] if part.option == "Nd" else ["FAIL"]
        held.hold(part, "mail")
    user = held.part("u")
    if user:
        held.hold(user, "mail")
    if types or user:
        held.fields["mail"] = Mail(user.value if user else None, tuple(types))


def _rest(held: Held) -> None:
    for key, part in held.parts.last.items():
        if key not in held.taken:
            value = part.text[len(part.option) + 2 :]
            held.keep(part, part.option, None if part.value is True or part.value is None else value)
    for part in held.parts.lists.get("f", []):
        held.keep(part, "f", part.value)
