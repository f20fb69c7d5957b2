"""The pure parts of the handles, on answers as Flux 0.88 gives them."""

from __future__ import annotations

import json
import os

from fluxburst.demand import Demand
from fluxburst.handles.events import Queue, apply
from fluxburst.handles.fake import FakeHandle
from fluxburst.handles.nodes import Ranks, found, inventory
from fluxburst.handles.recorded import RecordedHandle
from fluxburst.handles.specs import described, jobspec

TWO = Demand(2, 1, 4, 0)


def resource_set(**hosts: tuple[int, str, str]) -> dict:
    """R (RFC 20) of hosts: rank, cores and GPUs."""
    rows = [
        {"rank": str(rank), "children": {"core": cores, **({"gpu": gpus} if gpus else {})}}
        for rank, cores, gpus in hosts.values()
    ]
    execution = {"R_lite": rows, "starttime": 0.0, "expiration": 0.0, "nodelist": list(hosts) or [""]}
    return {"version": 1, "execution": execution}


HOSTS = {name: (rank, "0-3", "0-1") for rank, name in enumerate("abcdef")}


def test_the_state_of_a_node():
    drain = {"1,3": {"timestamp": 1.0, "reason": "x"}, "2": {"timestamp": 1.0, "reason": ""}}
    status = {"R": resource_set(**HOSTS), "drain": drain, "online": "0-2,4-5", "offline": "3", "exclude": "5"}
    ranks = Ranks({**status, "torpid": "4"})
    here = {name: row for name, row in HOSTS.items() if name != "f"}
    used = resource_set(a=(0, "0,2", "1"), b=(1, "0-3", "0"), d=(3, "0", ""))
    made = inventory(ranks, {"all": resource_set(**here), "down": None, "allocated": used})
    told = {host: (group.state, str(group.free or "")) for _, host, group in made.hosts()}
    assert told == {
        "a": ("up", "cores=[1,3] gpus=[0]"),
        "b": ("drained", ""),
        "c": ("drained", "cores=[0-3] gpus=[0-1]"),
        "d": ("down", ""),
        "e": ("drained", "cores=[0-3] gpus=[0-1]"),  # silent for long, but what it runs may complete
    }
    assert ranks.drains() == {"b": "x", "d": "x", "c": ""}
    assert ranks.excluded == {5}


def test_a_lead_without_nodes():
    ranks = Ranks({"R": resource_set(a=(0, "0", "")), "drain": {}, "online": "0", "offline": "", "exclude": "0"})
    assert not inventory(ranks, {"all": resource_set(), "allocated": resource_set()}).groups


def test_what_a_topology_holds():
    def device(*backends: str) -> str:
        inner = "".join(
            f'<object type="OSDev" name="x"><info name="Backend" value="{one}"/></object>' for one in backends
        )
        return f'<object type="PCIDev">{inner}</object>'

    cores = '<object type="Core"><object type="PU"/><object type="PU"/></object>' * 2
    devices = device("CUDA", "NVML", "OpenCL") + device("RSMI", "RSMI") + device("Linux") + device()
    top = f'<?xml version="1.0"?><!DOCTYPE topology SYSTEM "hwloc2.dtd"><topology>{cores}{devices}</topology>'
    assert found(top) == (2, 3)
    assert found("<topology/>") is None
    assert found("no xml") is None
    assert found('<!DOCTYPE t [<!ENTITY a "b">]><topology><object type="Core"/></topology>') is None


def event(name: str, when: float = 1.0, **context: object) -> dict:
    return {"name": name, "timestamp": when, "context": context}


START = [event("submit", userid=0, urgency=16, flags=0), event("validate", 2.0), event("depend", 3.0)]


