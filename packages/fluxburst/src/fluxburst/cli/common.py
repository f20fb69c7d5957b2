"""What the commands share: where a lead and its ledger are, and plugins with their options."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import click
from resources.clikit import table

from fluxburst.errors import FluxBurstError, HandleError, LoadError, ParameterError
from fluxburst.texts import hint

if TYPE_CHECKING:
    from fluxburst.client import FluxBurst
    from fluxburst.handles import Handle
    from fluxburst.lead import Lead
    from fluxburst.settings import Settings

_OPTIONS = "fluxburst.plugin-options"
_ROOM = 30  # columns, the least that a text is folded into beside others


class PluginCommand(click.Command):
    """A command that has the options of the plugins that its arguments name with --plugin."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing:
            ctx.meta[_OPTIONS] = list(_plugin_options(list(_named(args))))
        return super().parse_args(ctx, args)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        own = super().get_params(ctx)
        return [*own[:-1], *ctx.meta.get(_OPTIONS, ()), own[-1]]  # help stays the last one


def _named(args: list[str]) -> Iterator[str]:
    """The plugins that the arguments name, before they are parsed."""
    for at, arg in enumerate(args):
        if arg == "--":
            return
        if arg.startswith("--plugin="):
            yield arg.removeprefix("--plugin=")
        elif arg == "--plugin" and at + 1 < len(args):
            yield args[at + 1]


def _plugin_options(names: list[str]) -> Iterator[click.Option]:
    from fluxburst.parameters import click_options
    from fluxburst.plugins import REGISTRY

    for name in dict.fromkeys(names):
        yield from click_options(name, REGISTRY.load(name).options())


