"""The values of the options of Cobalt's qsub. Each raises ValueError with what is wrong. Source: qsub(1) of Cobalt."""

from __future__ import annotations

import re
from typing import Literal

from resources.units import shown

from jobspec.job import UNLIMITED, Dependency, Environment

_VARIABLE = re.compile(r"[A-Za-z0-9_]{1,255}", re.ASCII)
_PAIRS = re.compile(r":(?=[A-Za-z0-9_]{1,255}=)", re.ASCII)
_GEOMETRY = re.compile(r"[0-9]{1,4}(?:x[0-9]{1,4}){2,4}", re.ASCII)
_OCTAL = re.compile(r"[0-7]{1,6}", re.ASCII)


def count(text: str) -> int:
    """A positive whole number."""
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or not int(text):
        raise ValueError(f"{shown(text)} is no positive whole number")
    return int(text)


def time(text: str) -> int | Literal["unlimited"]:
    """Seconds of `minutes`, `HH:MM`, `HH:MM:SS` or `DD:HH:MM:SS`. Cobalt drops the seconds; 0 is the most allowed."""
    parts = text.split(":")
    if len(parts) > 4 or not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        raise ValueError(f"{shown(text)} is no time: minutes, HH:MM, HH:MM:SS or DD:HH:MM:SS")
    numbers = [int(part) for part in parts]
    if len(numbers) > 2 and numbers.pop() > 59:
        raise ValueError(f"{shown(text)} is no time: the seconds are 0 to 59")
    minutes = 0
    for number, scale in zip(reversed(numbers), (1, 60, 1440), strict=False):
        minutes += number * scale
    if minutes > 2**31:
        raise ValueError(f"{shown(text)} is too long")
    return minutes * 60 or UNLIMITED


def dependency(text: str) -> Dependency:
    """`id:id:...`: the job waits until all of them have finished with status 0."""
    ids = tuple(text.split(":"))
    if not all(one.isascii() and one.isdigit() for one in ids):
        raise ValueError(f"{shown(text)} is no list of job ids: id:id:...")
    return Dependency(text, (("afterok", ids),))


def attributes(text: str) -> list[str]:
    """`name=value:name:no_name:...`."""
    found = text.split(":")
    for one in found:
        if one.count("=") > 1 or not one.strip("="):
            raise ValueError(f"{shown(one)} is no attribute: name=value:name=value")
    return found


def environment(text: str) -> Environment:
    r"""`NAME=value:NAME=value`; in a value `\:` and `\=` are themselves."""
    pairs = []
    # The escapes as characters that no line of text holds, so that they split nothing.
    for one in _PAIRS.split(text.replace("\\:", "\1").replace("\\=", "\2")):
        name, equals, value = one.partition("=")
        if not equals or not _VARIABLE.fullmatch(name):
            written = one.replace("\1", "\\:").replace("\2", "\\=")
            raise ValueError(f"{shown(written)} is no NAME=value")
        pairs.append((name, value.replace("\1", ":").replace("\2", "=")))
    return Environment(text, all=False, values=tuple(dict(pairs).items()))


def mode(text: str) -> str:
    """A script has the mode "script"."""
    if text != "script":
        raise ValueError(f"{shown(text)}: the mode of a script is 'script'")
    return text


def geometry(text: str) -> str:
    """AxBxCxDxE."""
    if not _GEOMETRY.fullmatch(text):
        raise ValueError(f"{shown(text)} is no geometry: AxBxCxDxE")
    return text


def umask(text: str) -> str:
    """An octal number."""
    if not _OCTAL.fullmatch(text):
        raise ValueError(f"{shown(text)} is no octal number")
    return text


def text(value: str) -> str:
    """Any text."""
    return value
