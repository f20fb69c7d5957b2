"""The secretary beside the tools of this very host: hwloc, lscpu, free, ip, numactl, and the bindings of NVML."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from resource_secretary import Secretary
from resource_secretary.result import Absent

CLI = (sys.executable, "-c", "from resource_secretary.cli import main; main()")


def printed(*argv: str) -> str:
    path = shutil.which(argv[0], path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if not path:
        pytest.skip(f"needs the command {argv[0]}")
    environ = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run([path, *argv[1:]], capture_output=True, text=True, check=True, timeout=60, env=environ)
    return done.stdout


@pytest.fixture
def secretary() -> Secretary:
    return Secretary()


def metadata(secretary: Secretary, name: str) -> dict[str, Any]:
    found = secretary.detect(name=name, timeout=20)[name]
    assert found.metadata is not None, found.result.reason
    return found.metadata


def items(secretary: Secretary, tool: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = secretary.call(tool).result["items"]
    return found


@pytest.fixture(scope="module")
def topology() -> ElementTree.Element:
    name = "lstopo-no-graphics" if shutil.which("lstopo-no-graphics") else "lstopo"
    text = printed(name, "--of", "xml", "--whole-io")
    return ElementTree.fromstring(re.sub(r"<!DOCTYPE[^>]*>", "", text))


def bits(cpuset: str) -> set[int]:
    """0x00000001,0x00000003 of hwloc as numbers."""
    mask = int("".join(word.removeprefix("0x").zfill(8) for word in cpuset.split(",")), 16)
    return {number for number in range(mask.bit_length()) if mask >> number & 1}


def ids(text: str) -> set[int]:
    ends = [word.split("-") for word in text.split(",") if word]
    return {number for pair in ends for number in range(int(pair[0]), int(pair[-1]) + 1)}


def test_processors_as_hwloc_has_them(secretary: Secretary, topology: ElementTree.Element) -> None:
    found = metadata(secretary, "cpu")
    of = {
        kind: [one for one in topology.iter("object") if one.get("type") == kind] for kind in ("Package", "Core", "PU")
    }
    assert (found["sockets"], found["cores"], found["threads"]) == (len(of["Package"]), len(of["Core"]), len(of["PU"]))
    [machine] = [one for one in topology.iter("object") if one.get("type") == "Machine"]
    allowed = bits(machine.get("allowed_cpuset", "")) & os.sched_getaffinity(0)
    assert found["allowed_threads"] == len(allowed)
    models = {one.get("value") for one in topology.iter("info") if one.get("name") == "CPUModel"}
    assert {found["model"]} == models


def test_caches_as_hwloc_has_them(secretary: Secretary, topology: ElementTree.Element) -> None:
    told: dict[tuple[int, int], int] = {}
    for one in topology.iter("object"):
        kind = re.fullmatch(r"L(\d)(i?)Cache", one.get("type", ""))
        if kind and not kind[2]:
            key = (int(kind[1]), int(one.get("cache_size", "0")))
            told[key] = told.get(key, 0) + 1
    own = {
        (row["level"], row["size"]): row["count"]
        for row in items(secretary, "cpu.caches")
        if row["type"] != "Instruction"
    }
    assert own == told


def test_numa_nodes_as_hwloc_has_them(secretary: Secretary, topology: ElementTree.Element) -> None:
    told = {int(one.get("os_index", "-1")): one for one in topology.iter("object") if one.get("type") == "NUMANode"}
    nodes = {node["id"]: node for node in metadata(secretary, "numa")["nodes"]}
    assert nodes.keys() == told.keys()
    for number, node in nodes.items():
        assert ids(node["cpus"]) == bits(told[number].get("cpuset", ""))
    [machine] = [one for one in topology.iter("object") if one.get("type") == "Machine"]
    allowed = metadata(secretary, "numa")["allowed_memory_nodes"]
    assert ids(allowed) == bits(machine.get("allowed_nodeset", ""))


def test_numa_nodes_as_numactl_has_them(secretary: Secretary) -> None:
    text = printed("numactl", "--hardware")
    for node in metadata(secretary, "numa")["nodes"]:
        cpus = re.search(rf"^node {node['id']} cpus:(.*)$", text, re.MULTILINE)
        distances = re.search(rf"^ *{node['id']}: +([\d ]+)$", text, re.MULTILINE)
        assert cpus and {int(word) for word in cpus[1].split()} == ids(node["cpus"])
        assert distances and [int(word) for word in distances[1].split()] == node["distances"]


def test_network_devices_as_hwloc_has_them(secretary: Secretary, topology: ElementTree.Element) -> None:
    """hwloc's osdev_type: 2 network, 3 InfiniBand and its like, 4 DMA, 5 coprocessor."""
    devices = [one for one in topology.iter("object") if one.get("type") == "OSDev"]
    networks = {one.get("name") for one in devices if one.get("osdev_type") == "2"}
    rows = items(secretary, "ethernet.interfaces")
    assert {row["name"] for row in rows if row["excluded"] not in ("loopback", "virtual")} == networks
    if not any(one.get("osdev_type") == "3" for one in devices):
        results = {name: secretary.detect(name=name)[name].result for name in ("infiniband", "omni-path", "efa")}
        assert all(isinstance(result, Absent) for result in results.values()), results


