"""The real Grid Engine, in a cell of its own on this host: the provider says what qhost, qstat and qconf say."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from engines import free_ports
from engines import gridengine as engine

from resource_secretary import Secretary
from resource_secretary.result import Absent, Unreachable
from resource_secretary.system import System

Run = Callable[..., "subprocess.CompletedProcess[str]"]
BIN = Path(sys.executable).parent
pytestmark = pytest.mark.needs("gridengine")

SUBMIT = ("qsub", "-b", "y", "-shell", "n", "-o", "/dev/null", "-e", "/dev/null")
JOBS = {
    "runs": ("-pe", "smp", "2", "-l", "gpu=1", "-q", "all.q"),
    "many": ("-pe", "mpi", "60"),
    "array": ("-t", "1-5:2", "-h"),
    "odd<&name": ("-h", "-l", "h_rt=600"),
}


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with engine.gridengine(tmp_path_factory.mktemp("sge")) as made:
        for name, options in JOBS.items():
            made.ask(*SUBMIT, "-N", name, *options, "sleep", "600")
        engine.until(lambda: " r " in made.ask("qstat", "-u", "*"), "no job runs")
        engine.until(lambda: "only offers" in made.ask("qstat", "-j", "2"), "the scheduler tells no reason")
        yield made


@pytest.fixture
def secretary(cell: Any) -> Secretary:
    return Secretary(system=System(environ=cell.environ))


def rows(secretary: Secretary, tool: str) -> dict[str, dict[str, Any]]:
    items = secretary.call(f"gridengine.{tool}", timeout=30).result["items"]
    return {str(item.get("name") if tool != "jobs" else item["id"]): item for item in items}


def test_it_is_active_and_the_others_of_its_family_are_absent(secretary: Secretary, cell: Any) -> None:
    entries = secretary.detect("workload", timeout=20)
    told = cell.ask("qstat", "-help").split("\n", 1)[0]
    metadata = entries["gridengine"].metadata
    assert metadata is not None and f"{metadata['product']} {metadata['version']}" == told
    assert metadata["queues"] == cell.ask("qconf", "-sql").split() and metadata["master"] == "localhost"
    for name in ("pbs", "torque", "cobalt", "moab", "lsf"):  # though there is a qsub and a qstat
        assert isinstance(entries[name].result, Absent), entries[name].result


def test_hosts_as_qhost_tells_them(secretary: Secretary, cell: Any) -> None:
    node = rows(secretary, "nodes")["localhost"]
    told = cell.ask("qhost", "-F", "gpu,num_proc", "-q")
    used = {name: [int(n) for n in slots.split("/")] for name, slots in re.findall(r"(\S+\.q)\s+\w+\s+([\d/]+)", told)}
    assert used == {"all.q": [0, 2, 4], "short.q": [0, 0, 2], "off.q": [0, 0, 3]}
    free_gpus = int(float(re.findall(r"hc:gpu=([\d.]+)", told)[0]))
    processors = int(float(re.findall(r"hl:num_proc=([\d.]+)", told)[0]))
    slots = min(sum(total for *_, total in used.values()), max(processors, 4))
    assert node["state"] == "up" and node["cores"] == slots
    assert node["free_cores"] == min(slots - 2, (4 - 2) + 2)  # off.q is disabled
    assert node["gpus"] == {"": 4} and node["free_gpus"] == {"": free_gpus} and free_gpus == 2  # one for each slot
    total = float(re.findall(r"hl:mem_total=([\d.]+)G", cell.ask("qhost", "-F", "mem_total"))[0])
    assert abs(int(str(node["memory"])) / 2**30 - total) < 0.002
    [group] = secretary.offer("gridengine", timeout=30).groups
    assert group.free is not None and node["free_cores"] == group.free.get("cores").N


def test_queues_as_qstat_and_qconf_tell_them(secretary: Secretary, cell: Any) -> None:
    queues = rows(secretary, "queues")
    told = [line.split() for line in cell.ask("qstat", "-g", "c").splitlines()[2:]]
    assert {words[0]: words[2:6] for words in told} == {
        name: [
            queue["limits"]["slots_used"],
            "0",
            queue["limits"]["slots_available"],
            queue["limits"]["slots_total"],
        ]
        for name, queue in queues.items()
    }
    assert {name: (queue["state"], queue["max_walltime"]) for name, queue in queues.items()} == {
        "all.q": ("up", None),
        "short.q": ("up", 3600),
        "off.q": ("down", 90),
    }


def test_parallel_environments_as_qconf_tells_them(secretary: Secretary, cell: Any) -> None:
    found = rows(secretary, "parallel_environments")
    assert sorted(found) == cell.ask("qconf", "-spl").split()
    for name, one in found.items():
        settings = dict(line.split(None, 1) for line in cell.ask("qconf", "-sp", name).splitlines())
        assert (one["allocation_rule"], str(one["slots"])) == (settings["allocation_rule"], settings["slots"].strip())
    assert {name: (one["placement"], one["queues"]) for name, one in found.items()} == {
        "smp": ("one-host", ["all.q", "short.q"]),
        "mpi": ("round-robin", ["all.q"]),
        "two": ("fixed", ["short.q"]),
    }
    complexes = secretary.call("gridengine.complexes", {"limit": 1000}, timeout=30).result["items"]
    names = [line.split()[0] for line in cell.ask("qconf", "-sc").splitlines() if not line.startswith("#")]
    assert [one["name"] for one in complexes] == names


def test_jobs_as_qstat_tells_them(secretary: Secretary, cell: Any) -> None:
    jobs = rows(secretary, "jobs")
    told = {words[0]: words for words in map(str.split, cell.ask("qstat", "-u", "*").splitlines()[2:])}
    assert {id: job["raw_state"] for id, job in jobs.items()} == {id: words[4] for id, words in told.items()}
    assert {str(job["name"]) for job in jobs.values()} >= {"runs", "many", "array"}
    assert jobs["3"]["tasks"] == 3 and jobs["4"]["max_walltime"] == 600
    assert secretary.call("gridengine.depth", timeout=30).result == {"pending": 5, "running": 1, "pending_cores": 64}
    waiting = secretary.call("gridengine.job", {"id": "2"}, timeout=30).result
    reasons = cell.ask("qstat", "-j", "2").partition("scheduling info:")[2]
    assert waiting["reasons"] and all(reason in reasons for reason in waiting["reasons"])


def test_a_client_without_its_master(cell: Any) -> None:
    nobody = System(environ={**cell.environ, "SGE_QMASTER_PORT": str(free_ports(1)[0])})
    result = Secretary(system=nobody).detect("workload", "gridengine", timeout=10)["gridengine"].result
    assert isinstance(result, Unreachable) and result.exit_code == 1, result
    assert result.said.startswith("exit code 1: error: commlib error: got select error")


SCRIPT = """#!/bin/bash
#SBATCH --partition=short.q
#SBATCH --nodes=1
#SBATCH --ntasks=2
#SBATCH --time=10
srun hostname
"""


@pytest.fixture
def profile(cell: Any, tmp_path: Path) -> Path:
    """The site's profile, as the command prints it."""
    made = cell.ask(str(BIN / "resource-secretary"), "profile", "--from", "gridengine", "--refresh")
    (tmp_path / "site.yaml").write_text(made)
    return tmp_path / "site.yaml"


