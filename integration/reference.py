"""Pages of the command-line reference, made from the commands themselves: docs/reference/*.md.

`python integration/reference.py --write` makes them anew; without it, says which differ. They need nothing of what
extras bring, and are the same on every machine.
"""

from __future__ import annotations

import html
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from resources.clikit import LazyGroup

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference"
PACKAGES = {  # page below docs/packages -> distribution
    "resources": "hpc-resources",
    "secretary": "resource-secretary",
    "jobspec": "jobspec",
    "ensemble": "ensemble-python",
    "fluxburst": "flux-burst",
}
# page -> (what is typed, "module:attribute" of the click command, the page of its package)
COMMANDS = {
    "resources": ("resources", "resources.cli:main", "resources"),
    "resource-secretary": ("resource-secretary", "resource_secretary.cli:main", "secretary"),
    "jobspec": ("jobspec", "jobspec.cli:main", "jobspec"),
    "ensemble": ("ensemble", "ensemble.cli:main", "ensemble"),
    "ensemble-server": ("ensemble-server", "ensemble.service.main:main", "ensemble"),
    "ensemble-members-flux": ("python -m ensemble.members.flux", "ensemble.cli.journal:main", "ensemble"),
    "flux-burst": ("flux-burst", "fluxburst.cli:main", "fluxburst"),
}
MADE = "<!-- note: made by integration/reference.py from the commands; its --write makes it anew. -->"


def pages() -> dict[str, str]:
    """File name -> text, of every page."""
    return {f"{page}.md": "\n".join(_page(*COMMANDS[page])).rstrip() + "\n" for page in COMMANDS}


def different(folder: Path = FOLDER) -> list[str]:
    """The pages whose file is not what the commands give."""
    made = pages()
    return [name for name, text in made.items() if not (folder / name).is_file() or (folder / name).read_text() != text]


def load(place: str) -> click.Command:
    """The click command at "module:attribute". Raises TypeError where something else is there."""
    module, _, attribute = place.partition(":")
    found = getattr(importlib.import_module(module), attribute)
    if not isinstance(found, click.Command):
        raise TypeError(f"{place} is no click command")
    return found


def _page(typed: str, place: str, package: str) -> Iterator[str]:
    command = load(place)
    context = click.Context(command, info_name=typed)
    yield from ("---", f"title: {typed}", "---", MADE, "", f"# `{typed}`", "")
    yield from _about(command, context)
    subcommands = dict(_subcommands(command))
    if subcommands:
        yield from ("| Command | Does |", "|---|---|")
        for name, (about, _) in subcommands.items():
            yield f"| [`{name}`](#{name}) | {_cell(about)} |"
        yield ""
    yield f"Its package: [{PACKAGES[package]}](../packages/{package}.md)."
    yield ""
    for name, (_, subcommand) in subcommands.items():
        yield from _section(subcommand, click.Context(subcommand, parent=context, info_name=name), name, level=2)
    if typed == "flux-burst":
        yield from _plugins()


def _subcommands(command: click.Command) -> Iterator[tuple[str, tuple[str, click.Command]]]:
    """name -> (one line, command). Lazy ones are imported here, past what a group refuses without its extras."""
    if isinstance(command, LazyGroup):
        for name, (place, about) in command.lazy.items():
            yield name, (about, load(place))
    elif isinstance(command, click.Group):
        for name, one in command.commands.items():
            yield name, (one.get_short_help_str(limit=200), one)


def _section(command: click.Command, context: click.Context, name: str, level: int) -> Iterator[str]:
    path = context.command_path
    yield from (f"{'#' * level} `{path}` {{ #{name} }}", "")
    yield from _about(command, context)
    for below, (_, subcommand) in _subcommands(command):
        inner = click.Context(subcommand, parent=context, info_name=below)
        yield from _section(subcommand, inner, f"{name}-{below}", level + 1)


def _about(command: click.Command, context: click.Context) -> Iterator[str]:
    """Usage, what it does, and its options."""
    pieces = " ".join(command.collect_usage_pieces(context))
    yield from ("```text", f"{context.command_path} {pieces}".rstrip(), "```", "")
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        yield from (_text(paragraph), "")
    yield from _options([one for one in command.params if isinstance(one, click.Option)], context)


def _options(options: list[click.Option], context: click.Context) -> Iterator[str]:
    records = [record for option in options if (record := option.get_help_record(context))]
    if not records:
        return
    yield from ("| Option | Meaning |", "|---|---|")
    for names, about in records:
        yield f"| {_code(names)} | {_cell(about)} |"
    yield ""


def _plugins() -> Iterator[str]:
    """The options of each plugin that comes with flux-burst, as `plan` and `run` take them."""
    from fluxburst.parameters import click_options
    from fluxburst.plugins import REGISTRY

    built_in = [line for line in REGISTRY.listing() if line.found.origin == "built-in"]
    yield from ("## Options of the plugins { #plugins }", "")
    yield "`flux-burst plan --plugin NAME` and `flux-burst run --plugin NAME` take the options of that plugin, and show"
    yield "them with `--help`. Each is also a key of its table in `burst.toml`, without the plugin's name in front and"
    yield "with `_` for `-`: `--slurm-max-nodes 4` is `max_nodes = 4` in `[plugins.slurm]`."
    yield ""
    for line in built_in:
        yield from (f"### `{line.name}` {{ #plugin-{line.name} }}", "")
        found = REGISTRY.load(line.name).options()
        yield from _options(click_options(line.name, found), click.Context(click.Command("plan")))


def _text(paragraph: str) -> str:
    """A paragraph of help as Markdown: one marked by \\b keeps its lines."""
    if paragraph.startswith("\b"):
        return "```text\n" + inspect.cleandoc(paragraph.removeprefix("\b").lstrip("\n")) + "\n```"
    return _marked(" ".join(paragraph.split()))


def _marked(text: str) -> str:
    """Text in which nothing is Markdown but what stands in backticks; options are set as code."""
    parts = text.split("`")
    for at in range(0, len(parts), 2):
        plain = re.sub(r"([*_\[\]\\])", r"\\\1", parts[at]).replace("<", "&lt;")
        parts[at] = re.sub(r"(?<![\w-])(--[a-z][\w-]*(?: [A-Z]+\b)?)", lambda m: f"`{m[1]}`", plain)
    return "`".join(parts)


def _cell(text: str) -> str:
    return _marked(" ".join(text.split())).replace("|", "\\|")


def _code(names: str) -> str:
    """As code in a cell of a table, where a bar would end it."""
    return f"<code>{html.escape(names).replace('|', '&#124;')}</code>" if "|" in names else f"`{names}`"


def main() -> int:
    if "--write" in sys.argv[1:]:
        FOLDER.mkdir(parents=True, exist_ok=True)
        for name, text in pages().items():
            (FOLDER / name).write_text(text)
        return 0
    for name in (wrong := different()):
        print(f"docs/reference/{name} is not what its command says: python integration/reference.py --write")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
