"""The Slurm transformer on a real cluster of this host, where Slurm is installed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from jobspec.testing import check_transformer
from jobspec.transformer.slurm import Transformer

JOBSPEC = (sys.executable, "-c", "from jobspec.cli import main; main(prog_name='jobspec')")
CONF = """
ClusterName=test
SlurmctldHost=localhost
SlurmUser=root
SlurmdUser=root
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
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=100
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
SchedulerParameters=sched_interval=1,defer
NodeName=n1 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 RealMemory=1000 Feature=big
NodeName=n2 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 RealMemory=1000 Feature=big
PartitionName=main Nodes=n[1-2] Default=YES MaxTime=1:00:00
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, free_ports):
    """The environment from which a Slurm of two nodes is reached."""
    path = f"{os.environ['PATH']}:/usr/sbin"
    daemons = ("munged", "slurmctld", "slurmd", "sbatch")
    if os.geteuid() or not all(shutil.which(name, path=path) for name in daemons):
        pytest.skip("needs root and Slurm with its daemons (slurmctld, slurmd, munged)")
    folder = tmp_path_factory.mktemp("slurm")
    for name in ("state", "spool"):
        (folder / name).mkdir()
    (folder / "slurm.conf").write_text(CONF.format(folder=folder, ports=free_ports(3)))
    (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")  # the other looks for them at once
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o600)
    environ = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf"), "PATH": path}
    munge = [f"--{name}={folder}/{file}" for name, file in (("key-file", "munge.key"), ("socket", "munge.sock"))]
    munge += [f"--{name}={folder}/munge.{name}" for name in ("pid-file", "log-file", "seed-file")]
    commands = [["munged", "--force", "--foreground", *munge], ["slurmctld", "-D"]]
    commands += [["slurmd", "-D", "-N", name] for name in ("n1", "n2")]
    running = []
    with (folder / "log").open("wb") as log:
        for command in commands:
            running.append(subprocess.Popen(command, env=environ, stdout=log, stderr=log, stdin=subprocess.DEVNULL))
            time.sleep(0.3)
    try:
        until = time.monotonic() + 20
        while ask(environ, "sinfo", "-h", "-t", "idle", "-o", "%D") != "2":
            if time.monotonic() > until:
                pytest.fail((folder / "log").read_text()[-2000:])
            time.sleep(0.1)
        yield environ
        ask(environ, "scancel", "--full", "-u", "root")
    finally:
        for process in reversed(running):  # munged last: the others stop only with its help
            process.terminate()
            try:
                process.wait(3)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def ask(environ, *command):
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False).stdout.strip()


@pytest.fixture
def run(cluster, tmp_path):
    def call(text, *options, **extra):
        (tmp_path / "job.yaml").write_text(text)
        command = [*JOBSPEC, "run", "-t", "slurm", *options, "job.yaml"]
        environ = {**cluster, **extra}
        return subprocess.run(
            command, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )

    return call


def test_the_contract(cluster, monkeypatch, tmp_path):
    monkeypatch.setenv("SLURM_CONF", cluster["SLURM_CONF"])
    monkeypatch.chdir(tmp_path)
    check_transformer(Transformer)


def test_tasks_on_two_nodes(run, tmp_path):
    text = """
version: 1
resources: {type: node, count: 2, with: [{type: slot, with: [{type: core}]}, {type: memory, count: 1}]}
task:
  command: [sh, -c, 'echo $SLURMD_NODENAME "$A" "$1"', sh, "$HOME; it's"]
  transform: [{step: submit, watch: true}]
attributes: {system: {duration: 90, environment: {A: "x y"}, cwd: /}}
"""
    done = run(text)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if not line.startswith("=>")]
    assert sorted(lines) == ["n1 x y $HOME; it's", "n2 x y $HOME; it's"]
    assert done.stdout.splitlines()[-1].startswith("=> step submit ")
    assert list(tmp_path.glob("jobspec-*")) == []


def test_what_slurm_holds_is_what_was_asked_for(run, cluster):
    text = """
version: 1
resources:
  type: node
  count: 2
  with: [{type: slot, with: [{type: core, count: 2}, {type: memory, count: 200, unit: MB}]}]
task: {name: held, command: ['true'], resources: [big]}
attributes: {system: {duration: 1h}}
"""
    done = run(text)
    assert done.returncode == 0, done.stderr
    job = done.stdout.split()[3]
    said = dict(word.partition("=")[::2] for word in ask(cluster, "scontrol", "-o", "show", "job", job).split())
    assert (said["JobName"], said["NumNodes"][0], said["NumTasks"], said["CPUs/Task"]) == ("held", "2", "2", "2")
    assert (said["TimeLimit"], said["MinMemoryCPU"], said["Features"]) == ("01:00:00", "100M", "big")
    ask(cluster, "scancel", job)


