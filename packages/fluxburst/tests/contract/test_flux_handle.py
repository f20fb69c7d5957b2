"""What only a real Flux can show of its handle."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from importlib.util import find_spec
from typing import Any

import pytest
from leads import PATIENCE, flux_lead, states

from fluxburst.demand import Demand
from fluxburst.errors import HandleError
from fluxburst.handles.flux import FluxHandle
from fluxburst.handles.specs import jobspec

if not shutil.which("flux") or not find_spec("flux"):
    pytest.skip("no Flux: `flux` and its Python bindings are both needed", allow_module_level=True)

ALL = Demand(3, 1, 2, 0)
MANY = 10_000
# Each waits: the lead alone has two cores, and one of the slots at least is down.
SUBMITTED = [
    ["-N3", "-n3", "true"],
    ["-N3", "-n6", "-c1", "--job-name=named", "/bin/sh", "-c", "true"],
    ["-n5", "true"],
    ["-N3", "--exclusive", "--time-limit=5m", "--cwd=/tmp", "true"],
    ["-N3", "--tasks-per-node=2", "true"],
    ["--cores=6", "--tasks-per-core=2", "true"],
    ["-n5", "--setattr=system.bank=b", "--setattr=system.project=p", "--setattr=system.burst.plugin=local", "true"],
    ["-n5", "--requires=host:lead or host:burst0 or host:burst1", "true"],
    ["-n1", "--urgency=hold", "true"],
    ["-n1", "--begin-time=+1h", "true"],
]


@pytest.fixture(scope="module")
def lead():
    with flux_lead() as made:
        yield made


@pytest.fixture
def fresh(lead):
    """The same lead with an empty queue."""
    lead.clear()
    lead.until(lambda: not lead.handle.jobs())
    return lead


def flux(lead: Any, *argv: str) -> str:
    environment = {**os.environ, "FLUX_URI": lead.uri}
    return subprocess.check_output(["flux", *argv], env=environment, text=True, timeout=PATIENCE).strip()


def listed(lead: Any) -> list[dict[str, Any]]:
    """What Flux's own list says, and its own look-up of the jobspecs."""
    import flux.job

    rows = flux.job.job_list(lead.flux, max_entries=0, userid=0xFFFFFFFF, states=2 | 4 | 8).get_jobs()
    specs = flux.job.JobKVSLookup(lead.flux, ids=[row["id"] for row in rows]).data()
    return [{**row, "spec": one["jobspec"]} for row, one in zip(rows, specs, strict=True)]


def test_job_information_is_what_flux_lists(fresh):
    ids = [flux(fresh, "submit", *argv) for argv in SUBMITTED]
    flux(fresh, "update", ids[0], "duration=90")
    flux(fresh, "job", "urgency", ids[1], "25")
    flux(fresh, "job", "memo", ids[2], "note=7", "gone=1")
    flux(fresh, "job", "memo", ids[2], "gone=null")
    fresh.until(lambda: {job.state for job in fresh.handle.jobs()} == {"SCHED", "DEPEND"})
    told = [dict(job.info) for job in fresh.handle.jobs()]
    assert len(told) == len(SUBMITTED)
    assert sorted(told, key=lambda one: one["id"]) == sorted(listed(fresh), key=lambda one: one["id"])
    assert [one["id"] for one in told if one["state"] == 8] == [one["id"] for one in listed(fresh) if one["state"] == 8]
    assert "environment" not in told[0]["spec"]["attributes"]["system"]


def test_who_may_not_read_the_journal_lists_the_jobs(fresh):
    # All that this user lacks is permission: a guest needs a second user. So it is told not to try.
    other = FluxHandle(fresh.uri, journal=False)
    first, second = fresh.submit(ALL), fresh.submit(ALL)

    def both(*states: str) -> bool:
        return tuple(job.state for job in fresh.handle.jobs()) == states and fresh.handle.jobs() == other.jobs()

    fresh.until(lambda: both("SCHED", "SCHED"))
    assert other.jobs() is other.jobs()
    kept = other.jobs()[0]
    fresh.alter(second, duration=90.0)
    fresh.until(lambda: both("SCHED", "SCHED"))
    assert other.jobs()[1].info["spec"]["attributes"]["system"]["duration"] == 90.0
    assert other.jobs()[0] is kept
    fresh.cancel(first)
    fresh.until(lambda: both("SCHED"))
    assert [job.id for job in other.jobs()] == [second]


