"""Recordings of Kubernetes, HTCondor, HyperQueue and OAR, mutated: answers that add up, or a clear error."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import json
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from property import test_recordings as recordings
from recorded import other_managers as recorded

from resource_secretary import Secretary
from resource_secretary.errors import SecretaryError
from resource_secretary.providers.workload._quantity import quantity
from resource_secretary.providers.workload.htcondor import HTCondorProvider
from resource_secretary.providers.workload.hyperqueue import HyperQueueProvider
from resource_secretary.providers.workload.kubernetes import KubernetesProvider
from resource_secretary.providers.workload.oar import OarProvider
from resource_secretary.run import Ran

PROVIDERS = (KubernetesProvider, HTCondorProvider, HyperQueueProvider, OarProvider)
MACHINES = [
    *((provider, recorded.MACHINES[provider.name]) for provider in PROVIDERS),
    (HyperQueueProvider, lambda: recorded.hyperqueue("0.10")),
    (OarProvider, lambda: recorded.oar("3-shape")),
]


def counts_of(value: object) -> list[float]:
    """Every number in a result."""
    if isinstance(value, dict):
        return [number for one in value.values() for number in counts_of(one)]
    if isinstance(value, list):
        return [number for one in value for number in counts_of(one)]
    return [value] if isinstance(value, (int, float)) else []


def ask_everything(provider, system) -> None:
    """Every tool, the inventory and the depth: answers that add up, or errors of this package."""
    secretary = Secretary(system=system)
    entry = secretary.detect("workload", provider.name)[provider.name]
    assert entry.result.state in ("active", "unreachable"), entry.result
    for tool in provider.tools():
        with contextlib.suppress(SecretaryError):
            # Quotas may be overdrawn: what is left of one is the only number that can be negative.
            result = secretary.call(f"{provider.name}.{tool.name}").result
            assert tool.name == "quotas" or all(number >= 0 for number in counts_of(result))
    with contextlib.suppress(SecretaryError):
        recordings.adds_up(secretary.offer(provider.name))
    with contextlib.suppress(SecretaryError):
        depth = provider(system).depth()
        assert depth.pending >= 0 and depth.running >= 0 and (depth.pending_cores or 0) >= 0


@pytest.mark.parametrize("provider, machine", MACHINES, ids=[one.name for one, _ in MACHINES[:4]] + ["hq-old", "oar-3"])
@settings(max_examples=25, deadline=None)
@given(source=st.data())
def test_texts(provider, machine, source):
    system = machine()
    texts = {words: answer for words, answer in system.commands.items() if isinstance(answer, str)}
    words = source.draw(st.sampled_from(sorted(texts)))
    [system.commands[words]] = source.draw(recordings.mutated([texts[words]]))
    ask_everything(provider, system)


VALUES = [None, True, -1, 0, 1.5, 10**25, "", "x", "-1", "1e9", "9" * 40, [], {}, [None], ["x"], {"a": None}, "é\x00"]


@st.composite
def changed(draw, value):
    """A JSON value with one to three members exchanged or taken out."""
    for _ in range(draw(st.integers(1, 3))):
        place = value
        while True:
            keys = sorted(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(place[key], (dict, list)) and place[key] and draw(st.integers(0, 5)):
                place = place[key]
                continue
            if draw(st.booleans()):
                del place[key]
            else:
                place[key] = copy.deepcopy(draw(st.sampled_from(VALUES)))
            break
    return value


@pytest.mark.parametrize("provider, machine", MACHINES, ids=[one.name for one, _ in MACHINES[:4]] + ["hq-old", "oar-3"])
@settings(max_examples=40, deadline=None)
@given(source=st.data())
def test_members(provider, machine, source):
    """JSON that is JSON, but not of the shape: what a mutated text seldom is."""
    system = machine()
    documents = {
        words: answer for words, answer in system.commands.items() if isinstance(answer, str) and answer[0] in "[{"
    }
    words = source.draw(st.sampled_from(sorted(documents)))
    system.commands[words] = json.dumps(source.draw(changed(json.loads(documents[words]))))
    ask_everything(provider, system)


@pytest.mark.parametrize("provider, machine", MACHINES[:4], ids=[one.name for one, _ in MACHINES[:4]])
def test_each_command_failing_is_an_error_and_never_an_empty_answer(provider, machine):
    for words in machine().commands:
        system = machine()
        system.commands[words] = Ran((), 1, "", "it is broken")
        for tool in provider.tools():
            given = tool.read({}) if not tool.input_schema.get("required") else None
            system.asked.clear()
            try:
                value = getattr(provider(system), tool.name)(**tool.method_arguments(given))
            except SecretaryError as error:
                assert "it is broken" in str(error)
            else:
                # It answered though something failed: it says so, or did not need it (the context of a kubeconfig).
                told = json.dumps([dataclasses.asdict(one) for one in value] if isinstance(value, list) else str(value))
                assert words not in system.asked or "config" in words or "it is broken" in told


@given(st.text(alphabet="0123456789.eEmkKMGTPinu+-", max_size=12))
def test_quantities(text):
    try:
        value = quantity(text)
    except ValueError:
        return
    assert isinstance(value, Fraction) and 0 <= value < 2**63
