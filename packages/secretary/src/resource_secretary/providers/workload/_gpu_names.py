"""Types of GPUs in names of models, in resources and labels of Kubernetes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

# Resources of device plugins that stand for a whole GPU: NVIDIA's, AMD's, and Intel's by kernel driver. Intel's
# other resources (gpu.intel.com/millicores, memory.max, tiles) are parts of the same GPUs, and would count them twice.
WHOLE = ("nvidia.com/gpu", "amd.com/gpu", "gpu.intel.com/i915", "gpu.intel.com/xe")
_MIG = re.compile(r"nvidia\.com/(mig-[0-9]g\.[0-9]{1,3}gb(?:\.[a-z.]{1,12})?)", re.ASCII)
_SHARED = {"nvidia.com/gpu.shared": "shared", "nvidia.com/mps.shared": "shared"}  # slices of time

# NVIDIA's GPU feature discovery, AMD's node labeller, GKE, EKS and Karpenter, AKS.
_LABELS = (
    "nvidia.com/gpu.product",
    "amd.com/gpu.product-name",
    "beta.amd.com/gpu.product-name",
    "gpu.intel.com/product",
    "cloud.google.com/gke-accelerator",
    "k8s.amazonaws.com/accelerator",
    "karpenter.k8s.aws/instance-gpu-name",
    "accelerator",
)
_BRANDS = frozenset(
    ["nvidia", "tesla", "geforce", "quadro", "amd", "instinct", "radeon", "pro", "intel", "data", "center", "gpu"]
)
_SERIES = frozenset(["rtx", "gtx", "max", "flex", "arc", "titan"])  # the word after belongs to the name


@lru_cache(maxsize=1024)
def gpu_kind(resource: str) -> str | None:
    """The type of GPU that a resource's name tells: "" for a whole one, such as `mig-1g.5gb` for a slice.

    None where the resource is no GPU.
    """
    if resource in WHOLE:
        return ""
    if resource in _SHARED:
        return _SHARED[resource]
    match = _MIG.fullmatch(resource)
    return match[1] if match else None


def gpu_product(labels: Mapping[str, str]) -> str:
    """The type of a node's GPUs as schedulers name it, such as `a100` or `rtx-3090`; "" where no label tells."""
    return next((word for word in (gpu_word(labels.get(label, "")) for label in _LABELS) if word), "")


def gpu_word(model: str) -> str:
    """The type in a model's name: `a100` of `NVIDIA A100-SXM4-80GB`; "" where there is none."""
    words = [word for word in re.split(r"[-_ ]+", model.lower()) if word and word not in _BRANDS]
    if not words:
        return ""
    if "mig" in words[:-1]:  # all of its GPUs are cut into slices of one kind, which go by the whole one's name
        return f"mig-{words[words.index('mig') + 1]}"
    name = "-".join(words[:2]) if words[0] in _SERIES else words[0]
    return f"{name}-shared" if words[-1] == "shared" else name
