"""The server: the calls of clients and the streams of agents, over the runs of one directory."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import grpc

from ensemble import __version__
from ensemble.errors import EnsembleError, FileError, RunDirError, ServiceError
from ensemble.reporting.status import status_of
from ensemble.rundir import RunDir
from ensemble.service import LARGEST_FILE
from ensemble.service.cluster import Link
from ensemble.service.convert import NAME
from ensemble.service.following import Following
from ensemble.service.runs import Runs, ServiceRun, plugins_for_clients
from ensemble.service.security import SERVER_OPTIONS, Address, Guard, Tls, bind
from ensemble.service.v1 import ensemble_pb2 as pb
from ensemble.service.v1 import ensemble_pb2_grpc as rpc

MOST_WEIGHT = 1_000
HELLO_WITHIN = 15.0
LOOK_EVERY = 0.5  # seconds between two looks for a watcher
STOP_WITHIN = 4.0  # seconds for the runs to let go

Context = Any  # grpc.aio.ServicerContext


class Ensembles:
    """The calls of clients."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self.stopping = asyncio.Event()  # watchers go

    async def Submit(self, request: pb.SubmitRequest, context: Context) -> pb.SubmitReply:
        if not NAME.fullmatch(request.name) or not NAME.fullmatch(request.cluster):
            await _abort(context, "INVALID_ARGUMENT", "names have letters, digits, -, _ and . only, 200 at most")
        if len(request.text.encode()) > LARGEST_FILE:
            await _abort(context, "INVALID_ARGUMENT", f"the file is larger than {LARGEST_FILE >> 20} MiB")
        if request.weight > MOST_WEIGHT or len(request.request_id) > 200:
            await _abort(context, "INVALID_ARGUMENT", f"a weight is from 1 to {MOST_WEIGHT}")
        if request.cluster not in self._runs.clusters:
            known = ", ".join(sorted(self._runs.clusters)) or "none yet"
            await _abort(
                context, "NOT_FOUND", f"no cluster {request.cluster!r} has ever registered; there are: {known}"
            )
        asked = (request.text, request.name, request.cluster, request.weight or 1, request.request_id)
        try:
            # Shielded: a client that goes away in the middle finds the whole run there, or none.
            run = await asyncio.shield(self._runs.submit(*asked))
        except FileError as error:
            await _abort(context, "INVALID_ARGUMENT", str(error)[:4000])
        except (EnsembleError, OSError) as error:
            await _abort(context, "FAILED_PRECONDITION", f"the run can't be kept: {error}")
        return pb.SubmitReply(run=run)

    async def List(self, request: pb.ListRequest, context: Context) -> pb.ListReply:
        runs = [run.message() for run in self._runs.runs.values() if request.all or not run.ended]
        runs.sort(key=lambda run: run.submitted)
        return pb.ListReply(runs=runs)

    async def Status(self, request: pb.StatusRequest, context: Context) -> pb.StatusReply:
        run = await self._run(request.run, context)

        def look() -> str:
            with RunDir(run.folder) as folder:
                return json.dumps(status_of(folder), ensure_ascii=False)

        try:
            return pb.StatusReply(run=run.message(), json=await asyncio.to_thread(look))
        except RunDirError as error:
            await _abort(context, "FAILED_PRECONDITION", str(error))

    async def Cancel(self, request: pb.CancelRequest, context: Context) -> pb.CancelReply:
        run = await self._run(request.run, context)
        if run.ended:
            await _abort(context, "FAILED_PRECONDITION", f"run {request.run} has ended")
        if any(not NAME.fullmatch(name) for name in request.names):
            await _abort(context, "INVALID_ARGUMENT", "a name is that of a group or of a job: sleep or sleep.3")
        try:
            await asyncio.shield(run.cancel(list(request.names), abandon=request.abandon))
        except (EnsembleError, OSError) as error:
            await _abort(context, "FAILED_PRECONDITION", f"that can't be recorded: {error}")
        return pb.CancelReply()

    async def Watch(self, request: pb.WatchRequest, context: Context) -> AsyncIterator[pb.WatchReply]:
        run = await self._run(request.run, context)
        try:
            following = Following(run.folder, request.after)
        except ServiceError as error:
            await _abort(context, "INVALID_ARGUMENT", str(error))
        except RunDirError as error:
            await _abort(context, "FAILED_PRECONDITION", str(error))
        try:
            while True:
                over = run.ended  # asked before: then what was written before the end is told before it
                lines = following.more()
                for cursor, text in lines:
                    yield pb.WatchReply(cursor=cursor, json=text)
                if lines:
                    continue
                if over and (last := following.end()):
                    yield pb.WatchReply(cursor=last[0], json=last[1])
                    return
                if await self._stops_within(LOOK_EVERY):
                    await _abort(context, "UNAVAILABLE", "the server stops")
        except RunDirError as error:
            await _abort(context, "FAILED_PRECONDITION", str(error))
        finally:
            following.close()

    async def _stops_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
        return self.stopping.is_set()

    async def Clusters(self, request: pb.ClustersRequest, context: Context) -> pb.ClustersReply:
        return pb.ClustersReply(clusters=[one.message() for _, one in sorted(self._runs.clusters.items())])

    async def _run(self, name: str, context: Context) -> ServiceRun:
        run = self._runs.runs.get(name)
        if run is None:
            await _abort(context, "NOT_FOUND", f"there is no run {name[:80]!r}: `ensemble-server list --all` has them")
        return run


