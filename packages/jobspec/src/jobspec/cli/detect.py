"""`jobspec detect`."""

from __future__ import annotations

import click
from resources.clikit import echo_json, json_option


@click.command()
@click.argument("files", nargs=-1, required=True)
@json_option
def detect(files: tuple[str, ...], as_json: bool) -> None:
    """Which batch system FILES (- is stdin) are written for, and which line says so.

    Exits 1 where nothing in a file says it.
    """
    from dataclasses import asdict

    from resources.clikit import one_stdin

    from jobspec import readers
    from jobspec.errors import JobspecError

    one_stdin(*files)
    told = True
    for file in files:
        error, found = "", []
        try:
            found = readers.detect(readers.load_script(file))
        except JobspecError as failed:
            error = str(failed)
        told &= bool(found)
        if as_json:
            evidence = [asdict(one) for one in found]
            system = found[0].system if found else None
            echo_json({"file": file, "system": system, "evidence": evidence, "error": error or None}, lines=True)
        elif found:
            first, *others = found
            also = "".join(f"; also {one.system} (line {one.line})" for one in others)
            click.echo(f"{file}: {first.system} (line {first.line}: {first.reason}){also}")
        else:
            click.echo(f"{file}: {error or 'nothing in it says which system it is for'}")
    if not told:
        raise click.exceptions.Exit(1)
