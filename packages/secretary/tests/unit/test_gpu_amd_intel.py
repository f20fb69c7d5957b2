"""AMD's and Intel's GPUs: recordings of their tools in several versions, and what the kernel shows without them."""

from __future__ import annotations

import pytest
from recorded import hardware as recorded

from resource_secretary import Secretary
from resource_secretary.errors import CommandFailed, OutputError
from resource_secretary.providers.hardware._amd_json import read_metric, read_rocm, read_static
from resource_secretary.providers.hardware._intel_json import read_discovery, read_stats
from resource_secretary.providers.hardware.amd_gpu import _METRIC, _PROCESS, _ROCM, _STATIC, AmdGpuProvider
from resource_secretary.result import Absent, Unreachable
from resource_secretary.run import Ran
from resource_secretary.testing import RecordedSystem, check_provider

MiB = 2**20
BUS = "0000:c4:00.0"


def facts(system, name="amd-gpu"):
    return Secretary(system=system).detect(name=name)[name]


def test_rocm_smi_of_4_3():
    found, [now] = read_rocm(recorded.text("rocm-smi/rx6700xt-4.3.0.json"))
    [gpu] = found.devices
    assert gpu.name is None and gpu.unknown["name"] == "rocm-smi tells only '0x1002'"
    assert gpu.uuid is None and gpu.unknown["uuid"] == "N/A"
    assert gpu.numa_node is None and gpu.unknown["numa_node"] == "the firmware does not tell"  # 4294967295
    assert (gpu.bus, gpu.memory, now.memory_used) == ("0000:07:00.0", 12868124672, 1622728704)
    assert (now.utilization, now.temperature, now.power) == (0, 47, 6)


def test_rocm_smi_of_6_0_with_a_warning_before_its_json():
    found, uses = read_rocm(recorded.text("rocm-smi/mi100-6.0.2.json"))
    assert [gpu.type for gpu in found.devices] == ["mi100", "mi100"]
    assert [gpu.bus for gpu in found.devices] == ["0000:83:00.0", "0000:a3:00.0"]
    assert [gpu.numa_node for gpu in found.devices] == [1, 1] and found.driver == "6.3.6"
    assert [use.power for use in uses] == [36, 44]
    assert [gpu.uuid for gpu in found.devices] == ["GPU-79ccd55167a2124a", "GPU-04edfb117a17a07d"]


def test_rocm_smi_of_6_1_has_new_keys():
    found, _ = read_rocm(recorded.text("rocm-smi/rx6700xt-6.1.2.json"))
    [gpu] = found.devices
    assert gpu.name == "Navi 22 [Radeon RX 6700/6700 XT / 6800M]" and gpu.architecture == "gfx1031"
    assert gpu.numa_node is None


def test_amd_smi_as_a_list_and_as_an_object():
    [strix] = read_static(recorded.text("amd-smi/strix-halo-6.3.1-static.json")).devices
    assert (strix.bus, strix.memory, strix.architecture) == (BUS, 32768 * MiB, "gfx1151")
    assert strix.partition is None and strix.numa_node is None and strix.unknown["uuid"] == "N/A"
    found = read_static(recorded.text("amd-smi/mi210-7.0-static.json"))
    [mi210] = found.devices
    assert (mi210.type, mi210.memory, mi210.numa_node) == ("mi210", 65520 * MiB, 1)
    assert mi210.bus is None and found.driver == "Linuxversion6.14.0-24-generic"


def test_amd_smi_metric_as_a_list_and_as_an_object():
    [one] = read_metric(recorded.text("amd-smi/list-metric.json"))
    assert (one.utilization, one.temperature, one.unknown["ecc_corrected"]) == (42, 41, "not told")
    busy, silent = read_metric(recorded.text("amd-smi/gpu-data-metric.json"))
    assert (busy.utilization, busy.power, busy.temperature, busy.ecc_uncorrected) == (91, 300, 63, 0)
    assert (busy.memory_used, busy.memory_total) == (20450 * MiB, 30576 * MiB)
    assert silent.utilization is silent.power is None and silent.memory_used == 19 * MiB


