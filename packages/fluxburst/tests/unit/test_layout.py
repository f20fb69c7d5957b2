from __future__ import annotations

import tomllib

import pytest
from resources.flux_r import from_flux_r
from resources.strictjson import loads

from fluxburst.lead import slot_hosts
from fluxburst.setup import layout
from fluxburst.setup.layout import Endpoint, Node, Size, Slots, SlotsError
from fluxburst.toml import dumps

USUAL = Size(2)
LEAD = [Node("lead", USUAL)]


def names(*texts: str, there: list[Node] | None = None) -> list[str]:
    asked = [Slots.from_text(text) for text in texts]
    return [node.host for node in layout.nodes(asked, USUAL, there or LEAD)]


def test_slots_are_the_plugin_and_a_number():
    assert names("local:2", "slurm:1") == ["local0", "local1", "slurm0"]


def test_names_of_plugins_that_end_in_a_digit_stay_apart():
    made = names("k8s:21", "k8s2:1", "compute-engine:1", "ec2:1")
    assert made[-3:] == ["k8s2-0", "compute-engine0", "ec2-0"]
    assert len(set(made)) == len(made)
    assert slot_hosts("k8s", made)[-1] == "k8s20"
    assert slot_hosts("k8s2", made) == ("k8s2-0",)


def test_one_plugin_may_have_slots_of_two_sizes():
    asked = [Slots.from_text("slurm:1:cores=16,gpus=2"), Slots.from_text("slurm:2")]
    assert [node.size for node in layout.nodes(asked, USUAL)] == [Size(16, 2), USUAL, USUAL]


NO_SLOTS = ["", "local", "local:", "local:0", "local:-1", "local:x", "local:1e3", ":4", "local:999999", "local:٣"]
NO_NAMES = ["a b:1", "-x:1", "x-:1", "9:1", "../x:1", "x[0-3]:1", "$(id):1", "x" * 60 + ":1"]
NO_SIZES = ["", "cores", "cores=0", "gpus=2", "cores=1,cores=2", "ram=3", "cores=-1", "cores=1:gpus=1"]


@pytest.mark.parametrize("text", [*NO_SLOTS, *NO_NAMES, *(f"local:4:{size}" for size in NO_SIZES)])
def test_hostile_slots_are_refused_in_one_line(text):
    with pytest.raises(SlotsError) as caught:
        Slots.from_text(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "host", ["", "-a", "a-", "a_b", "a..b", "a b", "a;b", "a\n", "ä", "x" * 64, "a[0-3]", "$(x)", "--lead"]
)
def test_hostile_hosts_are_refused(host):
    with pytest.raises(SlotsError):
        layout.checked_host(host)


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_ports_that_there_are_not(port):
    with pytest.raises(SlotsError):
        layout.checked_port(port)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("eth0", "tcp://eth0:%p"),
        ("10.0.0.1", "tcp://10.0.0.1:%p"),
        ("::1", "tcp://[::1]:%p"),
        ("tcp://h.example.org:9001", "tcp://h.example.org:9001"),
        ("tcp://e%h:%p", "tcp://e%h:%p"),
    ],
)
def test_addresses_become_uris(text, expected):
    assert layout.uri(text, wildcard=False) == expected


@pytest.mark.parametrize(
    "text", ["", "*", "a b", 'a"b', "tcp://", "ipc:///x", "tcp://a:*", "tcp://a:99999", "a:b:zz", "a\nb"]
)
def test_addresses_that_can_not_be_connected_to(text):
    with pytest.raises(SlotsError):
        layout.uri(text, wildcard=False)


def test_the_lead_may_not_have_the_name_of_a_slot():
    with pytest.raises(SlotsError, match="local1"):
        names("local:2", there=[Node("local1", USUAL)])


def test_more_slots_come_after_all_others():
    there = [*LEAD, *layout.nodes([Slots("local", 2), Slots("slurm", 1)], USUAL)]
    assert names("local:4", there=there) == ["local2", "local3"]


def test_slots_are_never_taken_away_and_never_change():
    there = [*LEAD, *layout.nodes([Slots("local", 2)], USUAL)]
    with pytest.raises(SlotsError, match="never taken away"):
        names("local:1", there=there)
    with pytest.raises(SlotsError, match="not changed"):
        names("local:2:cores=3", there=there)


def test_r_has_the_hosts_in_the_order_of_the_ranks():
    nodes = [*LEAD, *layout.nodes([Slots.from_text("ec2:2:cores=4,gpus=1")], USUAL)]
    hosts = [
        (rank, host, str(group.total)) for rank, host, group in from_flux_r(loads(layout.r_document(nodes))).hosts()
    ]
    assert hosts == [(0, "lead", "cores=[0-1]"), *((at, f"ec2-{at - 1}", "cores=[0-3] gpus=[0]") for at in (1, 2))]


def test_the_configuration_says_what_it_was_given():
    slots = layout.nodes([Slots("local", 3)], USUAL)
    folder = 'a "quoted" \\ folder\x7f'
    text = layout.system_toml("lead", Endpoint(9, "tcp://*:%p", "tcp://lead:%p"), slots, folder, exclude=True)
    document = tomllib.loads(text)
    assert document["bootstrap"]["curve_cert"] == f"{folder}/curve.cert"
    assert document["bootstrap"]["hosts"][1:] == [{"host": "local[0-2]"}]
    assert document["tbon"]["topo"] == "kary:0"
    assert document["resource"] == {"path": f"{folder}/R", "noverify": True, "exclude": "lead"}


@pytest.mark.parametrize(
    "value", ['a"b', "a\\b", "a\nb\x00\x1f\x7f", "ü€😀", 1, -2.5, True, [1, {"a b": []}], {"x": {"y": {}}}]
)
def test_toml_reads_back(value):
    assert tomllib.loads(dumps({"key": value, "a.b": {"c": value}})) == {"key": value, "a.b": {"c": value}}
