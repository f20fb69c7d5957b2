"""The service on loopback: server, agents and clients, what goes wrong between them, and who is turned away."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("grpc", reason="grpcio is not installed: ensemble-python[service]")

import grpc
from click.testing import CliRunner

from ensemble.errors import ServiceError
from ensemble.member import Member, Options
from ensemble.members.local import LocalMember
from ensemble.rundir import RunDir
from ensemble.service.agent import Agent
from ensemble.service.main import main
from ensemble.service.remote import RemoteMember
from ensemble.service.security import Address, Tls, bearer, dial
from ensemble.service.server import Server
from ensemble.service.v1 import ensemble_pb2 as pb
from ensemble.service.v1 import ensemble_pb2_grpc as rpc
from ensemble.testing import SCENARIOS, Scenario, Session
from ensemble.testing.scripted import FakeMember, Queue

PATIENCE = 60.0
CLIENT, AGENT = "token-of-a-client-", "token-of-an-agent--"
HERE = Address("127.0.0.1", 0)
TWO = """
jobs: [{name: a, command: "true", count: COUNT}, {name: b, command: "true"}]
rules:
  - {trigger: start, action: {name: submit, label: a}}
  - {trigger: metric, name: count.a.finished, when: COUNT, action: {name: submit, label: b}}
