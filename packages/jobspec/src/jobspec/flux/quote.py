"""Directive lines: options, quoted as `flux batch` reads them (RFC 36, "Description")."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

from jobspec.flux.directives import split
from jobspec.flux.words import Option

# Text that means itself in a directive; all else goes into single quotes.
_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./{}^*?\[\]$!~-]+\Z")
# The comment signs of languages in which "#" starts none, by words of their "#!" lines.
_COMMENTS = (("lua", "--"), ("node", "//"), ("deno", "//"), ("bun", "//"))


def comment_sign(shebang: str) -> str:
    """What starts a comment in the language of a script."""
    name = shebang.rpartition("/")[2]
    return next((sign for word, sign in _COMMENTS if word in name), "#")


def directives(options: Iterable[Option], sign: str = "#") -> list[str]:
    """The lines of a script that say the options."""
    lines: list[str] = []
    for option, value in options:
        if value is None:
            lines.append(f"{sign} flux: --{option}")
        elif "\n" in value:
            lines += block(option, value, sign)
        else:
            lines.append(f"{sign} flux: --{option}={quoted(value)}")
    return lines


def quoted(value: str) -> str:
    """A value as one word. Backslashes are doubled: Flux takes them for escapes in single quotes too."""
    if _PLAIN.match(value):
        return value
    text = value.replace("\\", "\\\\").replace("'", "\\'")
    while '"""' in text:  # three double quotes in a row would be a quotation of their own
        text = text.replace('"""', '""\'\'"')
    return f"'{text}'"


def sayable(option: str, value: str | None) -> bool:
    """Whether a directive can hold the value: text on one line, or lines in triple quotes."""
    if value is None or value.isprintable():
        return True
    plain = value.replace("\n", "").replace("\t", "")
    return plain.isprintable() and bool("\n" in value and block(option, value, "#"))


def block(option: str, value: str, sign: str) -> list[str]:
    """An option with a value of several lines, in triple quotes; empty where no such quotes can hold it."""
    key, assigned, rest = value.partition("=")
    head = f"--{option}="
    if assigned and _PLAIN.match(key):  # the quotes stand behind the name of an attribute
        head, value = f"{head}{key}=", rest
    text = value.replace("\\", "\\\\")
    for quotes in ('"""', "'''"):
        if quotes in text or text.endswith(quotes[0]):
            continue
        *lines, last = text.split("\n")
        if any(three in line for line in (*lines, last) for three in ('"""', "'''")):
            continue
        said = split(head + shlex.quote(text))[0]
        if [word.text for word in said] == [head + value]:
            start = f"{sign} flux:"
            return [f"{start} {head}{quotes}", *(f"{start} {line}" for line in lines), f"{start} {last}{quotes}"]
    return []
