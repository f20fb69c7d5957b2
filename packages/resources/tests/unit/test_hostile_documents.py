"""Documents from people who wish us ill: one clear InputError with the place, soon, and nothing else."""

import copy
import json
import math
import sys
import time
import tracemalloc

import pytest
from click.testing import CliRunner
from resources import Cores, Estimator, Inventory, Node, Pool, ResourcesError, Threads, fit, hostlist, idset, parse
from resources.allocation import Granted
from resources.cli import main
from resources.documents import load_inventory, load_request
from resources.errors import InputError
from resources.flux_r import from_flux_r, to_flux_r

REQUEST = {
    "type": "request",
    "version": 1,
    "resources": {
        "nodes": 2,
        "tasks": 4,
        "cores": 4,
        "threads": "[0-3]",
        "memory": "8GB",
        "disk": "1TB",
        "gpus": [{"count": 1, "type": "a100"}, {"count": 2, "type": "v100"}],
        "licenses": {"matlab": 2},
        "walltime": {"T": 3600, "softT": 60, "group": "g", "countdown": False},
        "token": ["big", "ssd"],
    },
}
INVENTORY = {
    "type": "inventory",
    "version": 1,
    "observed_at": "2026-01-01T00:00:00Z",
    "observed_on": "login node",
    "groups": [
        {
            "hosts": "n[0-3]",
            "ranks": "0-3",
            "state": "up",
            "observed_at": "2026-01-01T00:00:00Z",
            "observed_on": "x",
            "total": {"cores": 8, "memory": "16GB", "gpus": {"ids": "0-1", "type": "a100"}},
            "free": {"cores": "[0-3]", "memory": "8GB", "gpus": {"ids": "1", "type": "a100"}},
        },
        {"hosts": "m", "ranks": "4", "state": "unknown", "total": {"cores": 4}, "free": None},
    ],
    "shared": {"total": {"licenses": {"m": 2}}, "free": {"licenses": {"m": 1}}},
    "flux": {"execution": {"starttime": 0.0, "expiration": 0.0}},
}
R = {
    "version": 1,
    "execution": {
        "R_lite": [
            {"rank": "0-3", "children": {"core": "0-7", "gpu": "0-1"}},
            {"rank": "4", "children": {"core": "0"}},
        ],
        "nodelist": ["n[0-3]", "m"],
        "properties": {"big": "0-1"},
        "starttime": 0.0,
        "expiration": 0.0,
    },
    "scheduling": {"writer": "x"},
}
ESTIMATES = {"type": "estimates", "version": 1, "floor": 0.05, "runs": {"g": [11.0, 12, 13.5]}}
ALLOCATION = {
    "type": "allocation",
    "version": 1,
    "parts": [{"host": "a", "rank": 0, "tasks": 1, "resources": {"cores": "[0-1]"}}],
    "job": {"walltime": 60},
    "start": 1.0,
    "deadline": 61.0,
}
CONFIG = {
    "groups": [{"hosts": "a[0-1]", "cores": 4, "gpus": {"count": 1, "type": "x"}, "tokens": ["big"]}],
    "licenses": {"m": 1},
}
READERS = {
    "request": (load_request, REQUEST),
    "inventory": (load_inventory, INVENTORY),
    "flux r": (lambda text: to_flux_r(from_flux_r(json.loads(text))), R),
    "R as inventory": (load_inventory, R),
    "estimates": (Estimator.from_json, ESTIMATES),
    "allocation": (Granted.from_json, ALLOCATION),
    "config": (lambda text: Pool.from_config(json.loads(text)), CONFIG),
}
ODD = [
    None, True, False, -1, 0, 1, 2**63, 10**400, -0.0, 0.5, 1e308, [], {}, [[]], [None], {"": 0}, {"a": {"a": {}}},
    "", " ", "-1", "nan", "inf", "Infinity", "1e400", "9" * 400, "\x00", "\n", "\ud800", "\udcff", "0-", "[", "]",
    "0],x[1", "0][1", "[0-1", "00-03", "3-1", "0-1048576", "0-99999999999", "n[0-999999999999]", "a b", "a,,b", ",",
    "[]", "cores=1", '"', "'", "\\", "|", "__class__", "../../etc/passwd", "{}", "٣", "1_000", "x" * 300, "x" * 100_000,
]  # fmt: skip


def places(value, path=()):
    """Every place of a document, itself included."""
    yield path
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in steps:
        yield from places(below, (*path, key))


