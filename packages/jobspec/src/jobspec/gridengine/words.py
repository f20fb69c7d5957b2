"""Words of directive lines: what qsub's lexer reads back as it was meant."""

from __future__ import annotations

from pathlib import PurePosixPath

from jobspec.gridengine.options import NOT_IN_NAMES, RESERVED
from jobspec.writing import Saying, Script

SHELLS = frozenset(("sh", "bash", "dash", "ksh", "zsh", "csh", "tcsh"))
_NOT_IN_NAMES = frozenset(NOT_IN_NAMES + "#'\"")


def quoted(text: str) -> str:
    """A word that qsub's lexer reads back as one."""
    return f'"{text}"' if " " in text or "\t" in text else text


def word(text: str) -> str | None:
    """The text as one word of a directive line, or None where qsub's lexer has no way to say it."""
    if not text or not text.isprintable() or set(text) & set("#\"'") or text != text.strip():
        return None
    return quoted(text)


def line(say: Saying, field: str, option: str, value: str | None) -> list[str]:
    """One directive; dropped where the value can't stand in one."""
    said = word(value or "")
    if said is None:
        say.drop(field, "qsub can't quote it: no #, no quotes, no control characters")
        return []
    return [f"#$ -{option} {said}"]


def is_name(text: str) -> bool:
    """Whether qmaster takes it for an account (sge_types(5), "name")."""
    return all(_in_names(one) for one in text) and text.lower() not in RESERVED


def _in_names(letter: str) -> bool:
    return "!" <= letter <= "~" and letter not in _NOT_IN_NAMES


def job_name(say: Saying, name: str) -> str:
    """A name that qmaster takes (sge_types(5), "name")."""
    fine = (one if _in_names(one) else "_" for one in name[:512])
    found = "".join(fine)
    if not found or found[0].isdigit() or found.lower() in RESERVED or found.startswith("-"):
        found = f"J{found}"
    if found != name:
        say.approximate("name", f"{found}: a name has no blanks, none of {NOT_IN_NAMES} and no digit in front")
    return found


def interpreter(script: Script) -> str:
    words = script.shebang.removeprefix("#!").split()
    return words[0] if words and PurePosixPath(words[0]).name in SHELLS and word(words[0]) == words[0] else ""