"""


def two(count: int) -> str:
    return TWO.replace("COUNT", str(count))


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr("ensemble.dispatch.FIRST_PAUSE", 0.01)
    monkeypatch.setattr("ensemble.service.agent.LONGEST_PAUSE", 0.2)
    monkeypatch.setattr("ensemble.service.server.LOOK_EVERY", 0.05)


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


class House:
    """A server, agents and a client in one process. queues: by run, made when an agent opens the run."""

    def __init__(self, folder: Path, server: Server, stub: Any) -> None:
        self.folder, self.server, self.stub = folder, server, stub
        self.queues: dict[str, Queue] = {}
        self.said: list[str] = []
        self.new_queue: Callable[[], Queue] = Queue
        self.new_member: Callable[[str], Member] = self._fake
        self.agents: list[asyncio.Task[None]] = []

    async def join(
        self, cluster: str, capacity: int = 0, address: Address | None = None, identity: str = "", token: str = AGENT
    ) -> asyncio.Task[None]:
        """An agent; returns when it is connected."""
        address = address or self.server.address
        hello = pb.Hello(cluster=cluster, identity=identity or f"of-{cluster}", member="fake", capacity=capacity)

        channel = dial(address, Tls(), use_tls=False)

        async def work() -> None:
            async with channel:
                await Agent(hello, self.new_member, self.said.append).work(
                    rpc.AgentsStub(channel), bearer(token), str(address)
                )

        task = asyncio.create_task(work())
        self.agents.append(task)
        await until(lambda: task.done() or self.server.runs.cluster(cluster).link)
        return task

    def _fake(self, run: str) -> Member:
        if run not in self.queues:
            self.queues[run] = self.new_queue()
        return FakeMember(Options(run), self.queues[run])

    async def submit(self, text: str, cluster: str = "c1", **fields: Any) -> str:
        request = pb.SubmitRequest(text=text, name="test.yaml", cluster=cluster, **fields)
        return (await self.call("Submit", request)).run

    async def call(self, method: str, request: Any, token: str = CLIENT) -> Any:
        return await getattr(self.stub, method)(request, metadata=bearer(token), timeout=PATIENCE)

    async def ended(self, run: str) -> pb.Run:
        """Wait for the end of a run; what the server says of it."""
        await until(lambda: self.server.runs.runs[run].ended)
        return self.server.runs.runs[run].message()

    def groups(self, run: str) -> dict[str, dict[str, int]]:
        with RunDir(self.folder / "runs" / run) as folder:
            return folder.counts()


@asynccontextmanager
async def house(folder: Path, **options: Any) -> AsyncIterator[House]:
    folder.mkdir(exist_ok=True)
    (folder / "runs").mkdir(exist_ok=True)
    said: list[str] = []
    server = Server(folder, HERE, Tls(), clients=(CLIENT,), agents=(AGENT,), say=said.append, **options)
    await server.start()
    channel = dial(server.address, Tls(), use_tls=False)
    made = House(folder, server, rpc.EnsemblesStub(channel))
    made.said = said
    try:
        yield made
    finally:
        for agent in made.agents:
            agent.cancel()
        await asyncio.gather(*made.agents, return_exceptions=True)
        await server.stop()
        await channel.close()


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(2 * PATIENCE):
            await work()

    asyncio.run(limited())


def once(queue: Queue) -> bool:
    return set(queue.made.values()) == {1}


def test_ensembles_on_two_clusters(tmp_path):
    async def work():
        async with house(tmp_path / "s") as made:
            await made.join("c1")
            await made.join("c2")
            runs = [await made.submit(two(50), cluster) for cluster in ("c1", "c2", "c1")]
            for each in runs:
                assert (await made.ended(each)).met
                assert made.groups(each)["a"]["success"] == 50
                assert once(made.queues[each])
            listed = await made.call("List", pb.ListRequest(all=True))
            assert [(one.run, one.cluster, one.state) for one in listed.runs] == [
                (runs[0], "c1", "ended"),
                (runs[1], "c2", "ended"),
                (runs[2], "c1", "ended"),
            ]
            assert not (await made.call("List", pb.ListRequest())).runs
            clusters = (await made.call("Clusters", pb.ClustersRequest())).clusters
            assert [(one.name, one.connected, one.in_queue) for one in clusters] == [("c1", True, 0), ("c2", True, 0)]
            told = json.loads((await made.call("Status", pb.StatusRequest(run=runs[0]))).json)
            assert told["groups"]["b"]["success"] == 1

    run(work)


def test_the_same_request_is_one_run(tmp_path):
    async def work():
        async with house(tmp_path / "s") as made:
            await made.join("c1")
            runs = await asyncio.gather(*(made.submit(two(1), request_id="the-same") for _ in range(5)))
            assert len(set(runs)) == 1
            await made.ended(runs[0])
        async with house(tmp_path / "s") as made:  # a later server knows it, too
            assert await made.submit(two(1), request_id="the-same") == runs[0]

    run(work)


class Line:
    """Queues that run one job after the other, in the order in which they came."""

    def __init__(self, made: House) -> None:
        self.order: list[str] = []  # names of the runs whose jobs came
        self.longest = 0
        self._jobs: list[tuple[Queue, Any]] = []
        made.new_queue = self._new

    def _new(self) -> Queue:
        queue = Queue()

        def came(job):
            self.order.append(job.token.partition("-")[0])
            self._jobs.append((queue, job))
            self.longest = max(self.longest, len(self._jobs))

        queue.run = came
        return queue

    async def work(self) -> None:
        while True:
            await asyncio.sleep(0.001)
            if self._jobs:
                queue, job = self._jobs.pop(0)
                queue.release(job)


def test_a_small_ensemble_is_not_held_up_by_a_large_one(tmp_path):
    """Places of the cluster go to who has the least of them for its weight."""

    async def work():
        async with house(tmp_path / "s") as made:
            line = Line(made)
            worker = asyncio.create_task(line.work())
            await made.join("c1", capacity=20)
            large = await made.submit(two(3000))
            await until(lambda: len(line.order) > 100)
            before = len(line.order)
            small = await made.submit(two(40))
            heavy = await made.submit(two(120), weight=3)
            assert (await made.ended(small)).met
            place = max(number for number, name in enumerate(line.order) if name == small)
            assert place - before < 6 * (41 + 20), "it had its share from the beginning"
            assert (await made.ended(heavy)).met
            both = [name for name in line.order[before:] if name != large][20:120]
            assert 2 <= both.count(heavy) / both.count(small) <= 4, "three times as many for three times the weight"
            assert line.longest <= 20
            await made.call("Cancel", pb.CancelRequest(run=large))
            assert not (await made.ended(large)).met
            worker.cancel()

    run(work)


def test_cancelling_jobs_that_are_held_queued_and_running(tmp_path):
    async def work():
        async with house(tmp_path / "s") as made:
            await made.join("c1", capacity=10)
            made.new_queue = lambda: _with(Queue(), default="run")
            text = two(500).replace("count.a.finished", "count.a.cancelled")
            each = await made.submit(text)
            await until(lambda: made.server.runs.runs[each].message().in_queue == 10)
            made.queues[each].ends["b"] = __import__("collections").deque(["success"])
            await made.call("Cancel", pb.CancelRequest(run=each, names=["a"]))
            assert (await made.ended(each)).met
            assert made.groups(each)["a"]["cancelled"] == 500
            assert len(made.queues[each].made) == 11

    run(work)


def _with(queue: Queue, **fields: Any) -> Queue:
    for name, value in fields.items():
        setattr(queue, name, value)
    return queue


def test_a_run_waits_for_its_cluster_and_can_be_cancelled_before(tmp_path):
    async def work():
        async with house(tmp_path / "s") as made:
            with pytest.raises(grpc.aio.AioRpcError, match="has ever registered"):
                await made.submit(two(1), "nowhere")
            agent = await made.join("c1")
            agent.cancel()
            await until(lambda: made.server.runs.clusters["c1"].link is None)
            first, second = await made.submit(two(1)), await made.submit(two(1))
            state = (await made.call("Status", pb.StatusRequest(run=first))).run
            assert (state.state, state.why) == ("waiting", "cluster c1 is not connected")
            await made.call("Cancel", pb.CancelRequest(run=first))
            assert not (await made.ended(first)).met
            await made.join("c1")
            assert (await made.ended(second)).met

    run(work)


def test_a_run_whose_cluster_is_gone_for_good(tmp_path):
    async def work():
        async with house(tmp_path / "s") as made:
            made.new_queue = lambda: _with(Queue(), default="run")
            agent = await made.join("c1", identity="one")
            each = await made.submit(two(3))
            await until(lambda: made.server.runs.runs[each].message().in_queue == 3)
            agent.cancel()
            await until(lambda: made.server.runs.clusters["c1"].link is None)
            other = await made.join("c1", identity="another")
            with pytest.raises(ServiceError, match="is known with another agent"):
                await other  # it would not know the jobs, and they would be run twice
            await made.call("Cancel", pb.CancelRequest(run=each, abandon=True))
            assert not (await made.ended(each)).met
            assert json.loads((await made.call("Status", pb.StatusRequest(run=each))).json)["ended_by"] == "abandon"
            await made.join("c1", identity="another")
            assert made.server.runs.clusters["c1"].link

    run(work)


class Storm(Queue):
    """Tells more of its jobs than anybody wants to know."""

    def tell(self, job, name, **context):
        super().tell(job, name, **context)
        if name == "start":
            for _ in range(300 if self.calls["adopt"] == 0 else 0):
                super().tell(job, "memo")


def test_an_agent_does_not_hoard_events(tmp_path, monkeypatch):
    """It lets go of a run whose events come faster than they are taken, and adopts."""
    monkeypatch.setattr("ensemble.service.agent.MOST_EVENTS", 1000)

    async def work():
        async with house(tmp_path / "s") as made:
            made.new_queue = Storm
            await made.join("c1")
            each = await made.submit(two(20))
            assert (await made.ended(each)).met
            assert made.queues[each].calls["adopt"] == 1
            assert once(made.queues[each])

    run(work)


def test_a_limit_of_the_queue_is_waited_for(tmp_path):
    async def work():
        async with house(tmp_path / "s") as made:
            from collections import deque

            made.new_queue = lambda: _with(Queue(), submit_faults=deque([("limit", 2), ("limit", 0), ("limit", 3)]))
            await made.join("c1")
            each = await made.submit(two(20))
            assert (await made.ended(each)).met
            assert once(made.queues[each])

    run(work)


class Slow(FakeMember):
    """Takes its time, and then no jobs."""

    asked: asyncio.Event
    go: asyncio.Event

    async def submit(self, jobs):
        self.asked.set()
        await self.go.wait()
        await super().submit(jobs)


def test_cancelled_on_the_way_to_a_queue_that_takes_no_more(tmp_path):
    async def work():
        async with house(tmp_path / "s") as made:
            queue = Queue()
            queue.submit_faults.append(("limit", 1))
            slow = Slow(Options("r1"), queue)
            slow.asked, slow.go = asyncio.Event(), asyncio.Event()
            made.new_member = lambda run: slow
            await made.join("c1")
            cluster = made.server.runs.clusters["c1"]
            session = Session(lambda: RemoteMember(Options("r1"), cluster, 1, lambda kind, text: None))
            await session.member.open(session.emit, session.lost)
            names = await session.submit(["true"], count=3)
            await slow.asked.wait()
            cancelling = asyncio.create_task(session.member.cancel(names[1:]))
            await asyncio.sleep(0.1)
            slow.go.set()
            await cancelling
            assert await session.outcomes(names[:1]) == {"success"}
            assert await session.outcomes(names[1:]) == {"cancelled"}
            assert list(queue.made) == [f"r1-{names[0]}"]
            await session.member.close()

    run(work)


class Proxy:
    """Passes bytes on, and breaks the connection after each of `after` bytes, in the middle of whatever that is."""

    def __init__(self, to: Address, after: list[int]) -> None:
        self.to = to
        self.after = after
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> Address:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return Address("127.0.0.1", self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        self._server.close()
        self.break_off()

    def break_off(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection(self.to.host, self.to.port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, back}

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with suppress(OSError):
                while data := await source.read(4096):
                    if self.after:
                        self.after[0] -= len(data)
                        if self.after[0] <= 0:
                            sink.write(data[: self.after.pop(0) or None])  # all but what goes beyond
                            with suppress(OSError):
                                await sink.drain()
                            await asyncio.sleep(0)
                            self.break_off()
                            return
                    sink.write(data)
                    await sink.drain()
            sink.transport.abort()

        await asyncio.gather(pump(reader, back), pump(there, writer), return_exceptions=True)
        self._writers -= {writer, back}


@pytest.mark.parametrize("seed", range(3))
def test_cut_at_random_moments(tmp_path, seed):
    """2,000 jobs over a connection that breaks again and again: each is submitted once and ends once."""

    async def work():
        chance = random.Random(seed)
        async with house(tmp_path / "s") as made:
            proxy = Proxy(made.server.address, [chance.randrange(15_000, 60_000) for _ in range(8)])
            await made.join("c1", capacity=100, address=await proxy.start())
            each = await made.submit(two(2000))
            state = await made.ended(each)
            assert state.met
            assert not proxy.after, "every cut was made"
            assert once(made.queues[each])
            assert len(made.queues[each].made) == 2001
            assert made.groups(each)["a"] == {"jobs": 2000, "success": 2000}
            proxy.close()

    run(work)


def test_a_submission_of_an_old_session_is_waited_for(tmp_path):
    """It may still create jobs, so that nobody must ask for them before it has returned."""

    async def work():
        async with house(tmp_path / "s") as made:
            asked, go, queue = asyncio.Event(), asyncio.Event(), Queue()

            def make(run: str) -> Slow:
                slow = Slow(Options(run), queue)
                slow.asked, slow.go = asked, go
                return slow

            made.new_member = make
            proxy = Proxy(made.server.address, [])
            await made.join("c1", address=await proxy.start())
            each = await made.submit(two(5))
            await asked.wait()
            link = made.server.runs.clusters["c1"].link
            proxy.break_off()
            await until(lambda: made.server.runs.clusters["c1"].link not in (None, link))
            await asyncio.sleep(0.3)
            assert not queue.calls["adopt"]
            go.set()
            assert (await made.ended(each)).met
            assert queue.calls["adopt"] == 1
            assert once(queue)
            proxy.close()

    run(work)


def test_growing_and_shrinking(tmp_path):
    text = """