def test_partitions_are_children_of_their_device():
    found = facts(recorded.amd("amd-smi/mi300x-dpx-static.json")).metadata
    cut, whole = found["devices"]
    assert (found["total"], found["allowed"], found["slices"], found["allowed_slices"]) == (2, 1, 2, 2)
    assert not cut["allowed"] and cut["excluded"] == "it is cut into 2 partitions (DPX/NPS1)"
    assert [(part["instance"], part["profile"], part["memory"]) for part in cut["slices"]] == [
        ("0", "DPX", None),  # the tool prints the memory of the whole device for each of them
        ("1", "DPX", None),
    ]
    assert (whole["index"], whole["type"], whole["partition"]) == (2, "mi300x", "SPX/NPS1")


@pytest.mark.parametrize(
    ("environ", "slices", "whole"),
    [
        ({"ROCR_VISIBLE_DEVICES": "1"}, [False, True], False),
        ({"ROCR_VISIBLE_DEVICES": "0,2"}, [True, False], True),
        ({"ROCR_VISIBLE_DEVICES": "1,2", "HIP_VISIBLE_DEVICES": "1"}, [False, False], True),
        ({"HIP_VISIBLE_DEVICES": "2"}, [False, False], True),
    ],
)
def test_rocr_and_hip_count_partitions(environ, slices, whole):
    system = recorded.amd("amd-smi/mi300x-dpx-static.json")
    system.environ.update(environ)
    cut, other = facts(system).metadata["devices"]
    assert [part["allowed"] for part in cut["slices"]] == slices and other["allowed"] == whole


def test_use_with_processes():
    [now, other] = Secretary(system=recorded.amd()).call("amd-gpu.use").result["items"]
    [process] = now["processes"]
    assert (process["pid"], process["memory"], now["name"]) == (4711, 2**30, "AMD Instinct MI210")
    assert other["processes"] is None and "processes" in other["unknown"]


def test_without_permission_the_processes_are_unknown():
    system = recorded.amd()
    system.commands[_PROCESS] = Ran((), 10, "AMDSMI_STATUS_NO_PERM - Permission Denied")
    [now, _] = Secretary(system=system).call("amd-gpu.use").result["items"]
    assert now["processes"] is None and "Permission Denied" in now["unknown"]["processes"]


def test_a_format_that_is_not_known_is_shown_and_the_next_source_is_asked():
    commands = {_STATIC: '{"devices": []}', _ROCM: recorded.text("rocm-smi/mi100-6.0.2.json")}
    found = facts(recorded.machine(recorded.amd_pci("0000:83:00.0"), commands=commands)).metadata
    assert found["source"] == "rocm-smi" and found["total"] == 2
    assert 'gpu_data, expected; it said: {"devices": []}' in found["notice"]


def test_lines_before_the_json_may_begin_as_json_does():
    text = recorded.text("amd-smi/mi210-7.0-static.json")
    assert read_static(f"[WARNING] user is not in the group render\n{{?}}\n{text}") == read_static(text)
    with pytest.raises(OutputError, match="no JSON: "):
        read_static(text[:-40])


def test_a_tool_that_hangs_is_told_beside_what_the_kernel_shows():
    hangs = Ran((), None, problem="no answer in 2 s")
    system = recorded.machine(recorded.amd_pci("0000:05:00.0"), commands={_STATIC: hangs})
    found = facts(system).metadata
    assert (found["source"], found["total"]) == ("sysfs of amdgpu", 1)
    assert found["notice"] == "amd-smi static --json: no answer in 2 s"


@pytest.mark.parametrize("text", ["", "WARNING: No JSON data to report", "[1", '{"gpu_data": 1}', "[" * 100_000, "nan"])
def test_what_is_no_answer_is_an_error(text):
    with pytest.raises(OutputError):
        read_static(text)
    with pytest.raises(OutputError):
        read_rocm(text)


