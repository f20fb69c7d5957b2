"""The kind keeps the contract of kinds, and refuses with a reason."""

import pytest
from resources import InsufficientResources, Pool, parse
from resources.testing import check_kind
from resources_bandwidth import Bandwidth


def test_it_keeps_the_contract():
    check_kind(Bandwidth)


def test_what_is_taken_is_missing():
    pool = Pool.uniform("n[0-1]", parse("cores=8 bandwidth=25"))
    need = parse("bandwidth=20")
    pool.alloc(need)
    assert pool.alloc(need).host == "n1"
    with pytest.raises(InsufficientResources, match=r"free: 5 of 25"):
        pool.alloc(need)