jobs: [{name: a, command: "true", count: 2}]
rules:
  - {trigger: start, action: {name: submit, label: a}}
  - {trigger: metric, name: count.a.finished, when: 2, action: {name: grow, value: 3}}
"""

    async def work():
        async with house(tmp_path / "s") as made:
            await made.join("c1")
            each = await made.submit(text)
            assert (await made.ended(each)).met
            assert made.queues[each].sizes == [5]

    run(work)


def test_a_server_that_is_started_again_goes_on(tmp_path):
    """Jobs are in the queue, held, and ending while nobody is there."""

    async def work():
        queues: dict[str, Queue] = {}
        async with house(tmp_path / "s") as made:
            made.queues = queues
            made.new_queue = lambda: _with(Queue(), default="run")
            await made.join("c1", capacity=40)
            each = await made.submit(two(200))
            await until(lambda: made.server.runs.runs[each].message().in_queue == 40)
        queue = queues[each]
        queue.default = "success"
        for token, events in list(queue.jobs.items())[:20]:  # these end unseen
            from ensemble.events import Event

            name = token.partition("-")[2]
            events += [Event("finish", time.time(), name, {"status": 0}), Event("clean", time.time(), name)]
        async with house(tmp_path / "s") as made:
            made.queues = queues
            assert made.server.runs.runs[each].message().state == "waiting"
            await made.join("c1", capacity=40)
            await until(lambda: len(queue.made) > 41)
            for token in list(queue.jobs)[20:40]:
                name = token.partition("-")[2]
                from ensemble.job import Job

                job = Job(name, token, None)  # type: ignore[arg-type]
                queue.tell(job, "finish", status=0)
                queue.tell(job, "clean")
            assert (await made.ended(each)).met
            assert once(queue)
            assert made.groups(each)["a"] == {"jobs": 200, "success": 200}

    run(work)


def test_no_more_than_the_capacity_after_a_restart(tmp_path):
    """Nothing is sent before it is known what all runs have in the queue."""

    async def work():
        queues: dict[str, Queue] = {}

        def in_queue() -> int:
            return sum(len(queue.jobs) for queue in queues.values())

        async with house(tmp_path / "s") as made:
            made.queues = queues
            made.new_queue = lambda: _with(Queue(), default="run")
            await made.join("c1", capacity=10)
            runs = [await made.submit(two(30)) for _ in range(2)]
            await until(lambda: in_queue() == 10 and len(queues) == 2)
        queues[runs[0]].adopt_faults += ["no answer yet"] * 3  # it came first, and has them all
        async with house(tmp_path / "s") as made:
            made.queues = queues
            await made.join("c1", capacity=10)
            await until(lambda: queues[runs[0]].calls["adopt"] == 4)
            await asyncio.sleep(0.2)
            assert in_queue() == 10

    run(work)


def test_watching_goes_on_after_the_last_line(tmp_path):
    async def work():
        async with house(tmp_path / "s") as made:
            await made.join("c1")
            each = await made.submit(two(30))
            await made.ended(each)

            async def lines(after: str = "") -> list[pb.WatchReply]:
                call = made.stub.Watch(pb.WatchRequest(run=each, after=after), metadata=bearer(CLIENT))
                return [line async for line in call]

            whole = await lines()
            kinds = Counter(json.loads(line.json)["type"] for line in whole)
            assert kinds["event"] == 2 + 31 * 5  # and the start, and the size
            assert kinds["trigger"] == kinds["submit"] == 2
            assert json.loads(whole[-1].json)["met"] is True
            for number in (0, 3, 77, len(whole) - 2):
                assert await lines(whole[number].cursor) == whole[number + 1 :]
            with pytest.raises(grpc.aio.AioRpcError, match="no cursor"):
                await lines("7")

    run(work)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("custom: |\n  def f(**k): open('/tmp/x', 'w')\n" + TWO, r"test.yaml:1:1: custom code is never run"),
        (TWO.replace("{name: submit, label: b}", "{name: custom, label: lammps.x}"), "--allow-plugins"),
        (TWO.replace('command: "true"}', 'command: "true", metrics: {t: {reader: lammps.temp}}}'), "--allow-plugins"),
        (TWO + "  - {use: lammps.settled}\n", "--allow-plugins"),
        ("member: {name: slurm, partition: x}\n" + TWO, "settings of a member are for its agent"),
        ("jobs: [\n", "test.yaml:2:"),
        ("# " + "a" * (3 << 20), "larger than 3 MiB"),
    ],
)
def test_what_a_client_may_not_send(tmp_path, text, says):
    async def work():
        async with house(tmp_path / "s") as made:
            await made.join("c1")
            with pytest.raises(grpc.aio.AioRpcError, match=says):
                await made.submit(text.replace("COUNT", "2"))
            with pytest.raises(grpc.aio.AioRpcError, match="names have letters"):
                await made.submit(two(1), "../../etc")
            assert not list((tmp_path / "s" / "runs").iterdir())

    run(work)


def test_tokens(tmp_path):
    async def work():
        async with house(tmp_path / "s") as made:
            for token, code in (
                ("", grpc.StatusCode.UNAUTHENTICATED),
                ("x" * 20, grpc.StatusCode.UNAUTHENTICATED),
                (CLIENT[:-1], grpc.StatusCode.UNAUTHENTICATED),
                (AGENT, grpc.StatusCode.PERMISSION_DENIED),
            ):
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await made.call("List", pb.ListRequest(), token=token)
                assert refused.value.code() == code
                assert not token or token not in str(refused.value)
            with pytest.raises(grpc.aio.AioRpcError):
                await made.stub.List(pb.ListRequest())
            watching = made.stub.Watch(pb.WatchRequest(run="x"), metadata=bearer("x" * 20))
            with pytest.raises(grpc.aio.AioRpcError, match="not known here"):
                await watching.read()
            for token in (CLIENT, "x" * 20):
                agent = await made.join("c1", token=token)
                with pytest.raises(ServiceError):
                    await agent
            assert "c1" not in {
                c.name for c in (await made.call("Clusters", pb.ClustersRequest())).clusters if c.connected
            }

    run(work)


def test_a_stream_that_talks_nonsense_is_ended(tmp_path):
    async def work():
        async with house(tmp_path / "s") as made:
            await made.join("c1")
            channel = dial(made.server.address, Tls(), use_tls=False)
            async with channel:
                for first in (pb.AgentMessage(answer=pb.Answer(id=1)), pb.AgentMessage(hello=pb.Hello(cluster="../x"))):
                    call = rpc.AgentsStub(channel).Connect(metadata=bearer(AGENT))
                    await call.write(first)
                    with pytest.raises(grpc.aio.AioRpcError) as refused:
                        await call.read()
                    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
                each = await made.submit(two(5))
                assert (await made.ended(each)).met

    run(work)


def test_a_member_behind_the_service_is_a_member(tmp_path):
    """The contract of members, over the service, with the local one at its other end."""

    async def work():
        async with house(tmp_path / "s") as made:
            made.new_member = lambda run: LocalMember(Options(run, _folder(tmp_path / run), cores=4))
            await made.join("c1")

            async def one(scenario: Scenario) -> None:
                run = f"run{SCENARIOS.index(scenario)}"
                options = Options(run)
                cluster = made.server.runs.clusters["c1"]
                session = Session(lambda: RemoteMember(options, cluster, 1, lambda kind, text: None))
                try:
                    await session.member.open(session.emit, session.lost)
                    await scenario(session)
                finally:
                    await session.member.close()
                    del cluster.members[run]

            await asyncio.gather(*(one(scenario) for scenario in SCENARIOS if scenario.__name__ in told))

    told = {  # those in which what goes over the stream differs
        "a_command_is_missing",
        "waiting_jobs_are_cancelled",
        "environment_and_workdir",
        "output_is_read_while_it_runs",
        "a_job_that_ended_meanwhile_is_adopted",
        "found_by_its_token",
        "closing_cancels",
    }

    run(work)


def _folder(path: Path) -> Path:
    path.mkdir(mode=0o700, exist_ok=True)
    return path


# --- real processes


def es(*arguments: str | Path, folder: Path, **more: Any) -> list[str]:
    return [sys.executable, "-c", "from ensemble.service.main import main; main(prog_name='ensemble-server')"] + [
        str(argument) for argument in arguments
    ]


class Processes:
    """`ensemble-server` commands with a state directory of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {**os.environ, "XDG_STATE_HOME": str(folder / "state")}
        self.env.pop("ENSEMBLE_TOKEN", None)
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, *arguments: str | Path, until: str) -> subprocess.Popen[bytes]:
        """Start one that goes on, and wait for a line on stderr."""
        log = self.folder / f"{len(self._running)}.err"
        with log.open("wb") as file:
            process = subprocess.Popen(es(*arguments, folder=self.folder), stderr=file, env=self.env, cwd=self.folder)
        process.log = log  # type: ignore[attr-defined]
        self._running.append(process)
        deadline = time.monotonic() + PATIENCE
        while until not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        return process

    def ask(self, *arguments: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            es(*arguments, folder=self.folder),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env=self.env | env,
            cwd=self.folder,
        )

    def close(self) -> None:
        for process in self._running:
            process.kill()
            process.wait()