def changed(document, path, new):
    document = copy.deepcopy(document)
    if not path:
        return new
    below = document
    for key in path[:-1]:
        below = below[key]
    below[path[-1]] = new
    return document


def refused(call, *arguments, seconds=1.0):
    """The one-line InputError of a call, or None where it was taken; soon, by this process's own time."""
    start = time.process_time()
    try:
        call(*arguments)
        error = None
    except InputError as caught:
        error = caught
        one_line(str(caught))
    patience = 10 if sys.gettrace() else 1  # where coverage watches each line
    assert time.process_time() - start < seconds * patience, "too slow"
    return error


def one_line(text):
    assert text.strip()
    assert len(text.splitlines()) == 1, text
    assert text.isprintable(), repr(text)
    assert len(text) < 1000, f"{len(text)} characters"


def use(document):
    """What comes in must be usable: it is written again, and a pool can be made of it."""
    if isinstance(document, Inventory):
        json.dumps(document.to_json(), allow_nan=False, indent=1).encode()
        assert Inventory.from_text(document.to_text()) == document
        Pool.from_inventory(document).inventory()
        to_flux_r(document)
    elif isinstance(document, Granted):
        document.environ()
        document.host.encode()
    elif isinstance(document, Estimator):
        json.dumps(document.to_json(), allow_nan=False).encode()
        document.limits("g")


@pytest.mark.parametrize("name", READERS)
def test_the_documents_themselves_are_read(name):
    read, document = READERS[name]
    assert refused(lambda: use(read(json.dumps(document)))) is None


@pytest.mark.parametrize("name", READERS)
def test_the_wrong_thing_at_any_place_is_one_clear_error(name):
    read, document = READERS[name]
    for path in places(document):
        for odd in ODD:
            text = json.dumps(changed(document, path, odd))
            refused(lambda text=text: use(read(text)))


@pytest.mark.parametrize("name", READERS)
def test_an_odd_key_at_any_place_is_one_clear_error(name):
    read, document = READERS[name]
    for path in places(document):
        below = document
        for key in path:
            below = below[key]
        if not isinstance(below, dict):
            continue
        for odd in ODD:
            if isinstance(odd, str):
                for value in (1, {}, "x", None):
                    text = json.dumps(changed(document, (*path, odd), value))
                    refused(lambda text=text: use(read(text)))
        for key in below:
            less = {k: v for k, v in below.items() if k != key}
            refused(lambda less=less, path=path: use(read(json.dumps(changed(document, path, less)))))


@pytest.mark.parametrize("name", ["request", "inventory", "estimates", "allocation", "config"])
def test_python_values_that_are_no_json_are_one_clear_error_too(name):
    read = {
        "request": load_request,
        "inventory": Inventory.from_json,
        "estimates": Estimator.from_json,
        "allocation": Granted.from_json,
        "config": Pool.from_config,
    }[name]
    document = READERS[name][1]
    for path in places(document):
        for odd in (
            math.nan,
            math.inf,
            -math.inf,
            b"8GB",
            object(),
            (1, 2),
            {1, 2},
            {1: 2},
            {None: 1, "a": 2},
            10**5000,
        ):
            refused(read, changed(document, path, odd))


# JSON itself

DEEP = 100_000


@pytest.mark.parametrize("read", [load_request, load_inventory, Estimator.from_json, Granted.from_json])
@pytest.mark.parametrize(
    "text",
    [
        '{"a":' * DEEP,
        '{"a":' + "[" * DEEP,
        '{"a":' + "[" * DEEP + "]" * DEEP + "}",
        '{"a":' * DEEP + "1" + "}" * DEEP,
        '{"type": "request", "type": "request"}',
        '{"version": NaN}',
        '{"version": Infinity}',
        '{"version": -Infinity}',
        '{"version": 1e999}',
        '{"version": -1e999}',
        '{"version": ' + "9" * 100_000 + "}",
        '{"version": 0.' + "9" * 100_000 + "}",
        '{"version": 01}',
        '{"a": "' + "x" * 2**20 + '"}',
        '{"' + "x" * 2**20 + '": 1}',
        '{"a": "\\ud800"}',
        '{"\\ud800": 1}',
        '{"a": "\ud800"}',
        '{"a": "\x00"}',
        '{"a": 1,}',
        "{'a': 1}",
        '{"a": 1} x',
        "{",
        "{}",
        "{}{}",
        "\ufeff{}",
        "[]",
        "{" + " " * 2**20,
        '{"__class__": 1}',
    ],
    ids=lambda text: repr(text[:20]),
)
def test_hostile_json(read, text):
    assert refused(read, text) is not None


