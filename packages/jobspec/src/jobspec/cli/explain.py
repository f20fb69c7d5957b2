"""`jobspec explain`."""

from __future__ import annotations

from typing import Any

import click
from resources.clikit import echo_json, json_option

from jobspec.cli._files import load, problem_text, profile_option, read_all, source_option


@click.command()
@click.argument("files", nargs=-1, required=True)
@source_option
@profile_option
@json_option
def explain(files: tuple[str, ...], source: str, profile_file: str | None, as_json: bool) -> None:
    """What batch scripts FILES (- is stdin) ask for, as their own scheduler would hold it.

    With --json one object a line, in the order of the files. Exits 1 where a scheduler would refuse one of them.
    """
    from jobspec.explain import as_dict, job_dict

    accepted = True
    for item in read_all(files, source, load(profile_file)):
        accepted &= item.reading.accepted
        if as_json:
            echo_json(as_dict(item.file, item.reading), lines=True)
            continue
        click.echo(f"{item.file}: {item.reading.system or 'can not be read'}")
        for problem in item.reading.errors:
            click.echo("  " + problem_text(item.file, problem, "error"))
        for problem in item.reading.warnings:
            click.echo("  " + problem_text(item.file, problem, "warning"))
        if not item.reading.accepted:
            continue
        for index, job in enumerate(item.reading.jobs):
            if len(item.reading.jobs) > 1:
                click.echo(f"  component {index}")
            for name, value in job_dict(job).items():
                if value not in (None, [], False):
                    click.echo(f"  {name.replace('_', ' '):16} {_shown(name, value)}")
        for one in item.reading.directives:
            if one.state != "obeyed":
                click.echo(f"  line {one.line} {one.state}: {one.text.strip()[:60]}: {one.why}")
    if not accepted:
        raise click.exceptions.Exit(1)


def _shown(name: str, value: Any) -> str:
    from resources.units import memory_text, seconds_text

    if name == "nodes":
        least, most = value["min"], value["max"]
        return str(least) if least == most else f"{least} to {'any number' if most is None else most}"
    if name == "memory":
        return "all of the node" if not value["bytes"] else f"{memory_text(value['bytes'])} per {value['per']}"
    if name == "disk_per_node":
        return memory_text(value)
    if name.startswith("walltime") and isinstance(value, int):
        return seconds_text(value)
    if name == "gpus":
        return ", ".join(
            f"{one['count']} {(one['type'] or '') + ' '}per {one['per']}".replace("  ", " ") for one in value
        )
    if name in {"gres", "licenses"}:
        return ", ".join(":".join(str(part) for part in one.values() if part is not None) for one in value)
    if name == "native":
        return " ".join(
            f"{one['option']}={one['value']}" if one["value"] is not None else one["option"] for one in value
        )
    if isinstance(value, dict):
        said = {key: " ".join(part) if isinstance(part, list) else part for key, part in value.items()}
        return ", ".join(f"{key} {part}" for key, part in said.items() if part not in (None, False))
    return str(value) if value is not True else "yes"