@pytest.fixture
def processes(tmp_path) -> Iterator[Processes]:
    made = Processes(tmp_path)
    try:
        yield made
    finally:
        made.close()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_killed_server_and_agent(processes, tmp_path):
    """kill -9 of either, again and again, under real processes: every job runs once."""
    count = 300
    address = f"127.0.0.1:{free_port()}"
    log = tmp_path / "log"
    (tmp_path / "e.yaml").write_text(
        two(count).replace('"true", count', f'[sh, -c, "echo $$ >> {log}; sleep 0.02"], count')
    )
    server = processes.start("start", "--bind", address, until="listening")
    join = ("join", "--server", address, "--name", "here", "--member", "local", "--cores", "4", "--capacity", "40")
    agent = processes.start(*join, until="connected")
    said = processes.ask("submit", "--server", address, "--on", "here", "e.yaml")
    assert said.returncode == 0, said.stderr
    each = said.stdout.strip()
    watching = subprocess.Popen(
        es("watch", each, "--json", "--server", address, folder=tmp_path),
        stdout=subprocess.PIPE,
        env=processes.env,
        text=True,
    )
    for number in range(2):
        time.sleep(0.3)
        agent.send_signal(signal.SIGTERM if number else signal.SIGKILL)
        agent.wait()
        if number:
            server.kill()
            server.wait()
            server = processes.start("start", "--bind", address, until="listening")
        agent = processes.start(*join, until="connected")
    told, _ = watching.communicate(timeout=PATIENCE)
    lines = [json.loads(line) for line in told.splitlines()]
    assert watching.returncode == 0
    assert lines[-1]["type"] == "end"
    assert lines[-1]["counts"]["a"]["success"] == count
    assert len(log.read_text().splitlines()) == count
    ends = Counter(line["job"] for line in lines if line["type"] == "event" and line["name"] == "clean")
    assert len(ends) == count + 1
    said = processes.ask("watch", each, "--server", address)
    assert said.stdout.startswith("=> trigger start\n   submit a (jobs:300)\n=> trigger count.a.finished\n   submit b")
    status = json.loads(processes.ask("status", each, "--json", "--server", address).stdout)
    assert (status["state"], status["met"]) == ("ended", True)
    began = time.monotonic()
    for process in (server, agent):
        process.terminate()
        assert process.wait(PATIENCE) == 0
    assert time.monotonic() - began < 20
    assert "ENSEMBLE" not in server.log.read_text()


