"""`jobspec convert`."""

from __future__ import annotations

import os
import sys
from collections import Counter
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from resources.clikit import echo_json, json_option, table

from jobspec.cli._files import Read, accepted, load, profile_option, progress, read_all, say, source_option
from jobspec.report import FATES, printable

if TYPE_CHECKING:
    from jobspec.convert import Conversion


@click.command()
@click.argument("files", nargs=-1, required=True)
@source_option
@click.option("--to", "target", required=True, metavar="SYSTEM", help="The system to write them for.")
@profile_option
@click.option("--out-dir", type=click.Path(file_okay=False), help="Where the files go; needed for more than one.")
@click.option(
    "--strict", is_flag=True, help="Write nothing and exit 1 where resources, time, order or identity get lost."
)
@click.option("--annotate", is_flag=True, help="Put the report into the output, as comments.")
@json_option
def convert(
    files: tuple[str, ...],
    source: str,
    target: str,
    profile_file: str | None,
    out_dir: str | None,
    strict: bool,
    annotate: bool,
    as_json: bool,
) -> None:
    """Say batch scripts FILES (- is stdin) in the words of another system, and say what was lost in it.

    One script goes to stdout, and its report to stderr; with --out-dir the scripts keep their names, with the
    target's suffix, and the folders below the one that holds them all. --json prints one object a line. Exits 1
    where a script is refused or can't be said; the others are written all the same.
    """
    from jobspec.convert import convert as convert_one
    from jobspec.errors import JobspecError
    from jobspec.systems import system, writer

    writer(target)  # an unknown target is said before any file is read
    target = system(target).name
    if out_dir is None and len(files) > 1 and not as_json:
        raise click.UsageError("several files need --out-dir (or --json, which prints them)")
    if out_dir == "":
        raise click.UsageError("--out-dir is empty")
    profile = load(profile_file)
    output = _Output(files, out_dir) if out_dir is not None else None
    tally: Counter[str] = Counter()
    for item in progress(read_all(files, source, profile), len(files)):
        lost = False
        try:
            accepted(item.file, item.reading)
            result = convert_one(item.text, item.reading, target, profile, file=item.file, annotate=annotate)
            lost = strict and bool(result.lost())
            written = output.write(item.file, result) if output and not lost else []
        except JobspecError as error:
            tally["refused"] += 1
            if as_json:
                answer = {**_head(item, target), "converted": False, "error": str(error), "files": [], "report": []}
                echo_json(answer, lines=True)
            else:
                say(str(error) if str(error).startswith(item.file) else f"{item.file}: {error}", len(files))
            continue
        tally["not written (--strict)" if lost else "converted"] += 1
        tally.update(entry.fate for entry in result.entries)
        if as_json:
            echo_json(_answer(item, target, result, written, lost=lost, inline=out_dir is None), lines=True)
        else:
            _tell(item, result, written, lost=lost, count=len(files))
    if len(files) > 1 and not as_json:
        became = _counts(tally, ("converted", "refused", "not written (--strict)"))
        click.echo(f"{len(files):,} scripts: {became}; in them: {_counts(tally, FATES) or 'nothing'}", err=True)
    if tally["converted"] < len(files):
        raise click.exceptions.Exit(1)


