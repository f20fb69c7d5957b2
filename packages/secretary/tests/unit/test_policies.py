"""The policies: each on the same three workers, and how policies are found."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from click.testing import CliRunner
from resources import parse

from resource_secretary import Secretary, cli
from resource_secretary.asking import Answer, Depth
from resource_secretary.hub.hub import PolicyFailed, choose
from resource_secretary.hub.policies import POLICIES
from resource_secretary.hub.policy import Candidate, cores_of
from resource_secretary.hub.registry import UnknownPolicy, listing, policy_named
from resource_secretary.hub.testing import check_policy
from resource_secretary.hub.worker import Rejected

EXAMPLE = Path(__file__).parents[4] / "examples/plugins/resource-secretary-policy/src"
NEED = parse("cores=3")


def candidate(worker: str, verdict: str = "READY", seconds: float = 1.0, **more) -> Candidate:
    reasons = () if verdict == "READY" else ("short",)
    return Candidate(
        worker, Answer(verdict, reasons, "slurm", "2026-01-01T00:00:00Z", worker, request=NEED.text, **more), seconds
    )


# The quick one is full of waiting jobs, the roomy one is large, the tight one is left with nothing.
THREE = [
    candidate("quick", seconds=0.1, cores=10, free_cores=8, fits=2, depth=Depth(4, 1, 20), wait=9.0),
    candidate("roomy", seconds=0.3, cores=100, free_cores=90, fits=20, depth=Depth(0, 3, 0)),
    candidate("tight", seconds=0.2, cores=20, free_cores=6, fits=2),
]
BUSY = [
    candidate("later", "BUSY", 0.01, cores=4, free_cores=0, wait=50.0),
    candidate("some-day", "BUSY", 0.02, cores=400, free_cores=0),
]


def ranked(name: str, candidates: list[Candidate] = THREE, seed: int = 1) -> list[str]:
    return [one.worker for one in POLICIES[name](NEED, candidates, random.Random(seed))]


@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("first-ready", ["quick", "tight", "roomy"]),
        ("soonest", ["roomy", "tight", "quick"]),
        ("least-loaded", ["roomy", "tight", "quick"]),  # 10 of 100, 14 of 20, 2 + 20 of 10
        ("least-waste", ["tight", "quick", "roomy"]),  # strands 0 of 6, 2 of 8, 30 of 90
        ("best-fit", ["tight", "quick", "roomy"]),  # 3, 5, 87 stay free
    ],
)
def test_the_order(name, order):
    assert ranked(name) == order
    assert ranked(name, [*BUSY, *THREE])[:3] == order, "those that are READY come first"


def test_soonest_knows_when_the_busy_ones_start():
    late = candidate("late", cores=10, free_cores=8, wait=60.0)
    assert ranked("soonest", [*BUSY, late]) == ["later", "late", "some-day"]


def test_random_is_seeded_and_fair():
    assert {tuple(ranked("random", seed=7)) for _ in range(5)} == {tuple(ranked("random", seed=7))}
    assert {ranked("random", seed=seed)[0] for seed in range(50)} == {"quick", "roomy", "tight"}


@pytest.mark.parametrize("name", POLICIES)
def test_the_contract(name):
    check_policy(POLICIES[name])


def by_chance(request, candidates, rng):
    return random.sample(list(candidates), len(candidates))


def greedy(request, candidates, rng):
    candidates.sort(key=lambda one: -one.seconds)
    return candidates


def strict(request, candidates, rng):
    return sorted(candidates, key=lambda one: one.answer.free_cores)


@pytest.mark.parametrize(
    ("policy", "why"), [(by_chance, "two rankings"), (greedy, "sort"), (strict, "TypeError"), (lambda *_: [], "none")]
)
def test_a_policy_that_breaks_the_contract(policy, why):
    with pytest.raises(AssertionError, match=why):
        check_policy(policy)


def test_the_example(monkeypatch):
    if not EXAMPLE.is_dir():
        pytest.skip("the example plugin is in the repository only")
    monkeypatch.syspath_prepend(str(EXAMPLE))
    assert len((EXAMPLE / "resource_secretary_two_choices/__init__.py").read_text().splitlines()) <= 40
    policy = policy_named("two-choices")
    check_policy(policy)
    firsts = [policy(NEED, [*BUSY, *THREE], random.Random(seed))[0].worker for seed in range(60)]
    assert firsts.count("roomy") > firsts.count("quick") > firsts.count("tight") == 0


@pytest.mark.parametrize("name", POLICIES)
def test_what_is_not_known_is_no_failure(name):
    assert sorted(ranked(name, [candidate("a"), candidate("b", "BUSY"), candidate("c", cores=0, free_cores=0)])) == [
        *("a", "b", "c")
    ]
    assert ranked(name, []) == []


@pytest.mark.parametrize(("text", "cores"), [("cores=3", 3), ("nodes=2 cores=3", 6), ("tasks=4 nodes=2 cores=3", 12)])
def test_cores_of_a_request(text, cores):
    assert cores_of(parse(text)) == cores and cores_of(parse("memory=1GB")) == 0


def test_the_verdict_of_the_hub():
    def verdict(*replies):
        return choose(NEED, replies, POLICIES["first-ready"], "first-ready", 1).verdict

    never = Candidate("never", Answer("INCOMPATIBLE", ("no",), "host", "", "", request=NEED.text), 0.1)
    assert verdict(never, *THREE, *BUSY) == "READY" and verdict(never, *BUSY) == "BUSY"
    assert verdict(never) == "INCOMPATIBLE" and verdict() == "UNKNOWN"
    assert verdict(never, Rejected("gone", "slow", "no answer", 2.0)) == "UNKNOWN"


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        (lambda request, candidates, rng: [*candidates, candidates[0]], "twice"),
        (lambda request, candidates, rng: [candidate("quick")], "no candidate"),
        (lambda request, candidates, rng: 1 / 0, "ZeroDivisionError"),
        (lambda request, candidates, rng: None, "TypeError"),
    ],
)
def test_a_policy_that_is_wrong(policy, why):
    with pytest.raises(PolicyFailed, match=f"the policy odd: .*{why}"):
        choose(NEED, THREE, policy, "odd", 1)


def test_a_policy_may_leave_workers_out():
    result = choose(NEED, [*THREE, *BUSY], lambda request, candidates, rng: [candidates[-1]], "picky", 1)
    assert (result.ranked, result.verdict) == (("tight",), "READY")
    assert choose(NEED, THREE, lambda request, candidates, rng: [], "none", 1).verdict == "UNKNOWN"


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    def make(name: str, body: str) -> None:
        (tmp_path / f"resource_secretary_{name}.py").write_text(body)
        monkeypatch.syspath_prepend(str(tmp_path))

    return make


ONE = '''
class Last:
    """The last one."""
    def __call__(self, request, candidates, rng):
        return candidates[::-1]
POLICIES = {%r: Last}
'''


def test_plugins(plugin, tmp_path):
    plugin("polone", ONE % "last")
    plugin("poltwo", ONE % "best-fit")
    plugin("polbad", "POLICIES = {'Upper': print}")
    plugin("polboom", "1/0")
    found = {one.name: one for one in listing()}
    assert found["last"].description == "The last one." and str(tmp_path) in found["last"].origin
    assert found["best-fit"].origin.endswith("(replaces the built-in one)")
    assert "not lower case" in found["polbad"].reason and "ZeroDivisionError" in found["polboom"].reason
    assert [one.worker for one in policy_named("LAST")(NEED, THREE, random.Random(1))] == ["tight", "roomy", "quick"]
    with pytest.raises(UnknownPolicy, match="no policy named 'first'; there are: best-fit, first-ready"):
        policy_named("first")


def test_two_plugins_of_one_name(plugin):
    plugin("polsame1", ONE % "same")
    plugin("polsame2", ONE % "same")
    with pytest.raises(UnknownPolicy, match="two policies are named 'same'"):
        policy_named("same")


def test_a_plugin_with_policies_only_is_no_broken_provider(plugin, host):
    plugin("polonly", ONE % "last")
    assert "polonly" not in [one.name for one in Secretary(system=host).catalog.entries]


def test_the_listing():
    result = CliRunner().invoke(cli.main, ["hub", "policies", "--json"])
    listed = {one["name"]: one for one in json.loads(result.stdout)["policies"]}
    assert set(POLICIES) <= set(listed) and listed["soonest"]["origin"] == "built-in"
    assert "The one that said READY first." in CliRunner().invoke(cli.main, ["hub", "policies"]).stdout