def test_a_stop_ends_agents_and_watchers_in_order(processes, tmp_path):
    """gRPC prints a traceback for each stream that it has to cancel."""
    address = f"127.0.0.1:{free_port()}"
    server = processes.start("start", "--bind", address, until="listening")
    join = ("join", "--name", "here", "--member", "local", "--server", address, "--dir", tmp_path / "agent")
    agent = processes.start(*join, until="connected")
    file = tmp_path / "long.yaml"
    file.write_text("""
jobs: [{name: a, command: "sleep 600"}]
rules: [{trigger: start, action: {name: submit, label: a}}]
""")
    each = processes.ask("submit", file, "--on", "here", "--server", address).stdout.strip()
    watcher = subprocess.Popen(
        es("watch", each, "--server", address, folder=tmp_path), stdout=subprocess.PIPE, env=processes.env, text=True
    )
    try:
        assert watcher.stdout
        assert "trigger start" in watcher.stdout.readline()
        server.terminate()
        assert server.wait(PATIENCE) == 0
        told = server.log.read_text()
        assert "stopped (SIGTERM)" in told
        assert "Traceback" not in told
        server = processes.start("start", "--bind", address, until="here: connected")
        assert watcher.poll() is None  # it goes on by itself
        assert processes.ask("cancel", each, "--server", address).returncode == 0
        assert watcher.wait(PATIENCE) == 1
    finally:
        watcher.kill()
        watcher.communicate()
    for process in (server, agent):
        process.terminate()
        assert process.wait(PATIENCE) == 0
        assert "Traceback" not in process.log.read_text()


