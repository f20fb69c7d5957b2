"""Flux batch scripts: RFC 36 and flux-batch(1). The number of slots is always said."""

from __future__ import annotations

from dataclasses import replace

from jobspec.errors import JobspecError
from jobspec.flux.arrays import submissions
from jobspec.flux.directives import is_directive
from jobspec.flux.layout import Layout
from jobspec.flux.quote import comment_sign, directives, sayable
from jobspec.flux.words import Option, carried, options
from jobspec.systems import SYSTEMS
from jobspec.writing import File, Saying, Script


def write(say: Saying, script: Script) -> list[File]:
    """One script; of an array, the one that is to be submitted for each index.

    Raises JobspecError for a body that `flux batch` refuses, whatever its directives are.
    """
    plan, asked = options(say)
    script = with_shebang(say, script, wrap=("wrap", None) in asked)
    said: list[Option] = []
    unsaid: set[str] = set()
    for option, value in asked:
        if sayable(option, value):
            said.append((option, value))
        else:
            say.drop("native", f"--{option}: its text can't stand in a directive")
            unsaid.add(option)
    carried(say, unsaid)
    lines = directives([*_resources(plan), *said], comment_sign(script.shebang))
    if say.job.array and not say.same:
        lines.append(f"{comment_sign(script.shebang)} An array: {submissions(say.job.array)}")
    script = _harmless(script)
    return [File(SYSTEMS["flux"].suffix, script.text(lines), head=len(lines) + bool(script.shebang))]


def _resources(plan: Layout) -> list[Option]:
    found: list[Option] = []
    if plan.nodes is not None:
        found.append(("nodes", str(plan.nodes)))
    found.append(("nslots", str(plan.slots)))
    if plan.cores != 1:
        found.append(("cores-per-slot", str(plan.cores)))
    if plan.gpus:
        found.append(("gpus-per-slot", str(plan.gpus)))
    if plan.exclusive:
        found.append(("exclusive", None))
    return found


def with_shebang(say: Saying, script: Script, *, wrap: bool = False) -> Script:
    """The script with a first line that names its shell: the one that was asked for, or sh where nobody said."""
    shell = say.job.shell
    if shell and shell.startswith("/") and shell.isprintable():
        if script.shebang[2:].split()[:1] != shell.split()[:1]:
            script = replace(script, shebang=f"#!{shell}")
    elif shell:
        say.drop("shell", "Flux runs the script by its first line")
    if not script.shebang and not wrap:
        script = replace(script, shebang="#!/bin/sh")
        say.remark("#!/bin/sh is put in front: flux batch takes no script without such a line")
    return script


def _harmless(script: Script) -> Script:
    """A body without lines that `flux batch` would take for directives, which it refuses behind the first command."""
    body = script.body
    if not (body.isascii() and script.shebang.isascii()):
        try:
            script.shebang.encode()
            body.encode()
        except UnicodeEncodeError as error:
            number = error.object.count("\n", 0, error.start) + 1
            where = f"line {number} of the body" if error.object is body else "the first line"
            raise JobspecError(f"{where} is no UTF-8, which flux batch insists on") from None
    if "flux:" not in body and "FLUX:" not in body:
        return script
    lines = body.split("\n")
    for index, line in enumerate(lines):
        if not any(is_directive(part) for part in line.split("\r")):
            continue
        start = line.lstrip()
        if not start.startswith("#"):
            raise JobspecError(
                f"line {index + 1} of the body would be a directive to flux batch, and is no comment: {line[:60]!r}"
            )
        lines[index] = f"{line[: len(line) - len(start)]}# was: {start}"
    return replace(script, body="\n".join(lines))
