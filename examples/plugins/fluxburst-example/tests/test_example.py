"""The plugin keeps the contract of burstables; what it makes here is a file."""

from fluxburst.testing import check_burstable


def test_it_keeps_the_contract(tmp_path):
    check_burstable("example", folder=tmp_path, create=True)
