"""Every built-in transformer keeps the contract that strangers' must keep, and the contract can fail."""

from __future__ import annotations

import pytest
from resources.testing import check_registry

from jobspec import steps
from jobspec.testing import check_transformer
from jobspec.transformer import TRANSFORMERS, TransformerBase
from jobspec.transformer.local import Transformer as Local


@pytest.mark.parametrize("name", TRANSFORMERS.names())
def test_built_in(name, monkeypatch, tmp_path):
    if name not in {"flux", "local"}:
        monkeypatch.setenv("PATH", "/nowhere")  # they have tests of their own, on real ones or on stand-ins
        monkeypatch.setenv("HOME", str(tmp_path))
    check_transformer(TRANSFORMERS.load(name))


def test_flux_inside_an_instance(in_flux, in_python):
    code = (
        "from jobspec import testing; from jobspec.transformer import flux; testing.check_transformer(flux.Transformer)"
    )
    done = in_flux(*in_python, code)
    assert done.returncode == 0, done.stderr


class NoSteps(TransformerBase):
    name = "none"
    description = "nothing"


class Forgetful(Local):
    name = "forgetful"

    def wait(self, job, output):
        super().wait(job, output)
        return 0


class Broken(Local):
    name = "broken"


Broken.steps["odd"] = dict


@pytest.mark.parametrize("transformer", [NoSteps, Forgetful, Broken])
def test_the_contract_refuses(transformer):
    with pytest.raises(AssertionError):
        check_transformer(transformer)


def test_registering_is_for_one_transformer_only():
    class Mine(Local):
        name = "mine"

    class Extra(steps.EmptyStep):
        name = "extra"

    Mine.register_step(Extra)
    Mine.register_step(steps.EmptyStep, name="notify")
    assert {"extra", "notify"} <= Mine.steps.keys()
    assert not {"extra", "notify"} & Local.steps.keys()
    with pytest.raises(TypeError):
        Mine.register_step(dict, name="odd")


def test_the_registry_keeps_the_rules_of_listings():
    check_registry(TRANSFORMERS)
