"""What the commands share: the deadline, which providers are asked, and whether a person reads the output."""

from __future__ import annotations

import functools
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any

import click

from resource_secretary.secretary import Secretary
from resource_secretary.system import System


def timeout_option(default: float) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(
        "--timeout",
        type=float,
        callback=_seconds,
        default=default,
        show_default=True,
        metavar="S",
        help="Seconds that each provider has.",
    )


def _seconds(ctx: click.Context, param: click.Parameter, value: float) -> float:
    if not 0 < value <= 3600:  # not a number is neither
        raise click.BadParameter("more than 0 seconds, 3600 at most", ctx, param)
    return value


def choosing(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options --only, --skip and --refresh, which the command gets as `choice`."""

    @click.option(
        "--only", multiple=True, metavar="P", help="Only this: a name, a category, CATEGORY.NAME. May be repeated."
    )
    @click.option("--skip", multiple=True, metavar="P", help="Not this, likewise. May be repeated.")
    @click.option("--refresh", is_flag=True, help="Ask anew what was found and kept before.")
    @functools.wraps(command)
    def wrapped(*args: Any, only: tuple[str, ...], skip: tuple[str, ...], refresh: bool, **options: Any) -> Any:
        return command(*args, choice=Choice(only, skip, refresh), **options)

    return wrapped


dispatch_option = click.option(
    "--allow-dispatch", "dispatch", is_flag=True, help="With the tools that change state, such as submitting a job."
)


@dataclass(frozen=True, slots=True)
class Choice:
    """Which providers are asked, and whether what was kept of them is believed."""

    only: tuple[str, ...]
    skip: tuple[str, ...]
    refresh: bool

    def secretary(self, *, dispatch: bool = False) -> Secretary:
        from resource_secretary.cache import Cache

        system = System()
        cache = Cache(system, refresh=self.refresh)
        return Secretary(system=system, only=self.only, skip=self.skip, dispatch=dispatch, cache=cache)


@contextmanager
def asking() -> Iterator[None]:
    """While providers are asked: what they print goes to stderr, as it is no part of the answer; and who ends this
    process with a signal ends the commands that it runs (see `run`)."""

    def end(number: int, frame: object) -> None:
        sys.exit(128 + number)  # as a shell tells of a signal

    ours = [one for one in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(one) is signal.SIG_DFL]
    for one in ours:
        signal.signal(one, end)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        for one in ours:
            signal.signal(one, signal.SIG_DFL)


def for_people() -> bool:
    """Whether stdout is a terminal: boxes and colours are for people only."""
    return sys.stdout.isatty()
