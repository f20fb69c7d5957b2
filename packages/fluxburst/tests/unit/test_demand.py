from __future__ import annotations

import json
from pathlib import Path

import pytest
from fluxburst.demand import Demand, read_demand
from fluxburst.errors import JobError


def test_nodes_with_slots(info):
    demand = read_demand(info(nodes=4, slots=2, cores=3, gpus=1)["spec"])
    assert demand == Demand(nodes=4, slots=2, cores=3, gpus=1)
    assert demand.units == 4
    assert demand.unit == (6, 2)
    assert str(demand.request) == "nodes=4 cores=6 gpus=2"


def test_slots_anywhere(info):
    demand = read_demand(info(slots=10, cores=2)["spec"])
    assert (demand.units, demand.unit, str(demand.request)) == (10, (2, 0), "tasks=10 cores=2")


def test_one_slot_is_one_host(info):
    assert str(read_demand(info(cores=2)["spec"]).request) == "cores=2"


def test_exclusive_nodes_and_constraints_are_part_of_the_shape(info):
    assert read_demand(info(nodes=1, exclusive=True)["spec"]).exclusive
    held_to_hosts = info(system={"constraints": {"hostlist": ["n1"]}})
    assert read_demand(held_to_hosts["spec"]).constrained


@pytest.mark.parametrize(
    ("count", "least"),
    [
        (3, 3),
        ({"min": 2, "max": 8, "operator": "+", "operand": 1}, 2),
        ({"min": 2}, 2),
        ("2-8", 2),
        ("2+", 2),
        ("[2-16:2:*]", 2),
        ("1-5:2", 1),
        ("4", 4),
        ("1,3,5-7", 1),
    ],
)
def test_the_least_of_a_range_is_the_demand(info, count, least):
    assert read_demand(info(nodes=count)["spec"]).nodes == least


NO_COUNTS = [-1, True, 1.5, None, "", "0-3", "8-2", "two", "1-", "2-8:0", {}, {"min": 3, "max": 2}, {"min": {"min": 1}}]


@pytest.mark.parametrize("count", [*NO_COUNTS, [1], 10**30])
def test_what_is_no_count_is_refused_with_its_place(info, count):
    with pytest.raises(JobError) as caught:
        read_demand(info(nodes=1, slots=count)["spec"])
    assert caught.value.place.startswith("spec.resources[0].with[0].count")


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda spec: spec.update(version=999), "spec.version"),
        (lambda spec: spec.update(version=True), "spec.version"),
        (lambda spec: spec.update(resources=[]), "spec.resources"),
        (lambda spec: spec.update(resources=spec["resources"] * 2), "spec.resources"),
        (lambda spec: spec["resources"][0].update(type="rack"), "spec.resources[0].type"),
        (lambda spec: spec["resources"][0].update(colour="red"), "spec.resources[0]"),
        (lambda spec: spec["resources"][0]["with"][0].update(type="memory"), "spec.resources[0].with[0].type"),
        (lambda spec: spec["resources"][0]["with"].append({"type": "core", "count": 1}), "spec.resources[0].with[1]"),
        (lambda spec: spec.update(tasks=[{}]), "spec.tasks[0].command"),
        (lambda spec: spec.update(attributes=3), "spec.attributes"),
        (lambda spec: spec["attributes"].update(system=[]), "spec.attributes.system"),
    ],
)
def test_an_invalid_jobspec_names_the_place(info, change, place):
    spec = info()["spec"]
    change(spec)
    with pytest.raises(JobError) as caught:
        read_demand(spec)
    assert caught.value.place == place


def test_the_cases_of_rfc_25(shared: Path):
    yaml = pytest.importorskip("yaml")
    read = {
        path.stem: str(read_demand(json.loads(json.dumps(yaml.safe_load(path.read_text())))))
        for path in sorted((shared / "rfc" / "spec_25").glob("*.yaml"))
    }
    assert read == {
        "example1": "nodes=4 cores=2",
        "use_case_1.1": "nodes=4 cores=1",
        "use_case_2.1": "nodes=4 cores=1",
        "use_case_2.2": "tasks=10 cores=2",
        "use_case_2.3": "tasks=10 cores=2 gpus=1",
        "use_case_2.4": "nodes=4 cores=4 gpus=4",
    }


def test_the_cases_of_rfc_14_are_read_or_refused(shared: Path):
    yaml = pytest.importorskip("yaml")
    outcomes = set()
    for path in sorted((shared / "rfc" / "spec_14").glob("*.yaml")):
        try:
            read_demand(yaml.safe_load(path.read_text()))
            outcomes.add("read")
        except JobError as error:
            outcomes.add("refused")
            assert error.place.startswith("spec.")
    assert "refused" in outcomes
