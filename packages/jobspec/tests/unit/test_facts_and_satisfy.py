"""Facts that a host must have, and whether an inventory can take a file."""

from __future__ import annotations

import json
import platform

import pytest
from resources import parse

from jobspec import document, runner
from jobspec.errors import DocumentError
from jobspec.facts import Fact, met, met_here, read_facts, this_machine
from jobspec.transformer.flux import Transformer as Flux
from jobspec.transformer.local import Transformer as Local

INVENTORY = """inventory version=1
hosts=n[0-3] ranks=0-3 state=up | cores=4 memory=16GB token=big,io.type=shm | cores=2 memory=10GB token=big,io.type=shm
hosts=n[4-5] ranks=4-5 state=up | cores=4 memory=16GB token=io.type=nvme | cores=4 memory=16GB token=io.type=nvme
hosts=n6 ranks=6 state=up | cores=8 memory=64GB | cores=8 memory=64GB
"""


def spec(requires, cores=3):
    return (
        f"version: 1\nresources: {{type: slot, with: [{{type: core, count: {cores}}}]}}\n"
        f"task: {{command: ['true'], resources: {requires}}}\n"
    )


@pytest.mark.parametrize(
    ("value", "facts"),
    [
        (None, []),
        ({"arch": "x86_64", "cores": 4, "ssd": True}, ["arch=x86_64", "cores=4", "ssd=true"]),
        ({"io": {"match": [{"type": "shm"}, {"type": "nvme"}]}}, ["io.type=shm", "io.type=nvme"]),
        ({"spack": {"name": ["curl", "gcc"]}}, ["spack.name=curl", "spack.name=gcc"]),
        (["big", {"memory": "8GB"}, "ssd"], ["token=big", "memory=8GB", "token=ssd"]),
    ],
)
def test_how_facts_are_written(value, facts):
    assert [str(fact) for fact in read_facts(value, "here")] == facts


@pytest.mark.parametrize(
    ("text", "host", "expected"),
    [
        ("cores=4", "cores=4", True),
        ("cores=5", "cores=4", False),
        ("gpus=1", "cores=4", False),
        ("memory=8GB", "memory=8GB", True),
        ("token=big", "token=big,ssd", True),
        ("token=big", "token=ssd", False),
        ("io.type=shm", "token=io.type=shm", True),
        ("io.type=shm", "token=io.type=nvme", False),
        ("io.type=shm", "token=big", None),
        ("ssd=true", "token=ssd", True),
    ],
)
def test_whether_a_host_has_it(text, host, expected):
    name, _, value = text.partition("=")
    assert met(Fact(name, value, ""), parse(host)) is expected


def test_this_machine():
    host = this_machine()
    assert met_here(Fact("arch", platform.machine(), ""), host) is True
    assert met_here(Fact("arch", "pdp11", ""), host) is False
    assert met_here(Fact("cores", "1", ""), host) is True
    assert met_here(Fact("memory", "900000TB", ""), host) is False
    assert met_here(Fact("command", "sh", ""), host) is True
    assert met_here(Fact("command", "no-such-program", ""), host) is False
    # What is not known of this machine is not taken for absent.
    for fact in (Fact("gpus", "1", ""), Fact("token", "big", ""), Fact("io.type", "shm", "")):
        assert met_here(fact, host) is None


def test_a_run_here_refuses_what_is_not_there_and_says_what_it_can_not_check():
    with pytest.raises(DocumentError, match="arch=pdp11 is required") as caught:
        runner.plan(document.load(spec("{arch: pdp11}", 1)), Local())
    assert caught.value.place == "task.resources.arch"
    made = runner.plan(document.load(spec("{os: linux, io: {type: shm}}", 1)), Local())
    assert made.notes == ["task.resources.io.type: io.type=shm is required, and local can't check it"]


def test_flux_asks_its_scheduler_for_tags():
    made = runner.plan(document.load(spec("[big, {arch: x86_64}]", 1)), Flux())
    [result] = runner.dry_run(made).steps
    assert "--requires=big" in result.actions[0].argv
    assert made.notes == ["task.resources[1].arch: arch=x86_64 is required, and flux can't check it"]