def test_a_lead_that_was_restarted_gives_priorities_anew():
    queue = Queue()
    queue.feed({"id": 7, "events": [*START, event("priority", 4.0, priority=16)], "jobspec": jobspec(TWO)})
    (job,) = queue.jobs()
    assert (job.state, job.priority, job.demand) == ("SCHED", 16, TWO)
    queue.feed({"id": 7, "events": [event("flux-restart", 5.0)]})
    assert [one.state for one in queue.jobs()] == ["PRIORITY"]
    queue.feed({"id": 7, "events": [event("priority", 6.0, priority=16)]})
    assert queue.jobs() == (job,), "times are those of the first entry of a state"


def test_what_does_not_wait_is_forgotten():
    queue = Queue()
    queue.feed({"id": 1, "events": [*START, event("priority", priority=16), event("alloc")], "jobspec": jobspec(TWO)})
    queue.feed({"id": 2, "events": [*START, event("exception", severity=0)], "jobspec": jobspec(TWO)})
    queue.feed({"id": 3, "events": [*START[:1], event("invalidate")], "jobspec": jobspec(TWO)})
    queue.feed({"id": 4, "events": [event("exception", severity=0)]})
    queue.feed({"id": -1, "events": []})
    assert queue.jobs() == ()
    assert not queue._infos
    assert queue.jobs() is queue.jobs()


def test_a_remark_of_no_weight_does_not_end_a_job():
    queue = Queue()
    queue.feed({"id": 1, "events": [*START, event("exception", severity=3)], "jobspec": jobspec(TWO)})
    assert [job.state for job in queue.jobs()] == ["PRIORITY"]


def test_an_update_leaves_what_was_given_away_alone():
    spec = jobspec(TWO, {"duration": 1.0, "shell": {"options": {"x": 1}}})
    info = {"id": 1, "spec": spec, "state": 8}
    apply(info, event("jobspec-update", **{"attributes.system.duration": 9.0, "attributes.user.new": 2}))
    assert info["spec"]["attributes"]["system"]["duration"] == info["duration"] == 9.0
    assert info["spec"]["attributes"]["user"] == {"new": 2}
    assert spec == jobspec(TWO, {"duration": 1.0, "shell": {"options": {"x": 1}}})


def test_jobspecs_that_say_nothing():
    for spec in (
        None,
        [],
        {},
        {"resources": 3, "tasks": [3], "attributes": {"system": 3}},
        {"tasks": [{"command": []}]},
    ):
        assert described(spec) == {}


def test_a_recorded_queue_is_read_again_when_it_has_changed(tmp_path):
    file = tmp_path / "queue"
    line = {"id": 1, "state": 8, "t_submit": 1.0, "spec": jobspec(TWO)}
    file.write_text(json.dumps(line))
    handle = RecordedHandle(str(file))
    first = handle.jobs()
    os.utime(file, (5, 5))
    assert handle.jobs() is first
    file.write_text(json.dumps({**line, "urgency": 20}))
    assert handle.jobs() is not first
    assert handle.jobs()[0].priority == 20


def test_the_lead_in_memory_keeps_time():
    lead = FakeHandle({"a": (4, 0), "b": (4, 1), "c": (4, 0)}, up=["a", "b"])
    first = lead.submit(Demand(2, 1, 4, 0, exclusive=True), 10.0)
    second = lead.submit(Demand(0, 3, 2, 0), 5.0)
    wide = lead.submit(Demand(3, 1, 1, 0), 5.0)
    after = lead.submit(Demand(1, 1, 1, 1), 1.0, after=second)
    assert list(lead.running) == [first]
    lead.advance(30.0)
    assert lead.ended == {first: "completed", second: "completed", after: "completed"}
    assert [job.id for job in lead.jobs()] == [wide]
    lead.drain(["c"], "x")
    lead.join("c", (2, 0))
    assert not lead.running
    lead.undrain(["c"])
    assert list(lead.running) == [wide]
    assert lead.sizes(["a", "c"]) == {"a": (4, 0), "c": (2, 0)}
    lead.leave("c")
    assert lead.ended[wide] == "failed"