def test_tls(processes, tmp_path):
    """A certificate of our own, a client's certificate asked for, and a server that is another."""
    address = f"127.0.0.1:{free_port()}"
    for name in ("server", "other"):
        subprocess.run(
            f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
            f" -addext subjectAltName=IP:127.0.0.1,DNS:localhost -keyout {name}.key -out {name}.pem".split(),
            check=True,
            capture_output=True,
            cwd=tmp_path,
        )
        (tmp_path / f"{name}.key").chmod(0o600)
    token = tmp_path / "tokens"
    token.write_text(f"# of tests\n{CLIENT}\n")
    start = ("start", "--bind", address, "--cert", "server.pem", "--key", "server.key", "--token-file", "tokens")
    token.chmod(0o644)
    assert "chmod 600" in processes.ask(*start).stderr
    token.chmod(0o600)
    processes.start(*start, "--ca", "other.pem", until="TLS")
    common = ("--server", address, "--token-file", "tokens")
    good = ("--ca", "server.pem", "--cert", "other.pem", "--key", "other.key")
    join = ("join", *common, *good, "--name", "here", "--member", "local")
    processes.start(*join, until="connected")
    said = processes.ask("clusters", *common, *good)
    assert "here" in said.stdout, said.stderr
    said = processes.ask("clusters", *common[:2], *good, ENSEMBLE_TOKEN=CLIENT)
    assert "here" in said.stdout, said.stderr
    said = processes.ask("clusters", *common[:2], *good, ENSEMBLE_TOKEN="x" * 20)
    assert (said.returncode, said.stdout) == (1, "")
    assert "not known here" in said.stderr
    said = processes.ask("clusters", *common, "--ca", "other.pem", "--cert", "other.pem", "--key", "other.key")
    assert (said.returncode, said.stdout, len(said.stderr.splitlines())) == (1, "", 1)
    assert "can't be verified; give --ca FILE" in said.stderr


