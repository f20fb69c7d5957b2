"""Round trips of inventories, hostlists, idsets and Flux resource sets, with the vectors of their specifications."""

import json
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from law_strategies import host_names, inventories
from resources import Cores, Gpus, Inventory, Licenses, Memory, Pool, Threads, Token, hostlist, idset
from resources.documents import Group, load_inventory
from resources.errors import InputError
from resources.flux_r import from_flux_r, to_flux_r

pytestmark = pytest.mark.usefixtures("kinds")


@given(data=st.data())
def test_an_inventory_reads_back_from_every_form(data):
    inventory = data.draw(inventories())
    document = inventory.to_json()
    assert Inventory.from_json(document) == inventory
    assert load_inventory(json.dumps(document)) == inventory
    assert load_inventory(json.dumps(document, ensure_ascii=False, indent=3)) == inventory
    text = inventory.to_text()
    assert Inventory.from_text(text) == inventory
    assert load_inventory(text).to_text() == text
    assert load_inventory(text.replace("\n", "\r\n  ").join(("# a comment\n\n", "\n"))) == inventory
    merged = inventory.merged()
    assert list(merged.hosts()) == list(merged.merged().hosts())
    assert [row[:2] for row in merged.hosts()] == [row[:2] for row in inventory.hosts()]


@given(data=st.data())
def test_a_pool_of_an_inventory_says_what_the_inventory_said(data):
    inventory = data.draw(inventories())
    if not inventory.groups:
        return
    pool = Pool.from_inventory(inventory)
    said = pool.inventory()
    assert [row[:2] for row in said.hosts()] == [row[:2] for row in inventory.hosts()]
    again = Pool.from_inventory(said)
    assert again.inventory() == said
    if not pool.unknown:
        assert again.stat() == pool.stat()


def test_what_runs_on_a_drained_host_is_still_held_in_the_next_pool():
    pool = Pool.uniform("a[0-1]", Cores(4) & Memory(4))
    pool.alloc(Cores(3))
    pool.drain("a0")
    after = Pool.from_inventory(load_inventory(pool.inventory().to_text()))
    assert after.stat() == pool.stat()
    after.undrain("a0")
    assert after.alloc(Cores(2)).host == "a1"


def test_hosts_of_a_group_do_not_share_what_is_free(kinds):
    slots = kinds["slots"]
    group = Group(("a", "b"), (0, 1), Cores(4) & slots(10), Cores(4) & slots(5))
    inventory = Inventory((group,))
    pool = Pool.from_inventory(inventory)
    held = [pool.alloc(slots(5)) for _ in range(2)]
    assert [got.host for got in held] == ["a", "b"]
    assert pool.stat()["slots"] == (0, 20)
    assert inventory.groups[0].free == Cores(4) & slots(5)


def test_a_document_does_not_change_with_the_pool_it_came_from(kinds):
    lanes = kinds["lanes"]
    lanes.arm()
    pool = Pool.uniform("a", Cores(4) & lanes(6))
    before, text = pool.inventory(), pool.inventory().to_text()
    pool.alloc(lanes(2) & Cores(1))
    assert before.to_text() == text


@pytest.mark.parametrize(
    ("total", "free", "left"),
    [
        # ids of both; a thread in use takes its core, and a core in use its threads
        (Cores(8) & Threads(16), Cores([0, 1, 2, 3]) & Threads(16), (4, 8)),
        (Cores(8) & Threads(16), Cores(8) & Threads(range(1, 16)), (7, 15)),
        (Cores(8) & Threads(16), Cores(4) & Threads(8), (4, 8)),
        (Cores(8) & Threads(16), Cores(4) & Threads([4, 5, 6, 7, 12, 13, 14, 15]), (4, 8)),
        (Cores(8) & Threads(16), Cores(2) & Threads([4, 5, 6, 7]), (0, 4)),
        (Cores(8) & Threads(16), Cores(0) & Threads(0), (0, 0)),
    ],
)
def test_cores_and_threads_that_are_free_agree(total, free, left):
    pool = Pool.from_inventory(Inventory((Group(("a",), (0,), total, free),)))

    def now():
        stat = pool.stat()
        return stat["cores"][0], stat["threads"][0]

    assert now() == left
    for kind in (Threads, Cores):
        if pool.request(kind(1)):
            pool.dealloc(pool.alloc(kind(1)))
            assert now() == left  # what others hold is not freed by what was granted here