@pytest.mark.parametrize(
    ("requires", "cores", "verdict", "reason"),
    [
        ("{}", 3, "READY", "fits now on n4"),
        ("{}", 9, "INCOMPATIBLE", "cores short by 1"),
        ("{io: {match: [{type: nvme}]}}", 3, "READY", "fits now on n4"),
        ("[big]", 3, "BUSY", "3 hosts are without token=big"),
        ("{memory: 32GB}", 3, "READY", "fits now on n6"),
        ("{memory: 100GB}", 3, "INCOMPATIBLE", "7 hosts are without memory=100GB"),
        ("{io.type: ssd}", 3, "UNKNOWN", "of 1 hosts the inventory does not tell io.type=ssd"),
        ("{io.type: ssd}", 9, "INCOMPATIBLE", "6 hosts are without io.type=ssd"),
        ("{arch: x}", 3, "UNKNOWN", "of 7 hosts the inventory does not tell arch=x"),
    ],
)
def test_satisfy(jobspec, tmp_path, requires, cores, verdict, reason):
    inventory = tmp_path / "inventory.txt"
    inventory.write_text(INVENTORY)
    result = jobspec("satisfy", "-", "--inventory", inventory, stdin=spec(requires, cores))
    assert result.stdout.startswith(f"{verdict} task: ")
    assert reason in result.stdout
    assert result.exit_code == (verdict != "READY")
    answer = json.loads(jobspec("satisfy", "-", "--inventory", inventory, "--json", stdin=spec(requires, cores)).stdout)
    assert (answer["verdict"], answer["answers"][0]["verdict"]) == (verdict, verdict)


NESTED = """
version: 1
resources: {one: {type: core}, many: {type: core, count: 100}}
groups:
  - {name: small, resources: one, tasks: [{name: large, resources: many, command: [a]}]}
  - {name: wide, resources: many, tasks: [{resources: one, command: [a]}]}
tasks:
  - {name: easy, resources: one, command: [a], replicas: 3}
  - {local: true, command: [a]}
"""


def test_each_task_and_group_has_an_answer(jobspec, tmp_path):
    file, inventory = tmp_path / "job.yaml", tmp_path / "inventory.txt"
    file.write_text(NESTED)
    inventory.write_text(INVENTORY)
    result = jobspec("satisfy", file, "--inventory", inventory)
    assert [line.split(":")[0] for line in result.stdout.splitlines()] == [
        "INCOMPATIBLE small",
        "INCOMPATIBLE wide",
        "READY easy",
    ]
    assert "large: it asks for 100 cores, and its group for 1" in result.stdout
    assert result.exit_code == 1


def test_a_batch_script_is_answered_too(jobspec, examples, tmp_path):
    inventory = tmp_path / "inventory.txt"
    inventory.write_text(INVENTORY)
    result = jobspec("satisfy", examples / "batch-script.sh", "--inventory", inventory)
    assert result.exit_code == 1
    assert result.stdout.startswith("INCOMPATIBLE lattice-boltzmann: ")


@pytest.mark.parametrize(
    ("options", "verdict", "reason"),
    [
        # Two of the four cores of n[0-3] are taken: an exclusive job does not get them.
        (["-N 4 -c 2"], "READY", "fits now on 4 hosts"),
        (["-N 4 -c 2 --exclusive"], "BUSY", "whole hosts are asked for, and 4 are in use"),
        (["-N 3 -c 2 --exclusive"], "READY", "fits now on 3 hosts, n4 first"),
        (["-N 1 -c 9 --exclusive"], "INCOMPATIBLE", "cores short by 1"),
        # A heterogeneous job: as one it has room, or each component by itself, or one of them never.
        (["-c 2", "-c 4"], "READY", "fits now on 2 hosts"),
        (["-c 8 --mem=60G", "-N 2 -c 4 --mem=1G"], "UNKNOWN", "each component fits now by itself"),
        (["-c 2", "-c 9"], "INCOMPATIBLE", "component 1: can never fit: cores short by 1"),
        (["-c 2", "-N 4 -c 4"], "BUSY", "component 1: does not fit now"),
    ],
)
def test_whole_hosts_and_components(jobspec, tmp_path, options, verdict, reason):
    inventory = tmp_path / "inventory.txt"
    inventory.write_text(INVENTORY)
    script = "#!/bin/sh\n" + "#SBATCH hetjob\n".join(f"#SBATCH {one}\n" for one in options) + "true\n"
    result = jobspec("satisfy", "-", "--inventory", inventory, stdin=script)
    assert result.stdout.startswith(f"{verdict}: ")
    assert reason in result.stdout
    assert result.exit_code == (verdict != "READY")


def test_bad_arguments(jobspec, tmp_path):
    assert jobspec("satisfy", "-").exit_code == 2
    assert jobspec("satisfy", "-", "--inventory", "-").exit_code == 2
    result = jobspec("satisfy", "-", "--inventory", tmp_path / "none", stdin=NESTED)
    assert (result.exit_code, result.stdout) == (1, "")


def test_run_with_an_inventory(jobspec, tmp_path):
    inventory = tmp_path / "inventory.txt"
    inventory.write_text(INVENTORY)
    arguments = ("run", "-t", "flux", "--dry-run", "--inventory", inventory, "-")
    result = jobspec(*arguments, stdin=spec("{io.type: nvme}"))
    assert (result.exit_code, result.stderr) == (0, "")
    result = jobspec(*arguments, stdin=spec("{arch: x}"))
    assert "arch=x is required, and flux can't check it" in result.stderr
    result = jobspec(*arguments, stdin=spec("{memory: 100GB}"))
    assert (result.exit_code, result.stdout) == (1, "")
