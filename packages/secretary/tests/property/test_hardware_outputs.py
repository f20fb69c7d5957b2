"""Recordings of GPUs, fabrics and machines, mutated: a typed answer that adds up, or a clear error; nothing else."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded import hardware as recorded
from resources.documents import Inventory

from resource_secretary import Secretary
from resource_secretary.errors import SecretaryError
from resource_secretary.providers.hardware import _amd_json, _intel_json, _nvidia_xml
from resource_secretary.providers.hardware._gpu import Gpu
from resource_secretary.providers.network import _rdma_text
from resource_secretary.result import Broken
from resource_secretary.tools import as_json

PIECES = [
    "",
    "0",
    "-1",
    "9" * 30,
    "1e9",
    "N/A",
    "[Unknown Error]",
    "null",
    "[]",
    "{}",
    "<",
    ">",
    "&lt;",
    "\0",
    "²",
    '"',
    ",",
    "\n",
]
MOST = 2**50


@st.composite
def mutated(draw, texts: list[str]) -> list[str]:
    """The texts with one to five pieces cut out, put in, doubled, or exchanged."""
    texts = list(texts)
    for _ in range(draw(st.integers(1, 5))):
        which = draw(st.integers(0, len(texts) - 1))
        text = texts[which]
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 40)))
        piece = draw(st.sampled_from([*PIECES, text[start:end] * 2]))
        texts[which] = text[:start] + piece + text[end:]
    return texts


def sound(value: object, key: str = "") -> None:
    """No number of an answer is negative or absurd, and JSON holds all of it."""
    made = as_json(value)
    json.dumps(made, allow_nan=False)
    _sound(made, key)


def _sound(value: object, key: str) -> None:
    if isinstance(value, dict):
        for name, one in value.items():
            _sound(one, name)
    elif isinstance(value, list):
        for one in value:
            _sound(one, key)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        assert value <= MOST and (value >= 0 or (key == "temperature" and value >= -60)), (key, value)
        assert key != "utilization" or value <= 100
        assert key != "rate" or 0 < value <= 10_000


GPU = Gpu(0, memory=2**34)
READERS = {
    "nvidia-smi/t4-v11.xml": _nvidia_xml.read_smi,
    "nvidia-smi/a100-mig-v12.xml": _nvidia_xml.read_smi,
    "nvidia-smi/rtx-pro-6000-v13.xml": _nvidia_xml.read_smi,
    "rocm-smi/rx6700xt-4.3.0.json": _amd_json.read_rocm,
    "rocm-smi/mi100-6.0.2.json": _amd_json.read_rocm,
    "rocm-smi/rx6700xt-6.1.2.json": _amd_json.read_rocm,
    "amd-smi/strix-halo-6.3.1-static.json": _amd_json.read_static,
    "amd-smi/mi210-7.0-static.json": _amd_json.read_static,
    "amd-smi/mi300x-dpx-static.json": _amd_json.read_static,
    "amd-smi/list-metric.json": _amd_json.read_metric,
    "amd-smi/gpu-data-metric.json": _amd_json.read_metric,
    "amd-smi/process.json": lambda text: list(_amd_json.read_processes(text).values()),
    "xpu-smi/max1100-1.2-discovery.json": _intel_json.read_discovery,
    "xpu-smi/arc-pro-b60-1.3-discovery.json": _intel_json.read_discovery,
    "xpu-smi/max1100-1.2-device0.json": lambda text: _intel_json.read_details(text, GPU),
    "xpu-smi/stats-tiles.json": lambda text: _intel_json.read_stats(text, GPU),
    "xpu-smi/stats-device.json": lambda text: _intel_json.read_stats(text, GPU),
    "fabrics/ibstat-infiniband-partial.txt": _rdma_text.read_ibstat,
    "fabrics/ibstat-two-ports-2.0.txt": _rdma_text.read_ibstat,
    "fabrics/ibstat-hfi1.txt": _rdma_text.read_ibstat,
    "fabrics/ibv_devinfo-down.txt": _rdma_text.read_devinfo,
    "fabrics/rdma-link.json": _rdma_text.read_rdma_link,
    "fabrics/opainfo.txt": _rdma_text.read_opainfo,
    "fabrics/fi_info-efa.txt": _rdma_text.read_fi_info,
    "fabrics/fi_info-cxi.txt": _rdma_text.read_fi_info,
}


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=50, deadline=None)
@given(source=st.data())
def test_outputs(name, source):
    [text] = source.draw(mutated([recorded.text(name)]))
    with contextlib.suppress(SecretaryError):
        sound(READERS[name](text))


@pytest.mark.parametrize("name", READERS)
def test_the_recordings_as_they_are(name):
    sound(READERS[name](recorded.text(name)))


@pytest.mark.parametrize("read", sorted({*READERS.values()}, key=str), ids=lambda read: read.__name__)
@settings(max_examples=30, deadline=None)
@given(text=st.text(max_size=200))
def test_any_text(read, text):
    with contextlib.suppress(SecretaryError):
        sound(read(text))


MACHINES = {
    "nvidia-gpu": recorded.nvidia,
    "amd-gpu": lambda: recorded.machine(recorded.amd_pci("0000:05:00.0"), recorded.kfd((0x500, 1), (0x501, 2))),
    "intel-gpu": recorded.intel,
    "numa": recorded.numa,
    "infiniband": recorded.infiniband,
    "omni-path": recorded.omni_path,
    "efa": recorded.efa,
    "slingshot": recorded.slingshot,
    "ethernet": lambda: recorded.machine(recorded.net("eth0"), recorded.net("bond0", None, bonding__slaves="eth0")),
}


@pytest.mark.parametrize("name", MACHINES)
@settings(max_examples=30, deadline=None)
@given(source=st.data())
def test_files_of_the_kernel(name, source):
    """Whatever the files say, a provider answers or says why not, and so do its tools."""
    system = MACHINES[name]()
    system.files = dict(zip(system.files, source.draw(mutated(list(system.files.values()))), strict=True))
    secretary = Secretary(system=system)
    entry = secretary.detect(name=name, timeout=20)[name]
    assert not isinstance(entry.result, Broken), entry.result.reason
    if entry.active:
        sound(entry.metadata)
    for tool in entry.tools:
        with contextlib.suppress(SecretaryError):
            sound(secretary.call(f"{name}.{tool.name}").result["items"])


@settings(max_examples=50, deadline=None)
@given(source=st.data(), visible=st.sampled_from([None, "", "0", "0,1", "GPU-5", "MIG-x", "9" * 99, "²"]))
def test_an_offer_adds_up(source, visible):
    names = ["nvidia-smi/a100-mig-v12.xml", "nvidia-smi/t4-v11.xml"]
    text, _ = source.draw(mutated([recorded.text(name) for name in names[:: source.draw(st.sampled_from([1, -1]))]]))
    system = recorded.nvidia(environ={} if visible is None else {"CUDA_VISIBLE_DEVICES": visible})
    system.commands[recorded._SMI] = text
    system.files |= {"/sys/devices/system/cpu/online": "0"}
    system._affinity, system._memory = frozenset({0}), (2**30, 2**30)
    inventory = Secretary(system=system).offer(timeout=20)
    [group] = inventory.groups
    gpus = group.total.get("gpus")
    assert gpus is None or 1 <= gpus.N <= 2
    assert Inventory.from_json(inventory.to_json()) == inventory