def test_a_core_without_a_thread_is_granted_once():
    pool = Pool.uniform("a", Cores(4) & Threads(2))
    first, second = pool.alloc(Cores(2)), pool.alloc(Cores(1))
    pool.dealloc(first)
    thread = pool.alloc(Threads(1))
    rest = pool.alloc(Cores(2))
    assert second.c == [2]
    assert not set(rest.c) & {0, 2}
    assert not pool.request(Cores(1))
    for got in (thread, second, rest):
        pool.dealloc(got)
    assert pool.stat() == {"hosts": (1, 1), "cores": (4, 4), "threads": (2, 2)}


# Flux RFC 29, "Test Vectors"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ""),
        ("foox,fooy,fooz", "foox,fooy,fooz"),
        ("[1-3,5-6]", "1,2,3,5,6"),
        ("foo[1-5]", "foo1,foo2,foo3,foo4,foo5"),
        ("foo[0-4]-eth2", "foo0-eth2,foo1-eth2,foo2-eth2,foo3-eth2,foo4-eth2"),
        ("foo1,foo1,foo1", "foo1,foo1,foo1"),
        ("[00-02]", "00,01,02"),
        ("[00-2]", "00,01,02"),
        ("foo[1,1,2,1]", "foo1,foo1,foo2,foo1"),
        # "Implementation": 005,4,11-13 represents 005,004,011,012,013
        ("n[005,4,11-13]", "n005,n004,n011,n012,n013"),
        ("n[2,2,2]", "n2,n2,n2"),
        ("n[98-101]", "n98,n99,n100,n101"),
        ("n[098-101]", "n098,n099,n100,n101"),
        ("n[0998-1001]", "n0998,n0999,n1000,n1001"),
    ],
)
def test_hostlist_vectors(text, names):
    expected = names.split(",") if names else []
    assert hostlist.expand(text) == expected
    assert hostlist.expand(hostlist.compress(expected)) == expected


near = st.builds(
    lambda prefix, number, width, suffix: f"{prefix}{number:0{width}d}{suffix}",
    st.sampled_from(["n", "", "a1b", "n-0"]),
    st.integers(0, 12) | st.sampled_from([98, 99, 100, 101, 999, 1000]),
    st.integers(0, 4),
    st.sampled_from(["", "", "-ib", "x2"]),
)


@given(st.lists(near | host_names, max_size=30))
def test_hostlists_read_back_in_order_with_repeats(names):
    text = hostlist.compress(names)
    assert hostlist.expand(text) == names
    assert hostlist.compress(hostlist.expand(text)) == text


@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 6))
def test_a_run_of_hosts_is_one_word(first, more, width):
    names = [f"n{number:0{width}d}" for number in range(first, first + more + 1)]
    text = hostlist.compress(names)
    assert hostlist.expand(text) == names
    if width == 0 or width > 3:
        assert text.count("[") <= 1 and "," not in text


# Flux RFC 22, "Implementation"


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("1,2,3,5,6,42", [1, 2, 3, 5, 6, 42]),
        ("1-3,5-6,42", [1, 2, 3, 5, 6, 42]),
        ("[1-3,5-6,42]", [1, 2, 3, 5, 6, 42]),
        ("0", [0]),
        ("7-9", [7, 8, 9]),
        ("", []),
        ("[]", []),
        ("42,1-3", [1, 2, 3, 42]),
        ("5-5", [5]),
    ],
)
def test_idset_vectors(text, ids):
    assert idset.ids_of(idset.parse(text)) == ids


