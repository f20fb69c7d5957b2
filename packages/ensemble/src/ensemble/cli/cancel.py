"""`ensemble cancel`."""

from __future__ import annotations

import time
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click

from ensemble.errors import RunDirError
from ensemble.rundir import RunDir, base_name, document_of

WAIT = 5.0  # seconds for the run to take a request


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, readable=False))
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.pass_context
def cancel(ctx: click.Context, folder: Path, names: tuple[str, ...]) -> None:
    """Cancel jobs or groups of the run in DIR, by name; without a NAME all of it, which ends the run.

    The run that lives does it, within seconds. One whose process is gone is taken up once more, only to cancel all
    of it.
    """
    with RunDir(folder) as run:
        state = run.state()
        if state.word == "ended":
            raise RunDirError(folder, f"there is nothing to cancel, it has {state.text}")
        request: dict[str, Any] = {"cancel": _live(run, names)} if names else {"stop": "cancel"}
        if not state.lives and names:
            raise RunDirError(folder, f"nobody is there to cancel {names[0]}: {state.text}, and then cancel")
    from ensemble.requests import ask

    try:
        ask(folder, request)
    except OSError as error:
        raise RunDirError(folder, f"the request can't be written: {error.strerror}") from None
    if not state.lives:
        _take_up(ctx, folder)
        return
    what = ", ".join(names) if names else "all of it"
    if _taken(folder):
        click.echo(f"the run cancels {what}", err=True)
    else:
        click.echo(f"asked to cancel {what}; the run ({state.text}) has not taken it yet", err=True)


def _take_up(ctx: click.Context, folder: Path) -> None:
    """Resume a run whose process is gone: the request to stop is the first thing that it finds."""
    from ensemble.cli.run import run

    try:
        ctx.invoke(run, file="", member="", cores=None, folder=folder, resume=True, as_json=False)
    except click.exceptions.Exit:  # a run that was cancelled has not met its rules; here that is what was asked for
        return


def _live(run: RunDir, names: tuple[str, ...]) -> list[str]:
    """The names as the run knows them: groups as they are, of jobs the attempt that has not ended."""
    groups = {
        str(group.get("name")) for group in document_of(run.value("text")).get("jobs") or () if isinstance(group, dict)
    }
    groups |= {group for (group,) in run.rows("SELECT DISTINCT grp FROM jobs")}
    found = []
    for name in names:
        if name in groups:
            found.append(name)
            continue
        like = run.jobs("WHERE name = ? OR name LIKE ?", base_name(name), f"{base_name(name)}.%")
        rows = [row for row in like if base_name(row.name) == base_name(name)]
        if not rows:
            close = get_close_matches(name, groups, n=1)
            hint = (
                f"; did you mean {close[0]!r}?" if close else f"; its groups are {', '.join(sorted(groups)) or 'none'}"
            )
            raise RunDirError(run.path, f"there is no job and no group {name!r}{hint}")
        live = [row.name for row in rows if row.state != "ended"]
        if not live:
            raise RunDirError(run.path, f"{name} has ended already: {rows[-1].outcome}")
        found += live
    return found


def _taken(folder: Path) -> bool:
    until = time.monotonic() + WAIT
    place = folder / "requests"
    while any(place.glob("*.json")):
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True