class _Output:
    """Where results go: below `out_dir` as the sources lie below the folder that holds them all.

    The target's suffix takes the place of the source's, unless sources differ in their suffixes only.
    """

    def __init__(self, files: tuple[str, ...], out_dir: str) -> None:
        self.files = files
        self.out_dir = out_dir.rstrip("/") or "/"
        self.cwd = str(Path.cwd())
        folders = {self._absolute(file).rpartition("/")[0] for file in files if file != "-"}
        self.above = len(os.path.commonpath(folders or {"/"}).rstrip("/")) + 1
        once, self.twice = set[str](), set[str]()
        for file in dict.fromkeys(files):
            stem = self._stem(self._relative(file))
            (self.twice if stem in once else once).add(stem)
        self.made: set[int] = set()

    def _absolute(self, file: str) -> str:
        # Links are not followed: their names are what the user knows the files by.
        return os.path.normpath(f"{self.cwd}/{file}") if not file.startswith("/") else os.path.normpath(file)

    def _relative(self, file: str) -> str:
        return self._absolute(file)[self.above :] if file != "-" else "stdin"

    @staticmethod
    def _stem(path: str) -> str:
        folder, slash, name = path.rpartition("/")
        return folder + slash + (name.rpartition(".")[0] or name)

    def write(self, file: str, result: Conversion) -> list[str]:
        """Write the files of a source, each whole or not at all; their paths. Raises JobspecError."""
        from jobspec.errors import JobspecError

        place = self._relative(file)
        if (stem := self._stem(place)) not in self.twice:
            place = stem
        written = []
        for one in result.files:
            path = f"{self.out_dir}/{place}{one.suffix}"
            if hash(path) in self.made and self.files.count(file) == 1:
                raise JobspecError(f"{file}: {path} was written for another file already")
            there = _identity(path)
            if there and there in self.sources:
                raise JobspecError(f"{file}: {path} is one of the sources: choose another --out-dir")
            self.made.add(hash(path))
            _replace(path, one.text)
            written.append(path)
        return written

    @cached_property
    def sources(self) -> frozenset[tuple[int, int] | None]:
        """The sources that there are, whatever their names; looked up once, and only where a file may be one."""
        return frozenset(_identity(file) for file in self.files if file != "-")


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - some 20 microseconds less for each of many files
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def _replace(path: str, text: str) -> None:
    from jobspec.errors import JobspecError

    folder, _, name = path.rpartition("/")
    new = f"{folder}/.{name[:200]}.{os.getpid()}.new"
    data = text.encode(errors="surrogateescape")
    try:
        try:
            _write(new, data)
        except FileNotFoundError:
            os.makedirs(folder, exist_ok=True)  # noqa: PTH103
            _write(new, data)
        os.replace(new, path)  # noqa: PTH105
    except OSError as error:
        with suppress(OSError):
            os.unlink(new)  # noqa: PTH108
        raise JobspecError(f"can't write {path}: {error.strerror}") from None


def _write(path: str, data: bytes) -> None:
    with open(path, "wb", buffering=0) as file:  # noqa: PTH123
        while data:
            data = data[file.write(data) :]


def _head(item: Read, target: str) -> dict[str, Any]:
    return {"file": item.file, "from": item.reading.system or None, "to": target}


def _answer(
    item: Read, target: str, result: Conversion, written: list[str], *, lost: bool, inline: bool
) -> dict[str, Any]:
    if inline:
        files = [{"suffix": file.suffix, "text": file.text} for file in result.files] if not lost else []
    else:
        files = [{"path": path} for path in written]
    error = "something that matters would be lost" if lost else None
    report = [entry.as_dict() for entry in result.entries]
    return {**_head(item, target), "converted": not lost, "error": error, "files": files, "report": report}


def _tell(item: Read, result: Conversion, written: list[str], *, lost: bool, count: int) -> None:
    if count == 1 and not written and not lost:
        sys.stdout.flush()
        for file in result.files:
            sys.stdout.buffer.write(file.text.encode(errors="surrogateescape"))
        sys.stdout.buffer.flush()
    summary = _counts(Counter(entry.fate for entry in result.entries), FATES) or "no directives"
    if lost:
        summary += "; not written (--strict)"
    where = f" -> {' '.join(written)}" if written else ""
    say(f"{item.file}{where}: {summary}", count)
    if result.entries and (count == 1 or lost):
        rows = [(str(entry.line), entry.fate, _cell(entry.text), _cell(entry.why)) for entry in result.entries]
        click.echo(table(rows, ("LINE", "FATE", "WHAT", "WHY")), err=True)


def _counts(tally: Counter[str], names: tuple[str, ...]) -> str:
    return ", ".join(f"{tally[name]:,} {name}" for name in names if tally[name])


def _cell(text: str) -> str:
    return printable(" ".join(text.split()))