def test_processors_as_lscpu_has_them(secretary: Secretary) -> None:
    rows = json.loads(printed("lscpu", "-J"))["lscpu"]
    facts: dict[str, str] = {}
    while rows:
        row = rows.pop()
        facts[row["field"].rstrip(":")] = row["data"]
        rows += row.get("children", [])
    found = metadata(secretary, "cpu")
    assert (found["architecture"], found["threads"]) == (facts["Architecture"], int(facts["CPU(s)"]))
    assert found["smt"] == (int(facts["Thread(s) per core"]) > 1)
    assert found["virtual"] in (None, "Hypervisor vendor" in facts)
    assert set(found["flags"]) <= set(facts["Flags"].split()) and "smep" not in found["flags"]
    assert "avx2" not in facts["Flags"].split() or "avx2" in found["flags"]


def test_memory_as_free_has_it(secretary: Secretary) -> None:
    lines = printed("free", "-b").splitlines()
    memory, swap = lines[1].split(), lines[2].split()
    found = metadata(secretary, "memory")
    assert (found["total"], found["swap"]) == (int(memory[1]), int(swap[1]))
    available = secretary.call("memory.free").result["available"]
    assert abs(available - int(memory[6])) < found["total"] // 4  # others use it between the two
    assert secretary.call("memory.pages").result["swap_total"] == int(swap[1])


def test_interfaces_as_ip_has_them(secretary: Secretary) -> None:
    told = {row["ifname"]: row for row in json.loads(printed("ip", "-j", "link"))}
    rows = {row["name"]: row for row in items(secretary, "ethernet.interfaces")}
    assert rows.keys() == told.keys()
    for name, row in rows.items():
        assert (row["state"].upper(), row["mtu"]) == (told[name]["operstate"], told[name]["mtu"])
        assert (row["excluded"] == "loopback") == (told[name]["link_type"] == "loopback")


