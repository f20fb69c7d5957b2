"""The command line: `resource-secretary`."""

from __future__ import annotations

import signal

import click
from resources.clikit import LazyGroup

from resource_secretary import __version__
from resource_secretary.errors import SecretaryError

_COMMANDS = {
    "providers": (
        "resource_secretary.cli.providers:command",
        "All providers: which of them are active here, and why not.",
    ),
    "detect": ("resource_secretary.cli.detect:command", "What is here: metadata and tools of the active providers."),
    "offer": (
        "resource_secretary.cli.offer:command",
        "What there is to give, as an inventory: this host, or a cluster.",
    ),
    "ask": ("resource_secretary.cli.ask:command", "Whether a request fits: now, later, or never; and why not."),
    "hub": ("resource_secretary.cli.hub:group", "Put one request to many secretaries, and choose one by a policy."),
    "profile": ("resource_secretary.cli.profile:command", "What this site is like, as a profile for jobspec."),
    "tools": ("resource_secretary.cli.tools:command", "The tools of what is active here, with their schemas."),
    "call": ("resource_secretary.cli.call:command", "Call a tool: PROVIDER.TOOL with key=value arguments."),
    "serve": (
        "resource_secretary.cli.serve:command",
        "Serve the tools to agents (Model Context Protocol): on stdin and stdout, or on HTTP.",
    ),
}


@click.group("resource-secretary", cls=LazyGroup, lazy=_COMMANDS, errors=(SecretaryError,))
@click.version_option(__version__, prog_name="resource-secretary")
def main() -> None:
    """Find out what a machine or cluster has: hardware, networks, workload managers."""
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:  # left so by who started us: no exit code would be known
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
