"""Slurm's batch scripts, written for sbatch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from jobspec.errors import JobspecError
from jobspec.job import Job
from jobspec.slurm import sizes, words
from jobspec.slurm.arrays import split_array
from jobspec.slurm.foreign import foreign_lines
from jobspec.slurm.lexer import BLANKS
from jobspec.slurm.read import CARRIED
from jobspec.slurm.words import Option
from jobspec.writing import File, Saying, Script

SUFFIX = ".sbatch"
_PLAIN = re.compile(rf"[^{BLANKS}\"'\\#]*")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
CANT = (
    ("placement", "sbatch has options of its own for it (--distribution, --switches, --contiguous): none is the same"),
    ("native", "it means something to its own system only"),
    ("burst_buffer", "burst buffers are described in a way of their own on each system"),
    ("priority", "a priority means something to its own scheduler only, and in Slurm only operators set it"),
)


def write(say: Saying, script: Script) -> list[File]:
    """One batch script; several where an array must be split. A heterogeneous job keeps its components."""
    script = _acceptable(say, _with_interpreter(say, script))
    options = list(_options(say))
    more: list[str] = []
    before = say.job
    for component in say.components[1:]:
        more += ["#SBATCH hetjob", *_lines(say, _new(component, before, say))]
        before = component
    files = []
    for suffix, array, offset in split_array(say):
        lines = [*_lines(say, [*options, *([("array", array)] if array else [])]), *more]
        body = script
        if offset:
            say.renumbered()
            counting = script.counting("SLURM_ARRAY_TASK_ID", offset)
            if counting is None:
                why = f"no shell reads this script: it must add {offset} to SLURM_ARRAY_TASK_ID itself"
                say.drop("array", why)
            body = counting or script
        text = body.text(lines)
        if foreign_lines(text)[1]:
            # sbatch would obey them, over its own.
            lines.insert(0, "#SBATCH --ignore-pbs")
            text = body.text(lines)
        files.append(File(f"{suffix}{SUFFIX}", text, 1 + len(lines)))
    return files


def _acceptable(say: Saying, script: Script) -> Script:
    """sbatch looks at the whole file, bodies included. Raises JobspecError for what can't be mended."""
    text = script.shebang + script.body
    if "\0" in text:
        raise JobspecError("the script holds a NUL character, and sbatch takes no file with one: take it out first")
    if "\r" not in text or "\r\n" not in script.text():
        return script
    say.remark("its DOS line breaks are made plain ones: sbatch takes no script with any")
    return replace(script, shebang=script.shebang.rstrip("\r"), body=script.body.replace("\r\n", "\n"))


def _with_interpreter(say: Saying, script: Script) -> Script:
    """sbatch takes no script without `#!`, and knows no other way to say which shell."""
    shell = say.job.shell
    if shell:
        say.exact("shell")
    if shell and not _CONTROL.search(shell):
        return replace(script, shebang=f"#!{shell}")
    return script if script.shebang else replace(script, shebang="#!/bin/sh")


def _new(job: Job, before: Job, say: Saying) -> Iterator[Option]:
    """What a later component says: all that it does not have from the one before it."""
    inherited = set(_options(Saying(before, say.target, say.profile)))
    for option in _options(Saying(job, say.target, say.profile)):
        if option[0] not in CARRIED or option not in inherited:
            yield option


def _lines(say: Saying, options: Iterator[Option] | list[Option]) -> list[str]:
    return [f"#SBATCH --{name}" if value is None else f"#SBATCH --{name}={quoted(value)}" for name, value in options]


def quoted(value: str) -> str:
    """The value as sbatch's lexer reads it back."""
    if _PLAIN.fullmatch(value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _options(say: Saying) -> Iterator[Option]:
    for name, value in _all_options(say):
        if value is None or not _CONTROL.search(value):
            yield name, value
            continue
        for field in _FIELD_OF.get(name, ("native",)):
            say.drop(field, "a directive is one line of text, and the value has control characters")


_FIELD_OF = {
    "job-name": ("name",), "account": ("account",), "qos": ("qos",), "partition": ("queue",), "comment": ("comment",),
    "reservation": ("reservation",), "chdir": ("workdir",), "input": ("input",), "output": ("output",),
    "error": ("error",), "export": ("environment",), "mail-user": ("mail",), "licenses": ("licenses",),
}  # fmt: skip


def _all_options(say: Saying) -> Iterator[Option]:
    job = say.job
    if job.name is not None:
        say.exact("name")
        yield "job-name", job.name
    for field, name in (("account", "account"), ("qos", "qos"), ("queue", "partition")):
        value = say.named(field)
        if value is not None:
            yield name, value
    for field in ("reservation", "comment"):
        value = getattr(job, field)
        if value is not None:
            say.exact(field)
            yield field, value
    if say.same:  # -B takes back the threads per core that come before it
        for word in (job.placement or "").split():
            name, equals, value = word.removeprefix("--").partition("=")
            yield name, value if equals else None
    yield from sizes.layout(say)
    yield from sizes.gpus(say)
    yield from sizes.memory(say)
    if job.disk_per_node is not None:
        say.exact("disk_per_node")
        yield "tmp", sizes.size(job.disk_per_node)
    yield from words.licenses(say)
    yield from words.exclusive(say)
    yield from words.times(say)
    yield from words.order(say)
    yield from words.nodes(say)
    yield from words.files(say)
    yield from words.messages(say)
    if say.same:
        yield from _own(say)
        say.exact("placement", "native", "burst_buffer", "priority")
    else:
        say.drop_all(CANT)


def _own(say: Saying) -> Iterator[Option]:
    """What only sbatch has, as it was."""
    job = say.job
    for one in job.native:
        if sizes.keeps_words(say) or not one.option.startswith(("gpus-", "gres")) or one.option == "gres-flags":
            yield one.option, one.value
    if job.priority is not None:
        yield "priority", job.priority
    for text in job.burst_buffer:
        if not text.startswith("#"):
            yield "bb", text
