"""The transformer keeps the contract of transformers: some tiny jobs run for real."""

from jobspec_example import Transformer

from jobspec.testing import check_transformer


def test_it_keeps_the_contract():
    check_transformer(Transformer)
