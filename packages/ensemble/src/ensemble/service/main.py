"""The command line `ensemble-server`. Nothing here needs grpcio; the commands do."""

from __future__ import annotations

import importlib.util
import os
from typing import Any

import click
from resources.clikit import LazyGroup

from ensemble import __version__
from ensemble.errors import EnsembleError, ServiceError
from ensemble.service import PROGRAM

NEEDS = {"grpc": "grpcio", "google.protobuf": "protobuf"}


class ServiceGroup(LazyGroup):
    """Says what to install where a command needs something that is not there."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self.lazy and (lacks := [name for module, name in NEEDS.items() if not _there(module)]):
            return _Refusing(cmd_name, lacks)
        # What gRPC's core prints on stderr by itself is in the error that it raises, too. It looks when it is imported.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        return super().get_command(ctx, cmd_name)


class _Refusing(click.Command):
    """Takes any arguments, and says what is missing."""

    def __init__(self, name: str, lacks: list[str]) -> None:
        super().__init__(
            name, context_settings={"ignore_unknown_options": True, "allow_extra_args": True}, add_help_option=False
        )
        self._lacks = lacks

    def invoke(self, ctx: click.Context) -> Any:
        missing = " and ".join(self._lacks)
        raise ServiceError(f"the service needs {missing}: pip install 'ensemble-python[service]'")


def _there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of the package around it
        return False


@click.group(
    cls=ServiceGroup,
    errors=(EnsembleError,),
    lazy={
        "start": ("ensemble.service.start:start", "Run the server, in the foreground."),
        "join": ("ensemble.service.join:join", "Let a server use a queue: run the agent beside it."),
        "submit": ("ensemble.service.client:submit", "Have the server run an ensemble on a cluster."),
        "list": ("ensemble.service.client:list_runs", "List the runs of the server."),
        "clusters": ("ensemble.service.client:clusters", "List the clusters that have registered."),
        "status": ("ensemble.service.client:status", "Show where a run stands."),
        "watch": ("ensemble.service.client:watch", "Follow a run until it ends."),
        "cancel": ("ensemble.service.client:cancel", "Cancel jobs of a run, or end it."),
    },
)
@click.version_option(__version__, prog_name=PROGRAM)
def main() -> None:
    """Ensembles on many clusters, driven by one server."""
