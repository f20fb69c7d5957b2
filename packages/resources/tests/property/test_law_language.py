"""Laws of the language: `&`, round trips of every kind in every form."""

import copy
import json

import pytest
import resources as package
from hypothesis import given
from hypothesis import strategies as st
from law_strategies import leaves, resources
from resources import ZERO, CombineError, parse
from resources.documents import dump_request, load_request
from resources.kinds import REGISTRY
from resources.resource import combine

pytestmark = pytest.mark.usefixtures("kinds")
BUILT_IN = ["cores", "disk", "gpus", "licenses", "memory", "nodes", "tasks", "threads", "token", "walltime"]
EVERY = [*BUILT_IN, "lanes", "rate", "slots"]


def test_the_laws_are_asked_of_every_registered_kind():
    assert set(leaves()) == set(REGISTRY.names()) - {"bandwidth"} == set(EVERY)


def names():
    return {cls.__name__: cls for cls in map(REGISTRY.load, EVERY)} | {"ZERO": ZERO}


def reads_back(one):
    assert parse(str(one)) == one
    assert str(parse(str(one))) == str(one)
    assert load_request(str(one)) == one
    document = dump_request(one)
    assert load_request(document) == one
    assert load_request(json.dumps(document)) == one
    assert load_request(json.dumps(document, ensure_ascii=False)) == one
    assert dump_request(load_request(document)) == document
    assert eval(repr(one), names()) == one
    assert hash(parse(str(one))) == hash(one)
    assert copy.deepcopy(one) == one


@pytest.mark.parametrize("kind", EVERY)
@given(data=st.data())
def test_every_kind_reads_back_from_every_form(kind, data):
    one = data.draw(leaves()[kind])
    reads_back(one)
    assert REGISTRY.load(kind).from_text(one.to_text()) == one
    assert REGISTRY.load(kind).from_json(json.loads(json.dumps(one.to_json()))) == one


@given(data=st.data())
def test_every_combination_reads_back_from_every_form(data):
    reads_back(data.draw(resources(most=12)))


@given(data=st.data())
def test_combination_is_commutative_and_associative_and_zero_is_its_identity(data):
    whole = data.draw(resources(most=9))
    cut = data.draw(st.lists(st.integers(0, 2), min_size=len(whole.leaves), max_size=len(whole.leaves)))
    a, b, c = (combine([leaf for leaf, at in zip(whole.leaves, cut, strict=True) if at == n]) for n in range(3))
    before = copy.deepcopy((a, b, c))
    assert a & b == b & a
    assert (a & b) & c == a & (b & c) == whole
    assert str((c & a) & b) == str(whole)
    assert hash((c & b) & a) == hash(whole)
    assert a & ZERO == a == ZERO & a
    assert (a, b, c) == before
    assert combine([]) == ZERO and not ZERO.leaves


@given(data=st.data())
def test_two_of_a_kind_are_refused_and_named(data):
    a = data.draw(resources())
    b = data.draw(resources())
    before = copy.deepcopy((a, b))
    twice = set(a.kinds) & set(b.kinds)
    if twice:
        with pytest.raises(CombineError) as caught:
            _ = a & b
        assert all(kind in str(caught.value) for kind in twice)
    else:
        assert set((a & b).kinds) == set(a.kinds) | set(b.kinds)
    assert (a, b) == before


@pytest.mark.parametrize("other", [None, 3, "cores=1", object(), package.Cores, [package.Cores(1)], True])
def test_only_resources_combine(other):
    one = package.Cores(2)
    with pytest.raises(CombineError):
        _ = one & other
    with pytest.raises(CombineError):
        _ = other & one
    assert one == package.Cores(2)


@given(data=st.data())
def test_the_operands_of_a_provider_stay_untouched(data):
    some = [data.draw(leaves()[kind]) for kind in ("memory", "disk", "licenses")]
    slots = REGISTRY.load("slots")(data.draw(st.integers(1, 9)))
    operands = [*some, slots, package.Cores(8), package.Gpus(4)]
    before = copy.deepcopy(operands)
    provider = ZERO
    for one in operands:
        provider = provider & one
    need = package.Cores(3) & package.Gpus(2) & REGISTRY.load("slots")(1) & some[0]
    got = provider.alloc(need)
    assert operands == before
    assert all(one.stat() == twin.stat() for one, twin in zip(operands, before, strict=True))
    again = provider & package.Token("x")  # and the combination as an operand
    provider.dealloc(got)
    assert not again.request(package.Cores(6))
    assert provider.request(package.Cores(6))
    assert operands == before


def test_what_a_kind_keeps_in_its_slots_is_copied_however_they_are_written():
    rate = REGISTRY.load("rate")
    hidden = rate.__subclasses__()[0]
    for one in (rate(0.1), hidden(3)):
        twin = copy.deepcopy(one)
        assert twin == one
        assert (twin & package.Cores(1)).rate == one.rate
    assert copy.deepcopy(hidden(3)).n == 3
    assert hidden(3) != hidden(4)


@pytest.mark.parametrize("amount", [1e-7, 1e22, 0.1, 5e-324, 2.5])
def test_a_float_of_a_third_party_kind_reads_back(amount):
    reads_back(REGISTRY.load("rate")(amount))