def test_a_failing_job(run):
    done = run("{version: 1, task: {command: [sh, -c, 'exit 7'], transform: [{step: submit, wait: true}]}}")
    assert done.returncode == 1
    assert "ended with exit code 7" in done.stderr


def test_a_cancelled_job(run, cluster):
    text = "{version: 1, task: {name: victim, command: [sleep, '60'], transform: [{step: submit, wait: true}]}}"
    script = "while ! scancel -v --name=victim --state=running 2>&1 | grep -q Terminating; do sleep 0.2; done"
    with subprocess.Popen(["sh", "-c", script], env=cluster) as killer:
        done = run(text)
        killer.kill()
    assert done.returncode == 1
    assert "cancelled" in done.stderr


NESTED = """
version: 1
resources: {two: {type: slot, replicas: 2, with: [{type: core}]}, one: {type: core}}
groups:
  - name: g
    depends_on: first
    resources: two
    attributes: {watch: true, duration: 5m}
    tasks:
      - {name: a, command: [sh, -c, 'sleep 1; echo a'], resources: one}
      - {name: b, command: [sh, -c, 'sleep 1; echo b'], resources: one}
      - {depends_on: [a, b], command: [sh, -c, 'echo both $SLURM_PROCID'], resources: two}
tasks:
  - {name: first, command: [sh, -c, 'sleep 1; echo first']}
"""


def test_groups_and_dependencies(run):
    done = run(NESTED)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if not line.startswith("=>")]
    assert sorted(lines[:2]) == ["a", "b"]
    assert sorted(lines[2:]) == ["both 0", "both 1"]
    planned = json.loads(run(NESTED, "--dry-run", "--json").stdout)
    argv = planned["steps"][1]["actions"][1]["argv"]
    assert argv[0] == "sbatch"
    assert "--dependency=afterok:JOBID(first)" in argv


def test_after_a_failure_nothing_starts(run):
    text = NESTED.replace("sleep 1; echo first", "exit 3")
    done = run(text)
    assert done.returncode == 1
    assert "both" not in done.stdout
    assert "cancelled" in done.stderr


def test_a_later_run_removes_the_stage_of_jobs_that_have_ended(run, tmp_path):
    text = "{version: 1, task: {command: ['true'], transform: [{step: submit, wait: %s}]}}"
    done = run(text % "false")
    [stage] = tmp_path.glob("jobspec-*")
    assert f"the stage is kept: {stage}" in done.stderr
    time.sleep(1.5)
    os.utime(stage / ".jobspec-left.json", (time.time() - 60,) * 2)
    assert run(text % "true").returncode == 0
    assert not stage.exists()


def test_nothing_of_the_job_around_us_gets_in(run):
    text = "{version: 1, task: {command: [env], transform: [{step: submit, watch: true}]}}"
    done = run(text, SLURM_JOB_ID="77", SBATCH_TIMELIMIT="1", PMIX_RANK="3", PBS_JOBID="4", SLURM_NTASKS="9")
    assert done.returncode == 0, done.stderr
    values = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
    assert values["SLURM_JOB_ID"] != "77"
    assert values["SLURM_NTASKS"] == "1"
    assert not {"SBATCH_TIMELIMIT", "PMIX_RANK", "PBS_JOBID"} & values.keys()


def test_an_interrupted_run_leaves_its_job_alone(cluster, tmp_path):
    text = "{version: 1, task: {name: stays, command: [sleep, '30'], transform: [{step: submit, wait: true}]}}"
    (tmp_path / "job.yaml").write_text(text)
    command = [*JOBSPEC, "run", "-t", "slurm", "job.yaml"]
    with subprocess.Popen(command, env=cluster, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 20
        while ask(cluster, "squeue", "-h", "-n", "stays", "-o", "%t") != "R" and time.monotonic() < until:
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=10)
    assert process.returncode == 128 + signal.SIGTERM
    assert "the stage is kept" in said
    assert ask(cluster, "squeue", "-h", "-n", "stays", "-o", "%t") == "R"
    ask(cluster, "scancel", "-n", "stays")


def test_a_cluster_that_is_not_there(cluster, jobspec, tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_CONF", str(tmp_path / "none"))
    monkeypatch.setattr("jobspec.transformer._scheduler.ASKING", 0.5)
    result = jobspec("run", "-t", "slurm", "-", stdin="{version: 1, task: {command: ['true']}}")
    assert result.exit_code == 1
    assert result.stderr.startswith("jobspec: slurm can't be used: slurm can't be reached (scontrol ping: ")
