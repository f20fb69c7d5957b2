"""NVIDIA's GPUs: recordings of nvidia-smi in three schemas, and what NVML tells."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from recorded import hardware as recorded

from resource_secretary import Secretary
from resource_secretary.errors import CommandFailed, InactiveProvider, OutputError
from resource_secretary.providers.hardware._gpu import gpu_type
from resource_secretary.providers.hardware._nvidia_nvml import read_nvml
from resource_secretary.providers.hardware._nvidia_xml import read_smi
from resource_secretary.providers.hardware.nvidia_gpu import _SMI, NvidiaGpuProvider
from resource_secretary.result import Absent, Unreachable
from resource_secretary.run import Ran
from resource_secretary.testing import RecordedSystem, check_provider

MiB, GiB = 2**20, 2**30
MIG = "nvidia-smi/a100-mig-v12.xml"
SXM = "0000:01:00.0"


def facts(system, timeout=2.0):
    return Secretary(system=system).detect(name="nvidia-gpu", timeout=timeout)["nvidia-gpu"]


def use(system):
    return Secretary(system=system).call("nvidia-gpu.use").result["items"]


def test_schema_v11():
    found = facts(recorded.nvidia()).metadata
    [gpu] = found["devices"]
    assert (found["driver"], found["runtime"], found["total"], found["allowed"]) == ("515.105.01", "11.7", 1, 1)
    assert (gpu["name"], gpu["type"], gpu["memory"], gpu["bus"]) == ("Tesla T4", "t4", 15360 * MiB, "0000:00:1e.0")
    assert (gpu["architecture"], gpu["compute_capability"], gpu["numa_node"]) == ("Turing", "7.5", 0)
    assert gpu["partition"] is None and gpu["unknown"] == {"partition": "N/A"} and gpu["device_file"] == "/dev/nvidia0"
    [now] = use(recorded.nvidia())
    assert (now["utilization"], now["memory_used"], now["temperature"], now["power"]) == (0, 1032 * MiB, 40, 26.78)
    assert (now["ecc_corrected"], now["ecc_uncorrected"], now["unknown"]) == (0, 0, {})
    [process] = now["processes"]
    assert (process["pid"], process["kind"], process["memory"], process["instance"]) == (4242, "C", 1029 * MiB, None)


def test_schema_v12_with_mig():
    system = recorded.nvidia(MIG, recorded.nvidia_pci(SXM))
    found = facts(system).metadata
    [gpu] = found["devices"]
    assert (found["total"], found["allowed"], found["slices"], found["allowed_slices"]) == (4, 0, 4, 4)
    assert len(found["unread"]) == 3  # four are attached, and the recording tells of one
    assert gpu["partition"] == "MIG" and not gpu["allowed"] and gpu["excluded"].startswith("MIG is on")
    assert [part["instance"] for part in gpu["slices"]] == ["3/0", "4/0", "5/0", "6/0"]
    assert {part["memory"] for part in gpu["slices"]} == {19968 * MiB}
    [now] = use(system)
    assert now["utilization"] is None and now["unknown"]["utilization"] == "N/A"
    assert now["processes"] == [] and now["slices_used"] == dict.fromkeys(("3/0", "4/0", "5/0", "6/0"), 12 * MiB)


def test_schema_v13():
    seen = read_smi(recorded.text("nvidia-smi/rtx-pro-6000-v13.xml"))
    [gpu], [now] = seen.devices, seen.uses
    assert (seen.driver, seen.runtime, gpu.type) == ("590.44.01", "13.1", "rtxpro6000blackwell")
    assert (gpu.memory, now.memory_used, now.power) == (97887 * MiB, 65720 * MiB, 3.99)
    assert now.ecc_uncorrected is None and now.unknown == {"ecc_corrected": "N/A", "ecc_uncorrected": "N/A"}


@pytest.mark.parametrize(
    "said",
    [
        "N/A",
        "[N/A]",
        "[Insufficient Permissions]",
        "Insufficient Permissions",
        "[Unknown Error]",
        "Requested functionality has been deprecated",
        "[GPU requires reset]",
        "ERR!",
    ],
)
def test_a_field_that_is_not_told_is_null_with_what_was_said(said):
    text = recorded.text("nvidia-smi/t4-v11.xml")
    for value in ("15360 MiB", "1032 MiB", "0 %", "26.78 W"):
        text = text.replace(f">{value}<", f">{said}<")
    seen = read_smi(text)
    [gpu], [now] = seen.devices, seen.uses
    assert gpu.memory is None and gpu.unknown["memory"] == said
    assert now.utilization is now.memory_used is now.power is None
    assert {now.unknown[name] for name in ("utilization", "memory_used", "power")} == {said}


@pytest.mark.parametrize("odd", ["-5 MiB", "15360 KiB", "15360", "1e3 MiB", "9" * 20 + " MiB", "²² MiB"])
def test_an_odd_number_is_no_number(odd):
    [gpu] = read_smi(recorded.text("nvidia-smi/t4-v11.xml").replace("15360 MiB", odd)).devices
    assert gpu.memory is None and "can't be" in gpu.unknown["memory"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("_v11.dtd", "_v14.dtd"), "the schema v14 is not one that is known (v10 to v13); it said: <?xml"),
        (("<nvidia_smi_log>", '<!ENTITY a "b"><nvidia_smi_log>'), "a declaration that nvidia-smi does not write"),
        (("SYSTEM", "[<!ENTITY a 'aaaa'>] SYSTEM"), "a declaration that nvidia-smi does not write"),
        (("</nvidia_smi_log>", ""), "no XML"),
    ],
)
def test_a_document_that_is_refused_is_shown(change, reason):
    with pytest.raises(OutputError) as caught:
        read_smi(recorded.text("nvidia-smi/t4-v11.xml").replace(*change, 1))
    assert reason in str(caught.value) and len(str(caught.value)) < 2200


def test_a_billion_laughs_are_not_expanded():
    laughs = '<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><nvidia_smi_log>&b;</nvidia_smi_log>'
    with pytest.raises(OutputError, match="refused"):
        read_smi(laughs)


def test_nvml_wins_and_nothing_is_run():
    system = recorded.nvidia(nvml=recorded.Nvml(recorded.h100(0)))
    entry = facts(system)
    [gpu] = entry.metadata["devices"]
    assert not system.asked and entry.metadata["source"] == "NVML" and entry.metadata["runtime"] == "12.8"
    assert (gpu["name"], gpu["type"], gpu["compute_capability"]) == ("NVIDIA H100 80GB HBM3", "h100", "9.0")
    assert (
        gpu["partition"] == "off" and gpu["unknown"]["architecture"] == "nvidia-ml-py has no nvmlDeviceGetArchitecture"
    )
    [now] = use(system)
    assert (now["utilization"], now["power"], now["temperature"]) == (97, 412.345, 61)
    [process] = now["processes"]
    assert (process["name"], process["memory"], process["instance"]) == ("python3", GiB, None)


def test_nvml_slices_are_children_and_what_is_denied_is_null():
    denied = recorded.NvmlError("Insufficient Permissions")
    parent = recorded.h100(
        0,
        MigMode=[1, 1],
        MaxMigDeviceCount=7,
        slices=[recorded.mig(7), recorded.mig(8)],
        memory=denied,
        utilization=denied,
    )
    lost = recorded.h100(1, handle=recorded.NvmlError("GPU is lost"))
    nvml = recorded.Nvml(parent, lost, recorded.h100(2))
    buses = [f"0000:0{n}:00.0" for n in (1, 2, 3)]
    system = recorded.machine(recorded.nvidia_pci(*buses), nvml=nvml)
    found = facts(system).metadata
    cut, whole = found["devices"]
    assert (found["total"], found["allowed"], found["slices"]) == (3, 1, 2)
    assert found["unread"] == [{"name": "GPU 1", "reason": "GPU is lost"}]
    assert cut["memory"] is None and cut["unknown"]["memory"] == "Insufficient Permissions"
    assert [part["profile"] for part in cut["slices"]] == ["1g.10gb", "1g.10gb"] and whole["allowed"]
    assert use(system)[0]["slices_used"] == {"7/0": MiB, "8/0": MiB}
    assert nvml.open == 0  # shut down as often as it was opened


def test_an_older_driver_has_older_functions():
    """Of a function whose name has no version the bindings raise an error that is no NVMLError."""

    class Old(recorded.Nvml):
        class NVMLLibraryMismatchError(Exception):
            pass

        def nvmlDeviceGetComputeRunningProcesses(self, handle):
            raise self.NVMLLibraryMismatchError("Unversioned function called")

    [now] = use(recorded.nvidia(nvml=Old(recorded.h100(0))))
    assert now["processes"] is None and now["unknown"]["processes"] == "Unversioned function called"
    [now] = use(recorded.nvidia(nvml=Old(recorded.h100(0, ComputeRunningProcesses_v2=[]))))
    assert now["processes"] == [] and "processes" not in now["unknown"]


@pytest.mark.parametrize("said", ["Driver Not Loaded", "NVML Shared Library Not Found"])
def test_where_nvml_fails_nvidia_smi_is_asked(said):
    system = recorded.nvidia(nvml=recorded.Nvml(init=recorded.NvmlError(said)))
    found = facts(system).metadata
    assert found["source"] == "nvidia-smi -q -x" and found["notice"] == f"NVML: {said}"


def test_nvml_that_hangs_costs_its_deadline_and_is_reported():
    start = time.monotonic()
    result = facts(recorded.nvidia(nvml=recorded.Nvml(hang=20)), timeout=0.4).result
    assert isinstance(result, Unreachable) and result.reason.startswith("NVML: no answer in 0.3 s")
    assert time.monotonic() - start < 5


def test_devices_without_a_driver_are_told():
    files = {key: value for key, value in recorded.nvidia_pci(SXM)[0].items() if not key.startswith("/proc")}
    result = facts(RecordedSystem(files=files)).result
    assert result == Unreachable(
        "the NVIDIA driver", f"it is not loaded, or not shown here; NVIDIA devices: 1 on the PCI bus ({SXM})"
    )


def test_a_tool_that_fails_is_told_with_what_is_on_the_bus():
    said = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."
    system = recorded.machine(recorded.nvidia_pci(SXM), commands={_SMI: Ran((), 9, said)})
    assert facts(system).result.reason == f"nvidia-smi -q -x: exit code 9: {said}; 1 on the PCI bus ({SXM})"
    with pytest.raises(InactiveProvider, match="couldn't communicate"):
        use(system)


@pytest.mark.parametrize("code", [0, 6])
def test_a_driver_without_a_device(code):
    result = facts(RecordedSystem(commands={_SMI: Ran((), code, "No devices were found\n")})).result
    assert result == Absent("an NVIDIA GPU: nvidia-smi -q -x tells of none")


def test_what_the_driver_shows_in_proc():
    information = (
        "Model: \t\t NVIDIA A100-SXM4-40GB\nIRQ:   \t\t 200\nGPU UUID: \t GPU-????????-????\nDevice Minor: \t 3"
    )
    files = recorded.nvidia_pci(SXM)[0] | {f"/proc/driver/nvidia/gpus/{SXM}/information": information}
    found = facts(RecordedSystem(files=files)).metadata
    [gpu] = found["devices"]
    assert (gpu["type"], gpu["uuid"], gpu["device_file"], found["allowed"]) == ("a100", None, "/dev/nvidia3", 1)
    assert gpu["memory"] is None and gpu["unknown"]["memory"] == "/proc/driver/nvidia does not tell"
    with pytest.raises(CommandFailed, match="does not tell the use of GPUs"):
        use(RecordedSystem(files=files))


def h100s(count, **more):
    buses = [f"0000:{n + 1:02x}:00.0" for n in range(count)]
    nvml = recorded.Nvml(*(recorded.h100(n) for n in range(count)))
    return recorded.machine(recorded.nvidia_pci(*buses), **{"nvml": nvml, **more})


@pytest.mark.parametrize(
    ("value", "allowed"),
    [
        ("0,2", [0, 2]),
        ("2", [2]),
        ("GPU-00000001-1111", [1]),
        ("GPU-0000000", []),  # the beginning of four
        ("0,7,1", [0]),  # what follows one that means no device does not count
        ("-1", []),
        ("", []),
        ("1,1", []),
        ("x", []),
    ],
)
def test_cuda_visible_devices(value, allowed):
    found = facts(h100s(4, environ={"CUDA_VISIBLE_DEVICES": value})).metadata
    assert [gpu["index"] for gpu in found["devices"] if gpu["allowed"]] == allowed
    assert (found["total"], found["allowed"]) == (4, len(allowed))
    assert all(gpu["excluded"] == f"CUDA_VISIBLE_DEVICES={value}" for gpu in found["devices"] if not gpu["allowed"])


def test_numbers_mean_the_fastest_first_unless_cuda_is_told_otherwise():
    nvml = recorded.Nvml(recorded.h100(0), recorded.h100(1, Name="Tesla T4"))
    system = recorded.machine(recorded.nvidia_pci("0000:01:00.0", "0000:02:00.0"), nvml=nvml)
    system.environ["CUDA_VISIBLE_DEVICES"] = "0"
    found = facts(system).metadata
    assert found["allowed"] is None and "CUDA_DEVICE_ORDER" in found["devices"][0]["excluded"]
    system.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    assert [gpu["allowed"] for gpu in facts(system).metadata["devices"]] == [True, False]


def test_a_slice_by_its_uuid():
    parent = recorded.h100(0, MigMode=[1, 1], MaxMigDeviceCount=7, slices=[recorded.mig(7), recorded.mig(8)])
    system = recorded.machine(recorded.nvidia_pci("0000:01:00.0"), nvml=recorded.Nvml(parent))
    for value, allowed in (("MIG-feb88898", [False, True]), ("GPU-00000000", [False, False]), ("0", [None, None])):
        system.environ["CUDA_VISIBLE_DEVICES"] = value
        found = facts(system).metadata
        assert [part["allowed"] for part in found["devices"][0]["slices"]] == allowed
        assert found["allowed"] == 0


def test_hidden_devices_are_counted_and_not_allowed():
    """A container that was given one of four: the PCI bus shows all of them, and NVML one."""
    system = h100s(4, nvml=recorded.Nvml(recorded.h100(2)))
    found = facts(system).metadata
    assert (found["total"], found["allowed"]) == (4, 1)
    hidden = [gpu for gpu in found["devices"] if not gpu["allowed"]]
    assert {gpu["bus"] for gpu in hidden} == {"0000:01:00.0", "0000:02:00.0", "0000:04:00.0"}
    assert all("a container or control group hides it" in gpu["excluded"] for gpu in hidden)


def test_a_virtual_function_is_no_device_and_a_virtual_machine_has_its_own():
    system = h100s(3, nvml=recorded.Nvml(recorded.h100(0)))
    system.links["/sys/bus/pci/devices/0000:02:00.0/driver"] = "../../../bus/pci/drivers/vfio-pci"
    system.links["/sys/bus/pci/devices/0000:03:00.0/physfn"] = "../0000:01:00.0"
    found = facts(system).metadata
    assert (found["total"], found["allowed"]) == (2, 1)
    assert found["devices"][1]["excluded"] == "the driver vfio-pci has it"


def test_a_probe_does_not_ask_for_the_use():
    nvml = recorded.Nvml(recorded.h100(0))
    nvml.nvmlDeviceGetUtilizationRates = lambda handle: pytest.fail("asked")
    assert facts(recorded.nvidia(nvml=nvml)).metadata["source"] == "NVML"


def test_device_files_and_control_groups(cgroups):
    system = h100s(2)
    system.files |= {"/dev/nvidiactl": "", "/dev/nvidia1": ""}
    assert [gpu["excluded"][:26] for gpu in facts(system).metadata["devices"]] == ["there is no /dev/nvidia0 h", ""]
    system.files["/dev/nvidia0"] = ""
    system._denied = frozenset({"/dev/nvidia1"})
    assert facts(system).metadata["devices"][1]["excluded"] == "this user may not open /dev/nvidia1"
    system._denied = frozenset()
    mount = "33 23 0:29 / /sys/fs/cgroup/devices ro - cgroup cgroup rw,devices"
    system.files |= {"/proc/self/cgroup": "7:devices:/job", "/proc/self/mountinfo": mount}
    system.files["/sys/fs/cgroup/devices/job/devices.list"] = "c 1:3 rwm\nc 195:1 rw\nc 195:255 rw"
    found = facts(system).metadata
    assert [gpu["allowed"] for gpu in found["devices"]] == [False, True]
    assert found["devices"][0]["excluded"] == "the control group (v1) does not permit /dev/nvidia0"
    system.files["/sys/fs/cgroup/devices/job/devices.list"] = "a *:* rwm"
    assert facts(system).metadata["allowed"] == 2


def test_topology():
    system = h100s(2)
    for path, value in (("/sys/class/infiniband/mlx5_0", "0"), ("/sys/class/infiniband/mlx5_1", "1")):
        system.files[f"{path}/device/numa_node"] = value
    [near, _] = Secretary(system=system).call("nvidia-gpu.topology").result["items"]
    assert (near["numa_node"], near["cpus"], near["nics"]) == (0, "0-15", ["mlx5_0"])


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("NVIDIA A100-SXM4-80GB", "a100"),
        ("NVIDIA H100 PCIe", "h100"),
        ("NVIDIA GH200 480GB", "gh200"),
        ("NVIDIA GB200", "gb200"),
        ("Tesla V100-SXM2-16GB", "v100"),
        ("Tesla P4", "p4"),
        ("NVIDIA L40S", "l40s"),
        ("NVIDIA A10G", "a10g"),
        ("NVIDIA GeForce RTX 2080 Ti", "rtx2080ti"),
        ("NVIDIA RTX A5000", "a5000"),
        ("NVIDIA RTX 6000 Ada Generation", "rtx6000ada"),
        ("Quadro P2000", "p2000"),
        ("AMD Instinct MI300X", "mi300x"),
        ("AMD Instinct MI250X / MI250", "mi250x"),
        ("Arcturus GL-XL [Instinct MI100]", "mi100"),
        ("Intel(R) Data Center GPU Max 1550", "max1550"),
        ("Intel(R) Data Center GPU Flex 170", "flex170"),
        ("Intel(R) Arc(TM) Pro B60 Graphics", "b60"),
        ("Matrox G200eR2", "matrox-g200er2"),
        (None, None),
    ],
)
def test_short_names(name, short):
    assert gpu_type(name) == short


def test_contract_with_nvml():
    check_provider(NvidiaGpuProvider, h100s(2))


def test_the_bindings_without_a_library():
    """The real nvidia-ml-py, on a machine that has no driver: its error is told, not raised."""
    pynvml = pytest.importorskip("pynvml")
    if Path("/proc/driver/nvidia/version").exists():
        pytest.skip("this machine has an NVIDIA driver")
    with pytest.raises(CommandFailed, match="NVML: NVML Shared Library Not Found"):
        read_nvml(pynvml)
