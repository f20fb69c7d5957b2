"""What the commands over many files share: each file is read, answered and forgotten before the next one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from jobspec.job import Job
    from jobspec.profile import Profile
    from jobspec.reading import Problem, Reading

_MANY = 20  # files from which on a progress bar is worth its line


def source_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The `--from` option, the same everywhere."""
    text = "The system that the files are written for (default: found out from their directives)."
    return click.option("--from", "source", default="", metavar="SYSTEM", help=text)(command)


def profile_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The `--profile` option, the same everywhere."""
    text = "A site's profile: names, memory units, sizes of nodes."
    return click.option("--profile", "profile_file", metavar="FILE", help=text)(command)


@dataclass(frozen=True, slots=True)
class Read:
    """One file: its text and its reading. Where it can't be read at all the reading has one error at line 0."""

    file: str
    text: str
    reading: Reading


def load(profile_file: str | None) -> Profile:
    """The profile in a file. Raises JobspecError with the file's name."""
    from resources.clikit import read_argument

    from jobspec.errors import DocumentError, JobspecError
    from jobspec.profile import DEFAULT, load_profile

    if profile_file is None:
        return DEFAULT
    try:
        return load_profile(read_argument(profile_file, "profile"))
    except DocumentError as error:
        raise JobspecError(f"{profile_file}: {error}") from None


def read_all(files: Sequence[str], source: str, profile: Profile) -> Iterator[Read]:
    """The files in their order, each read when it is asked for. Raises JobspecError for an unknown system."""
    from resources.clikit import one_stdin

    from jobspec import readers
    from jobspec.errors import JobspecError
    from jobspec.reading import Problem, Reading

    one_stdin(*files)
    name = readers.source_system(source) if source else ""
    for file in files:
        try:
            text = readers.load_script(file)
        except JobspecError as error:
            yield Read(file, "", Reading(name, errors=(Problem(0, 0, str(error)),)))
            continue
        yield Read(file, text, readers.read(text, name, profile))


def progress(items: Iterator[Read], count: int) -> Iterator[Read]:
    """The same items, with a progress bar on stderr where a person is looking and there are many."""
    if not _bar(count):
        yield from items
        return
    with click.progressbar(items, length=count, file=sys.stderr, label="scripts") as bar:
        yield from bar


def say(text: str, count: int) -> None:
    """A line on stderr about one of `count` files; it takes the place of the progress bar, which comes again below."""
    click.echo(f"\r\x1b[K{text}" if _bar(count) else text, err=True)


def _bar(count: int) -> bool:
    return count >= _MANY and sys.stderr.isatty()


def accepted(file: str, reading: Reading) -> tuple[Job, ...]:
    """The jobs of a reading. Raises JobspecError where its scheduler refuses the file."""
    from jobspec.errors import JobspecError

    for problem in reading.errors:
        raise JobspecError(problem_text(file, problem, "error"))
    return reading.jobs


def problem_text(file: str, problem: Problem, word: str) -> str:
    """`file:line:column: error: what is wrong (meant)`, as compilers say it."""
    place = f"{file}:{problem.line}:{problem.column}" if problem.line else file
    meant = f" ({problem.meant})" if problem.meant else ""
    return f"{place}: {word}: {' '.join(problem.message.split())}{meant}"
