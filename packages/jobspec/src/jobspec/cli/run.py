"""`jobspec run`."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Any

import click
from resources.clikit import echo_json, json_option, one_stdin, read_argument

from jobspec.cli._files import load, profile_option

if TYPE_CHECKING:
    from jobspec.facts import Fact
    from jobspec.profile import Profile
    from jobspec.runner import Plan
    from jobspec.spec import Jobspec


@click.command()
@click.option("-t", "--transformer", "name", help="What to run it with (default: flux, else local).")
@click.argument("file")
@click.option(
    "--dry-run", is_flag=True, help="Print the files and commands, and do nothing. STAGE is the stage's path."
)
@click.option("--inventory", metavar="INVENTORY", help="Check what hosts must have against it: a file, or -.")
@profile_option
@click.option("--keep", is_flag=True, help="Keep the stage.")
@json_option
def run(
    name: str | None,
    file: str,
    dry_run: bool,
    inventory: str | None,
    profile_file: str | None,
    keep: bool,
    as_json: bool,
) -> None:
    """Run the steps of a jobspec FILE (- is stdin). Exits 1 where a step fails."""
    from jobspec import runner

    made = _plan(name, file, inventory, load(profile_file))
    shown = _notes(made, 0)
    if dry_run:
        result = runner.dry_run(made)
        if not as_json:
            for step in result.steps:
                click.echo(step.text())
    else:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                signal.signal(number, _terminated)
        # Beside JSON on stdout the output of jobs is for people.
        output = sys.stderr if as_json else sys.stdout
        report = None if as_json else (lambda step: click.echo(step.text()))
        try:
            result = runner.run(made, keep=keep, report=report, output=output)
        except (SystemExit, BrokenPipeError):
            if made.running:  # a step that waits has not told its id yet
                click.echo(f"jobspec: interrupted; jobs that go on: {' '.join(made.running)}", err=True)
            raise
        finally:  # where it was interrupted, too
            _notes(made, shown)
            if made.left:
                click.echo(f"jobspec: the stage is kept: {made.left}", err=True)
    if as_json:
        echo_json(result.as_dict())
    if not result:
        click.echo(f"jobspec: {file}: {result.reason}", err=True)
        raise click.exceptions.Exit(1)


def _notes(made: Plan, shown: int) -> int:
    """Tell the notes that were not told yet; how many there are now."""
    for note in made.notes[shown:]:
        click.echo(f"jobspec: {made.transformer.name}: {note}", err=True)
    return len(made.notes)


def _plan(name: str | None, file: str, inventory: str | None, profile: Profile) -> Plan:
    from jobspec import document, runner
    from jobspec.errors import DocumentError, JobspecError
    from jobspec.transformer import choose, make

    one_stdin(file, inventory)
    text = read_argument(file, "jobspec")
    try:
        spec = document.load(text)
        if name is not None:
            transformer = make(name)
        else:
            transformer, why_not_flux = choose()
            if why_not_flux:
                click.echo(f"jobspec: running with {transformer.name}: {why_not_flux}", err=True)
        transformer.profile = profile
        known = _check(spec, inventory) if inventory is not None else []
        return runner.plan(spec, transformer, known=known)
    except DocumentError as error:
        raise JobspecError(f"{file}: {error}") from None


def _check(spec: Jobspec, inventory: str) -> list[Fact]:
    """The facts that the inventory's hosts have; raises JobspecError where it can never take a task."""
    from resources.arguments import read_inventory

    from jobspec.errors import DocumentError
    from jobspec.satisfy import satisfy, wanted_of_document

    there, known = read_inventory(inventory), []
    for wanted in wanted_of_document(spec):
        found = satisfy(wanted, there)
        if found.answer.verdict == "INCOMPATIBLE":
            raise DocumentError(found.answer.reason, wanted.name)
        known += [fact for fact in wanted.facts if fact not in found.unknown]
    return known


def _terminated(number: int, _: Any) -> None:
    # As an exception, so that processes are ended and the stage is removed.
    raise SystemExit(128 + number)
