"""Brokers inside a real Slurm of four nodes join a real lead: their life, and the ways in which it ends."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from growing import RunningLead, until

from fluxburst.burstables import _slurm_output as slurm_output
from fluxburst.burstables.slurm import SlurmBurst
from fluxburst.client import FluxBurst
from fluxburst.errors import AuthenticationError, ConfigurationError, ParameterError, QuotaError, UncertainError
from fluxburst.lead import Lead
from fluxburst.model import Burst, Sighting
from fluxburst.testing import check_burstable, check_create, check_destroy

SLOTS = "slurm[0-3]"
SHAPE = "main: cores=2"
CONF = """
ClusterName=test
SlurmctldHost=localhost
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
SlurmctldPort={ports[0]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
SchedulerParameters=sched_interval=1,bf_interval=1
MinJobAge=5
KillWait=10
MessageTimeout=10
{accounting}
NodeName=n1 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 RealMemory=1000
NodeName=n2 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 RealMemory=1000
NodeName=n3 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[3]} CPUs=2 RealMemory=1000
NodeName=n4 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[4]} CPUs=2 RealMemory=1000
PartitionName=main Nodes=n[1-4] Default=YES MaxTime=1:00:00
PartitionName=short Nodes=n[1-2] MaxTime=4:00 MaxNodes=1
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    suite = Path(__file__).parents[4] / "integration"
    if not (suite / "engines" / "slurm.py").is_file():
        pytest.skip("the repository's throwaway Slurm is not here")
    sys.path.append(str(suite))
    try:
        from engines import missing
        from engines import slurm as engine
    finally:
        sys.path.remove(str(suite))
    if lacking := missing("slurm"):
        pytest.skip(f"needs Slurm with its daemons: {', '.join(lacking)} is not here")
    nodes = ("n1", "n2", "n3", "n4")
    with engine.slurm(tmp_path_factory.mktemp("slurm"), nodes=nodes, conf=CONF) as made:
        yield made


@pytest.fixture
def plugin(cluster: Any, lead: RunningLead, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlurmBurst]:
    monkeypatch.setenv("SLURM_CONF", cluster.environ["SLURM_CONF"])
    monkeypatch.setenv("PATH", cluster.environ["PATH"])
    made = load(lead.lead)
    yield made
    until(lambda: _answers(cluster), "slurmctld is back")
    for found in made.status():
        made.destroy(Burst(found.name, "slurm", "main", ()))
    until(lambda: not made.status(), made.status)
    until(lambda: lead.up() == {"lead"}, lead.up)


def _answers(cluster: Any) -> bool:
    return not subprocess.run(["squeue"], env=cluster.environ, capture_output=True, timeout=60).returncode


def load(lead: Lead, **values: object) -> SlurmBurst:
    made = FluxBurst().load("slurm", **{"shape": [SHAPE], **values})
    assert isinstance(made, SlurmBurst)
    made.lead = lead
    return made


NUMBERS = iter(range(1, 1000))


def burst(plugin: SlurmBurst, nodes: int = 2, **more: Any) -> Burst:
    assert plugin.lead is not None
    hosts = tuple(f"slurm{number}" for number in range(nodes))
    name = f"{plugin.lead.owner}-t-{next(NUMBERS)}"
    return Burst(name, "slurm", "main", hosts, ("1",), **{"deadline": time.time() + 600, **more})


def seen(plugin: SlurmBurst, one: Burst) -> Sighting:
    return next(found for found in plugin.status([one]) if found.name == one.name)


def gone(plugin: SlurmBurst, one: Burst) -> Sighting:
    return until(lambda: (found := seen(plugin, one)).seen == "gone" and found, lambda: seen(plugin, one))


def joined(lead: RunningLead, plugin: SlurmBurst, one: Burst) -> None:
    until(lambda: lead.up() == {"lead", *one.hosts}, lambda: (lead.up(), seen(plugin, one)))