def test_the_profile_tells_the_parallel_environments(cell: Any, profile: Path) -> None:
    text = profile.read_text()
    for name in cell.ask("qconf", "-spl").split():
        told = dict(line.split(None, 1) for line in cell.ask("qconf", "-sp", name).splitlines() if " " in line)
        assert f": {name}  # allocation_rule {told['allocation_rule'].strip()}; {told['slots'].strip()} slots" in text
    [limit] = re.findall(r"^max_aj_tasks +(\d+)", cell.ask("qconf", "-sconf"), re.MULTILINE)
    assert f"\narray_cap: {int(limit) + 1} " in text and "\n  short.q: short.q  # at most 1:00:00" in text  # its s_rt
    assert "take no jobs: off.q" in text


def test_qsub_takes_what_jobspec_writes_with_the_profile(cell: Any, profile: Path, tmp_path: Path, run: Run) -> None:
    script = tmp_path / "job.sbatch"
    script.write_text(SCRIPT)
    refused = run("jobspec", "convert", str(script), "--to", "gridengine")
    assert refused.returncode == 1 and "say parallel_environments" in refused.stderr
    done = run("jobspec", "convert", str(script), "--to", "gridengine", "--profile", str(profile))
    assert done.returncode == 0 and "#$ -pe smp 2" in done.stdout and "#$ -q short.q" in done.stdout, done.stderr
    (tmp_path / "job.sge").write_text(done.stdout)
    assert "found suitable queue(s)" in cell.ask("qsub", "-w", "p", str(tmp_path / "job.sge"))
