"""Requests and inventories as documents: schemas, exactness, and errors that say where."""

import json

import pytest
from resources import ZERO, Cores, Group, InputError, Inventory, Licenses, Memory, Node, Pool, parse
from resources.documents import dump_request, load_inventory, load_request, schema

REQUESTS = [
    "",
    "nodes=2 cores=4 memory=8GB gpus=2:a100 walltime=1:00:00 token=big",
    "tasks=8 threads=2 disk=100GB licenses=ansys:1,matlab:2",
    "cores=[0-3,7] gpus=[1,3]:a100",
    'gpus=4:a100,2:v100 token="a b",c',
    "walltime=1:00:00,softT=0:50:00,group=g1,countdown=false",
    "memory=1000000001B walltime=group=g1",
]


def validator(name):
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(schema(name))
    return jsonschema.Draft202012Validator(schema(name))


@pytest.mark.parametrize("text", REQUESTS)
def test_requests_are_exact_and_pass_their_schema(text):
    need = parse(text)
    document = dump_request(need)
    validator("request").validate(document)
    assert load_request(document) == need
    assert load_request(json.dumps(document)) == need
    assert load_request(f"  {text}\n") == need
    assert load_request(json.dumps(document)).text == text


def inventory():
    return Inventory(
        groups=(
            Group(
                ("vm", "vm"), (0, 1), Node(4, 16), Cores([1, 3]) & Memory("500MB"), observed_at="2026-01-02T03:04:05Z"
            ),
            Group(("n7", "n3"), (9, 4), parse("cores=64 threads=128 gpus=4:a100 token=big,ssd"), None, "unknown"),
            Group(("login-1.example.org",), (20,), Node(2, 4), Node(2, 4), "drained", observed_on="a | b"),
        ),
        observed_at="2026-01-02T00:00:00Z",
        observed_on="login node",
        shared_total=Licenses({"a": 3, "b": 1}),
        shared_free=Licenses({"a": 0, "b": 1}),
        flux={"execution": {"nslots": 4}},
    )


def test_inventories_are_exact_and_pass_their_schema():
    one = inventory()
    validator("inventory").validate(one.to_json())
    assert Inventory.from_json(one.to_json()) == one
    assert Inventory.from_json(json.dumps(one.to_json())) == one
    assert Inventory.from_text(one.to_text()) == one
    assert load_inventory(one.to_text()).to_text() == one.to_text()
    assert load_inventory(json.dumps(one.to_json())).to_json() == one.to_json()


def test_what_is_left_out():
    one = Inventory.from_json(
        {
            "type": "inventory",
            "version": 1,
            "groups": [{"hosts": "a[1-2]", "total": {"cores": 2}}, {"hosts": "b", "total": {"cores": 1}, "free": None}],
        }
    )
    assert [group.ranks for group in one.groups] == [(0, 1), (2,)]
    assert one.groups[0].free == Cores(2)  # not mentioned: all of it
    assert one.groups[1].free is None  # null: not known
    assert (one.shared_total, one.observed_on) == (ZERO, "")


def test_neighbours_that_are_alike_merge_and_a_group_splits_where_they_differ():
    pool = Pool.uniform("n[0-3]", Node(4, 4))
    pool.alloc(Cores(1))
    groups = pool.inventory().groups
    assert [group.hosts for group in groups] == [("n0",), ("n1", "n2", "n3")]


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("{", "line 1 column 2"),
        ('{"type": "request", "version": 1}', "expected an object of kinds"),
        ('{"type": "request", "version": 2, "resources": {}}', "version: this reads version 1"),
        ('{"type": "request", "version": true, "resources": {}}', "version"),
        ('{"type": "inventory", "version": 1, "groups": []}', "expected a document of type 'request'"),
        ('{"type": "request", "version": 1, "resources": {"cores": 1, "cores": 2}}', "'cores' occurs twice"),
        ('{"type": "request", "version": 1, "resources": {"cores": 1.5}}', "resources.cores"),
        ('{"type": "request", "version": 1, "resources": {"memory": NaN}}', "NaN"),
        ('{"type": "request", "version": 1, "resources": {"cores": 1}, "x": 1}', "unknown key 'x'"),
        ('{"type": "request", "version": 1, "resources": {"__class__": 1}}', "unknown kind"),
        ("[" * 100_000, "key=value"),
        ('{"a":' * 100_000, "nested too deep"),
        ('{"type": "request", "version": 1, "resources": {"cores": ' + "9" * 5000 + "}}", "too large"),
    ],
)
def test_bad_requests_are_one_clear_error(document, says):
    with pytest.raises(InputError) as caught:
        load_request(document)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"hosts": "a[1-9999999999]"}, "groups[0].hosts"),
        ({"hosts": ""}, "0 hosts"),
        ({"hosts": 5}, "hosts is a text"),
        ({"ranks": "1-3"}, "groups[0]: 1 hosts and 3 ranks"),
        ({"ranks": "x"}, "groups[0].ranks"),
        ({"state": "idle"}, "state is one of up, down, drained, unknown"),
        ({"total": {"core": 1}}, "groups[0].total.core: unknown kind 'core'; did you mean 'cores'?"),
        ({"free": {"cores": 5}}, "free cores=5 is not within total cores=4"),
        ({"free": {"gpus": 1}}, "free gpus=1 is not within total without it"),
        ({"observed_at": 3}, "observed_at is a text"),
        ({"colour": "red"}, "unknown key 'colour'"),
    ],
)
def test_bad_inventories_say_where(change, says):
    row = {"hosts": "a", "total": {"cores": 4}, **change}
    with pytest.raises(InputError) as caught:
        Inventory.from_json({"type": "inventory", "version": 1, "groups": [row]})
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "it is empty; an inventory is JSON, or text that starts with the word 'inventory'"),
        ("hosts=a | cores=1", "starts with the word 'inventory'"),
        ("inventory version=1\nhosts=a cores=1", "line 2: expected: hosts=... | total | free"),
        ("inventory version=1\nhosts=a | core=1", "line 2: column 1: unknown kind"),
        ("inventory\nhosts=a | cores=1", "line 1: version must be a whole number"),
        ("inventory version=1\ninventory version=1", "line 2: the line 'inventory' comes once"),
    ],
)
def test_bad_inventory_text_says_which_line(text, says):
    with pytest.raises(InputError) as caught:
        Inventory.from_text(text)
    assert says in str(caught.value)


def test_ranks_are_unique():
    with pytest.raises(InputError, match="rank 0 occurs twice"):
        Inventory((Group(("a",), (0,), Cores(1), None), Group(("b",), (0,), Cores(1), None)))