NVML = r"""
#include <string.h>
#include <unistd.h>
typedef struct { unsigned long long total, free, used; } memory_t;
typedef struct { unsigned gpu, memory; } rates_t;
typedef struct { char legacy[16]; unsigned domain, bus, device, pci, sub; char bus_id[32]; } pci_t;
int nvmlInitWithFlags(unsigned flags) { sleep(HANG); return 0; }
int nvmlInit_v2(void) { sleep(HANG); return 0; }
int nvmlShutdown(void) { return 0; }
const char *nvmlErrorString(int code) { return code == 4 ? "Insufficient Permissions" : "Not Supported"; }
int nvmlSystemGetDriverVersion(char *text, unsigned size) { strcpy(text, "570.1"); return 0; }
int nvmlSystemGetCudaDriverVersion(int *version) { *version = 12080; return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 1; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) { *handle = (void *)1; return 0; }
int nvmlDeviceGetName(void *handle, char *text, unsigned size) { strcpy(text, "NVIDIA A100-SXM4-80GB"); return 0; }
int nvmlDeviceGetUUID(void *handle, char *text, unsigned size) { strcpy(text, "GPU-1"); return 0; }
int nvmlDeviceGetPciInfo_v3(void *handle, pci_t *pci) { strcpy(pci->bus_id, "00000000:01:00.0"); return 0; }
int nvmlDeviceGetMemoryInfo(void *handle, memory_t *memory) {
  memory->total = 85899345920; memory->used = 52428800; memory->free = 85846917120; return 0;
}
int nvmlDeviceGetMinorNumber(void *handle, unsigned *minor) { *minor = 0; return 0; }
int nvmlDeviceGetCudaComputeCapability(void *handle, int *major, int *minor) { *major = 8; *minor = 0; return 0; }
int nvmlDeviceGetArchitecture(void *handle, unsigned *architecture) { *architecture = 7; return 0; }
int nvmlDeviceGetUtilizationRates(void *handle, rates_t *rates) { return 4; }
"""


@pytest.fixture
def nvml(tmp_path: Path) -> Any:
    """Builds a library that stands for NVIDIA's, so that the real bindings are what is asked; hang: seconds."""
    pytest.importorskip("pynvml", reason="needs nvidia-ml-py (the extra `nvidia`)")
    compiler = shutil.which("cc")
    if not compiler:
        pytest.skip("needs a C compiler")
    if Path("/proc/driver/nvidia/version").exists():
        pytest.skip("this machine has an NVIDIA driver of its own")
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\nexit 9\n")
    smi.chmod(0o755)

    def build(hang: int = 0) -> dict[str, str]:
        (tmp_path / "nvml.c").write_text(NVML)
        library = tmp_path / "libnvidia-ml.so.1"
        command = [compiler, "-shared", "-fPIC", f"-DHANG={hang}", "-o", str(library), str(tmp_path / "nvml.c")]
        subprocess.run(command, check=True, timeout=60, capture_output=True)
        return {**os.environ, "LD_LIBRARY_PATH": str(tmp_path), "PATH": f"{tmp_path}:{os.environ['PATH']}"}

    return build


def cli(environ: dict[str, str], *words: str) -> dict[str, Any]:
    done = subprocess.run([*CLI, *words, "--json"], capture_output=True, text=True, timeout=60, env=environ)
    assert not done.stderr, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_the_real_bindings_of_nvml(nvml: Any) -> None:
    environ = nvml()
    [entry] = cli(environ, "detect", "hardware", "nvidia-gpu", "--timeout", "20", "--refresh")["providers"]
    assert entry["active"], entry["reason"]
    [gpu] = entry["metadata"]["devices"]
    assert (entry["metadata"]["source"], entry["metadata"]["runtime"]) == ("NVML", "12.8")
    assert (gpu["type"], gpu["memory"], gpu["bus"]) == ("a100", 85899345920, "0000:01:00.0")
    assert (gpu["architecture"], gpu["compute_capability"]) == ("Ampere", "8.0")
    [now] = cli(environ, "call", "nvidia-gpu.use", "--timeout", "20")["result"]["items"]
    assert now["memory_used"] == 52428800 and now["unknown"]["utilization"] == "Insufficient Permissions"
    assert now["power"] is None and now["unknown"]["power"]  # a function that this library has not
    assert "gpus" in json.dumps(cli(environ, "offer"))


def test_a_library_that_hangs_costs_the_deadline(nvml: Any) -> None:
    [entry] = cli(nvml(hang=120), "detect", "hardware", "nvidia-gpu", "--timeout", "1", "--refresh")["providers"]
    assert not entry["active"] and re.match(r"NVML: no answer in 0\.\d s", entry["reason"])
    assert entry["seconds"] < 10
