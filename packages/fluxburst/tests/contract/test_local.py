"""Brokers as processes of this machine: with real Flux where it is there, and what becomes of processes without it."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from growing import RunningLead, until

from fluxburst.burstables import _local_processes as processes
from fluxburst.burstables import local
from fluxburst.client import FluxBurst
from fluxburst.errors import ConfigurationError, ParameterError
from fluxburst.lead import Lead
from fluxburst.model import Burst, Sighting
from fluxburst.plugins import BurstPlugin
from fluxburst.testing import check_burstable, check_create, check_destroy

SLOTS = "local[0-2]"


def burst(plugin: BurstPlugin, number: int = 1, hosts: tuple[str, ...] = ("local0", "local1"), **more: float) -> Burst:
    assert plugin.lead is not None
    name = f"{plugin.lead.owner}-t-{number}"
    return Burst(name, "local", "local", hosts, ("1",), **{"deadline": time.time() + 600, **more})


def seen(plugin: BurstPlugin, one: Burst) -> Sighting:
    found = [sighting for sighting in plugin.status([one]) if sighting.name == one.name]
    return found[0] if found else Sighting("", "pending")


def marked(plugin: BurstPlugin) -> list[processes.Process]:
    """What is left of anything that a plugin started, without asking the plugin."""
    assert plugin.lead is not None
    owner = plugin.lead.owner
    return processes.look([local.OWNER, local.HOST], lambda environ: environ.get(local.OWNER) == owner)


def gone(plugin: BurstPlugin, one: Burst) -> Sighting:
    return until(lambda: seen(plugin, one).seen == "gone" and seen(plugin, one), lambda: seen(plugin, one))


@pytest.fixture
def plugin(lead: RunningLead) -> Iterator[BurstPlugin]:
    made = FluxBurst().load("local", max_nodes=3)
    made.lead = lead.lead
    yield made
    for one in marked(made):
        one.signal(signal.SIGKILL)


class StandIn(Lead):
    """A lead whose brokers are other programs: what is tested is what becomes of processes."""

    PROGRAM = ("sleep", "1000")

    def broker(self, host: str, *, rundir: object = None, **more: object) -> list[str]:
        return [word.replace("RUNDIR", str(rundir)) for word in self.PROGRAM]


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BurstPlugin]:
    """The plugin without Flux."""
    monkeypatch.setattr(local, "_found", lambda command, package: command)
    made = FluxBurst().load("local")
    made.lead = StandIn(tmp_path, f"alone{os.getpid()}{tmp_path.name}", ("lead", "local0", "local1"), "", {}, {})
    yield made
    for family in made._look().values():
        for one in family:
            one.signal(signal.SIGKILL)


def test_a_burst_joins_runs_a_job_with_the_lead_and_leaves_its_slots_to_the_next(lead, plugin):
    check_burstable("local")
    for number in (1, 2):
        job = lead.submit(3, "sh", "-c", "flux getattr hostname")
        made = burst(plugin, number)
        check_create(plugin, made)
        assert lead.output(job) == ["lead", "local0", "local1"]
        assert seen(plugin, made).hosts is None
        check_destroy(plugin, made)
        until(lambda: lead.up() == {"lead"})
    assert not marked(plugin)


def test_a_broker_that_dies_takes_its_jobs_along_and_leaves_the_others(lead, plugin):
    made = burst(plugin, 3)
    plugin.create(made)
    until(lambda: lead.up() == {"lead", "local0", "local1"}, lambda: seen(plugin, made))
    job = lead.submit(3, "sleep", "1000")
    lead.flux("job", "wait-event", "--timeout=60", job, "start")
    broker = next(
        one for one in marked(plugin) if one.environ.get(local.HOST) == "local1" and "-Shostname" in command(one)
    )
    broker.signal(signal.SIGKILL)
    until(lambda: lead.up() == {"lead", "local0"})
    found = until(lambda: seen(plugin, made).hosts and seen(plugin, made))
    assert (found.seen, found.hosts) == ("running", ("local0",))
    assert "local1 has ended: killed by signal 9" in found.reason
    assert not [one for one in marked(plugin) if one.environ.get(local.HOST) == "local1"]
    check_destroy(plugin, made)


def command(one: processes.Process) -> str:
    text = Path(f"/proc/{one.pid}/cmdline").read_bytes().decode()
    return "" if text.startswith("timeout") else text


def test_a_broker_that_may_not_join_is_shown_with_what_it_said(lead, plugin, tmp_path):
    shutil.copytree(lead.lead.folder, tmp_path / "other", ignore=shutil.ignore_patterns("run", "local"))
    config = (tmp_path / "other" / "system.toml").read_text()
    (tmp_path / "other" / "system.toml").write_text(config.replace(str(lead.lead.folder), f"{tmp_path}/other"))
    (tmp_path / "other" / "curve.cert").unlink()
    plugin.lead = Lead.open(tmp_path / "other")
    made = burst(plugin, 4, ("local2",))
    plugin.create(made)
    found = gone(plugin, made)
    assert "local2 has ended: exit 1" in found.reason
    assert "curve.cert" in found.output
    plugin.create(made)  # its name has been used up
    assert seen(plugin, made).seen == "gone"
    plugin.destroy(made)


def test_nobody_is_needed_for_the_end(lead, plugin):
    made = burst(plugin, 5, deadline=time.time() + 6)
    plugin.create(made)
    until(lambda: "local0" in lead.up(), lambda: seen(plugin, made))
    assert "its time was over" in gone(plugin, made).reason
    until(lambda: lead.up() == {"lead"})
    assert not marked(plugin)


def test_a_program_that_does_not_listen_is_killed(alone, monkeypatch):
    monkeypatch.setattr(local, "KILL_AFTER", 1)
    monkeypatch.setattr(StandIn, "PROGRAM", ("sh", "-c", "trap '' TERM; while :; do sleep 0.2; done"))
    made = burst(alone)
    check_create(alone, made)
    check_destroy(alone, made)
    assert not marked(alone)


def test_orphans_without_a_mark_are_found_by_their_broker(alone, monkeypatch):
    orphan = "env -i FLUX_URI=local://RUNDIR/local-1 setsid sleep 1000 & exec sleep 1000"
    monkeypatch.setattr(StandIn, "PROGRAM", ("sh", "-c", orphan))
    made = burst(alone, hosts=("local0",))
    alone.create(made)
    family = until(lambda: len(found := alone._look()[made.name]) == 4 and len(sleeping(found)) == 2 and found)
    own = [one for one in family if local.OWNER.encode() in Path(f"/proc/{one.pid}/environ").read_bytes()]
    assert len(own) == 3
    for number in (signal.SIGSTOP, signal.SIGKILL):  # at once: their supervisor would take the orphan along
        for one in own:
            one.signal(number)
    found = until(lambda: seen(alone, made).seen == "ending" and seen(alone, made))
    assert "its brokers have died; 1 processes are left" in found.reason
    alone.destroy(made)
    gone(alone, made)


def sleeping(family: list[processes.Process]) -> list[processes.Process]:
    return [one for one in family if command(one).startswith("sleep")]


def test_a_controller_may_be_killed_at_any_moment(alone):
    chance = random.Random(6)
    for number in range(50):
        made = burst(alone, number)
        child = os.fork()
        if not child:
            try:
                alone.create(made)
            finally:
                os._exit(0)
        time.sleep(chance.uniform(0, 0.12))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        if number % 3:
            alone.create(made)
            found = until(lambda: seen(alone, made).seen == "running" and seen(alone, made))  # noqa: B023
            assert found.hosts is None
            starts = sleeping(marked(alone))
            assert sorted(one.environ[local.HOST] for one in starts) == ["local0", "local1"]
        alone.destroy(made)
        gone(alone, made)
        assert not marked(alone)


def test_two_controllers_make_one_burst(alone):
    made = burst(alone)
    children = [os.fork() or _create_and_exit(alone, made) for _ in range(4)]
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    until(lambda: seen(alone, made).seen == "running")
    starts = sleeping(marked(alone))
    assert sorted(one.environ[local.HOST] for one in starts) == ["local0", "local1"]
    check_destroy(alone, made)


def _create_and_exit(plugin: BurstPlugin, made: Burst) -> int:
    try:
        plugin.create(made)
    except BaseException:
        os._exit(1)
    os._exit(0)


def test_what_is_on_another_machine_is_not_said_to_have_ended(alone):
    made = burst(alone)
    alone.create(made)
    alone.destroy(made)
    until(lambda: not marked(alone))
    order = alone.lead.folder / "local" / made.name / local.ORDER
    order.write_text(json.dumps({**json.loads(order.read_text()), "machine": {"node": "far", "boot": "", "pids": ""}}))
    assert not alone.status([made])
    for call in (alone.create, alone.destroy):
        with pytest.raises(ConfigurationError, match="on far, not here"):
            call(made)
    alone.clock = lambda: made.deadline + 1000
    assert seen(alone, made).seen == "gone"


def test_its_files_and_folders_are_the_owners_alone(alone):
    made = burst(alone)
    alone.create(made)
    folder = alone.lead.folder / "local" / made.name
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o077 for path in folder.iterdir()} == {0}
    check_destroy(alone, made)
    alone.destroy(made)
    assert not folder.exists()


def test_a_broker_has_nothing_of_another_flux_or_slurm(alone, monkeypatch):
    for name in ("FLUX_URI", "FLUX_KVS_NAMESPACE", "SLURM_JOB_ID", "PMI_RANK"):
        monkeypatch.setenv(name, "other")
    made = burst(alone, hosts=("local0",))
    alone.create(made)
    # `timeout` starts it a moment later.
    program = until(lambda: next((one for one in marked(alone) if command(one).startswith("sleep")), None))
    names = {pair.split("=")[0] for pair in Path(f"/proc/{program.pid}/environ").read_text().split("\0")}
    assert {name for name in names if name.startswith(("FLUX", "SLURM", "PMI"))} == {
        local.NAME,
        local.OWNER,
        local.HOST,
    }
    check_destroy(alone, made)


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    made = FluxBurst().load("local")
    with pytest.raises(ConfigurationError, match="no lead"):
        made.status()
    made.lead = StandIn(tmp_path, "missing", ("lead", "local0"), "", {}, {})
    with pytest.raises(ConfigurationError, match="no name of a burst"):
        made.destroy(Burst("../x", "local", "local", ()))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="no command 'timeout' here: install coreutils"):
        made.create(burst(made, hosts=("local0",)))
    with pytest.raises(ParameterError, match="max_nodes"):
        FluxBurst().load("local", max_nodes=-1)
