"""`jobspec validate`."""

from __future__ import annotations

import click
from resources.clikit import echo_json, json_option

from jobspec.cli._files import load, problem_text, profile_option, read_all, source_option


@click.command()
@click.argument("files", nargs=-1, required=True)
@source_option
@profile_option
@json_option
def validate(files: tuple[str, ...], source: str, profile_file: str | None, as_json: bool) -> None:
    """Whether the schedulers would take batch scripts FILES (- is stdin); if not, where and why not.

    Prints `file:line:column: error: what is wrong (what was probably meant)`. Exits 1 where one is refused.
    """
    from jobspec.explain import problems

    valid = True
    for item in read_all(files, source, load(profile_file)):
        reading = item.reading
        valid &= reading.accepted
        if as_json:
            answer: dict[str, object] = {"file": item.file, "system": reading.system or None, "valid": reading.accepted}
            answer |= {"errors": problems(reading.errors), "warnings": problems(reading.warnings)}
            echo_json(answer, lines=True)
            continue
        for problem in reading.errors:
            click.echo(problem_text(item.file, problem, "error"))
        for problem in reading.warnings:
            click.echo(problem_text(item.file, problem, "warning"))
        if reading.accepted:
            click.echo(f"{item.file}: ok ({reading.system})")
    if not valid:
        raise click.exceptions.Exit(1)
