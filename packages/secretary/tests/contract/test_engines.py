"""The real Flux and Slurm, where they are installed: a provider says what the manager's own tools say."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from resources.documents import Inventory

from resource_secretary import Secretary
from resource_secretary.result import Unreachable
from resource_secretary.system import System

CLI = f"{sys.executable} -c 'from resource_secretary.cli import main; main()'"
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
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
NodeName=n1 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 RealMemory=1000
NodeName=n2 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 RealMemory=1000
NodeName=n3 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[3]} RealMemory=9000 \\
    Sockets=2 CoresPerSocket=4 ThreadsPerCore=2
PartitionName=main Nodes=n[1-3] Default=YES MaxTime=1:00:00
"""


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture(scope="module")
def slurm_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    daemons = ("munged", "slurmctld", "slurmd", "scontrol", "sbatch")
    if os.geteuid() or not all(shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") for name in daemons):
        pytest.skip("needs root and Slurm with its daemons (slurmctld, slurmd, munged)")
    folder = tmp_path_factory.mktemp("slurm")
    for name in ("state", "spool"):
        (folder / name).mkdir()
    conf = folder / "slurm.conf"
    conf.write_text(CONF.format(folder=folder, ports=free_ports(4)))
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o600)
    environ = {**os.environ, "SLURM_CONF": str(conf), "PATH": f"{os.environ['PATH']}:/usr/sbin"}
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
        end = time.monotonic() + 20
        while time.monotonic() < end:
            idle = subprocess.run(
                ["sinfo", "-h", "-t", "idle", "-o", "%D"], env=environ, capture_output=True, text=True
            )
            if idle.stdout.strip() == "2":
                break
            time.sleep(0.2)
        else:
            pytest.fail((folder / "log").read_text()[-2000:])
        subprocess.run(["scontrol", "update", "nodename=n1", "state=drain", "reason=a b=c"], env=environ, check=True)
        job = ["sbatch", "-n1", "--mem=300", "-o", "/dev/null", "--wrap", "sleep 60"]
        subprocess.run(job, env=environ, check=True, capture_output=True)
        while "R" not in subprocess.check_output(["squeue", "-h", "-o", "%t"], env=environ, text=True):
            time.sleep(0.1)
        yield System(environ=environ)
        subprocess.run(["scancel", "--full", "-u", "root"], env=environ, check=False)
        end = time.monotonic() + 5
        while subprocess.check_output(["squeue", "-h"], env=environ) and time.monotonic() < end:
            time.sleep(0.1)
    finally:
        for process in reversed(running):  # munged last: the others stop only with its help
            process.terminate()
            try:
                process.wait(3)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def test_slurm_says_what_sinfo_says(slurm_system: System) -> None:
    secretary = Secretary(system=slurm_system)
    entry = secretary.detect("workload", "slurm", timeout=10)["slurm"]
    version = subprocess.check_output(["scontrol", "--version"], env=slurm_system.environ, text=True).split()[-1]
    assert entry.metadata is not None and entry.metadata["version"] == version
    told = subprocess.check_output(["sinfo", "-N", "-h", "-o", "%N %C %m %c"], env=slurm_system.environ, text=True)
    nodes = {node["name"]: node for node in secretary.call("slurm.nodes").result["items"]}
    assert len(nodes) == len(told.splitlines()) == 3
    for line in told.splitlines():
        name, cpus, memory, threads = line.split()
        assert nodes[name]["threads"] == int(threads) and nodes[name]["memory"] == int(memory) * 2**20
        if nodes[name]["state"] == "up":
            assert nodes[name]["free_threads"] == int(cpus.split("/")[1])
    assert [nodes[name]["state"] for name in ("n1", "n2")] == ["drained", "up"] and nodes["n3"]["state"] != "up"
    assert (nodes["n3"]["cores"], nodes["n3"]["threads"]) == (8, 16)
    groups = {group.hosts: group for group in secretary.offer("slurm").groups}
    assert str(groups["n2",].free) == "cores=1 threads=1 memory=700MB" and groups["n1",].free is None
    [partition] = secretary.call("slurm.partitions").result["items"]
    assert (partition["name"], partition["max_time"], partition["nodes"]) == ("main", 3600, "n[1-3]")


def test_a_slurm_client_without_a_server(slurm_system: System, tmp_path: Path) -> None:
    conf = Path(slurm_system.environ["SLURM_CONF"]).read_text().splitlines()
    port = free_ports(1)[0]
    lines = [f"SlurmctldPort={port}" if line.startswith("SlurmctldPort") else line for line in conf]
    (tmp_path / "slurm.conf").write_text("\n".join(lines) + "\n")
    nobody = System(environ={**slurm_system.environ, "SLURM_CONF": str(tmp_path / "slurm.conf")})
    start = time.monotonic()
    result = Secretary(system=nobody).detect("workload", "slurm")["slurm"].result
    assert isinstance(result, Unreachable) and time.monotonic() - start < 2.5
    assert "DOWN" in result.said or "no answer in 2 s" in result.said


FLUX = f"""
flux resource drain 2 "a b=c"
flux submit -n1 -c1 --wait-event=alloc sleep 300 >/dev/null
{CLI} detect workload flux --json
echo @
{CLI} offer --from flux --json
echo @
flux resource list -n -s free,allocated,down -o "{{state}} {{nnodes}} {{ncores}}"
flux version
flux cancel --all 2>/dev/null
"""


@pytest.fixture(scope="module")
def flux_command() -> str:
    found = shutil.which("flux")
    if not found or subprocess.run([found, "start", "true"], capture_output=True, timeout=60).returncode:
        pytest.skip("needs Flux (flux start)")
    return found


def test_flux_says_what_flux_resource_list_says(flux_command: str) -> None:
    done = subprocess.run(
        [flux_command, "start", "--test-size=3", "bash", "-c", FLUX], capture_output=True, text=True, timeout=60
    )
    detected, offered, told = done.stdout.split("@\n")
    [entry] = json.loads(detected)["providers"]
    assert entry["active"], done.stderr
    assert entry["metadata"]["size"] == 3 and f"broker:  \t\t{entry['metadata']['version']}\n" in told
    groups = Inventory.from_json(offered).groups
    rows = {line.split()[0]: [int(word) for word in line.split()[1:]] for line in told.splitlines()[:3]}
    free = sum(len(group.hosts) * group.free.get("cores").N for group in groups if group.free is not None)
    total = sum(len(group.hosts) * group.total.get("cores").N for group in groups)
    assert free == rows["free"][1] and total == sum(row[1] for row in rows.values())
    assert rows["allocated"][1] == 1
    assert [group.ranks for group in groups if group.state == "drained"] == [(2,)] and rows["down"][0] == 1


def test_outside_of_any_flux(flux_command: str) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("FLUX_")}
    environ["FLUX_URI"] = "local:///nonexistent/socket"
    result = Secretary(system=System(environ=environ)).detect("workload", "flux")["flux"].result
    assert isinstance(result, Unreachable) and result.reason.startswith("flux getattr size: ")
