"""`ensemble run`."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import sys
import threading
import time
import uuid
from collections.abc import Coroutine, Mapping
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from resources.clikit import json_option
from resources.plugins import Registry

from ensemble.document import Document
from ensemble.engine import Engine
from ensemble.errors import EnsembleError, FileError
from ensemble.journal import DATABASE, Journal, started_meta
from ensemble.load import load, parse
from ensemble.member import Member, Options
from ensemble.plugins import Plugin, choose, registry
from ensemble.reporting.json import JsonReport, end_of
from ensemble.reporting.live import LiveReport
from ensemble.reporting.text import TextReport
from ensemble.results import Result
from ensemble.runtime import Runtime, replay

_UNWRITABLE = {errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}  # of stdout; files of ours tell theirs


@dataclass(frozen=True, slots=True)
class _Run:
    document: Document
    member: Member
    journal: Journal
    engine: Engine | None


@click.command()
@click.argument("file", required=False, default="")
@click.option("--member", default="", metavar="NAME", help="Where the jobs run: local, flux, slurm, ... or a plugin's.")
@click.option("--cores", type=click.IntRange(min=1), help="Use this many cores of this machine (local).")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, readable=False),
    help="The directory of the run: a new or empty one.",
)
@click.option("--resume", is_flag=True, help="Go on with the run in --dir, or in a directory given in place of FILE.")
@json_option
@click.pass_context
def run(
    ctx: click.Context, file: str, member: str, cores: int | None, folder: Path | None, resume: bool, as_json: bool
) -> None:
    """Run the ensemble in FILE (- is stdin) until nothing runs and no rule can fire.

    Everything is kept in the directory of the run; `ensemble run --resume DIR` goes on with one that was stopped or
    killed. Ctrl-C and SIGTERM stop the run and leave its jobs to their queue.

    Exits with 0 where all went as the rules say; with 1 where jobs failed, an action failed, a rule was never met, or
    the run was stopped.
    """
    if resume and file and Path(file).is_dir():
        if folder is not None:
            raise click.UsageError("the directory is given twice: as FILE and as --dir")
        file, folder = "", Path(file)
    if resume and folder is None:
        if file and not Path(file).exists():
            raise EnsembleError(f"{file}: there is no such directory to resume")
        raise click.UsageError("--resume wants the directory of the run: ensemble run --resume DIR")
    if not file and not resume:
        raise click.UsageError("which FILE? (- is stdin)")
    if not resume and os.path.exists(Path(file) / DATABASE):  # noqa: PTH110 - False where it may not be looked at
        raise EnsembleError(f"{file} is the directory of a run: go on with it by ensemble run --resume {file}")
    plugins = registry()
    if resume and folder is not None and (not file or (folder / DATABASE).exists()):
        made = _resumed(ctx, folder, file, member, plugins)
    else:
        made = _new(ctx, file, member, cores, folder, plugins)
    runtime = Runtime(
        made.document,
        made.member,
        plugins,
        engine=made.engine,
        journal=made.journal,
    )
    live = sys.stdout.isatty() and not as_json
    report = (JsonReport if as_json else LiveReport if live else TextReport)(made.document, runtime.engine)
    try:
        with redirect_stdout(sys.stderr) if as_json else nullcontext():  # of custom functions: stdout is for JSON
            result = _complete(runtime.run(report))
        ending = {"type": "end", **end_of(result, runtime.engine, made.member)}
        if runtime.stopped:
            report.stopped(runtime.stopped, result, made.journal.folder)
        else:
            made.journal.note({"ended": repr(time.time()), "result": json.dumps(ending)})
            report.end(result, made.member)
    except OSError as error:
        if error.errno in _UNWRITABLE and error.filename is None and not made.journal.meta["ended"]:
            why = f"stopped: the output can't be written ({error.strerror})"
            click.echo(f"{why}; go on with: ensemble run --resume {made.journal.folder}", err=True)
        raise
    finally:
        made.journal.close()
        if isinstance(report, LiveReport):
            report.close()
    if runtime.stopped and any(not one.daemon for one in threading.enumerate()[1:]):
        # A call of the member's that hangs, in a thread that Python would wait for.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)
    if runtime.stopped or not _went_well(ending):
        ctx.exit(1)


def _complete(work: Coroutine[Any, Any, Result]) -> Result:
    """Run it to its end. Unlike asyncio.run it does not wait for what will not be cancelled, nor for threads."""
    loop = asyncio.new_event_loop()
    try:
        result = loop.run_until_complete(work)
        if left := asyncio.all_tasks(loop):
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.wait(left, timeout=0.2))
        return result
    finally:
        loop.close()


def _went_well(ending: Mapping[str, Any]) -> bool:
    return bool(ending["met"]) and ending["ended_by"] in (None, "terminate")


def _new(
    ctx: click.Context, file: str, asked: str, cores: int | None, folder: Path | None, plugins: Registry[Plugin]
) -> _Run:
    try:
        document = load(file, plugins)
    except FileError as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        ctx.exit(1)
    identity = uuid.uuid4().hex[:12]
    folder = (folder or _default_folder(file, identity)).absolute()
    wanted = asked or document.member
    settings = document.settings if wanted == document.member else {}
    name, kind = choose(wanted, plugins, cores=cores)
    made = kind(Options(identity, folder / "member", cores, settings=settings))
    if not wanted:
        click.echo(f"no member was asked for: using {name}", err=True)
    meta = {
        "run": identity,
        "version": _version(),
        "file": document.file,
        "text": document.text,
        "member": name,
        "settings": json.dumps(settings),
        "cores": json.dumps(cores),
        "cwd": os.getcwd(),  # noqa: PTH109 - as the shell has it
        "started": repr(time.time()),
    }
    if made.no_resize and any(rule.action.name in ("grow", "shrink") for rule in document.rules):
        click.echo(f"member {name} can't grow or shrink, rules that ask for it will fail: {made.no_resize}", err=True)
    journal = Journal.create(folder, meta | started_meta(), durable=made.remote)
    click.echo(f"directory of the run: {folder}", err=True)
    return _Run(document, made, journal, None)


def _resumed(ctx: click.Context, folder: Path, file: str, asked: str, plugins: Registry[Plugin]) -> _Run:
    folder = folder.absolute()
    journal = Journal.open(folder)
    meta = journal.meta
    if file and load(file, plugins).text != meta["text"]:
        raise EnsembleError(f"{file} has changed since the run in {folder} began: leave it out to go on as it was")
    if asked not in ("", meta["member"]):
        raise EnsembleError(f"the run in {folder} is on member {meta['member']}, not {asked}")
    if meta["ended"]:
        click.echo(f"the run in {folder} has ended: `ensemble report {folder}` shows it", err=True)
        ctx.exit(0 if _went_well(json.loads(meta["result"])) else 1)
    if Path(meta["cwd"]).is_dir():
        os.chdir(meta["cwd"])
    document = parse(meta["text"], meta["file"], plugins)
    cores, settings = json.loads(meta["cores"]), json.loads(meta["settings"])
    _, kind = choose(meta["member"], plugins, cores=cores)
    member = kind(Options(meta["run"], folder / "member", cores, settings=settings))
    engine = replay(
        document, journal, lambda count: click.echo(f"resuming {folder}: {count} events were taken in again", err=True)
    )
    journal.note(started_meta())
    return _Run(document, member, journal, engine)


def _default_folder(file: str, identity: str) -> Path:
    """`$XDG_STATE_HOME/ensemble/NAME-DATE-RUN`; it stays until it is removed.

    XDG Base Directory Specification, section 3: a path that is not absolute is invalid and ignored.
    """
    base = Path(os.environ.get("XDG_STATE_HOME", ""))
    if not base.is_absolute():
        home = os.path.expanduser("~") if os.environ.get("HOME", "~") else ""  # noqa: PTH111 - may not exist
        if not Path(home).is_absolute():
            raise EnsembleError("there is no home directory to keep the run in: name one with --dir")
        base = Path(home) / ".local/state"
    name = "stdin" if file == "-" else Path(file).stem[:100]
    return base / "ensemble" / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}-{identity[:4]}"


def _version() -> str:
    from ensemble import __version__

    return __version__
