"""Laws of answers: an honest one is never taken for a lie, and whatever else a worker sends is refused in words."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from resources import Cores, Gpus, Memory, Nodes, Tasks, fit
from resources.documents import Group, Inventory
from resources.resource import combine

from resource_secretary.asking import MOST_FITS, decide
from resource_secretary.hub.honesty import lie
from resource_secretary.hub.policy import cores_of
from resource_secretary.hub.remote import read_answer
from resource_secretary.hub.worker import WorkerFailed
from resource_secretary.site.document import to_yaml
from resource_secretary.site.facts import Fact, Site
from resource_secretary.tools import as_json

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
WHEN = "2026-01-01T00:00:00Z"
small = st.integers(0, 9)


def amounts(cores: int, memory: int, gpus: int):
    return combine([Cores(cores), Memory(memory), *([Gpus(gpus)] if gpus else [])])


@st.composite
def requests(draw):
    parts = [Cores(draw(st.integers(1, 9)))]
    if draw(st.booleans()):
        parts.append(Memory(draw(small)))
    if draw(st.booleans()):
        parts.append(Gpus(draw(st.integers(1, 3))))
    if draw(st.booleans()):
        parts.append(Nodes(draw(st.integers(1, 4))))
    if draw(st.booleans()):
        parts.append(Tasks(draw(st.integers(1, 6))))
    return combine(parts)


@st.composite
def inventories(draw):
    groups, rank = [], 0
    for number in range(draw(st.integers(1, 4))):
        count = draw(st.integers(1, 3))
        total = [draw(st.integers(1, 9)), draw(small), draw(st.integers(0, 3))]
        free = amounts(*(draw(st.integers(0, most)) for most in total)) if draw(st.booleans()) else None
        hosts = tuple(f"g{number}n{host}" for host in range(count))
        state = draw(st.sampled_from(["up", "up", "down", "drained", "unknown"]))
        groups.append(Group(hosts, tuple(range(rank, rank + count)), amounts(*total), free, state))
        rank += count
    return Inventory(tuple(groups), observed_at=WHEN)


@settings(deadline=None)
@given(requests(), inventories())
def test_the_verdict_is_that_of_resources_and_no_lie(need, inventory):
    answer = decide(need, inventory, "slurm", now=WHEN, where="x")
    plain = fit(need, inventory).verdict
    away = any(group.state in ("down", "drained") for group in inventory.groups)
    assert answer.verdict == plain or (away and (answer.verdict, plain) == ("BUSY", "UNKNOWN"))
    assert bool(answer.reasons) != (answer.verdict == "READY")
    assert lie(need, answer) == ""
    if answer.verdict == "READY":
        assert 1 <= answer.fits <= MOST_FITS and fit(need, inventory, answer.fits).verdict == "READY"
        assert answer.free_cores is None or answer.free_cores >= answer.fits * cores_of(need)


@settings(deadline=None)
@given(requests(), inventories())
def test_what_is_not_told_never_makes_it_ready(need, inventory):
    bare = Inventory(tuple(Group(g.hosts, g.ranks, g.total.get("cores"), None, g.state) for g in inventory.groups))
    assert decide(need, bare, "slurm", now=WHEN, where="x").verdict != "READY"


values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 12) | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None)
@given(requests(), inventories(), st.data())
def test_whatever_a_worker_sends_is_an_answer_or_refused_in_words(need, inventory, data):
    structure = as_json(decide(need, inventory, "slurm", now=WHEN, where="x"))
    for key in data.draw(st.lists(st.sampled_from(sorted(structure)), max_size=3)):
        structure[key] = data.draw(values)
    result = SimpleNamespace(is_error=False, structured_content=structure, content=[])
    try:
        answer = read_answer(result)
    except WorkerFailed as error:
        assert error.kind == "malformed" and error.reason
        return
    if lie(need, answer) == "":
        numbers = [answer.cores, answer.free_cores, answer.fits, answer.wait]
        assert all(number is None or 0 <= number < 2**60 for number in numbers) and answer.request == need.text
        assert answer.verdict != "READY" or answer.free_cores is None or answer.free_cores >= cores_of(need)


names = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=12).filter(str.isprintable)


@settings(deadline=None)
@given(st.dictionaries(names, names, max_size=4), st.text(max_size=30))
def test_a_profile_is_yaml_whatever_the_names(mapping, comment):
    site = Site("slurm", WHEN, comment, {"queues": Fact(mapping or "x", comment, dict.fromkeys(mapping, comment))}, {})
    assert yaml.safe_load(to_yaml(site)) == {"queues": mapping or "x"}
    assert json.dumps(site.as_dict())


@settings(deadline=None)
@given(requests(), inventories(), st.data())
def test_ready_with_too_few_cores_is_a_lie(need, inventory, data):
    honest = decide(need, inventory, "slurm", now=WHEN, where="x")
    free = data.draw(st.integers(0, cores_of(need) - 1))
    liar = replace(honest, verdict="READY", reasons=(), fits=None, cores=10**6, free_cores=free)
    assert "READY with" in lie(need, liar)
