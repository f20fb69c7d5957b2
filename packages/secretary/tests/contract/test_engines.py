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


@pytest.fixture(scope="module")
def slurm_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
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
    with engine.slurm(tmp_path_factory.mktemp("slurm")) as cluster:
        cluster.say("scontrol", "update", "nodename=n1", "state=drain", "reason=a b=c")
        cluster.say("sbatch", "-n1", "--mem=300", "--chdir=/", "-o", "/dev/null", "--wrap", "sleep 60")
        cluster.until("R", "squeue", "--noheader", "--format=%t")
        yield System(environ=cluster.environ)


def test_slurm_says_what_sinfo_says(slurm_system: System) -> None:
    secretary = Secretary(system=slurm_system)
    entry = secretary.detect("workload", "slurm", timeout=10)["slurm"]
    version = subprocess.check_output(["scontrol", "--version"], env=slurm_system.environ, text=True).split()[-1]
    assert entry.metadata is not None and entry.metadata["version"] == version
    told = subprocess.check_output(
        ["sinfo", "-N", "-h", "-p", "main", "-o", "%N %C %m %c"], env=slurm_system.environ, text=True
    )
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
    assert str(groups["n2",].free) == "cores=1 threads=1 memory=700MB gpus=2:a100" and groups["n1",].free is None
    partition = secretary.call("slurm.partitions").result["items"][0]
    assert (partition["name"], partition["max_time"], partition["nodes"]) == ("main", 3600, "n[1-3]")


def test_a_slurm_client_without_a_server(slurm_system: System, tmp_path: Path) -> None:
    conf = Path(slurm_system.environ["SLURM_CONF"]).read_text().splitlines()
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
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
