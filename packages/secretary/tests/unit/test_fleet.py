"""Simulated fleets: the same in every process, and answers that are the truth where nobody lies."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
import sys

import pytest
from resources.documents import Inventory, load_request

from resource_secretary.asking import Depth
from resource_secretary.errors import SecretaryError
from resource_secretary.fleet import KINDS, differences, make_fleet
from resource_secretary.fleet.fleet import FAULTS, FleetError
from resource_secretary.hub.hub import ask_all
from resource_secretary.hub.policy import Candidate
from resource_secretary.hub.worker import Rejected

REQUESTS = ("cores=8", "nodes=4 cores=32", "nodes=2 cores=16 memory=64GB", "cores=1 gpus=2:a100", "cores=4096")
EVERYTHING = {"slow": 0.05, "dead": 0.05, "lying": 0.2, "malformed": 0.05}


def hub(fleet, request: str, timeout: float = 15.0):
    return asyncio.run(ask_all(fleet.workers, load_request(request), timeout))


def digest(fleet) -> str:
    return hashlib.sha256(json.dumps(fleet.truth(), sort_keys=True).encode()).hexdigest()


@pytest.mark.parametrize("kind", KINDS)
def test_a_fleet_is_the_same_in_every_process(kind):
    code = (
        "import sys, json, hashlib; from resource_secretary.fleet import make_fleet;"
        f"fleet = make_fleet({kind!r}, 7, 100, faults={EVERYTHING!r});"
        "print(hashlib.sha256(json.dumps(fleet.truth(), sort_keys=True).encode()).hexdigest())"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": number},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for number in ("1", "2")
    }
    assert told == {digest(make_fleet(kind, 7, 100, faults=EVERYTHING))}
    assert digest(make_fleet(kind, 8, 300)) != digest(make_fleet(kind, 7, 300))


def verdict_by_hand(inventory: dict, request: dict) -> str:
    """What a request of nodes with cores, memory and GPUs gets, counted without `resources`."""

    def holds(amounts: list | dict | None) -> bool:
        has = Inventory.from_json({"type": "inventory", "version": 1, "groups": [{"hosts": "h", "total": amounts}]})
        leaf = has.groups[0].total.get
        for kind, attribute in (("cores", "N"), ("memory", "size")):
            if kind in request and (leaf(kind) is None or getattr(leaf(kind), attribute) < request[kind]):
                return False
        for gpu, amount in request.get("gpus", {}).items():
            if leaf("gpus") is None or leaf("gpus").types.get(gpu, 0) < amount:
                return False
        return True

    now = ever = 0
    for group in inventory["groups"]:
        first, _, last = group["ranks"].partition("-")
        hosts = int(last or first) - int(first) + 1
        ever += hosts * holds(group["total"])
        now += hosts * (group["state"] == "up" and holds(group["free"]))
    nodes = request.get("nodes", 1)
    return "READY" if now >= nodes else "BUSY" if ever >= nodes else "INCOMPATIBLE"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("text", "request_"),
    [
        ("cores=8", {"cores": 8}),
        ("nodes=4 cores=32", {"nodes": 4, "cores": 32}),
        ("nodes=2 cores=16 memory=64GB", {"nodes": 2, "cores": 16, "memory": 64 * 2**30}),
        ("cores=1 gpus=2:a100", {"cores": 1, "gpus": {"a100": 2}}),
        ("nodes=50 cores=2", {"nodes": 50, "cores": 2}),
    ],
)
def test_the_verdicts_are_those_that_counting_gives(kind, text, request_):
    fleet = make_fleet(kind, 3, 60)
    truth = fleet.truth()
    right = {number: verdict_of(shape, request_) for number, shape in truth["shapes"].items()}
    shape_of = {worker["name"]: worker["shape"] for worker in truth["workers"]}
    replies = hub(fleet, text)
    assert len(replies) == 60
    for one in replies:
        assert isinstance(one, Candidate), one
        assert one.answer.verdict == right[shape_of[one.worker]], (one, truth["shapes"][shape_of[one.worker]])
    assert len(set(right.values())) > 1 or kind == "standalone"


def verdict_of(shape: dict, request: dict) -> str:
    """As counted; but memory, of which nobody there tells (Flux keeps none), is not known."""
    told = any("memory" in json.dumps(group["total"]) for group in shape["inventory"]["groups"])
    untold = [name for name in request if name == "memory" and not told]
    verdict = verdict_by_hand(shape["inventory"], {name: one for name, one in request.items() if name not in untold})
    return "UNKNOWN" if untold and verdict == "READY" else verdict


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("request_", REQUESTS)
def test_honest_answers_do_not_differ_from_the_exported_truth(kind, request_):
    fleet = make_fleet(kind, 11, 40)
    truth = json.loads(json.dumps(fleet.truth(), allow_nan=False))
    answers = [(one.worker, one.answer) for one in hub(fleet, request_)]
    assert len(answers) == 40
    assert differences(truth, request_, answers) == []


def test_each_fault_is_told_and_lies_that_hold_are_found_by_the_truth():
    fleet = make_fleet("hpc", 5, 1000, faults=EVERYTHING)
    faults = {worker.name: worker.behaviour for worker in fleet.workers}
    counted = {fault: sum(one == fault for one in faults.values()) for fault in FAULTS}
    assert all(abs(counted[fault] - 1000 * share) < 60 for fault, share in EVERYTHING.items())
    replies = hub(fleet, "nodes=2 cores=16")
    rejected = {one.worker: one.kind for one in replies if isinstance(one, Rejected)}
    kinds = {"slow": "slow", "dead": "unreachable", "malformed": "malformed"}
    assert all(rejected.get(name) == kinds[fault] for name, fault in faults.items() if fault in kinds)
    assert not any(faults[name] == "honest" for name in rejected)
    believed = [(one.worker, one.answer) for one in replies if isinstance(one, Candidate)]
    liars = {found.worker for found in differences(fleet.truth(), "nodes=2 cores=16", believed)}
    assert liars and {faults[name] for name in liars} == {"lying"}
    assert sum(kind == "lying" for kind in rejected.values()) > 20


def test_ten_thousand_workers_answer_one_request():
    fleet = make_fleet("hpc", 1, 10_000)
    replies = hub(fleet, "nodes=2 cores=16")
    assert len({one.worker for one in replies}) == 10_000
    assert all(isinstance(one, Candidate) for one in replies)
    assert fleet.workers[0].name == "hpc-0000" and fleet.workers[-1].name == "hpc-9999"


def test_managers_tell_of_queues_and_starts():
    fleet = make_fleet("hpc", 1, 300)
    manager = {worker.name: fleet.shape(worker.shape).manager for worker in fleet.workers}
    answers = {one.worker: one.answer for one in hub(fleet, "nodes=3 cores=40")}
    assert {manager[name] for name in answers} == {"slurm", "flux", "pbs"}
    for name, answer in answers.items():
        assert isinstance(answer.depth, Depth) and answer.manager == manager[name]
        assert (answer.start is None) == (manager[name] == "flux" or answer.verdict not in ("READY", "BUSY"))
        assert answer.verdict != "READY" or not answer.wait
    waits = {worker["name"]: worker["expected_start"] for worker in fleet.truth()["workers"]}
    busy = [name for name, answer in answers.items() if answer.verdict == "BUSY"]
    assert busy and all(answers[name].start == waits[name] for name in busy)
    [alone] = hub(make_fleet("standalone", 1, 1), "cores=1")
    assert (alone.answer.manager, alone.answer.depth, alone.answer.start) == ("host", None, None)


def test_the_answer_is_to_the_request_that_was_asked():
    worker = make_fleet("hpc", 1, 1).workers[0]

    async def both():
        return await asyncio.gather(*(worker.ask(text, 9) for text in ("cores=1", "cores=4096", "cores=1")))

    first, second, third = asyncio.run(both())
    assert (first.request, second.request, second.verdict) == ("cores=1", "cores=4096", "INCOMPATIBLE")
    assert first == third and first.verdict != "INCOMPATIBLE"


def test_in_real_time_slow_workers_are_slow():
    fleet = make_fleet("hpc", 1, 1, faults={"slow": 1}, real_time=True)
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(fleet.workers[0].ask("cores=1", 60), 0.2))
    honest = make_fleet("hpc", 1, 1, real_time=True)
    assert asyncio.run(honest.workers[0].ask("cores=1", 60)).verdict in ("READY", "BUSY")


def test_a_latency_beyond_the_timeout_is_slow_without_waiting():
    fleet = make_fleet("cloud", 1, 200)
    slow = {one.worker for one in hub(fleet, "cores=1", 0.1) if isinstance(one, Rejected) and one.kind == "slow"}
    assert slow == {worker.name for worker in fleet.workers if worker.latency > 0.1} and slow


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("grid", 1, 1), "no fleet of kind 'grid'; there are: hpc, cloud, standalone"),
        (("hpc", 1, 0), "from 1 to 1000000 workers, not 0"),
        (("hpc", 1, 10**9), "from 1 to 1000000 workers"),
    ],
)
def test_no_such_fleet(arguments, message):
    with pytest.raises(FleetError, match=message):
        make_fleet(*arguments)


@pytest.mark.parametrize("faults", [{"sleepy": 0.1}, {"slow": 1.5}, {"slow": -1}, {"slow": 0.6, "dead": 0.6}])
def test_no_such_faults(faults):
    with pytest.raises(SecretaryError, match=r"no fault named|from 0 to 1"):
        make_fleet("hpc", 1, 1, faults=faults)
