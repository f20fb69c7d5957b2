"""`jobspec request`."""

from __future__ import annotations

import click
from resources.clikit import echo_json, json_option

from jobspec.cli._files import accepted, load, problem_text, profile_option, read_all, source_option


@click.command()
@click.argument("file")
@source_option
@profile_option
@json_option
def request(file: str, source: str, profile_file: str | None, as_json: bool) -> None:
    """What the batch script FILE (- is stdin) asks for, as a request that `resources fit` reads.

    What a request can't say is told on stderr.
    """
    from resources.documents import dump_request

    from jobspec.merge import merged
    from jobspec.reading import Problem
    from jobspec.request import request as request_of

    [item] = read_all((file,), source, load(profile_file))
    job, approximate = merged(accepted(file, item.reading))
    need, notes = request_of(job)
    asked = {(one.line, one.column): f"{' '.join(one.text.split())}: " for one in item.reading.directives}
    said = [
        Problem(line, column, asked.get((line, column), "") + note.text)
        for note in notes
        for line, column in [(note.where.line, note.where.column)]
    ]
    said += [
        Problem(one.line, one.column, f"{' '.join(one.text.split())}: a request has no word for it")
        for one in item.reading.directives
        if one.state == "obeyed" and one.fields == ("native",)
    ]
    if approximate:
        said.append(Problem(1, 1, "a heterogeneous job: the request is large enough for all of its components"))
    for problem in sorted((*item.reading.warnings, *said), key=lambda one: (one.line, one.column)):
        click.echo(problem_text(file, problem, "note"), err=True)
    if as_json:
        echo_json(dump_request(need))
    else:
        click.echo(str(need))
