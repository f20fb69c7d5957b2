"""Recordings, mutated: a typed answer that adds up, or a clear error; never another exception."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from resources.documents import Inventory

from resource_secretary import Secretary
from resource_secretary.cgroup import cpu_quota, memory_limit
from resource_secretary.errors import SecretaryError
from resource_secretary.providers.workload._slurm_text import read_nodes, read_partitions
from resource_secretary.testing import RecordedSystem

SNIPPETS = [
    "",
    "0",
    "-1",
    "9" * 30,
    "=",
    " ",
    "\n",
    ",",
    "[",
    "]",
    "(null)",
    "N/A",
    "\0",
    "é",
    "²",
    '"',
    "{",
    "}",
    "gpu:",
    "DRAIN",
]


@st.composite
def mutated(draw, texts: list[str]) -> list[str]:
    """The texts with one to five pieces cut out, put in, doubled, or exchanged."""
    texts = list(texts)
    for _ in range(draw(st.integers(1, 5))):
        which = draw(st.integers(0, len(texts) - 1))
        text = texts[which]
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 40)))
        piece = draw(st.sampled_from([*SNIPPETS, text[start:end] * 2]))
        texts[which] = text[:start] + piece + text[end:]
    return texts


def adds_up(inventory: Inventory) -> None:
    assert Inventory.from_json(inventory.to_json()) == inventory
    for group in inventory.groups:
        assert (group.free is not None) <= (group.state == "up")
        for leaf in group.free.leaves if group.free is not None else ():
            assert group.total.get(leaf.kind) is not None


@pytest.fixture(scope="module")
def nodes(data):
    return (data / "slurm-22.05.8/nodes.txt").read_text()


@settings(max_examples=150, deadline=None)
@given(source=st.data())
def test_slurm_nodes(source, nodes):
    [text] = source.draw(mutated([nodes]))
    try:
        for node in read_nodes(text):
            if node.unread:
                assert node.cores is node.free_cores is node.memory is node.gpus is None and node.state == "unknown"
                continue
            assert 0 <= node.free_cores <= node.cores <= node.threads and 0 <= node.free_memory <= node.memory
            assert node.free_threads <= node.threads and node.state in ("up", "down", "drained", "unknown")
        system = RecordedSystem(
            commands={
                ("scontrol", "ping"): "Slurmctld(primary) at vm is UP",
                ("scontrol", "--version"): "slurm 22.05.8",
                ("scontrol", "--details", "--oneliner", "show", "nodes"): text,
            }
        )
        adds_up(Secretary(system=system).offer("slurm"))
    except SecretaryError:
        pass


@settings(max_examples=80, deadline=None)
@given(source=st.data())
def test_slurm_partitions(source, data):
    [text] = source.draw(mutated([(data / "slurm-22.05.8/partitions.txt").read_text()]))
    with contextlib.suppress(SecretaryError):
        assert all(row.max_time is None or row.max_time >= 0 for row in read_partitions(text))


@settings(max_examples=150, deadline=None)
@given(source=st.data())
def test_flux_answers(source, data):
    from resource_secretary.providers.workload._flux_text import read_inventory

    folder = data / "flux-0.88.0"
    names = ("R-all.json", "R-free.json", "down-ranks.txt", "drained-ranks.txt")
    texts = source.draw(mutated([(folder / name).read_text() for name in names]))
    with contextlib.suppress(SecretaryError):
        adds_up(read_inventory(*texts))


FILES = {
    "/proc/self/cgroup": "5:memory:/a/b\n4:cpu,cpuacct:/a\n0::/c",
    "/proc/self/mountinfo": (
        "30 23 0:26 /a /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
        "31 23 0:27 / /sys/fs/cgroup/cpu ro shared:1 - cgroup cgroup rw,cpu,cpuacct"
    ),
    "/sys/fs/cgroup/memory/b/memory.limit_in_bytes": "1073741824",
    "/sys/fs/cgroup/memory/b/memory.usage_in_bytes": "73741824",
    "/sys/fs/cgroup/memory/b/memory.stat": "cache 1\ntotal_inactive_file 4096",
    "/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "150000",
    "/sys/fs/cgroup/cpu/a/cpu.cfs_period_us": "100000",
    "/sys/devices/system/cpu/online": "0-1",
    "/sys/devices/system/cpu/cpu0/topology/core_cpus_list": "0",
    "/sys/devices/system/cpu/cpu1/topology/core_cpus_list": "1",
    "/sys/devices/system/cpu/cpu0/topology/physical_package_id": "0",
    "/sys/devices/system/cpu/cpu1/topology/physical_package_id": "0",
}


def test_the_files_as_they_are_tell_the_limits():
    system = RecordedSystem(files=FILES)
    assert (cpu_quota(system).amount, memory_limit(system).amount) == (1.5, 2**30)


@settings(max_examples=120, deadline=None)
@given(source=st.data())
def test_files_of_the_kernel(source):
    files = dict(zip(FILES, source.draw(mutated(list(FILES.values()))), strict=True))
    system = RecordedSystem(files=files, affinity=frozenset({0, 1}), memory=(2**33, 2**32))
    try:
        [group] = Secretary(system=system).offer().groups
    except SecretaryError:
        return
    assert group.total.get("threads").N <= 2 and group.total.get("memory").size <= 2**33
    assert group.free.get("memory").size <= group.total.get("memory").size


@given(st.text(), st.dictionaries(st.text(), st.text()))
def test_no_text_that_names_a_tool_or_an_argument_is_a_crash(tool, arguments):
    with pytest.raises(SecretaryError):
        Secretary(system=RecordedSystem()).call(f"memory.{tool}", {"x": "y", **arguments})