class Agents:
    """The streams of agents."""

    def __init__(self, runs: Runs, say: Callable[[str], None]) -> None:
        self._runs = runs
        self._say = say

    async def Connect(self, requests: Any, context: Context) -> None:
        try:
            async with asyncio.timeout(HELLO_WITHIN):
                first = await context.read()
        except TimeoutError:
            first = grpc.aio.EOF
        if first is grpc.aio.EOF or first.WhichOneof("message") != "hello":
            await _abort(context, "INVALID_ARGUMENT", "an agent says hello first")
        hello = first.hello
        if not NAME.fullmatch(hello.cluster) or not NAME.fullmatch(hello.identity):
            await _abort(context, "INVALID_ARGUMENT", "a cluster's name has letters, digits, -, _ and . only")
        cluster = self._runs.cluster(hello.cluster)
        if cluster.identity not in ("", hello.identity) and cluster.members:
            await _abort(
                context,
                "FAILED_PRECONDITION",
                f"cluster {cluster.name} is known with another agent (on {cluster.host or 'another host'}), which has"
                f" jobs of {len(cluster.members)} runs: start that one, with its directory, or use another --name",
            )
        new = cluster.identity != hello.identity
        link = Link(hello)
        cluster.attach(link)
        if new:
            try:
                self._runs.remember_clusters()
            except OSError as error:
                cluster.detach(link, "the server can't remember it")
                await _abort(context, "UNAVAILABLE", f"the server can't write its directory: {error.strerror}")
        self._say(f"{cluster.name}: connected ({hello.member} on {hello.host or 'unknown'})")
        await context.write(pb.ServerMessage(welcome=pb.Welcome(version=__version__)))
        reader = asyncio.create_task(self._read(link, context))
        wrong = ""
        try:
            while (message := await link.next()) is not None:
                await context.write(message)
            if reader.done() and not reader.cancelled():
                wrong = reader.result()
        finally:
            reader.cancel()
            cluster.detach(link, "the connection to its agent broke")
            self._say(f"{cluster.name}: disconnected{f': {wrong}' if wrong else ''}")
        if wrong:
            await _abort(context, "INVALID_ARGUMENT", wrong)

    async def _read(self, link: Link, context: Context) -> str:
        """Take in what the agent says until the stream ends; what was wrong with it.

        The runtimes work in the same loop: what they have not taken in is not read, and flow control makes
        the agent wait.
        """
        wrong = ""
        try:
            while (message := await context.read()) is not grpc.aio.EOF:
                link.take(message)
                await asyncio.sleep(0)
        except ServiceError as error:
            wrong = str(error)
        except (grpc.aio.AioRpcError, grpc.aio.UsageError, asyncio.InvalidStateError, grpc.RpcError):
            pass
        finally:
            link.close("the connection to its agent broke")
        return wrong


async def _abort(context: Context, code: str, text: str) -> NoReturn:
    await context.abort(grpc.StatusCode[code], text)
    raise AssertionError  # abort raises


class Server:
    """A server over the runs of a directory, whose lock the caller holds. `address` has the port that was taken.

    clients, agents: tokens that are good for each.
    """

    def __init__(
        self,
        folder: Path,
        address: Address,
        tls: Tls,
        *,
        clients: tuple[str, ...],
        agents: tuple[str, ...],
        allow_plugins: bool = False,
        say: Callable[[str], None],
    ) -> None:
        """Listens, but does not answer. Raises ServiceError. To be called where a loop runs."""
        self.runs = Runs(folder, plugins_for_clients(allowed=allow_plugins))
        self._say = say
        self._server = grpc.aio.server(interceptors=[Guard(clients, agents)], options=SERVER_OPTIONS)
        self._ensembles = Ensembles(self.runs)
        rpc.add_EnsemblesServicer_to_server(self._ensembles, self._server)  # type: ignore[no-untyped-call]
        rpc.add_AgentsServicer_to_server(Agents(self.runs, say), self._server)  # type: ignore[no-untyped-call]
        self.address = bind(self._server, address, tls)

    async def start(self) -> None:
        if count := self.runs.resume():
            self._say("1 unfinished run goes on" if count == 1 else f"{count} unfinished runs go on")
        await self._server.start()

    async def stop(self) -> None:
        """Within seconds; what was under way goes on with the next server of the directory."""
        try:
            async with asyncio.timeout(STOP_WITHIN):
                await self.runs.stop()
        except TimeoutError:
            self._say("some runs did not let go in time; they are resumed all the same")
        # Streams that end by themselves are no failures; gRPC prints a traceback for each that it has to cancel.
        self._ensembles.stopping.set()
        for cluster in self.runs.clusters.values():
            if cluster.link:
                cluster.detach(cluster.link, "the server stops")
        await self._server.stop(1.0)


async def serve(server: Callable[[], Server], ready: Callable[[Server], None]) -> str:
    """Serve until SIGTERM or SIGINT, whose name it gives. Raises ServiceError."""
    stop: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = server()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, _stop, stop, number.name)
    await serving.start()
    ready(serving)
    why = await stop
    await serving.stop()
    return why


def _stop(stop: asyncio.Future[str], name: str) -> None:
    if not stop.done():
        stop.set_result(name)