def test_a_record_that_is_no_object_loses_only_itself():
    found = read_static('[5, {"gpu": 0, "asic": {"market_name": "AMD Instinct MI210"}}, {"gpu": "x"}]')
    assert [gpu.type for gpu in found.devices] == ["mi210"] and len(found.unread) == 2


def test_sysfs_where_no_tool_is_installed():
    parts = (recorded.amd_pci("0000:05:00.0", "0000:26:00.0"), recorded.kfd((0x500, 1), (0x2600, 1)))
    system = recorded.machine(*parts)
    found = facts(system).metadata
    assert (found["source"], found["total"], found["allowed"], found["slices"]) == ("sysfs of amdgpu", 2, 2, 0)
    gpu = found["devices"][1]
    assert (gpu["type"], gpu["memory"], gpu["numa_node"]) == ("mi300x", 206141652992, 1)
    assert (gpu["architecture"], gpu["partition"], gpu["device_file"]) == ("gfx942", "SPX/NPS1", "/dev/dri/renderD129")
    now = Secretary(system=system).call("amd-gpu.use").result["items"][0]
    assert (now["utilization"], now["temperature"], now["power"]) == (3, 46, 135)
    check_provider(AmdGpuProvider, system)


def test_sysfs_partitions_have_their_own_memory():
    """In CPX mode KFD shows a node of each partition, with the memory that it has."""
    nodes = [(0x500 + part, 25767706624) for part in range(8)]
    pci = recorded.amd_pci("0000:05:00.0", current_compute_partition="CPX", current_memory_partition="NPS4")
    found = facts(recorded.machine(pci, recorded.kfd(*nodes))).metadata
    [gpu] = found["devices"]
    assert (found["allowed"], found["slices"]) == (0, 8) and gpu["partition"] == "CPX/NPS4"
    assert {part["memory"] for part in gpu["slices"]} == {25767706624}
    assert gpu["slices"][7]["instance"] == "7"


def test_permissions_of_the_device_files():
    pci = recorded.amd_pci("0000:05:00.0", "0000:26:00.0")
    files = {"/dev/kfd": "", "/dev/dri/renderD128": "", "/dev/dri/renderD129": ""}
    found = facts(recorded.machine(pci, (files, {}), denied={"/dev/dri/renderD129"})).metadata
    assert [gpu["excluded"] for gpu in found["devices"]] == ["", "this user may not open /dev/dri/renderD129"]
    found = facts(recorded.machine(pci, (files, {}), denied={"/dev/kfd"})).metadata
    assert found["allowed"] == 0 and found["devices"][0]["excluded"] == "this user may not open /dev/kfd"


def test_a_control_group_hides_compute_nodes():
    """The kernel refuses to show the properties of a node whose device the group may not use; its folder stays."""
    nodes, links = recorded.kfd((0x500, 1), (0x2600, 1))
    folder = "/sys/class/kfd/kfd/topology/nodes/2"
    nodes = {path: value for path, value in nodes.items() if not path.startswith(folder)} | {f"{folder}/caches": ""}
    system = recorded.machine(recorded.amd_pci("0000:05:00.0", "0000:26:00.0"), (nodes, links))
    found = facts(system).metadata
    assert (found["total"], found["allowed"]) == (2, 1)
    assert found["devices"][1]["excluded"] == "a control group hides it: its compute node can't be read"


def test_rocr_takes_uuids():
    system = recorded.amd("amd-smi/mi300x-dpx-static.json")
    system.environ["ROCR_VISIBLE_DEVICES"] = "GPU-1a2b3c4d5e6f7081"
    assert [gpu["allowed"] for gpu in facts(system).metadata["devices"]] == [False, True]


def test_a_device_that_another_driver_has():
    result = facts(recorded.machine(recorded.amd_pci("0000:05:00.0", driver="vfio-pci"))).result
    assert result == Unreachable("AMD devices", "the driver amdgpu has none of the 1 on the PCI bus (0000:05:00.0)")