def test_a_burst_joins_runs_a_job_with_the_lead_and_leaves_its_slots_to_the_next(cluster, lead, plugin, monkeypatch):
    for name in ("SLURM_JOB_ID", "SBATCH_PARTITION", "SLURM_NNODES", "FLUX_KVS_NAMESPACE"):
        monkeypatch.setenv(name, "7")  # as if this were a batch job itself
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    for _ in range(2):
        job = lead.submit(3, "sh", "-c", "flux getattr hostname")
        made = burst(plugin)
        check_create(plugin, made)
        joined(lead, plugin, made)
        assert lead.output(job) == ["lead", "slurm0", "slurm1"]
        found = seen(plugin, made)
        assert (found.seen, found.hosts) == ("running", None)
        assert abs(found.since - time.time()) < 600
        script = cluster.say("scontrol", "write", "batch_script", found.id, "-")
        certificate = (lead.lead.folder / "curve.cert").read_text().split('"')
        assert "slurm1" in script
        assert not [text for text in certificate if len(text) == 40 and text in script]
        environ = b"".join(Path(f"/proc/{pid}/environ").read_bytes() for pid in brokers(lead, "slurm0"))
        assert b"PATH=" in environ
        assert b"hush" not in environ
        assert b"FLUX_KVS_NAMESPACE=7" not in environ
        check_destroy(plugin, made)
        until(lambda: lead.up() == {"lead"})


