from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from resources import Cores
from resources.errors import UnknownPlugin

from fluxburst.burstables.mock import BurstParameters, MockBurst
from fluxburst.client import FluxBurst
from fluxburst.errors import FluxBurstError, HandleError, LoadError, ParameterError, PluginFailed
from fluxburst.handles.recorded import RecordedHandle
from fluxburst.model import Burst, NodeShape, Sighting
from fluxburst.plugins import BurstPlugin
from fluxburst.selection import is_burstable
from fluxburst.settings import Settings


class Faulty(BurstPlugin):
    """Offers nodes and makes none."""

    def shapes(self) -> list[NodeShape]:
        return [NodeShape("none", Cores(4))]

    def create(self, burst: Burst) -> None:
        raise OSError("no quota")

    def status(self, known: Sequence[Burst] = ()) -> list[Sighting]:
        return []

    def destroy(self, burst: Burst) -> None:
        pass


@pytest.fixture
def client(queue_file: Callable[..., str], info: Callable[..., dict[str, Any]]) -> FluxBurst:
    jobs = [info(1, nodes=2, cores=4), info(2, cores=2, burstable=None), info(3, nodes=1, cores=4)]
    return FluxBurst(RecordedHandle(queue_file(*jobs)))


def test_a_plugin_is_loaded_with_its_dataclass_or_with_keywords(client):
    first = client.load("mock", BurstParameters(max_nodes=3))
    second = FluxBurst().load("mock", max_nodes=3)
    assert isinstance(first, MockBurst)
    assert first.params == second.params
    assert list(client.plugins) == ["mock"]


@pytest.mark.parametrize(
    ("arguments", "keywords", "error"),
    [
        (("mock", {"max_nodes": 3}), {}, LoadError),
        (("mock", BurstParameters()), {"max_nodes": 3}, LoadError),
        (("mock",), {"max_node": 3}, ParameterError),
        (("mock",), {"max_nodes": "3"}, ParameterError),
        (("mock",), {"max_nodes": -1}, ParameterError),
        (("mock",), {"shape": ["x: gpus=1"]}, PluginFailed),
        (("mock",), {"shape": ["cores=1"]}, PluginFailed),
        (("no-such",), {}, UnknownPlugin),
    ],
)
def test_what_cannot_be_loaded(client, arguments, keywords, error):
    with pytest.raises(error):
        client.load(*arguments, **keywords)
    assert not client.plugins


def test_a_plugin_is_loaded_once(client):
    client.load("mock")
    with pytest.raises(LoadError, match="already"):
        client.load("mock")


def test_a_run_makes_what_was_planned_and_no_more(client):
    client.settings = Settings(delay=0, interval=0)
    mock = client.load("mock", shape=["small: cores=4"], create_seconds=60)
    made = client.run_burst()
    assert [(burst.plugin, burst.shape, burst.nodes) for burst in made.created] == [("mock", "small", 3)]
    assert not made.failed
    assert [burst.state for burst in client.bursts()] == ["creating"]
    assert not client.run_burst().created, "the jobs still wait, and the nodes for them are coming"
    states = []
    for seconds in (59, 1):
        mock.advance(seconds)
        assert not client.run_burst().created
        states.append(client.bursts()[0].state)
    assert states == ["creating", "joining"]


def test_a_plan_changes_nothing(client):
    client.load("mock")
    assert client.plan().bursts
    assert client.bursts() == ()


def test_a_plugin_that_fails_does_not_stop_the_others(client):
    client.plugins["faulty"] = Faulty()
    client.load("mock")
    client.plugins["faulty"].params = BurstParameters(max_nodes=2)
    made = client.run_burst()
    assert [burst.plugin for burst in made.created] == ["mock"]
    ((burst, reason),) = made.failed
    assert (burst.plugin, reason) == ("faulty", "plugin 'faulty': create failed: OSError: no quota")


