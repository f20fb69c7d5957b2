"""HyperQueue, in the shapes of 0.10 and 0.27 that its documentation and its own tests tell."""

from __future__ import annotations

import pytest
from recorded import other_managers as recorded

from resource_secretary import Secretary
from resource_secretary.errors import CommandFailed, OutputError
from resource_secretary.providers.workload._hyperqueue_json import read_workers
from resource_secretary.providers.workload.hyperqueue import HyperQueueProvider
from resource_secretary.run import Ran
from resource_secretary.testing import RecordedSystem, check_provider


@pytest.fixture(params=["0.10", "0.27"])
def either(request) -> RecordedSystem:
    return recorded.hyperqueue(request.param)


def call(system, tool, **arguments):
    return Secretary(system=system).call(f"hyperqueue.{tool}", arguments).result


def lines(system) -> list[list[str]]:
    return [line.split(" | ") for line in Secretary(system=system).offer("hyperqueue").to_text().splitlines()[1:]]


def test_the_contract(either):
    check_provider(HyperQueueProvider, either)
    metadata = Secretary(system=either).detect(name="hyperqueue")["hyperqueue"].metadata
    assert metadata["host"] == "login1" and metadata["version"] in ("0.10.0", "0.27.0")


def test_workers_of_0_27():
    workers = call(recorded.hyperqueue("0.27"), "workers")["items"]
    first, second, third, odd = workers
    assert (first["cpus"], first["sockets"], first["gpus"]) == (8, 2, {"nvidia": 4})
    assert (first["other"], first["sums"], first["running"]) == ({"fpga": 2}, ["mem"], 0)
    assert (first["manager"], first["allocation"], first["time_limit"]) == ("Slurm", "3083466", 7200)
    assert (second["cpus"], second["running"], third["cpus"], third["whole"]) == (16, 5, 2, True)
    assert odd["state"] == "unknown" and "'cube' is no kind of resource" in odd["unread"]


def test_what_is_free_is_told_only_where_it_is_known():
    assert lines(recorded.hyperqueue("0.27")) == [
        ["hosts=cn1 ranks=0 state=up", "cores=8 gpus=4:nvidia", "cores=8 gpus=4:nvidia"],
        ["hosts=cn2 ranks=1 state=up", "cores=16", "unknown"],
        ["hosts=cn3 ranks=2 state=up", "cores=2", "cores=0"],
        ["hosts=cn4 ranks=3 state=unknown", "cores=0", "unknown"],
    ]


def test_old_versions_tell_by_the_tasks_that_run():
    system = recorded.hyperqueue("0.10")
    assert lines(system) == [
        ["hosts=cn1 ranks=0 state=up", "cores=8 gpus=2", "unknown"],
        ["hosts=cn2 ranks=1 state=up", "cores=2", "unknown"],
    ]
    system.commands[recorded.HQ_JOBS] = "[]"
    assert [line[2] for line in lines(system)] == ["cores=8 gpus=2", "cores=2"]


def test_the_depth_is_of_tasks(either):
    depth = HyperQueueProvider(either).depth()
    assert (depth.pending, depth.running) in ((3, 2), (59, 2))
    assert call(either, "jobs")["items"][0]["running"] == 2


def test_without_a_server_it_is_unreachable(either):
    error = '{\n  "error": "No online server was found.\\n\\nCaused by:\\n    file not found"\n}\n'
    either.commands[recorded.HQ_SERVER] = Ran((), 1, error, "")
    result = Secretary(system=either).detect(name="hyperqueue")["hyperqueue"].result
    assert (result.state, result.said) == ("unreachable", "exit code 1: No online server was found.")
    either = recorded.hyperqueue("0.10")
    either.commands[recorded.HQ_WORKERS] = Ran((), 1, "", "Connection refused")
    result = Secretary(system=either).detect(name="hyperqueue")["hyperqueue"].result
    assert (result.state, result.said) == ("unreachable", "exit code 1: Connection refused")


def test_what_failed_is_never_no_jobs(either):
    either.commands[recorded.HQ_JOBS] = Ran((), 1, "", "timeout")
    with pytest.raises(CommandFailed, match="timeout"):
        call(either, "jobs")
    either.commands[recorded.HQ_JOBS] = '{"jobs": []}'
    with pytest.raises(OutputError, match=r'a list expected; it said: \{"jobs": \[\]\}'):
        call(either, "jobs")


@pytest.mark.parametrize(
    "resources",
    [
        "{}",
        '{"cpus": 4}',
        '{"cpus": [4]}',
        '{"resources":[{"name":"cpus","kind":"range","start":5,"end":1}]}',
        '{"resources":[{"name":"cpus","kind":"range","start":0,"end":999999999}]}',
        '{"resources":[{"name":"cpus","kind":"sum","size":4}]}',
    ],
)
def test_a_worker_of_another_shape_loses_itself(resources):
    good = '{"id":2,"configuration":{"hostname":"b","resources":{"cpus":[[0]]}}}'
    text = f'[{{"id":1,"configuration":{{"hostname":"a","resources":{resources}}}}},{good}]'
    odd, fine = read_workers(text)
    assert odd.unread and odd.cpus is None and fine.cpus == 1
