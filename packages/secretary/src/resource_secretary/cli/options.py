"""What the commands share: the deadline option, and whether a person reads the output."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click


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


def for_people() -> bool:
    """Whether stdout is a terminal: boxes and colours are for people only."""
    return sys.stdout.isatty()