@pytest.mark.parametrize("inner", ["[" * 5000 + "]" * 5000, "[" * 400 + "]" * 400, "1e999", '"\\ud800"', "[1e400]"])
@pytest.mark.parametrize("where", ["flux", "R"])
def test_what_is_kept_as_it_is_can_be_written_again(inner, where, tmp_path):
    document = INVENTORY if where == "flux" else R
    path = ("flux", "execution", "starttime") if where == "flux" else ("scheduling", "writer")
    text = json.dumps(changed(document, path, "HERE")).replace('"HERE"', inner)
    refused(lambda: use(load_inventory(text)))
    file = tmp_path / "i.json"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    for form in ("json", "text", "flux-r"):
        for option in ([], ["--json"]):
            made = CliRunner().invoke(main, ["convert", str(file), "--to", form, *option])
            assert made.exit_code in (0, 1), made.output
            assert made.exit_code == 0 or not made.stdout


def test_a_key_that_occurs_twice_is_named():
    for text in ('{"type":"request","version":1,"resources":{"cores":1,"cores":2}}', '{"type":"request","type":"x"}'):
        assert "twice" in str(refused(load_request, text))


@pytest.mark.parametrize(
    "name",
    [
        "__class__",
        "__init__",
        "_ids",
        "resource",
        "Resource",
        "os",
        "kinds",
        "Cores",
        "resources.kinds.cores",
        "cores.",
        "",
        " cores",
    ],
)
def test_decoding_never_looks_a_name_up_outside_the_registry(name):
    document = {"type": "request", "version": 1, "resources": {name: 1}}
    assert "unknown kind" in str(refused(load_request, document))
    assert "unknown kind" in str(refused(Pool.from_config, {name: 1}))
    assert "unknown kind" in str(
        refused(load_inventory, json.dumps(changed(INVENTORY, ("groups", 0, "total"), {name: 1})))
    )


# the text form of an inventory

GOOD = (
    "inventory version=1 observed_on=x\n"
    "hosts=n[0-3] ranks=0-3 state=up | cores=8 memory=1GB | cores=4\n"
    "shared | licenses=m:1 | unknown\n"
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "inventory",
        "inventory version=2",
        "inventory version=1 version=1",
        "inventory version=1 groups=x\nhosts=a | cores=1",
        "inventory version=1 shared=x\nshared | licenses=a:1",
        "inventory version=1 type=inventory",
        "inventory version=1 flux=x",
        "inventory version=1 flux=1",
        "inventory version=1\n| cores=1",
        "inventory version=1\n|",
        "inventory version=1\n||",
        "inventory version=1\nhosts=a",
        "inventory version=1\nhosts=a | cores=1 | cores=1 | cores=1",
        "inventory version=1\nhosts=a hosts=b | cores=1",
        "inventory version=1\nhosts=a total=x | cores=1",
        "inventory version=1\nhosts=a free=x | cores=1",
        'inventory version=1\nhosts=a observed_on="x | cores=1',
        'inventory version=1\nhosts=a state="\\ud800" | cores=1',
        "inventory version=1\nhosts=a state=\ud800 | cores=1",
        "inventory version=1\nhosts=a ranks=0],x[1 | cores=1",
        "inventory version=1\nhosts=a,b ranks=0,0 | cores=1",
        "inventory version=1\nhosts=n[0-999999999999] | cores=1",
        "inventory version=1\nhosts=a | cores=1 | cores=2",
        "inventory version=1\nhosts=a | cores=1 | memory=2",
        "inventory version=1\nshared | licenses=a:1\nshared | licenses=a:1",
        "inventory version=1\nshared | licenses=a:1 | licenses=a:2",
        "inventory version=1\ninventory version=1",
        "inventory version=1\n" + "|" * 2**20,
        "inventory version=1\n" + "x" * 2**20,
        "inventory version=1\nhosts=a | " + "cores=1 " * 100_000,
        'inventory version=1\nhosts=a | token="' + "x|" * 2**19,
        "inventory version=1\n" + "hosts=a | cores=1\n" * 1000 + "x",
    ],
    ids=lambda text: repr(text[-40:]),
)
def test_hostile_inventory_texts(text):
    assert refused(load_inventory, text) is not None


