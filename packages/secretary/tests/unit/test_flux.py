"""Flux, from recordings of flux-core 0.88.0."""

from __future__ import annotations

import json

import pytest
from resource_secretary import Secretary
from resource_secretary.errors import CommandFailed, OutputError
from resource_secretary.providers.workload._flux_text import read_inventory
from resource_secretary.result import Absent, Unreachable
from resource_secretary.run import Ran
from resource_secretary.testing import RecordedSystem
from resources.documents import Inventory

FREE = ("flux", "resource", "R", "-s", "free")


def resource_set(*rows: tuple[str, dict[str, str]], nodelist: str, **execution: object) -> str:
    lite = [{"rank": rank, "children": children} for rank, children in rows]
    times = {"starttime": 0.0, "expiration": 0.0}
    return json.dumps({"version": 1, "execution": {"R_lite": lite, "nodelist": [nodelist], **times, **execution}})


def test_the_recorded_instance(flux):
    secretary = Secretary(system=flux)
    assert secretary.detect("workload", "flux")["flux"].metadata == {"version": "0.88.0", "size": 3, "level": 0}
    inventory = secretary.offer("flux")
    assert [line.split(" | ") for line in inventory.to_text().splitlines()[1:]] == [
        ["hosts=vm ranks=0 state=up", "cores=[0-1]", "cores=[1]"],
        ["hosts=vm ranks=1 state=drained", "cores=[0-1]", "unknown"],
        ["hosts=vm ranks=2 state=up", "cores=[0-1]", "cores=[0-1]"],
    ]
    assert Inventory.from_json(inventory.to_json()) == inventory
    assert secretary.call("flux.resources").result == {
        "up": 2,
        "down": 0,
        "drained": 1,
        "cores": 4,
        "free_cores": 3,
        "gpus": 0,
        "free_gpus": 0,
    }


def test_each_question_is_asked_once(flux):
    Secretary(system=flux).offer("flux")
    assert len(flux.asked) == len(set(flux.asked)) == 7


def test_no_instance(flux, data):
    said = (data / "flux-0.88.0/no-instance.stderr.txt").read_text()
    flux.commands["flux", "getattr", "size"] = Ran((), 1, "", said)
    result = Secretary(system=flux).detect("workload", "flux")["flux"].result
    assert result == Unreachable("flux getattr size", "exit code 1: flux: flux_open: No such file or directory", 1)
    assert Secretary(system=RecordedSystem()).detect(name="flux")["flux"].result == Absent("the command flux on PATH")


def test_a_question_that_fails_fails_the_offer(flux):
    flux.commands[FREE] = Ran((), 1, "", "flux-resource: ERROR: no")
    with pytest.raises(CommandFailed, match="flux resource R -s free: exit code 1: flux-resource: ERROR: no"):
        Secretary(system=flux).offer("flux")


def test_another_flux_is_not_this_one(flux):
    flux.commands["flux", "getattr", "size"] = "many\n"
    assert "a number expected, not 'many" in Secretary(system=flux).detect(name="flux")["flux"].result.reason


def test_gpus_properties_states_and_a_full_instance():
    everything = resource_set(
        ("0-2", {"core": "0-3", "gpu": "0-1"}), ("3", {"core": "0-7"}), nodelist="n[0-3]", properties={"fast": "3"}
    )
    free = resource_set(("0", {"core": "2-3", "gpu": "1"}), ("1", {"core": "0-3"}), nodelist="n[0-1]")
    inventory = read_inventory(everything, free, "2\n", "")
    assert [line.split(" | ") for line in inventory.to_text().splitlines()[1:]] == [
        ["hosts=n0 ranks=0 state=up", "cores=[0-3] gpus=[0-1]", "cores=[2-3] gpus=[1]"],
        ["hosts=n1 ranks=1 state=up", "cores=[0-3] gpus=[0-1]", "cores=[0-3] gpus=[]"],
        ["hosts=n2 ranks=2 state=down", "cores=[0-3] gpus=[0-1]", "unknown"],
        ["hosts=n3 ranks=3 state=up", "cores=[0-7] token=fast", "cores=[] token=fast"],
    ]
    nothing = resource_set(nodelist="")
    assert all(group.free.get("cores").N == 0 for group in read_inventory(everything, nothing, "", "").groups)


def test_what_was_freed_between_two_questions_is_within_the_whole():
    everything = resource_set(("0", {"core": "0-1"}), nodelist="n0")
    free = resource_set(("0-1", {"core": "0-3"}), nodelist="n[0-1]")
    [group] = read_inventory(everything, free, "", "").groups
    assert group.free.get("cores").c == [0, 1]


def test_alike_hosts_share_a_group():
    everything = resource_set(("0-4095", {"core": "0-63"}), nodelist="n[0-4095]")
    inventory = read_inventory(everything, everything, "7", "7\n9-10")
    assert [(len(group.hosts), group.state) for group in inventory.groups] == [(4093, "up"), (3, "drained")]


@pytest.mark.parametrize(
    ("answers", "place"),
    [
        (("", "{}", "", ""), "flux resource R -s all"),
        (('{"version": 2, "execution": {}}', "{}", "", ""), "version"),
        ((resource_set(("0", {"core": "3-0"}), nodelist="a"), "{}", "", ""), "R_lite"),
    ],
)
def test_answers_that_cannot_be_read(answers, place):
    with pytest.raises(OutputError) as caught:
        read_inventory(*answers)
    assert place in str(caught.value)


def test_ranks_that_cannot_be_read():
    everything = resource_set(("0", {"core": "0-1"}), nodelist="n0")
    with pytest.raises(OutputError, match="flux resource list -s down"):
        read_inventory(everything, everything, "one", "")