@given(st.sets(st.integers(0, 300) | st.integers(0, 20_000) | st.integers(0, idset.LARGEST_ID), max_size=60))
def test_idsets_read_back(ids):
    mask = idset.mask_of(ids)
    text = idset.text(mask)
    assert mask == sum(1 << one for one in ids)
    assert idset.ids_of(mask) == sorted(ids)
    assert idset.parse(text) == idset.parse(f"[{text}]") == mask
    assert re.fullmatch(r"(\d+(-\d+)?(,\d+(-\d+)?)*)?", text)
    words = [tuple(map(int, part.split("-"))) for part in text.split(",") if part]
    assert words == sorted(words)  # ascending
    assert all(later[0] > earlier[-1] + 1 for earlier, later in pairwise(words))  # and joined
    for n in {0, 1, len(ids) // 2, len(ids)} if ids else {0}:
        assert idset.ids_of(idset.lowest(mask, n)) == sorted(ids)[:n]


# Flux RFC 20


def test_the_example_of_rfc_20(shared):
    document = json.loads((shared / "rfc" / "spec_20" / "example1.json").read_text())
    inventory = load_inventory(json.dumps(document))
    [group] = inventory.groups
    assert group.hosts == ("node186", "node187", "node188", "node189")
    assert group.ranks == (19, 20, 21, 22)
    assert (group.total.N, group.total.get("gpus").N) == (48, 8)
    assert to_flux_r(inventory) == (document, [])
    assert to_flux_r(Inventory.from_text(inventory.to_text())) == (document, [])
    assert to_flux_r(Inventory.from_json(json.dumps(inventory.to_json()))) == (document, [])


@st.composite
def resource_sets(draw):
    ranks = sorted(draw(st.sets(st.integers(0, 40), min_size=1, max_size=9)))
    rows, left = [], list(ranks)
    while left:
        n = draw(st.integers(1, len(left)))
        children = {"core": idset.text(draw(st.integers(1, 2**12)))}
        if draw(st.booleans()):
            children["gpu"] = idset.text(draw(st.integers(1, 2**4)))
        if not rows or rows[-1]["children"] != children:
            rows.append({"rank": idset.text(idset.mask_of(left[:n])), "children": children})
            left = left[n:]
    names = draw(st.lists(host_names, min_size=len(ranks), max_size=len(ranks)))
    execution = {"R_lite": rows, "nodelist": [hostlist.compress(names)]}
    tags = draw(
        st.dictionaries(
            st.sampled_from(["big", "é", "a b", "x@gpu", "+q"]), st.sets(st.sampled_from(ranks), min_size=1)
        )
    )
    if tags:
        execution["properties"] = {tag: idset.text(idset.mask_of(where)) for tag, where in tags.items()}
    execution.update(draw(st.sampled_from([{}, {"starttime": 0.0, "expiration": 1.5}, {"nslots": 3}])))
    return {"version": 1, "execution": execution, **draw(st.sampled_from([{}, {"scheduling": {"a": [None]}}]))}


def told(document):
    """What a resource set says, rank by rank."""
    execution = document["execution"]
    rows = [(rank, row["children"]) for row in execution["R_lite"] for rank in idset.ids_of(idset.parse(row["rank"]))]
    names = [name for part in execution["nodelist"] for name in hostlist.expand(part)]
    tags = {tag: idset.parse(where) for tag, where in execution.get("properties", {}).items()}
    rest = {key: value for key, value in execution.items() if key not in ("R_lite", "nodelist", "properties")}
    return sorted(rows, key=lambda row: row[0]), names, tags, rest, document.get("scheduling"), document["version"]


@given(resource_sets())
def test_a_resource_set_comes_back_with_nothing_lost(document):
    inventory = from_flux_r(document)
    made, lost = to_flux_r(inventory)
    assert told(made) == told(document)
    assert not lost
    for same in (Inventory.from_text(inventory.to_text()), Inventory.from_json(json.dumps(inventory.to_json()))):
        assert same == inventory
        assert to_flux_r(same) == (made, [])
    assert from_flux_r(made).merged() == inventory.merged()


def test_what_a_resource_set_can_not_say_is_told():
    total = Cores(4) & Memory(8) & Gpus(2, "a100") & Token(["big", "a|b", "it's"])
    inventory = Inventory(
        (Group(("a",), (3,), total, Cores(2), "drained"),), "2026-01-01T00:00:00Z", "x", Licenses("m"), None
    )
    made, lost = to_flux_r(inventory)
    assert made["execution"]["properties"] == {"big": "3"}
    for word in ("a100", "memory=8GB", "'a|b'", "it's", "drained", "what is free", "licenses", "observed"):
        assert any(word in line for line in lost), word
    assert from_flux_r(made).groups[0].total == Cores([0, 1, 2, 3]) & Gpus([0, 1]) & Token("big")


@pytest.mark.parametrize(
    "execution", [{"R_lite": []}, {"nodelist": ["a"]}, {"properties": {"a": "0"}}, [], 1, "x", None]
)
def test_kept_members_of_a_resource_set_do_not_replace_the_inventory_s_own(execution):
    document = {"type": "inventory", "version": 1, "groups": [], "flux": {"execution": execution}}
    with pytest.raises(InputError, match="flux"):
        Inventory.from_json(document)
