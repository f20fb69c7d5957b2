"""The HTML comments that steer a block, as `<!-- key: value -->`; they are invisible where the page is read."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields

COMMENT = re.compile(r"<!--(.*?)-->", re.DOTALL)
KEYS = ("exit", "varies", "file", "check", "needs", "shown", "stays", "port", "stands", "command", "note")
PAGE_KEYS = ("needs", "varies", "port", "stands", "note")  # those that may stand for a whole page


class Mistake(Exception):
    """What is wrong with a page's own text, in one line."""


@dataclass(frozen=True)
class Annotations:
    """What steers a block. Nothing said is the default of each."""

    exit: tuple[int, ...] = ()  # of the last command, or of each
    varies: tuple[str, ...] = ()  # regular expressions of what may differ
    file: str = ""  # the block becomes this file
    check: str = ""  # a command that gets the block on stdin (or, with `file`, the file beside it), and must exit 0
    needs: tuple[str, ...] = ()  # engines and programs; see `engines`
    shown: str = ""  # why it can't run
    stays: str = ""  # why its last command does not end by itself; it is ended with the page
    port: tuple[str, ...] = ()  # port numbers of the text that stand for free ones
    stands: tuple[str, ...] = ()  # `SHOWN for USED`: what the text has in the place of what is run
    command: str = ""  # the first column of the table behind it has the rest of this command
    note: str = field(default="", compare=False)  # a remark to authors

    def __add__(self, other: Annotations) -> Annotations:
        """Both; where each says one thing, the other's."""
        merged: dict[str, object] = {}
        for one in fields(self):
            mine, theirs = getattr(self, one.name), getattr(other, one.name)
            merged[one.name] = mine + theirs if isinstance(mine, tuple) else theirs or mine
        return Annotations(**merged)  # type: ignore[arg-type]

    def keys(self) -> list[str]:
        return [one.name for one in fields(self) if getattr(self, one.name)]


def read(html: str) -> Annotations:
    """Those of one piece of HTML. Raises Mistake for a comment that is none of them."""
    found = Annotations()
    for comment in COMMENT.findall(html):
        found += _one(" ".join(comment.split()))
    return found


def _one(text: str) -> Annotations:
    key, colon, value = (part.strip() for part in text.partition(":"))
    if key not in KEYS or not colon or not value:
        raise Mistake(f"unknown annotation `{text}`: one of {', '.join(KEYS)}, a colon and a value are known")
    if key == "exit":
        if not re.fullmatch(r"\d+( \d+)*", value):
            raise Mistake(f"`{text}`: exit takes one number, or one for each command")
        return Annotations(exit=tuple(int(number) for number in value.split()))
    if key == "varies":
        patterns = tuple(part.strip() for part in value.split(" || "))
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise Mistake(f"`{pattern}` is no regular expression: {error}") from None
        return Annotations(varies=patterns)
    if key in ("needs", "port"):
        return Annotations(**{key: tuple(value.replace(",", " ").split())})  # type: ignore[arg-type]
    if key == "stands":
        parts = tuple(part.strip() for part in value.split(" || "))
        if not all(re.fullmatch(r"\S+ for \S+", part) for part in parts):
            raise Mistake(f"`{text}`: stands takes `SHOWN for USED`")
        return Annotations(stands=parts)
    if key == "file":
        name, _, check = (part.strip() for part in value.partition(" check: "))
        return Annotations(file=name, check=check)
    return Annotations(**{key: value})  # type: ignore[arg-type]