def test_any_cut_of_an_inventory_is_read_or_refused():
    for at in range(len(GOOD)):
        for text in (GOOD[:at], GOOD[at:], GOOD[:at] + GOOD[at + 1 :], GOOD[:at] + '"' + GOOD[at:]):
            refused(lambda text=text: use(load_inventory(text)))


# sizes


@pytest.mark.parametrize(
    "text",
    [
        "n[0-999999999999]",
        "n[0-99999][0-99999][0-9]",
        "n[0-1048576]",
        ",".join(["n[0-1048575]"] * 1000),
        "n[" + "0-9," * 200_000 + "]",
        "n[" + "1," * 2**19,
        "[" * 2**20,
        "n" * 2**20,
        "n[1-2]" * 1000,
        "n[1-2]" * 30,
        "n[99999999999999999999]",
        "n[1-1]]",
        "n[[1]]",
        "n[a]",
        "n[-1]",
        "n[1-]",
        "n[]",
        "n[,]",
        "a\tb",
        "a\x7fb",
        "é",
        ",a",
        "a,",
        "a,,b",
        "a, b",
    ],
    ids=lambda text: repr(text[:20]),
)
def test_hostile_hostlists(text):
    assert refused(hostlist.expand, text) is not None


@pytest.mark.parametrize("value", [None, 3, b"n1", ["n1"], True])
def test_hostlists_are_texts(value):
    assert refused(hostlist.expand, value) is not None
    assert refused(hostlist.compress, [value]) is not None


@pytest.mark.parametrize(
    "text",
    [
        "0-1048576",
        "1048576",
        "0-99999999999999999999",
        "9" * 2**20,
        "3-1",
        "1,1",
        "1-3,2",
        "01",
        "0-01",
        "-1",
        "1-",
        "1--2",
        "1,",
        ",",
        "[1",
        "1]",
        "[[1]]",
        "[1],[2]",
        " 1",
        "1 2",
        "a",
        "٣",
        "1.0",
        "+1",
        "1," * 2**19,
        ",".join(map(str, range(1_048_575, 917_000, -2))) + ",1048575",
    ],
    ids=lambda text: repr(text[:20]),
)
def test_hostile_idsets(text):
    """RFC 22: unique, non-negative, decimal, no leading zeros, brackets around it or not."""
    assert refused(idset.parse, text) is not None


def test_the_largest_sets_that_are_read_take_no_second():
    scattered = ",".join(map(str, range(1_048_575, -1, -2)))
    start = time.process_time()
    mask = idset.parse(scattered)
    assert mask.bit_count() == 2**19
    assert idset.mask_of(idset.ids_of(mask)) == mask
    assert time.process_time() - start < 2
    start = time.process_time()
    assert idset.mask_of(range(2**20)) == (1 << 2**20) - 1
    assert len(idset.text(mask)) == len(scattered)
    assert idset.lowest(mask, 2**18).bit_count() == 2**18
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    "total", [{"gpus": {"ids": "0-1048575"}}, {"cores": "[0-1048575]"}, {"cores": 200_000, "threads": 200_000}]
)
def test_a_host_of_a_million_ids_costs_no_minute_and_no_gigabyte(total):
    document = {"type": "inventory", "version": 1, "groups": [{"hosts": "a", "total": total}]}
    tracemalloc.start()
    start = time.process_time()
    pool = Pool.from_inventory(load_inventory(json.dumps(document)))
    got = pool.alloc(parse(next(iter(total)) + "=2"))
    assert len(got.resources.leaves) == 1
    pool.dealloc(got)
    pool.inventory()
    took, (_, peak) = time.process_time() - start, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert took < 20
    assert peak < 2**30


def test_many_large_groups_are_refused_before_they_are_made():
    groups = [{"hosts": "n[0-1048575]", "total": {"cores": 1}}] * 2000
    text = json.dumps({"type": "inventory", "version": 1, "groups": groups})
    assert refused(load_inventory, text, seconds=4) is not None
    rows = [{"rank": "0-1048575", "children": {"core": "0"}}] * 2000
    assert refused(load_inventory, json.dumps(changed(R, ("execution", "R_lite"), rows)), seconds=4) is not None


def test_a_name_that_can_not_be_written_is_not_read():
    for hosts in ("n" * 256, "n" * 250 + "[0-999999]"):
        assert refused(load_inventory, json.dumps(changed(INVENTORY, ("groups", 0, "hosts"), hosts))) is not None


