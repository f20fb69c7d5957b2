"""Catalogues of clouds: prices are said or not known, and never guessed."""

from __future__ import annotations

from math import inf

import pytest

from fluxburst.burstables import _catalogue, ec2
from fluxburst.errors import ParameterError

ONE = '[[shapes]]\ninstance_type = "c7i.4xlarge"\nholds = "cores=8"\n'


@pytest.fixture
def path(tmp_path):
    return tmp_path / "catalogue.toml"


@pytest.mark.parametrize(
    ("prices", "spot", "fallback", "most"),
    [
        ("", False, False, None),
        ("price = 1", False, False, 1),
        ("price = 1", True, False, 1),  # EC2 takes no more for spot than on demand
        ("price = 1\nspot_price = 0.4", True, False, 0.4),
        ("price = 1\nspot_price = 0.4", True, True, 1),
        ("price = 1\nspot_price = 1.5", True, True, 1.5),
        ("spot_price = 0.4", True, True, None),
        ("spot_price = 0.4", False, False, None),
    ],
)
def test_the_price_is_the_highest_that_may_be_paid(path, prices, spot, fallback, most):
    path.write_text(ONE + prices)
    (entry,) = _catalogue.read(path, "instance_type").values()
    assert entry.asked_price(spot=spot, fallback=fallback) == most
    assert entry.shape(spot=spot, fallback=fallback).price == (most or inf)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", r"one or more \[\[shapes\]\]"),
        ("shapes = 1", "one or more"),
        ("x", "catalogue.toml: "),
        ("[[shapes]]\nholds = 'cores=1'", "instance_type is missing"),
        (ONE + "prize = 1", "unknown key 'prize'"),
        (ONE + "machine_type = 'n2'", "it is instance_type here"),
        (ONE + "price = 0", "over 0"),
        (ONE + "price = nan", "over 0"),
        (ONE + "price = true", "over 0"),
        (ONE + "zone = 1", "zone is a text"),
        (ONE + ONE, "two shapes are named 'c7i.4xlarge'"),
        (ONE.replace("cores=8", "gpus=8"), "has no cores"),
        (ONE.replace("cores=8", "cores=8 price=2"), "keys of their own"),
        (ONE.replace("cores=8", "cores=-1"), r"shapes\[0\]"),
    ],
)
def test_what_is_wrong_with_a_catalogue(path, text, what):
    path.write_text(text)
    with pytest.raises(ParameterError, match=what):
        _catalogue.read(path, "instance_type")


def test_a_limit_on_the_price_leaves_out_what_has_none(path):
    path.write_text(
        ONE + "price = 2\n" + ONE.replace("c7i.4xlarge", "c7i.large") + ONE.replace("c7i", "c8i") + "price = 1"
    )
    plugin = ec2.init(ec2.BurstParameters(path, "file:/x", max_price=1.5))
    assert [shape.name for shape in plugin.shapes()] == ["c8i.4xlarge"]
    with pytest.raises(ParameterError, match="No such file"):
        ec2.init(ec2.BurstParameters(path.parent / "none", "file:/x"))


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"secret": "ssm:/x"}, "instance_profile"),
        ({"secret": "plain text"}, "none of"),
        ({"secret": "secretmanager:projects/p/secrets/x"}, "Google"),
        ({"secret": "file:/x", "fallback": True}, "fallback"),
        ({"secret": "file:/x", "max_price": 0.0}, "over 0"),
    ],
)
def test_parameters_that_do_not_go_together(path, given, what):
    with pytest.raises(ParameterError, match=what):
        ec2.BurstParameters(path, **given)