def brokers(lead: RunningLead, host: str) -> list[int]:
    """The processes of one broker of this lead, and of no other on this machine."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        text = " ".join(words).split()  # a broker's own title is one word
        if f"-Shostname={host}" in text and f"--config-path={lead.lead.folder}/system.toml" in text:
            found.append(int(place.name))
    assert found, f"no broker {host}"
    return found


def test_a_node_that_fails_takes_its_own_broker_and_no_other(cluster, lead, plugin):
    made = burst(plugin, 3)
    plugin.create(made)
    joined(lead, plugin, made)
    text = seen(plugin, made).output
    node = next(line.split()[-1] for line in text.splitlines() if "slurm1 is on" in line)
    daemon = cluster.daemons[node]
    daemon.kill()
    daemon.wait()
    for pid in brokers(lead, "slurm1"):
        os.kill(pid, signal.SIGKILL)  # a node that is dead has no processes
    cluster.say("scontrol", "update", f"nodename={node}", "state=down", "reason=died")
    try:
        until(lambda: lead.up() == {"lead", "slurm0", "slurm2"}, lead.up)
        found = until(lambda: (one := seen(plugin, made)).hosts and one, lambda: seen(plugin, made))
        assert (found.seen, found.hosts) == ("running", ("slurm0", "slurm2"))
        assert "slurm1" in found.reason
        check_destroy(plugin, made)
    finally:
        with (cluster.folder / "log").open("ab") as log:
            again = subprocess.Popen(["slurmd", "-D", "-N", node], env=cluster.environ, stdout=log, stderr=log)
        cluster.daemons[node] = again
        cluster.until("4", "sinfo", "--noheader", "--partition=main", "--states=idle", "--format=%D", seconds=60)


def test_its_deadline_ends_it_with_nobody_s_help(lead, plugin):
    made = burst(plugin, deadline=time.time() + 15)
    plugin.create(made)
    joined(lead, plugin, made)
    found = gone(plugin, made)
    assert "slurm1 has ended: 0" in found.output
    assert time.time() >= made.deadline - 1


def test_the_walltime_ends_it(cluster, lead, plugin):
    made = burst(plugin)
    plugin.create(made)
    joined(lead, plugin, made)
    assert cluster.say("squeue", "--noheader", "--format=%l", f"--name={made.name}").strip() == "10:00"
    cluster.say("scontrol", "update", f"jobid={seen(plugin, made).id}", "timelimit=1")
    found = until(lambda: (one := seen(plugin, made)).seen == "gone" and one, lambda: seen(plugin, made), 240)
    assert found.reason == "its time was over"
    until(lambda: lead.up() == {"lead"})


def test_somebody_else_ends_it(cluster, lead, plugin):
    made = burst(plugin, 1)
    plugin.create(made)
    joined(lead, plugin, made)
    id = seen(plugin, made).id
    cluster.say("scancel", id)
    assert gone(plugin, made).reason == "somebody cancelled it"
    plugin.create(made)  # its name has been used up
    assert seen(plugin, made).seen == "gone"
    until(lambda: "no job" in seen(plugin, made).reason)  # Slurm has forgotten it
    plugin.create(made)
    assert seen(plugin, made).seen == "gone"


def test_a_broker_that_may_not_join_is_shown_with_what_it_said(cluster, lead, plugin, tmp_path):
    shutil.copytree(lead.lead.folder, tmp_path / "other", ignore=shutil.ignore_patterns("run", "slurm"))
    config = tmp_path / "other" / "system.toml"
    config.write_text(config.read_text().replace(str(lead.lead.folder), f"{tmp_path}/other"))
    (tmp_path / "other" / "curve.cert").unlink()
    plugin.lead = dataclasses.replace(lead.lead, folder=tmp_path / "other")
    made = burst(plugin, 1)
    plugin.create(made)
    found = gone(plugin, made)
    assert "curve.cert" in found.output
    assert "slurm0 has ended: 1" in found.output
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "other" / "slurm").glob("*.job")} == {0}


def test_what_waits_says_why_and_can_be_ended(plugin):
    made = dataclasses.replace(burst(plugin), shape="short")
    short = load(plugin.lead, shape=["short: cores=2"])
    short.create(made)  # two nodes where one is allowed
    found = until(
        lambda: "PartitionNodeLimit" in (one := seen(plugin, made)).reason and one, lambda: seen(plugin, made)
    )
    assert found.seen == "pending"
    assert found.reason == (
        "it will not run as things are: more nodes than the partition gives to one job, or has (PartitionNodeLimit)"
    )
    check_destroy(plugin, made)


def test_slurmctld_stops_and_starts(cluster, lead, plugin):
    made = burst(plugin, 1)
    plugin.create(made)
    joined(lead, plugin, made)
    cluster.stop("slurmctld")
    plugin.patience = 3.0
    other = burst(plugin, 1)
    for call in (lambda: plugin.status([made]), lambda: plugin.create(other), lambda: plugin.destroy(made)):
        with pytest.raises(UncertainError):
            call()
    with (cluster.folder / "log").open("ab") as log:
        cluster.daemons["slurmctld"] = subprocess.Popen(
            ["slurmctld", "-D"], env=cluster.environ, stdout=log, stderr=log
        )
    until(lambda: _answers(cluster), "slurmctld is back")
    plugin.patience = 30.0
    assert seen(plugin, made).seen == "running"
    assert seen(plugin, other).seen == "gone"
    check_destroy(plugin, made)


def test_a_controller_that_is_hanging_is_left(cluster, plugin):
    os.kill(cluster.daemons["slurmctld"].pid, signal.SIGSTOP)
    try:
        plugin.patience = 2.0
        with pytest.raises(UncertainError, match="squeue has not answered within 2 s"):
            plugin.status()
    finally:
        os.kill(cluster.daemons["slurmctld"].pid, signal.SIGCONT)


def test_a_lost_answer_makes_no_second_job(cluster, plugin, monkeypatch):
    made = burst(plugin, 1)
    run = plugin._run

    def lost(*argv: str, stdin: str = "") -> Any:
        said = run(*argv, stdin=stdin)
        if argv[0] == "sbatch":
            raise UncertainError("no answer")
        return said

    monkeypatch.setattr(plugin, "_run", lost)
    with pytest.raises(UncertainError):
        plugin.create(made)
    monkeypatch.undo()
    monkeypatch.setenv("SLURM_CONF", cluster.environ["SLURM_CONF"])
    plugin.create(made)
    assert len(cluster.say("squeue", "--noheader", f"--name={made.name}").splitlines()) == 1
    check_destroy(plugin, made)


def test_each_refusal_has_its_kind(plugin):
    far = burst(plugin, 1, deadline=time.time() + 40 * 86400)
    for values, kind in (
        ({"partition": "nowhere"}, ConfigurationError),
        ({"constraint": "purple"}, ConfigurationError),
        ({"reservation": "mine"}, ConfigurationError),
        ({"shape": ["main: cores=9000"]}, ConfigurationError),
        ({"shape": ["main: cores=2 memory=2GB"]}, ConfigurationError),
        ({"shape": ["main: cores=2 gpus=3"]}, ConfigurationError),
        ({"option": ["nonsense=1"]}, ConfigurationError),
        ({"option": ["mail-type=sometimes"]}, ConfigurationError),
    ):
        with pytest.raises(kind, match=r"\(sbatch: "):
            load(plugin.lead, **values).create(burst(plugin, 1))
    with pytest.raises(ConfigurationError, match="no nodes of the partition have this shape"):
        load(plugin.lead, shape=["main: cores=9000"]).create(burst(plugin, 1))
    plugin.create(far)
    found = until(lambda: "PartitionTimeLimit" in (one := seen(plugin, far)).reason and one, lambda: seen(plugin, far))
    assert "longer than the partition's jobs may run" in found.reason
    plugin.destroy(far)
    assert {found.name for found in plugin.status() if found.seen != "ending"} == set()


def test_nodes_that_do_not_see_the_folder(plugin):
    made = burst(plugin, 1)
    load(plugin.lead, folder=Path("/nowhere/else")).create(made)
    assert "it failed before it could write to" in gone(plugin, made).reason


def test_the_shapes_of_the_partitions(plugin):
    check_burstable("slurm")
    shapes = load(plugin.lead, shape=[]).shapes()
    assert [(shape.name, str(shape.holds), shape.place) for shape in shapes] == [
        ("main", "cores=2", "main"),
        ("short", "cores=2", "short"),
    ]
    assert [shape.name for shape in load(plugin.lead, shape=[], partition="short").shapes()] == ["short"]


def test_a_job_of_somebody_else_is_not_ours(cluster, plugin):
    assert plugin.lead is not None
    name = f"{plugin.lead.owner}-t-9999"
    mark = ["sbatch", "--hold", "--wrap=true", f"--job-name={name}"]
    cluster.say(*mark, "--comment=a | b", "--chdir=/")
    cluster.say(*mark, "--comment=flux-burst:other", "--chdir=/")
    assert not plugin.status()
    cluster.say(*mark, "--chdir=/")  # where comments are not kept
    assert [found.name for found in plugin.status()] == [name]
    plugin.destroy(Burst(name, "slurm", "main", ()))
    until(lambda: not plugin.status())


def test_names_and_folders_that_need_quotes(cluster, lead, plugin, tmp_path):
    folder = tmp_path / "it's a $HOME %j\n`x`;"
    shutil.copytree(lead.lead.folder, folder, ignore=shutil.ignore_patterns("run", "slurm"))
    plugin.lead = dataclasses.replace(lead.lead, folder=folder)
    made = burst(plugin, 1)
    plugin.create(made)
    joined(lead, plugin, made)
    assert "slurm0 is on" in seen(plugin, made).output
    check_destroy(plugin, made)


@pytest.mark.parametrize("values", [
    {"partition": "--wrap=x"}, {"account": "a b"}, {"qos": "x\ny"}, {"constraint": ""}, {"option": ["--wrap=x"]},
    {"option": ["wrap=x"]}, {"option": ["wra=x"]}, {"option": ["job-name=x"]}, {"option": ["gres=a b"]},
    {"option": ["output"]}, {"folder": "relative"}, {"max_nodes": -1},
])  # fmt: skip
def test_parameters_that_are_no_names(values):
    with pytest.raises(ParameterError):
        FluxBurst().load("slurm", **values)


# What Slurm says where this cluster can't be made to (slurm_errno.c's texts, in sbatch's and squeue's lines).
@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("Batch job submission failed: Invalid account or account/partition combination specified", ConfigurationError),
        ("Batch job submission failed: Requested time limit is invalid (missing or exceeds some limit)",
         ConfigurationError),
        ("Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size and/or time "
         "limits)", QuotaError),
        ("Batch job submission failed: User's group not permitted to use this partition", AuthenticationError),
        ("Batch job submission failed: Access/permission denied", AuthenticationError),
        ("Batch job submission failed: Protocol authentication error", AuthenticationError),
        ("Batch job submission failed: Something new", ConfigurationError),
        ("Batch job submission failed: Unable to contact slurm controller (connect failure)", UncertainError),
        ("Batch job submission failed: Socket timed out on send/recv operation", UncertainError),
        ("slurm_load_jobs error: Unable to contact slurm controller (connect failure)", UncertainError),
        ("Segmentation fault", UncertainError),
    ],
)  # fmt: skip
def test_recorded_errors(said, kind):
    assert type(slurm_output.error("sbatch", f"sbatch: error: {said}\n")) is kind


def test_recorded_sizes():
    said = (
        "gpu|up|2|32|512000|gpu:a100:4(S:0-1)\ngpu|up|2|64|512000|(null)\nold|down|1|4|1|(null)\nbig|up|2|4|9|gpu:2\n"
    )
    assert [(shape.name, str(shape.holds), shape.place) for shape in slurm_output.sizes(said)] == [
        ("gpu-64c-4g", "cores=64 gpus=4", "gpu"),
        ("gpu-128c", "cores=128", "gpu"),
        ("big", "cores=8 gpus=2", "big"),
    ]


def test_recorded_states():
    assert slurm_output.reason("PREEMPTED", "None") == "Slurm took its nodes back"
    assert slurm_output.reason("PENDING", "Resources") == "pending: Resources"
    assert slurm_output.reason("RUNNING", "None") == ""
