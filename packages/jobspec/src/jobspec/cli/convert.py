"""`jobspec convert`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from resources.clikit import echo_json, json_option, table

from jobspec.cli._files import Read, load, problem_text, profile_option, progress, read_all, source_option

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
    profile = load(profile_file)
    places = _places(files, out_dir)
    sources = {os.path.realpath(file) for file in places}
    done = True
    for item in progress(read_all(files, source, profile), len(files)):
        try:
            if not item.reading.accepted:
                raise JobspecError(problem_text(item.file, item.reading.errors[0], "error"))
            result = convert_one(item.text, item.reading, target, profile, file=item.file, annotate=annotate)
        except JobspecError as error:
            done = False
            if as_json:
                echo_json(
                    {**_head(item, target), "converted": False, "error": str(error), "files": [], "report": []},
                    lines=True,
                )
            else:
                text = str(error)
                click.echo(text if text.startswith(item.file) else f"{item.file}: {text}", err=True)
            continue
        lost = result.lost() if strict else []
        written = _write(result, places[item.file], sources) if places and not lost else []
        done &= not lost
        if as_json:
            echo_json(_answer(item, target, result, written, lost=bool(lost), inline=out_dir is None), lines=True)
        else:
            _tell(item, result, written, lost=bool(lost), alone=len(files) == 1)
    if not done:
        raise click.exceptions.Exit(1)


def _places(files: tuple[str, ...], out_dir: str | None) -> dict[str, Path]:
    """Where each file's results go, without their suffix. Raises JobspecError where two would be one."""
    from jobspec.errors import JobspecError

    if out_dir is None:
        return {}
    absolute = {file: Path.cwd() / file for file in files if file != "-"}  # links are not followed: names are kept
    common = Path(os.path.commonpath([path.parent for path in absolute.values()])) if absolute else Path()
    places: dict[str, Path] = {}
    taken: dict[Path, str] = {}
    for file in files:
        relative = Path(os.path.relpath(absolute[file], common)) if file in absolute else Path("stdin")
        place = Path(out_dir) / relative.with_suffix("")
        if taken.get(place, file) != file:
            place = Path(out_dir) / relative  # a.sh and a.sbatch: with their own suffixes
        if taken.get(place, file) != file:
            raise JobspecError(f"{taken[place]} and {file} would be written to one place: {place}")
        taken[place] = file
        places[file] = place
    return places


def _write(result: Conversion, place: Path, sources: set[str]) -> list[str]:
    """Write the files whole or not at all. Raises JobspecError with the name of one that can't be written."""
    from jobspec.errors import JobspecError

    written = []
    for file in result.files:
        path = place.with_name(place.name + file.suffix)
        if os.path.realpath(path) in sources:
            raise JobspecError(f"{path} is one of the sources: choose another --out-dir")
        new = path.with_name(f".{path.name}.{os.getpid()}.new")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            new.write_bytes(file.text.encode(errors="surrogateescape"))
            new.replace(path)
        except OSError as error:
            new.unlink(missing_ok=True)
            raise JobspecError(f"can't write {path}: {error.strerror}") from None
        written.append(str(path))
    return written


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


def _tell(item: Read, result: Conversion, written: list[str], *, lost: bool, alone: bool) -> None:
    if alone and not written and not lost:
        sys.stdout.flush()
        for file in result.files:
            sys.stdout.buffer.write(file.text.encode(errors="surrogateescape"))
        sys.stdout.buffer.flush()
    counts: dict[str, int] = {}
    for entry in result.entries:
        counts[entry.fate] = counts.get(entry.fate, 0) + 1
    summary = ", ".join(
        f"{counts[fate]} {fate}" for fate in ("exact", "approximate", "dropped", "ignored") if fate in counts
    )
    if lost:
        summary += "; not written (--strict)"
    where = f" -> {' '.join(written)}" if written else ""
    click.echo(f"{item.file}{where}: {summary or 'no directives'}", err=True)
    rows = [(str(entry.line), entry.fate, _cell(entry.text), _cell(entry.why)) for entry in result.entries]
    if alone or lost:
        click.echo(table(rows, ("LINE", "FATE", "WHAT", "WHY")), err=True) if rows else None


def _cell(text: str) -> str:
    text = " ".join(text.split())
    return text if text.isprintable() else text.encode("unicode_escape", "replace").decode()
