"""The commands of clients: submit, list, clusters, status, watch, cancel."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
import grpc
from resources.clikit import echo_json, json_option, read_argument, table

from ensemble.errors import ServiceError
from ensemble.service import LARGEST_FILE
from ensemble.service.options import connection_options, state_folder
from ensemble.service.security import Address, Tls, bearer, client_token, dial
from ensemble.service.v1 import ensemble_pb2 as pb
from ensemble.service.v1 import ensemble_pb2_grpc as rpc

WITHIN = 60.0  # seconds for a call
TRY_FOR = 20.0  # seconds, while the server can't be reached
SHOWN_FAILURES = 10
T = TypeVar("T")


class Refused(ServiceError):
    """The server said no, in lines of its own."""


class Client:
    """A connection to a server. `call` tries again while it can't be reached; every call may be repeated."""

    def __init__(self, stub: Any, metadata: tuple[tuple[str, str], ...], address: Address) -> None:
        self.stub = stub
        self.metadata = metadata
        self.address = address

    async def call(self, method: str, request: Any) -> Any:
        """Raises ServiceError."""
        until, said = time.monotonic() + TRY_FOR, False
        while True:
            try:
                return await getattr(self.stub, method)(request, metadata=self.metadata, timeout=WITHIN)
            except grpc.aio.AioRpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE or time.monotonic() > until or _unverified(error):
                    raise self.error(error) from None
                if not said:
                    click.echo(f"no answer from {self.address} yet, trying for {TRY_FOR:.0f} s", err=True)
                    said = True
            await asyncio.sleep(0.5)

    def error(self, error: Any) -> ServiceError:
        text = error.details() or error.code().name
        if _unverified(error):
            return ServiceError(f"the certificate of {self.address} can't be verified; give --ca FILE: {text}")
        if error.code() == grpc.StatusCode.UNAVAILABLE:
            return ServiceError(f"no server answers at {self.address}: {text}")
        if error.code() == grpc.StatusCode.INVALID_ARGUMENT:
            return Refused(text)
        return ServiceError(f"{self.address}: {text}")


def _unverified(error: Any) -> bool:
    """Trying again does not help: the other side is not who it says, or one that we are not told to trust."""
    return "CERTIFICATE_VERIFY_FAILED" in (error.details() or "")


@asynccontextmanager
async def _connected(options: dict[str, Any]) -> AsyncIterator[Client]:
    address, tls = Address.read(options["server"]), Tls(options["ca"], options["cert"], options["key"])
    token = client_token(options["token_file"], os.environ, state_folder("server") / "token")
    channel = dial(address, tls, use_tls=options["use_tls"])
    try:
        yield Client(rpc.EnsemblesStub(channel), bearer(token), address)  # type: ignore[no-untyped-call]
    finally:
        await channel.close()


def _do(options: dict[str, Any], work: Callable[[Client], Awaitable[T]]) -> T:
    async def run() -> T:
        async with _connected(options) as client:
            return await work(client)

    return asyncio.run(run())


@click.command()
@click.argument("file")
@click.option("--on", "cluster", required=True, metavar="CLUSTER", help="Where it runs: ensemble-server clusters.")
@click.option("--weight", type=click.IntRange(1, 1000), default=1, help="Its share of the cluster beside other runs.")
@click.option("--follow", is_flag=True, help="Watch it until it ends; exit as it ended.")
@json_option
@connection_options
@click.pass_context
def submit(
    ctx: click.Context, /, file: str, cluster: str, weight: int, follow: bool, as_json: bool, **options: Any
) -> None:
    """Have the server run the ensemble in FILE (- is stdin); prints the run's name.

    `custom` of the file is never run by a server, and paths in it are those of the cluster.
    """
    text = read_argument(file, "ensemble file")
    if len(text.encode()) > LARGEST_FILE:
        raise ServiceError(f"{file} is larger than the {LARGEST_FILE >> 20} MiB that a server takes")
    name = (
        "stdin" if file == "-" else re.sub(r"[^A-Za-z0-9._-]", "_", Path(file).name).lstrip("._-")[:200] or "ensemble"
    )
    request = pb.SubmitRequest(text=text, name=name, cluster=cluster, weight=weight, request_id=uuid.uuid4().hex)
    try:
        reply = _do(options, lambda client: client.call("Submit", request))
    except Refused as refused:
        click.echo(str(refused), err=True)
        ctx.exit(1)
    if as_json:
        echo_json({"run": reply.run, "cluster": cluster}, lines=follow)
    else:
        click.echo(reply.run)
    if follow:
        ctx.exit(_do(options, lambda client: _watch(client, reply.run, "", as_json=as_json)))


@click.command("list")
@click.option("--all", "everything", is_flag=True, help="Those that have ended as well.")
@json_option
@connection_options
def list_runs(everything: bool, as_json: bool, **options: Any) -> None:
    """List the runs that have not ended, oldest first."""
    reply = _do(options, lambda client: client.call("List", pb.ListRequest(all=everything)))
    if as_json:
        echo_json({"runs": [_run(run) for run in reply.runs]})
        return
    rows = [
        (
            run.run,
            run.name,
            run.cluster,
            str(run.weight),
            _state(run),
            str(run.in_queue),
            str(run.held),
            _clock(run.submitted),
        )
        for run in reply.runs
    ]
    click.echo(table(rows, ("RUN", "FILE", "CLUSTER", "WEIGHT", "STATE", "QUEUED", "HELD", "SUBMITTED")))


