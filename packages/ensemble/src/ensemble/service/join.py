"""`ensemble-server join`."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from ensemble import __version__
from ensemble.errors import ServiceError
from ensemble.member import Member, Options
from ensemble.plugins import choose, registry
from ensemble.service.agent import Agent
from ensemble.service.convert import NAME
from ensemble.service.options import FILE, connection_options, own_folder, state_folder
from ensemble.service.security import Address, Tls, bearer, client_token, dial
from ensemble.service.v1 import ensemble_pb2 as pb
from ensemble.service.v1 import ensemble_pb2_grpc as rpc

CAPACITY = 2_000  # jobs in a queue; a member of this machine has a pool for each run, so there it is one a core


@click.command()
@connection_options
@click.option("--name", "cluster", required=True, metavar="CLUSTER", help="What runs call this queue.")
@click.option("--member", default="", metavar="NAME", help="The queue: flux, slurm, local, ... or a plugin's.")
@click.option("--cores", type=click.IntRange(min=1), help="Use this many cores of this machine (local).")
@click.option("--settings", type=FILE, help="Settings of the member: a YAML file, as below `member` in an ensemble.")
@click.option("--interval", type=click.FloatRange(min=0.1), default=5.0, help="Seconds between two looks at the queue.")
@click.option(
    "--capacity",
    type=click.IntRange(min=0),
    help=f"Jobs in the queue at a time, shared among the runs; 0 is no limit. Default: {CAPACITY},"
    " and one for each core where the member uses this machine.",
)
@click.option(
    "--dir", "folder", type=click.Path(path_type=Path, file_okay=False), help="Keeps everything of the agent."
)
def join(
    server: str,
    token_file: Path | None,
    use_tls: bool,
    ca: Path | None,
    cert: Path | None,
    key: Path | None,
    cluster: str,
    member: str,
    cores: int | None,
    settings: Path | None,
    interval: float,
    capacity: int | None,
    folder: Path | None,
) -> None:
    """Let a server use a queue, from beside it, until SIGTERM or Ctrl-C.

    Jobs run as the user of this command, in the directory it was started in. They go on when it ends, and are taken up
    again when it is started with the same --name (and --dir). Whoever may submit to the server can run commands here.
    """
    if not NAME.fullmatch(cluster):
        raise click.UsageError("a cluster's name has letters, digits, -, _ and . only, 200 at most")
    address, tls = Address.read(server), Tls(ca, cert, key)
    token = client_token(token_file, os.environ, state_folder("server") / "token")
    kind_name, kind = choose(member, registry(), cores=cores)
    folder = (folder or state_folder(f"agent-{cluster}")).absolute()
    lock = own_folder(folder)
    given = _settings(settings)

    def make(run: str) -> Member:
        place = folder / "runs" / run
        try:
            place.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise ServiceError(f"{place}: {error.strerror}") from None
        return kind(Options(run, place, cores, interval, given))

    if capacity is None:
        capacity = (cores or len(os.sched_getaffinity(0))) if kind.takes_cores else CAPACITY
    hello = pb.Hello(
        cluster=cluster,
        identity=_identity(folder),
        member=kind_name,
        capacity=capacity,
        version=__version__,
        host=socket.gethostname(),
    )
    try:
        asyncio.run(
            _work(Agent(hello, make, lambda text: click.echo(text, err=True)), address, tls, token, use_tls=use_tls)
        )
    finally:
        os.close(lock)
    click.echo("stopped; jobs that run go on, and are taken up by the next join", err=True)


async def _work(agent: Agent, address: Address, tls: Tls, token: str, *, use_tls: bool) -> None:
    loop = asyncio.get_running_loop()
    channel = dial(address, tls, use_tls=use_tls)
    task = asyncio.create_task(agent.work(rpc.AgentsStub(channel), bearer(token), str(address)))  # type: ignore[no-untyped-call]
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        with suppress(asyncio.CancelledError):
            await task
    finally:
        await channel.close()


def _identity(folder: Path) -> str:
    """Made once: jobs are known to the agent of this directory alone."""
    path = folder / "identity"
    with suppress(FileNotFoundError):
        if NAME.fullmatch(text := path.read_text().strip()):
            return text
    new = folder / "identity.new"
    new.write_text(uuid.uuid4().hex + "\n")
    new.rename(path)
    return path.read_text().strip()


def _settings(path: Path | None) -> Mapping[str, Any]:
    if path is None:
        return {}
    import yaml

    try:
        data = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ServiceError(f"can't read the settings {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ServiceError(f"{path} is no YAML: {error}") from None
    if not isinstance(data, dict):
        raise ServiceError(f"{path}: settings are a mapping")
    return {str(key): value for key, value in data.items() if key != "name"}