def test_a_refusal_of_the_journal_is_no_failure(fresh, monkeypatch):
    from fluxburst.handles import connection

    def refuse(self):
        raise PermissionError("Request requires owner credentials")

    job = fresh.submit(ALL)
    monkeypatch.setattr(connection.Stream, "arrived", refuse)
    fresh.until(lambda: [one.id for one in FluxHandle(fresh.uri).jobs()] == [job])


def test_ten_thousand_jobs(fresh):
    import json

    from flux.job import submit_async

    spec = json.dumps(jobspec(ALL, {"duration": 60.0, "burstable": 1, "cwd": "/"}))
    for _ in range(0, MANY, 500):
        futures = [submit_async(fresh.flux, spec) for _ in range(500)]
        for future in futures:
            future.get_id()
    handle = FluxHandle(fresh.uri)
    fresh.until(lambda: sum(job.state == "SCHED" for job in handle.jobs()) == MANY)
    start = time.monotonic()
    jobs = FluxHandle(fresh.uri).jobs()
    assert time.monotonic() - start < PATIENCE
    assert jobs == handle.jobs()
    assert handle.jobs() is handle.jobs()
    assert len({job.demand for job in jobs}) == 1
    flux(fresh, "cancel", "--all", "--quiet")
    fresh.until(lambda: not handle.jobs())


def test_properties_are_told_and_excluded_hosts_left_out(lead):
    (slots,) = [group for group in lead.handle.inventory().groups if "burst0" in group.hosts]
    assert slots.hosts == ("burst0", "burst1")
    assert "token=slot" in str(slots.total)
    with flux_lead(exclude="lead") as other:
        assert states(other.handle) == {"burst0": "down", "burst1": "down"}
        other.join("burst1")
        assert states(other.handle) == {"burst0": "down", "burst1": "up"}
        assert other.handle.sizes(["burst1"]).keys() == {"burst1"}


def test_a_drain_without_a_reason_stays_without(fresh):
    flux(fresh, "resource", "drain", "burst0")
    fresh.handle.drain(["burst0", "burst1"], "ours")
    assert fresh.handle.drains() == {"burst0": "", "burst1": "ours"}
    fresh.handle.undrain(["burst0", "burst1"])
    assert fresh.handle.drains() == {}


def test_a_queue_that_is_stopped(fresh):
    assert fresh.handle.stopped() == {}
    flux(fresh, "queue", "stop", "--message=repairs")
    assert fresh.handle.stopped() == {"": "repairs"}
    flux(fresh, "queue", "start")
    assert fresh.handle.stopped() == {}


def test_attributes_and_configuration(fresh):
    assert fresh.handle.attribute("size") == "3"
    assert fresh.handle.attribute("hostlist") == "lead,burst[0-1]"
    assert fresh.handle.attribute("no.such") is None
    assert fresh.handle.config()["resource"]["noverify"] is True


def test_a_lead_that_hangs_is_given_up_and_found_again(fresh):
    handle = FluxHandle(fresh.uri, patience=1.0)
    before = signal.getsignal(signal.SIGINT)
    os.kill(fresh._brokers["lead"].pid, signal.SIGSTOP)
    try:
        with pytest.raises(HandleError, match="no answer in 1 s"):
            handle.jobs()
    finally:
        os.kill(fresh._brokers["lead"].pid, signal.SIGCONT)
    job = fresh.submit(ALL)
    patient = FluxHandle(fresh.uri)
    fresh.until(lambda: [one.id for one in patient.jobs()] == [job])
    assert signal.getsignal(signal.SIGINT) is before


def test_a_lead_that_is_lost_is_looked_for_again():
    with flux_lead() as lead:
        handle = lead.handle
        lead.submit(ALL)
        lead.until(lambda: len(handle.jobs()) == 1)
        lead.kill("lead")
        for ask in (handle.jobs, handle.inventory, handle.jobs, handle.drains):
            with pytest.raises(HandleError):
                ask()
        lead.start()
        assert (
            list(handle.jobs()) == []
        )  # its content lived in the run directory's files, which a kill leaves unwritten
        assert states(handle)["lead"] == "up"
        files = len(os.listdir("/proc/self/fd"))
        lead.kill("lead")
        for _ in range(5):
            with pytest.raises(HandleError):
                handle.jobs()
        lead.start()
        handle.jobs()
        assert len(os.listdir("/proc/self/fd")) <= files + 4, "each lost connection leaves files open"
