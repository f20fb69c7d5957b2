"""What every live lead must do: the one in memory, and a real Flux."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.util import find_spec

import pytest
from leads import FluxLead, MemoryLead, flux_lead, idle, states

from fluxburst.demand import Demand
from fluxburst.errors import HandleError
from fluxburst.selection import is_burstable, not_waiting

ONE, ALL, PART = Demand(1, 1, 2, 0), Demand(3, 1, 2, 0), Demand(0, 1, 1, 0)
Lead = MemoryLead | FluxLead


@pytest.fixture(params=["memory", "flux"])
def lead(request: pytest.FixtureRequest) -> Iterator[Lead]:
    if request.param == "memory":
        yield MemoryLead()
        return
    if not shutil.which("flux") or not find_spec("flux"):
        pytest.skip("no Flux: `flux` and its Python bindings are both needed")
    with flux_lead() as made:
        yield made


def waiting(lead: Lead) -> list[str]:
    return [job.id for job in lead.handle.jobs()]


def test_what_waits_is_listed_with_its_jobspec(lead):
    assert not lead.handle.jobs()
    first = lead.submit(ALL)
    held = lead.submit(ALL, urgency=0)
    late = lead.submit(ONE, after=first)
    lead.until(lambda: {job.state for job in lead.handle.jobs()} == {"SCHED", "DEPEND"})
    jobs = {job.id: job for job in lead.handle.jobs()}
    assert jobs.keys() == {first, held, late}
    assert [not_waiting(jobs[job]) for job in (first, held)] == ["", "it is held"]
    assert "dependency" in not_waiting(jobs[late])
    assert (jobs[first].demand, jobs[first].problem) == (ALL, "")
    assert is_burstable(jobs[first].info)
    assert jobs[first].info["spec"]["attributes"]["system"]["duration"] == 60.0
    assert jobs[first].t_submit == jobs[first].info["t_submit"] > 0
    assert (jobs[first].info["nnodes"], jobs[first].info["ntasks"]) == (3, 3)
    assert lead.handle.jobs() is lead.handle.jobs()


def test_what_changes_is_seen_and_nothing_else(lead):
    old, new = lead.submit(ALL), lead.submit(ALL)
    lead.until(lambda: [not_waiting(job) for job in lead.handle.jobs()] == ["", ""])
    assert waiting(lead) == [old, new]
    lead.alter(new, urgency=20)
    lead.until(lambda: waiting(lead) == [new, old])
    lead.until(lambda: lead.handle.jobs()[0].state == "SCHED")
    before = lead.handle.jobs()
    lead.alter(new, urgency=20)
    lead.until(lambda: lead.handle.jobs()[0].state == "SCHED")
    assert lead.handle.jobs() == before
    before = lead.handle.jobs()
    lead.alter(old, duration=90.0)
    lead.until(lambda: lead.handle.jobs()[1].state == "SCHED")
    after = lead.handle.jobs()
    assert after is not before
    assert after[0] is before[0]
    assert [job.info["spec"]["attributes"]["system"]["duration"] for job in after] == [60.0, 90.0]
    assert before[1].info["spec"]["attributes"]["system"]["duration"] == 60.0
    assert after[1].info["duration"] == 90.0
    lead.cancel(new)
    lead.until(lambda: waiting(lead) == [old])


def test_a_job_that_starts_waits_no_more_and_holds_its_nodes(lead):
    whole = lead.handle.inventory()
    assert lead.handle.inventory() is whole
    blocked = lead.submit(ALL)
    lead.until(lambda: waiting(lead) == [blocked])
    lead.cancel(blocked)
    lead.until(lambda: not waiting(lead))
    runs = lead.submit(PART, 600.0)
    lead.until(lambda: not waiting(lead) and "lead" not in idle(lead.handle))
    (busy,) = [group for group in lead.handle.inventory().groups if "lead" in group.hosts]
    assert (busy.total.get("cores").N, busy.free.get("cores").N) == (2, 1)
    second = lead.submit(PART, 600.0)
    lead.until(lambda: not waiting(lead))
    (busy,) = [group for group in lead.handle.inventory().groups if "lead" in group.hosts]
    assert not busy.free.leaves
    lead.cancel(runs)
    lead.cancel(second)
    lead.until(lambda: lead.handle.inventory() == whole)


def test_drains(lead):
    lead.handle.drain(["burst0", "burst1"], "ours")
    lead.handle.drain(["burst1", "lead"], "other")
    assert lead.handle.drains() == {"burst0": "ours", "burst1": "ours", "lead": "other"}
    assert states(lead.handle) == {"lead": "drained", "burst0": "down", "burst1": "down"}
    with pytest.raises(HandleError, match="no host nobody"):
        lead.handle.drain(["lead", "nobody"], "x")
    lead.handle.undrain(["lead", "burst1", "nobody"])
    lead.handle.undrain(["lead", "burst1"])
    lead.handle.drain([], "x")
    lead.handle.undrain([])
    assert lead.handle.drains() == {"burst0": "ours"}
    assert states(lead.handle)["lead"] == "up"


def test_hosts_come_and_go(lead):
    assert states(lead.handle) == {"lead": "up", "burst0": "down", "burst1": "down"}
    lead.handle.drain(["burst0"], "not yet")
    lead.join("burst0")
    assert states(lead.handle)["burst0"] == "drained"
    assert "burst0" in idle(lead.handle)
    both = lead.submit(Demand(2, 1, 2, 0), 600.0)
    lead.until(lambda: waiting(lead) == [both])
    lead.handle.undrain(["burst0"])
    lead.until(lambda: not waiting(lead) and not idle(lead.handle))
    lead.handle.drain(["burst0"], "to go")
    assert states(lead.handle)["burst0"] == "drained"
    assert "burst0" not in idle(lead.handle), "a drained host tells whether something runs there"
    lead.leave("burst0")
    lead.until(lambda: "lead" in idle(lead.handle))
    assert not waiting(lead), "a job whose node is lost has failed"
    lead.handle.undrain(["burst0"])
    lead.join("burst0")
    assert states(lead.handle)["burst0"] == "up"


def test_sizes_are_what_brokers_found(lead):
    lead.join("burst1")
    found = lead.handle.sizes(["burst0", "burst1", "nobody"])
    assert found.keys() == {"burst1"}
    cores, gpus = found["burst1"]
    assert cores >= 1
    assert gpus >= 0
    assert lead.handle.sizes(["burst0", "burst1"]) == found
    lead.leave("burst1")
    assert lead.handle.sizes(["burst1"]) == {}
