"""The policy keeps the contract of policies."""

from resource_secretary_two_choices import two_choices

from resource_secretary.hub.testing import check_policy


def test_it_keeps_the_contract():
    check_policy(two_choices)