@click.command()
@json_option
@connection_options
def clusters(as_json: bool, **options: Any) -> None:
    """List the clusters that have registered, and whether their agent is connected."""
    reply = _do(options, lambda client: client.call("Clusters", pb.ClustersRequest()))
    if as_json:
        echo_json({"clusters": [_cluster(one) for one in reply.clusters]})
        return
    rows = [
        (
            one.name,
            one.member,
            one.host,
            "yes" if one.connected else "no",
            str(one.runs),
            f"{one.in_queue}/{one.capacity or '-'}",
            str(one.held),
        )
        for one in reply.clusters
    ]
    click.echo(table(rows, ("CLUSTER", "MEMBER", "HOST", "CONNECTED", "RUNS", "QUEUED", "HELD")))


@click.command()
@click.argument("run")
@json_option
@connection_options
@click.pass_context
def status(ctx: click.Context, /, run: str, as_json: bool, **options: Any) -> None:
    """Show where RUN stands. Exits with 1 where it has ended and did not meet its own rules."""
    from ensemble.reporting.status import status_text

    reply = _do(options, lambda client: client.call("Status", pb.StatusRequest(run=run)))
    whole = json.loads(reply.json) | _run(reply.run)
    if as_json:
        echo_json(whole)
    else:
        shown = json.loads(reply.json)
        shown["text"] = _state(reply.run) + (f": {reply.run.why}" if reply.run.why else "")
        click.echo(status_text(shown))
    if reply.run.state == "ended" and not reply.run.met:
        ctx.exit(1)


@click.command()
@click.argument("run")
@click.option("--after", default="", metavar="CURSOR", help="Only what came after this line (the `cursor` of it).")
@json_option
@connection_options
@click.pass_context
def watch(ctx: click.Context, /, run: str, after: str, as_json: bool, **options: Any) -> None:
    """Follow RUN until it ends, through restarts of the server. Exits as the run ended.

    With --json also the events of all jobs, as JSON Lines.
    """
    ctx.exit(_do(options, lambda client: _watch(client, run, after, as_json=as_json)))


@click.command()
@click.argument("run")
@click.argument("names", nargs=-1)
@click.option(
    "--abandon", is_flag=True, help="End RUN here and now, whatever its jobs do: its cluster is gone for good."
)
@connection_options
def cancel(run: str, names: tuple[str, ...], abandon: bool, **options: Any) -> None:
    """Cancel jobs of RUN by the NAMES of jobs or groups; without names, end the run and all of its jobs."""
    if abandon and names:
        raise click.UsageError("--abandon is for a whole run, without names")
    request = pb.CancelRequest(run=run, names=names, abandon=abandon)
    _do(options, lambda client: client.call("Cancel", request))
    asked = "cancel " + ", ".join(names) if names else "end"
    click.echo(f"{run} is abandoned" if abandon else f"asked {run} to {asked}", err=True)


def _show(value: dict[str, Any]) -> None:
    """A line for people, as `ensemble run` has it; jobs' events are for programs."""
    from ensemble.reporting.text import command_line, failure_line, printable, summary_line

    kind = value.pop("type", "")
    if kind == "gap":
        click.echo(f"{value.get('events')} events are not kept any more", err=True)
    elif kind == "end":
        for name, values in (value.get("summary") or {}).items():
            click.echo(summary_line(name, values))
        for failure in (value.get("failures") or ())[:SHOWN_FAILURES]:
            click.echo(printable(failure_line(failure, failure.get("where") or "")), err=True)
        for group, counts in (value.get("counts") or {}).items():
            click.echo(f"{group}: " + ", ".join(f"{number} {what}" for what, number in counts.items()), err=True)
    elif kind not in ("event", "metric"):
        label = str(value.pop("name" if kind == "trigger" else "label", ""))
        click.echo(printable(command_line(kind, label, value, None)))


async def _watch(client: Client, run: str, cursor: str, *, as_json: bool) -> int:
    """The exit code. A stream that breaks is taken up after its last line."""
    broken = 0.0
    while True:
        try:
            async for line in client.stub.Watch(pb.WatchRequest(run=run, after=cursor), metadata=client.metadata):
                broken, cursor = 0.0, line.cursor
                value = json.loads(line.json)
                if as_json:
                    sys.stdout.write(json.dumps({**value, "cursor": cursor}, ensure_ascii=False) + "\n")
                    sys.stdout.flush()
                else:
                    _show(dict(value))
                if value.get("type") == "end":
                    return 0 if value.get("met") and (value.get("ended_by") or "") in ("", "terminate") else 1
        except grpc.aio.AioRpcError as error:
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN):
                raise client.error(error) from None
            broken = broken or time.monotonic()
            if time.monotonic() > broken + 3 * TRY_FOR:
                raise client.error(error) from None
        await asyncio.sleep(0.5)


def _run(run: pb.Run) -> dict[str, Any]:
    return {
        "run": run.run,
        "name": run.name,
        "cluster": run.cluster,
        "weight": run.weight,
        "state": run.state,
        "why": run.why or None,
        "submitted": run.submitted,
        "ended": run.ended or None,
        "met": run.met if run.state == "ended" else None,
        "held": run.held,
        "in_queue": run.in_queue,
    }


def _cluster(one: pb.Cluster) -> dict[str, Any]:
    return {
        "name": one.name,
        "member": one.member,
        "host": one.host,
        "connected": one.connected,
        "since": one.since or None,
        "capacity": one.capacity or None,
        "in_queue": one.in_queue,
        "held": one.held,
        "runs": one.runs,
    }


def _state(run: pb.Run) -> str:
    if run.state == "ended":
        return "ended, met" if run.met else "ended, not met"
    return run.state


def _clock(epoch: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(epoch))