def given(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a plugin that were given as options."""
    from fluxburst.parameters import destination
    from fluxburst.plugins import REGISTRY

    found: dict[str, Any] = {}
    for one in REGISTRY.load(name).options():
        value = values.get(destination(name, one.name))
        if value is not None and value != ():
            found[one.name] = list(value) if one.many else value
    return found


def load(client: FluxBurst, name: str, parameters: Mapping[str, Any]) -> None:
    """Have a client load a plugin; what is wrong with a parameter is said with the plugin's name."""
    try:
        client.load(name, **parameters)
    except ParameterError as error:
        how = ""
        if error.message == "is required":
            how = (
                f": give --{name}-{error.field.replace('_', '-')}, or '{error.field}' in the settings, [plugins.{name}]"
            )
        raise ParameterError(f"{error.message}{how}", f"{name}.{error.field}" if error.field else name) from None


def state_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The `--state` option, the same everywhere."""
    return click.option(
        "--state",
        metavar="DIR",
        type=click.Path(path_type=Path),
        help="The lead's folder, or another one that holds its ledger. Default: the folder of the lead around.",
    )(command)


def wait_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The `--wait` option of the commands that end bursts."""
    return click.option(
        "--wait",
        metavar="SECONDS",
        type=click.FloatRange(0),
        default=120.0,
        show_default=True,
        help="How long the end may take until it counts as not done.",
    )(command)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a lead and its ledger are. folder: of the ledger. lead: None where no folder of one is known."""

    folder: Path
    lead: Lead | None
    settings: Settings

    @property
    def ledger(self) -> Path:
        from fluxburst.lead import LEDGER

        return self.folder / LEDGER

    def make_ledger(self) -> None:
        """Make a ledger where a lead has none: what a lost one knew is found by its mark. No lead, no ledger."""
        from fluxburst.ledger import Ledger

        if self.lead is not None and not self.ledger.exists():
            Ledger.open(self.ledger, self.settings.owner).close()

    def option(self) -> str:
        """What names it on a command line from anywhere."""
        import shlex

        return f"--state {shlex.quote(str(self.folder))}"


def find(state: Path | None, config: str | None = None) -> Place:
    """The place that a command is about. Raises FluxBurstError where it can't be told."""
    from fluxburst.settings import Settings

    lead = _lead(state)
    if state is not None and not state.is_dir():
        raise FluxBurstError(f"{state}: there is no such folder")
    if config is not None:
        settings = read_config(config)
    elif lead is not None:
        from fluxburst.lead import SETTINGS, read
        from fluxburst.settings import read_settings

        settings = read_settings(read(lead.folder / SETTINGS), str(lead.folder / SETTINGS))
    else:
        settings = Settings()
    if lead is not None:
        if settings.owner not in ("", lead.owner):
            raise FluxBurstError(f"{config}: its owner is {settings.owner!r}, and that of the lead {lead.owner!r}")
        settings = replace(settings, owner=lead.owner)
    folder = state if state is not None else lead.folder if lead is not None else Path()
    return Place(folder.absolute(), lead, settings)


def read_config(config: str) -> Settings:
    from resources.clikit import read_argument

    from fluxburst.settings import read_settings

    return read_settings(read_argument(config, "configuration"), config)


def _lead(state: Path | None) -> Lead | None:
    """The lead of a folder: its own, or the one that the ledger in it is of; else the lead around."""
    from fluxburst.lead import CONFIG, LEDGER, NAME_IT, SETTINGS, Lead, LeadError

    if state is not None:
        if (state / CONFIG).exists() and (state / SETTINGS).exists():
            return Lead.open(state)
        told = told_by_controller(state / LEDGER).get("lead")
        if told:
            return Lead.open(told)
    try:
        return Lead.current()
    except LeadError as error:
        if state is not None:
            return None
        raise FluxBurstError(f"{error} with --state DIR" if str(error).endswith(NAME_IT) else str(error)) from None


def told_by_controller(path: Path) -> dict[str, Any]:
    """What the last controller told of itself in a ledger; nothing where there is none."""
    from fluxburst.errors import LedgerError
    from fluxburst.ledger import Ledger
    from fluxburst.report import controller

    if not path.exists():
        return {}
    try:
        with Ledger.open(path, writable=False) as ledger:
            return controller(ledger)
    except LedgerError:
        return {}  # said by whoever opens it in earnest


def connect(lead: Lead | None) -> Handle:
    """A handle on a lead that runs: by the socket in its folder, or FLUX_URI. Raises HandleError."""
    from fluxburst.handles.flux import FluxHandle
    from fluxburst.lead import SOCKET, is_of

    if lead is None:
        try:
            return FluxHandle()
        except HandleError as error:
            raise HandleError(f"{error}; run this inside a lead, or name its folder with --state DIR") from None
    path = lead.folder / SOCKET
    if not path.is_socket() and "FLUX_URI" not in os.environ:
        raise HandleError(f"the lead of {lead.folder} does not run here, or FLUX_URI is not set to it")
    try:
        handle = FluxHandle(f"local://{path}" if path.is_socket() else "")
    except HandleError as error:
        raise HandleError(f"the lead of {lead.folder} does not answer: {error}") from None
    if not is_of(handle.attribute("config.path") or "", lead.folder):
        raise HandleError(f"FLUX_URI names another Flux instance than the lead of {lead.folder}")
    return handle


def width() -> int | None:
    """Columns of the terminal that stdout is, None where it is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def wrapped(text: str, indent: int = 2) -> str:
    """A line of text, on a terminal folded between words; indent: of all lines but the first."""
    columns = width()
    if columns is None or len(text) <= columns:
        return text
    return "\n".join(_folded(text, max(40, columns - 1), " " * indent))


def _folded(text: str, columns: int, indent: str = "") -> list[str]:
    return wrap(text, columns, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False)


def grid(rows: Sequence[Sequence[str]], header: Sequence[str]) -> str:
    """A table; on a terminal that is too narrow for it its last column is folded or stands below, else all others."""
    columns, made = width(), table(rows, header)
    if columns is None or _widest(made) <= columns:
        return made
    first = table([row[:-1] for row in rows], header[:-1])
    at = _widest(first) + 2
    title, *left = first.splitlines()
    if columns - at >= _ROOM:
        lines = [f"{title:<{at}}{header[-1]}"]
        for start, row in zip(left, rows, strict=True):
            head, *more = _folded(row[-1], columns - at - 1) or [""]
            lines += [f"{start:<{at}}{head}".rstrip(), *(" " * at + part for part in more)]
    elif at - 2 <= columns:
        below = (wrapped(f"  {row[-1]}") if row[-1] else "" for row in rows)
        lines = [title, *(part for pair in zip(left, below, strict=True) for part in pair if part)]
    else:
        lines = [header[0]]
        for row in rows:
            named = (f"{name.lower()} {cell}" for name, cell in zip(header[1:], row[1:], strict=True) if cell)
            lines += [row[0], wrapped(f"  {', '.join(named)}")]
    return "\n".join(lines)


def _widest(text: str) -> int:
    return max(map(len, text.splitlines()))


def unknown_plugins(names: Iterable[str], known: Collection[str]) -> None:
    """Raise LoadError for a name that is no plugin's."""
    for name in names:
        if name not in known:
            raise LoadError(name, f"there is no such one; {hint(name, known)}")