def test_a_tool_without_a_device():
    assert facts(RecordedSystem(commands={_STATIC: "[]"})).result == Absent(
        "an AMD GPU: amd-smi static --json: it tells of no GPU"
    )
    result = facts(RecordedSystem(commands={_STATIC: Ran((), 1, "", "ERROR: no driver")})).result
    assert result == Unreachable("amd-smi static --json", "exit code 1: ERROR: no driver")


def test_xpu_smi_that_asks_for_each_device():
    found = facts(recorded.intel(), "intel-gpu").metadata
    card, integrated = found["devices"]
    assert (card["type"], card["memory"], card["numa_node"]) == ("max1100", 51522830336, 1)
    assert found["driver"] == "I915_24.4.12_PSB_240603.18" and found["source"] == "xpu-smi discovery -j and sysfs"
    assert integrated["integrated"] and not card["integrated"] and integrated["device_file"] == "/dev/dri/renderD128"
    assert integrated["unknown"]["memory"] == "it is integrated: it shares the host's memory"
    assert (found["total"], found["allowed"]) == (2, 2)


def test_xpu_smi_that_tells_all_at_once():
    [gpu], unread = read_discovery(recorded.text("xpu-smi/arc-pro-b60-1.3-discovery.json"))
    assert (gpu.type, gpu.memory, gpu.bus, unread) == ("b60", 25669140480, "0000:97:00.0", ())


def test_xpu_smi_stats_of_tiles_and_of_a_device():
    [gpu], _ = read_discovery(recorded.text("xpu-smi/arc-pro-b60-1.3-discovery.json"))
    now = read_stats(recorded.text("xpu-smi/stats-tiles.json"), gpu)
    assert (now.utilization, now.temperature, now.power) == (12.5, 43, 118.87)
    assert now.memory_used == int(27.99 * MiB)
    now = read_stats(recorded.text("xpu-smi/stats-device.json"), gpu)
    assert (now.utilization, now.memory_used, now.temperature, now.power) == (42.5, 8192 * MiB, 58, 120)


def test_intel_use_says_what_failed():
    system = recorded.intel()
    card, integrated = Secretary(system=system).call("intel-gpu.use").result["items"]
    assert card["utilization"] == 12.5
    assert integrated["utilization"] is None and integrated["unknown"]["utilization"] == "xpu-smi does not know it"
    system.commands = {}
    with pytest.raises(CommandFailed, match="not found on PATH"):
        Secretary(system=system).call("intel-gpu.use")


@pytest.mark.parametrize(
    ("parts", "memory"),
    [
        ({"drm__card0__lmem_total_bytes": "17179869184"}, 17179869184),  # i915 with memory of its own
        ({"tile0__physical_vram_size_bytes": "0x100", "drm__card0__dev": "226:0"}, None),
        (
            {"tile0__physical_vram_size_bytes": "12884901888", "tile1__physical_vram_size_bytes": "12884901888"},
            25769803776,
        ),
    ],
)
def test_intel_by_sysfs(parts, memory):
    system = recorded.machine(recorded.pci("0000:03:00.0", "0x8086", "0x030000", "xe", **parts))
    [gpu] = facts(system, "intel-gpu").metadata["devices"]
    assert gpu["memory"] == memory and not gpu["integrated"]


def test_intel_error_and_no_driver():
    said = '{"error": "Level Zero Initialization Error", "errno": 50}'
    system = recorded.machine(
        recorded.pci("0000:29:00.0", "0x8086", "0x038000"), commands={("xpu-smi", "discovery", "-j"): said}
    )
    assert "Level Zero Initialization Error" in facts(system, "intel-gpu").result.reason
    result = facts(recorded.machine(recorded.pci("0000:29:00.0", "0x8086", "0x038000")), "intel-gpu").result
    assert result.reason == "the drivers i915 and xe: they have none of 0000:29:00.0 on the PCI bus"


def test_ze_affinity_mask():
    system = recorded.intel()
    system.environ["ZE_AFFINITY_MASK"] = "0.1"
    assert [gpu["allowed"] for gpu in facts(system, "intel-gpu").metadata["devices"]] == [True, False]