def test_a_selector_of_ones_own(client):
    client.load("mock")
    client.set_selector(lambda jobinfo: jobinfo["id"] == 2)
    assert [d.job.id for d in client.plan().decisions if d.outcome == "burst"] == ["2"]


def test_an_ordering_of_ones_own(client):
    client.plugins["faulty"] = Faulty()
    client.load("mock")
    client.set_ordering(lambda plugins: reversed(plugins.items()))
    assert {burst.plugin for burst in client.plan().bursts} == {"mock"}
    client.set_ordering(lambda plugins: [("faulty", plugins["faulty"])])
    assert {burst.plugin for burst in client.plan().bursts} == {"faulty"}
    client.set_ordering(lambda plugins: [("other", plugins["faulty"])])
    with pytest.raises(FluxBurstError, match="'other', which was not loaded"):
        client.plan()


@pytest.mark.parametrize("setter", ["set_selector", "set_ordering"])
def test_what_is_no_function(client, setter):
    with pytest.raises(FluxBurstError, match="is a function"):
        getattr(client, setter)(None)


def test_a_plugin_whose_answer_makes_no_sense(client):
    plugin = client.plugins["faulty"] = Faulty()
    plugin.shapes = lambda: [NodeShape("x", Cores(1))] * 2
    with pytest.raises(FluxBurstError, match="'faulty': two of its node shapes have one name"):
        client.plan()
    plugin.shapes = lambda: 1 / 0
    with pytest.raises(FluxBurstError, match="shapes failed: ZeroDivisionError"):
        client.plan()


@pytest.mark.parametrize("value", [None, 3, {}, {"attributes": None}, {"attributes": {"system": 3}}])
def test_the_default_selector_takes_missing_keys_as_no(value):
    assert not is_burstable({"spec": value})


def test_the_default_selector_wants_a_truthy_value():
    assert [is_burstable({"spec": {"attributes": {"system": {"burstable": v}}}}) for v in (1, True, 0, "")] == [
        True,
        True,
        False,
        False,
    ]


def test_without_flux_the_error_says_what_to_install_or_that_nobody_answers(monkeypatch, tmp_path):
    monkeypatch.setenv("FLUX_URI", f"local://{tmp_path}/nothing")
    client = FluxBurst()
    client.load("mock")
    with pytest.raises(HandleError, match=r"flux-python|no Flux instance answers"):
        client.plan()


def test_a_burst_reads_back():
    burst = Burst("a-0", "a", "small", ("a-0-0",), ("7",), "ready")
    assert Burst.from_dict(burst.as_dict()) == burst
    for broken in (
        {},
        {**burst.as_dict(), "state": "lost"},
        {**burst.as_dict(), "hosts": 3},
        replace(burst, jobs=(3,)).as_dict(),
    ):
        with pytest.raises(FluxBurstError, match="no burst"):
            Burst.from_dict(broken)


@pytest.mark.parametrize(("method", "says"), [("status", "status failed"), ("shapes", "shapes failed")])
@pytest.mark.parametrize("answer", [7, [None]])
def test_an_answer_of_a_plugin_that_makes_no_sense_names_it(client, monkeypatch, method, says, answer):
    client.plugins["faulty"] = Faulty()
    monkeypatch.setattr(Faulty, method, lambda self, *_: answer)
    made = client.run_burst()
    assert f"'faulty': {says}: TypeError" in made.trouble["faulty"]


def test_what_is_set_after_a_run_counts_in_the_next(queue_file, info):
    jobs = [info(1, nodes=2, cores=4)]
    client = FluxBurst(RecordedHandle(queue_file(*jobs)))
    client.load("mock")
    client.set_selector(lambda job: False)
    assert client.run_burst().created == ()
    client.set_selector(is_burstable)
    client.set_delay(10**10)
    assert client.run_burst().created == ()
    client.set_delay(0)
    assert len(client.run_burst().created) == 1
