"""One directive line, with its value quoted as bsub reads it."""

from __future__ import annotations

import re

from jobspec.writing import Saying

_PLAIN = re.compile(r"[A-Za-z0-9_./:=,%+@-]+", re.ASCII)


def directive(say: Saying, option: str, value: str | None) -> str:
    """One directive; "" where its value can't be quoted, which drops the fields that it would say."""
    if value is None:
        return f"#BSUB -{option}"
    if _PLAIN.fullmatch(value) and value[0] != "-":
        return f"#BSUB -{option} {value}"
    quote = '"' if '"' not in value else "'"
    if quote in value or not value.isprintable():
        for field in _SAYS.get(option, ("native",)):
            if say.asked(field):
                say.drop(field, "it holds a character that can't stand in a directive")
        return ""
    return f"#BSUB -{option} {quote}{value}{quote}"


_SAYS = {
    "J": ("name",),
    "q": ("queue",),
    "P": ("account",),
    "G": ("account",),
    "U": ("reservation",),
    "Jd": ("comment",),
    "m": ("hosts",),
    "cwd": ("workdir",),
    "L": ("shell",),
    "w": ("dependency",),
    "env": ("environment",),
    "o": ("output",),
    "oo": ("output",),
    "e": ("error",),
    "eo": ("error",),
    "i": ("input",),
    "is": ("input",),
    "u": ("mail",),
    "R": ("constraint", "placement", "memory", "licenses"),
    "gpu": ("gpus",),
    "wa": ("signal",),
}