def offer(system):
    cpus = {f"/sys/devices/system/cpu/cpu{n}/topology/core_cpus_list": str(n) for n in range(2)}
    system.files |= {**cpus, "/sys/devices/system/cpu/online": "0-1"}
    system._affinity, system._memory = frozenset({0, 1}), (2**30, 2**30)
    inventory = Secretary(system=system).offer()
    [group] = inventory.groups
    assert group.free == group.total
    return str(group.total), inventory.observed_on


def test_the_offer_has_gpus_by_type():
    assert offer(recorded.nvidia()) == ("cores=2 threads=2 memory=1GB gpus=1:t4", "recorded")
    assert offer(recorded.amd("amd-smi/mi300x-dpx-static.json"))[0] == "cores=2 threads=2 memory=1GB gpus=1:mi300x"
    assert offer(recorded.intel())[0] == "cores=2 threads=2 memory=1GB gpus=1:max1100"  # not the integrated one
    nvml = recorded.Nvml(recorded.h100(0), recorded.h100(1), recorded.h100(2, Name="Tesla T4"))
    buses = recorded.nvidia_pci("0000:01:00.0", "0000:02:00.0", "0000:03:00.0")
    system = recorded.machine(buses, recorded.amd_pci("0000:05:00.0"), nvml=nvml)
    assert offer(system)[0] == "cores=2 threads=2 memory=1GB gpus=2:h100,1:mi300x,1:t4"
    system.environ |= {"CUDA_VISIBLE_DEVICES": "2", "CUDA_DEVICE_ORDER": "PCI_BUS_ID", "ROCR_VISIBLE_DEVICES": ""}
    assert offer(system)[0] == "cores=2 threads=2 memory=1GB gpus=1:t4"


def test_a_slice_is_not_offered_as_a_gpu():
    system = recorded.nvidia("nvidia-smi/a100-mig-v12.xml", recorded.nvidia_pci("0000:01:00.0"))
    assert offer(system)[0] == "cores=2 threads=2 memory=1GB"


def test_the_offer_says_what_could_not_be_seen():
    pci = {key: value for key, value in recorded.nvidia_pci("0000:01:00.0")[0].items() if not key.startswith("/proc")}
    total, where = offer(RecordedSystem(files=pci))
    assert total == "cores=2 threads=2 memory=1GB"
    assert where.startswith("recorded; without the GPUs of nvidia-gpu: the NVIDIA driver: it is not loaded")
    nvml = recorded.Nvml(recorded.h100(0), recorded.h100(1, Name="Tesla T4"))
    system = recorded.machine(recorded.nvidia_pci("0000:01:00.0", "0000:02:00.0"), nvml=nvml)
    system.environ["CUDA_VISIBLE_DEVICES"] = "0"
    assert "without 2 GPUs of nvidia-gpu: CUDA_VISIBLE_DEVICES has numbers" in offer(system)[1]


def test_metric_of_a_machine_is_asked_only_by_the_tool():
    system = recorded.amd()
    assert facts(system).active and _METRIC not in system.asked


def test_tiles_make_the_mask_doubtful():
    system = recorded.intel()
    words = ("xpu-smi", "discovery", "-d", "0", "-j")
    system.commands[words] = system.commands[words].replace('"number_of_tiles": "1"', '"number_of_tiles": "2"')
    system.environ["ZE_AFFINITY_MASK"] = "0"
    found = facts(system, "intel-gpu").metadata
    assert found["allowed"] is None and found["devices"][0]["partition"] == "2 tiles"
    system.environ["ZE_FLAT_DEVICE_HIERARCHY"] = "COMPOSITE"
    assert facts(system, "intel-gpu").metadata["allowed"] == 1


def test_a_gpu_that_metric_does_not_tell_of():
    system = recorded.amd()
    system.commands[_METRIC] = "[]"
    [now] = Secretary(system=system).call("amd-gpu.use").result["items"]
    assert now["utilization"] is None and now["unknown"]["utilization"] == "amd-smi metric tells nothing of it"
