"""The words of the directive lines as options: GNU getopt_long with `+`, then the value of each option."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from jobspec.errors import ScriptError
from jobspec.job import Nodes, Where
from jobspec.slurm.lexer import Word
from jobspec.slurm.options import FLAG, LONG, OPTIONAL, SHORT, VALUE, Option
from jobspec.slurm.values import READ, Counts


@dataclass(slots=True)
class Asked:
    """The values of a script's options, the last one of each; None where it was not given."""

    cores_per_socket: int | None = None
    cpus_per_gpu: int | None = None
    cpus_per_task: int | None = None
    exclusive: str | None = None
    gpus: Counts | None = None
    gpus_per_node: Counts | None = None
    gpus_per_socket: Counts | None = None
    gpus_per_task: Counts | None = None
    gres: Counts | None = None
    licenses: tuple[tuple[str, int], ...] | None = None
    mem: int | None = None
    mem_per_cpu: int | None = None
    mem_per_gpu: int | None = None
    name: str | None = None
    nodelist: str | None = None
    nodes: Nodes | None = None
    ntasks: int | None = None
    ntasks_per_gpu: int | None = None
    ntasks_per_node: int | None = None
    sockets_per_node: int | None = None
    threads_per_core: int | None = None
    time: int | str | None = None
    tmp: int | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """An option as it was given; `value` is None for a flag."""

    option: Option
    value: str | None
    where: Where


def read_options(words: Iterable[Word]) -> tuple[Asked, dict[str, Given]]:
    """The values, and for each option's name its last occurrence. Raises ScriptError at the first bad one."""
    asked = Asked()
    last: dict[str, Given] = {}
    for given in _split(iter(words)):
        option = given.option
        if option.field and given.value is not None:
            try:
                value = READ[option.field](given.value)
            except ValueError as error:
                raise ScriptError(f"--{option.name}: {error}", given.where.line, given.where.column) from None
            setattr(asked, option.field, value)
        last.pop(option.name, None)  # so that the order is that of the last occurrences
        last[option.name] = given
    return asked, last


def _split(words: Iterator[Word]) -> Iterator[Given]:
    stray = None
    for word in words:
        if word.text == "--":
            stray = next(words, None)
            break
        if word.text.startswith("--"):
            yield _long(word, words)
        elif word.text.startswith("-") and word.text != "-":
            yield from _short(word, words)
        else:
            stray = word
            break
    if stray:
        text = f"{stray.text[:60]!r} is no option; a comment starts with '#'"
        raise ScriptError(text, stray.where.line, stray.where.column)


def _long(word: Word, words: Iterator[Word]) -> Given:
    name, equals, value = word.text[2:].partition("=")
    option = _named(name, word)
    if option.takes == FLAG and equals:
        raise ScriptError(f"--{option.name} takes no value", word.where.line, word.where.column)
    if option.takes == VALUE and not equals:
        return _with_next(option, word, words)
    return Given(option, value if equals else _bare(option), word.where)


def _named(name: str, word: Word) -> Option:
    if name in LONG:
        return LONG[name]
    # GNU getopt: any prefix that fits one option only is that option.
    fitting = [option for known, option in LONG.items() if name and known.startswith(name)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        names = ", ".join(f"--{option.name}" for option in fitting)
        raise ScriptError(f"--{name} may be any of {names}", word.where.line, word.where.column)
    raise ScriptError(f"sbatch has no option --{name[:60]}", word.where.line, word.where.column)


def _short(word: Word, words: Iterator[Word]) -> Iterator[Given]:
    for at, letter in enumerate(word.text[1:], 1):
        option = SHORT.get(letter)
        if option is None:
            raise ScriptError(f"sbatch has no option -{letter}", word.where.line, word.where.column)
        rest = word.text[at + 1 :]
        if option.takes == FLAG or (option.takes == OPTIONAL and not rest):
            yield Given(option, _bare(option), word.where)
            continue
        yield Given(option, rest, word.where) if rest else _with_next(option, word, words)
        return


def _with_next(option: Option, word: Word, words: Iterator[Word]) -> Given:
    # All lines make one argument list: the value may be the first word of the next line.
    value = next(words, None)
    if value is None:
        raise ScriptError(f"--{option.name} needs a value", word.where.line, word.where.column)
    return Given(option, value.text, value.where)


def _bare(option: Option) -> str | None:
    return "" if option.takes == OPTIONAL else None
