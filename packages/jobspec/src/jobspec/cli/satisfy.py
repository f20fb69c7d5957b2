"""`jobspec satisfy`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click
from resources.clikit import echo_json, json_option, one_stdin, read_argument

from jobspec.cli._files import accepted, load, profile_option, source_option

if TYPE_CHECKING:
    from jobspec.profile import Profile
    from jobspec.satisfy import Wanted


@click.command()
@click.argument("file")
@click.option("--inventory", required=True, metavar="INVENTORY", help="What there is: a file, or - for stdin.")
@source_option
@profile_option
@json_option
@click.pass_context
def satisfy(
    ctx: click.Context, file: str, inventory: str, source: str, profile_file: str | None, as_json: bool
) -> None:
    """Whether an inventory can take what FILE (a jobspec or a batch script; - is stdin) asks for.

    READY now, BUSY later, INCOMPATIBLE never, UNKNOWN where the inventory does not tell; a line for each task or
    group. Exits 0 where all are READY, else 1.
    """
    from resources.arguments import read_inventory

    from jobspec import satisfy as answers

    one_stdin(file, inventory)
    there = read_inventory(inventory)
    found = [answers.satisfy(one, there) for one in _wanted(file, source, load(profile_file))]
    verdict = answers.worst(found)
    if as_json:
        echo_json({"file": file, "verdict": verdict, "answers": [one.as_dict() for one in found]})
    else:
        for one in found:
            for note in one.wanted.notes:
                click.echo(f"jobspec: {one.wanted.name or file}: {note.text}", err=True)
            click.echo(one.text())
    ctx.exit(0 if verdict == "READY" else 1)


def _wanted(file: str, source: str, profile: Profile) -> Iterable[Wanted]:
    """What the file asks for: a script where it has a shebang or directives, else a jobspec."""
    from jobspec import document, readers
    from jobspec.errors import DocumentError, JobspecError
    from jobspec.satisfy import wanted_of_document, wanted_of_jobs

    text = read_argument(file, "jobspec")
    evidence = [] if source else readers.detect(text)
    foreign = source or (evidence[0].system if evidence else "slurm" if text.startswith("#!") else "jobspec")
    if foreign == "jobspec":
        try:
            return list(wanted_of_document(document.load(text)))
        except DocumentError as error:
            raise JobspecError(f"{file}: {error}") from None
    reading = readers.read(text, readers.source_system(source) if source else foreign, profile)
    return [wanted_of_jobs(accepted(file, reading))]