def test_plain_text_is_for_loopback_only(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("ENSEMBLE_TOKEN", raising=False)
    (tmp_path / "full" / "of").mkdir(mode=0o755, parents=True)
    token = tmp_path / "tokens"
    token.write_text(f"{CLIENT}\n")
    token.chmod(0o600)
    for arguments, says in (
        (("start", "--bind", "0.0.0.0:0", "--token-file", "tokens"), "not loopback"),
        (("start", "--bind", "0.0.0.0:0"), "needs --token-file"),
        (("list", "--server", "192.0.2.1:50651", "--token-file", "tokens"), "not loopback"),
        (("list", "--server", "localhost.example.org:1", "--token-file", "tokens"), "not loopback"),
        (
            ("join", "--server", "192.0.2.1:1", "--name", "x", "--member", "local", "--token-file", "tokens"),
            "not loopback",
        ),
        (("start", "--bind", "127.0.0.1:0", "--dir", "full"), "not empty"),
        (("list",), "no token"),
        (("list", "--server", "::1"), "no token"),
        (("list", "--server", "localhost:port"), "no HOST:PORT"),
        (("join", "--name", "../x"), "letters, digits"),
    ):
        said = CliRunner().invoke(main, list(arguments))
        assert said.exit_code in (1, 2), said.output
        assert says in said.stderr
        assert not said.stdout
        assert CLIENT not in said.stderr


def test_without_grpc_it_says_what_to_install(tmp_path):
    code = (
        "import sys; sys.modules['grpc'] = None\n"
        "import importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name.split('.')[0] == 'grpc' else real(name, *a)\n"
        "from ensemble.service.main import main; main(prog_name='ensemble-server')"
    )
    for arguments, status in (
        (["--help"], 0),
        (["--version"], 0),
        (["start", "--bind", "x"], 1),
        (["list", "--help"], 1),
    ):
        said = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=tmp_path)
        assert said.returncode == status, said.stderr
        if status:
            assert said.stderr == (
                "ensemble-server: the service needs grpcio: pip install 'ensemble-python[service]'\n"
            )
            assert not said.stdout
