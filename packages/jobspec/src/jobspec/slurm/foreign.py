"""#BSUB and #PBS lines, which sbatch 22.05 obeys too: translated to its own options, over which they win.

What each becomes is what sbatch does with it, not what LSF or PBS would: `-W 1:30` is two minutes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from jobspec.errors import ScriptError
from jobspec.slurm.arguments import CHECKED_LAST, IGNORE, Given, read_value
from jobspec.slurm.lexer import Word, line_words
from jobspec.slurm.options import LONG, VALUE, Option
from jobspec.slurm.values import whole
from jobspec.slurm.values import words as any_text

BSUB, PBS = "#BSUB", "#PBS"
MOST_COMMANDS = 100  # lines that don't start with "#", behind which sbatch looks for no more
_STARTS = re.compile("^(?:#BSUB|#PBS)", re.MULTILINE)
_WITH_VALUE = {BSUB: frozenset("ceJmMnoqW"), PBS: frozenset("aAcCeJjklmMNopqrStuvW")}
_FLAGS = {BSUB: frozenset("x"), PBS: frozenset("hIVz")}
_NO_EFFECT = "sbatch reads it and does nothing about it"
_IGNORED = Option("", "", VALUE, "", (), any_text, _NO_EFFECT)
_BECOMES = {
    BSUB: {
        "c": "chdir", "cwd": "chdir", "e": "error", "J": "job-name", "m": "nodelist", "o": "output", "q": "partition",
        "W": "time",
    },
    PBS: {
        "a": "begin", "A": "account", "e": "error", "J": "array", "M": "mail-user", "N": "job-name", "o": "output",
        "p": "nice", "q": "partition", "t": "array",
    },
}  # fmt: skip
# The keys of `-l`, wherever in the text they stand; those that become None are passed over as a whole.
_RESOURCES = {
    "accelerator=": "gres", "naccelerators=": "gres", "cput=": "time", "file=": "tmp", "mem=": "mem",
    "mpiprocs=": "ntasks-per-node", "ncpus=": "mincpus", "nice=": "nice", "nodes=": "nodes", "proc=": "constraint",
    "select=": "nodes", "walltime=": "time", "mppmem=": None, "pmem=": None, "pvmem=": None, "vmem=": None,
}  # fmt: skip
_RESOURCE = re.compile("|".join(sorted(_RESOURCES, key=len, reverse=True)))
_UP_TO_COLON = {"ncpus=", "select=", "mpiprocs="}
_PPN = re.compile("ppn=([0-9]{0,9})")
_LEADING = re.compile("[0-9]{1,9}")


def foreign_lines(text: str) -> tuple[str, list[tuple[int, str]]]:
    """The prefix of the lines that sbatch would obey, and these with their numbers: BSUB's, or else PBS's."""
    if not _STARTS.search(text):
        return "", []
    commands, found = 0, {BSUB: list[tuple[int, str]](), PBS: list[tuple[int, str]]()}
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith(BSUB):
            found[BSUB].append((number, line))
        elif line.startswith(PBS):
            found[PBS].append((number, line))
        if not line.startswith("#"):
            commands += 1
            if commands > MOST_COMMANDS:
                break
    prefix = BSUB if found[BSUB] else PBS
    return prefix, found[prefix]


def foreign_options(prefix: str, lines: list[tuple[int, str]]) -> list[Given]:
    """What the lines become. Raises ScriptError where sbatch refuses them."""
    words = iter([word for number, line in lines for word in line_words(line, number, len(prefix))])
    found = []
    for letter, value, word in _split(words, prefix):
        text = f"-{letter}" if value is None else f"-{letter} {value}"
        try:
            translated = _bsub(letter, value) if prefix == BSUB else _pbs(letter, value)
        except ValueError as error:
            raise _refused(word, f"{text[:60]}: {error}") from None
        for name, argument in translated or [("", "")]:
            option = LONG[name] if name else _IGNORED
            given = Given(
                option,
                argument,
                word.line,
                word.column,
                word.line,
                word.column,
                word.end,
                text,
                foreign=f"{prefix} {text}",
            )
            if given.option.name not in CHECKED_LAST:
                read_value(given)
            found.append(given)
    return found


def _split(words: Iterator[Word], prefix: str) -> Iterator[tuple[str, str | None, Word]]:
    """GNU getopt with short options only. Raises ScriptError."""
    numbered = enumerate(words, 1)
    for number, word in numbered:
        text = word.text
        if text[0] != "-" or text == "-":
            raise _refused(word, f"{text[:60]!r} is no option, and sbatch obeys {prefix} lines too")
        if text.startswith("--"):
            raise _refused(word, f"sbatch reads {prefix} lines too, and knows no {text[:60]!r} in them")
        for at, letter in enumerate(text[1:], 1):
            if letter in _FLAGS[prefix]:
                yield letter, None, word
                continue
            if letter not in _WITH_VALUE[prefix]:
                raise _refused(word, f"sbatch reads {prefix} lines too, and knows no -{letter} in them")
            value = text[at + 1 :]
            # sbatch looks for it in each second word only; elsewhere it is `-c` with the value `wd`.
            if prefix == BSUB and text == "-cwd" and number % 2:
                letter, value = "cwd", ""
            if not value:
                _, following = next(numbered, (0, None))
                if following is None:
                    raise _refused(word, f"{prefix} -{letter} needs a value")
                value = following.text
                word = word._replace(end=following.end) if following.line == word.line else word
            yield letter, value, word
            break


def _refused(word: Word, message: str) -> ScriptError:
    return ScriptError(message, word.line, word.column, meant=IGNORE)


def _bsub(letter: str, value: str | None) -> list[tuple[str, str | None]]:
    if letter == "x":
        return [("exclusive", "exclusive")]
    if value is None:
        return []
    if letter == "n":  # a list is MIN,MAX: the last number counts
        return [("ntasks", part) for part in value.split(",") if part]
    if letter == "M":
        return [("mem-per-cpu", f"{value}K" if value[-1:].isdigit() else value)]
    name = _BECOMES[BSUB].get(letter)
    return [(name, value)] if name else []


def _pbs(letter: str, value: str | None) -> list[tuple[str, str | None]]:
    if letter == "h":
        return [("hold", None)]
    if value is None:
        return []
    if letter == "l":
        return list(_resources(value))
    if letter == "m":
        events = {"b": "BEGIN", "e": "END", "a": "FAIL", "n": "NONE"}
        types = [events[one] for one in "naeb" if one in value.lower()]
        return [("mail-type", ",".join(types))]
    if letter == "W":
        return [("dependency", value[7:])] if value.startswith("depend=") else []
    name = _BECOMES[PBS].get(letter)
    return [(name, value)] if name else []


def _resources(text: str) -> Iterator[tuple[str, str | None]]:
    at = accelerators = 0
    chunk: dict[str, str] = {}
    while match := _RESOURCE.search(text, at):
        key = match[0]
        # sbatch knows no comma behind these: `select=1:ncpus=8,walltime=1:00:00` has `8,walltime=1` CPUs.
        end = text.find(":" if key in _UP_TO_COLON else ",", match.end())
        end = len(text) if end < 0 else end
        value, name = text[match.end() : end], _RESOURCES[key]
        at = end
        if key == "nodes=":
            yield from _nodes(value)
        elif key == "accelerator=":
            if value.lower().startswith("true"):
                accelerators = accelerators or 1
        elif key == "naccelerators=":
            accelerators = whole(value)
        elif key == "mem=":
            yield "mem", value[:-1] if value[-1:] in {"b", "B"} else value
        elif name:
            if key in _UP_TO_COLON:
                chunk[key] = value
            yield name, value
            if key == "proc=":  # sbatch steps over what comes behind it
                following = text.find(",", end + 1)
                at = len(text) if following < 0 else following
    if len(chunk) == len(_UP_TO_COLON):
        each, tasks = whole(chunk["ncpus="]), whole(chunk["mpiprocs="])
        if each > tasks:
            yield "cpus-per-task", str(each // tasks)
    if accelerators:
        yield "gres", f"gpu:{accelerators}"


def _nodes(text: str) -> Iterator[tuple[str, str | None]]:
    nodes = ppn = 0
    hosts: list[str] = []
    for part in re.split("[:+]", text):
        name = part.lstrip("".join(set(part) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")))
        if match := _PPN.match(name):
            ppn += int(match[1] or 0)
        elif match := _LEADING.match(name):
            nodes += int(match[0])
        elif name.startswith("gpus="):
            yield "gpus-per-node", name[5:]
        elif name:
            hosts.append(name)
    if nodes:
        yield "nodes", str(nodes)
    if ppn:
        yield "ntasks", str((nodes or 1) * ppn)
    if hosts:
        yield "nodelist", ",".join(hosts)