@pytest.mark.parametrize("count", [0, -1, True, 1.5, "x", None, 2**70])
def test_a_count_is_checked(count):
    inventory = load_inventory(json.dumps(INVENTORY))
    assert refused(fit, parse("cores=1"), inventory, count) is not None


# TOML


@pytest.mark.parametrize(
    "text",
    [
        "cores =",
        "cores = 1\ncores = 2",
        "cores = nan",
        "cores = inf",
        "memory = nan",
        "cores = " + "9" * 5000,
        "cores = 0x" + "f" * 5000,
        "cores = 1979-05-27",
        "walltime = 07:32:00",
        "a = " + "[" * 50_000,
        "a = " + "[" * 50_000 + "]" * 50_000,
        "[a" + ".a" * 20_000 + "]",
        'hosts = "n[0-999999999999]"\ncores = 1',
        "hosts = 1\ncores = 1",
        "groups = 1",
        "[[groups]]\ncores = 1\nhosts = 3",
        "licenses = true",
        "tokens = []",
        "tokens = [1]",
        "token = 'a'\ntokens = ['a']",
        "cores = \x00",
        "\ud800 = 1",
        "[gpus]\ncount = 1\nids = '0'",
        "[__class__]\na = 1",
        "groups = []",
        "hosts = ''\ncores = 1",
    ],
    ids=lambda text: repr(text[:20]),
)
def test_hostile_toml(text):
    assert refused(Pool.from_toml, text) is not None


# the command line: never a traceback, never "bug", stdout empty where it failed


@pytest.mark.parametrize("command", [["parse"], ["explain", "--in", "INVENTORY"], ["fit", "--in", "INVENTORY"]])
@pytest.mark.parametrize(
    "argument",
    [
        "cores=",
        "=",
        "=1",
        "cores=4=4",
        "cores=\ud800",
        "cores=1\x00",
        "walltime=4:00",
        "token=\x1b[31m",
        "a\nb=1",
        "nosuch",
        "/",
        "\x00",
        "cores=1 " * 1000,
        "token=" + "," * 2**16,
        "tasks=9223372036854775807 nodes=2 cores=9999",
    ],
    ids=lambda text: repr(text[:20]) if isinstance(text, str) else None,
)
def test_hostile_arguments(command, argument, tmp_path):
    file = tmp_path / "inventory.json"
    file.write_text(json.dumps(INVENTORY))
    words = [str(file) if word == "INVENTORY" else word for word in command]
    for option in ([], ["--json"]):
        made = CliRunner().invoke(main, [*words, argument, *option])
        assert made.exit_code in (0, 1), made.output
        if made.stdout:
            continue
        assert made.exit_code == 1
        one_line(made.stderr.rstrip("\n"))


@pytest.mark.parametrize("name", ["request", "inventory", "flux r"])
def test_hostile_files(name, tmp_path):
    document = READERS[name][1]
    file = tmp_path / "f.json"
    run = CliRunner()
    for path in places(document):
        for odd in ("\ud800", "\n", [], 10**400, "0],x[1", "\x1b[2J"):
            file.write_text(json.dumps(changed(document, path, odd)))
            for words in (["convert", str(file), "--to", "json"], ["convert", str(file), "--to", "text", "--json"]):
                made = run.invoke(main, words)
                assert made.exit_code in (0, 1), (made.output, path, odd)
                assert made.exit_code == 0 or (not made.stdout and len(made.stderr.splitlines()) == 1), (path, odd)


def test_a_pool_is_unchanged_by_every_call_that_fails():
    pool = Pool([("a[0-1]", Node(4, 8)), ("b", Cores(4) & Threads(8))])
    pool.alloc(parse("cores=2"))
    before = pool.inventory(), pool.stat(), pool.up
    for bad in ODD:
        for call in (pool.alloc, pool.request, pool.explain, pool.dealloc, pool.drain, pool.undrain):
            try:
                call(bad)
            except ResourcesError as error:
                one_line(str(error))
            except TypeError:
                assert not isinstance(bad, str)  # Python's own word for an argument of a wrong type
        for call in (pool.alloc, pool.request, pool.explain):
            with pytest.raises(ResourcesError):
                call(bad)
    pool.undrain("a[0-1],b")
    assert (pool.inventory(), pool.stat(), pool.up) == before
