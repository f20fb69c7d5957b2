"""Which GPUs this process may use: by device files, control groups, and the variables of the makers' runtimes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from resource_secretary.cgroup import device_rule
from resource_secretary.providers.hardware._gpu import Gpu, Slice
from resource_secretary.system import System


def with_files(system: System, devices: Iterable[Gpu], major: int, control: str) -> tuple[Gpu, ...]:
    """The devices; those whose file is not there, not permitted, or kept away by a control group are not allowed.

    control: a device file that is there wherever any of them can be used at all; without it nothing is said.
    """
    rule = device_rule(system)
    made = []
    for device in devices:
        file, why = device.device_file, ""
        if file is not None and device.allowed is not False:
            digits = re.search(r"\d+$", file)
            if system.exists(control) and not system.exists(file):
                why = f"there is no {file} here: a container hides it"
            elif digits and rule is not None and not rule(major, int(digits[0])):
                why = f"the control group (v1) does not permit {file}"
            elif system.exists(file) and not system.may_use(file):
                why = f"this user may not open {file}"
        made.append(_not_allowed(device, why) if why else device)
    return tuple(made)


def visible(devices: Sequence[Gpu], environ: Mapping[str, str], variables: Sequence[str]) -> tuple[Gpu, ...]:
    """The devices, with `allowed` as environment variables such as CUDA_VISIBLE_DEVICES have it.

    A variable holds numbers, or beginnings of UUIDs, with commas between. What follows one that means no device is not
    looked at, and one that is named twice leaves none (CUDA C++ Programming Guide, "CUDA Environment Variables").
    Each further variable counts among those that the one before left, as HIP_VISIBLE_DEVICES does (ROCm documentation,
    "GPU isolation techniques"). Where a GPU is cut, its slices are counted, in its place.
    """
    keys = [(d, part) for d, device in enumerate(devices) for part in (_parts(device) or [None])]
    left = list(keys)
    reason = ""
    for variable in variables:
        if variable not in environ:
            continue
        left = _chosen(environ[variable], left, devices)
        reason = reason or f"{variable}={environ[variable][:80]}"
    if not reason:
        return tuple(devices)
    made = []
    for d, device in enumerate(devices):
        if device.slices:
            slices = tuple(replace(one, allowed=bool(one.allowed) and (d, p) in left) for p, one in _numbered(device))
            made.append(replace(device, slices=slices))
        elif (d, None) not in left and device.allowed is not False:
            made.append(_not_allowed(device, reason))
        else:
            made.append(device)
    return tuple(made)


def _numbered(device: Gpu) -> list[tuple[int, Slice]]:
    return list(enumerate(device.slices))


def _parts(device: Gpu) -> list[int | None]:
    return list(range(len(device.slices)))


_Key = tuple[int, "int | None"]


def _chosen(text: str, keys: list[_Key], devices: Sequence[Gpu]) -> list[_Key]:
    chosen: list[_Key] = []
    for word in text.split(","):
        word = word.strip()
        if word.isascii() and word.isdecimal():
            found = keys[int(word) : int(word) + 1] if len(word) < 6 else []
        else:
            found = [key for key in keys if word and _named(word, key, devices)]
        if len(found) != 1:
            break
        if found[0] in chosen:
            return []
        chosen += found
    return chosen


def _named(word: str, key: _Key, devices: Sequence[Gpu]) -> bool:
    device, part = devices[key[0]], key[1]
    if part is None:
        return bool(device.uuid and device.uuid.lower().startswith(word.lower()))
    one = device.slices[part]
    # MIG-<uuid>, and MIG-GPU-<uuid of the GPU>/<GPU instance>/<compute instance> of drivers before 470.
    return bool(one.uuid and one.uuid.lower().startswith(word.lower())) or word == f"MIG-{device.uuid}/{one.instance}"


def _not_allowed(device: Gpu, why: str) -> Gpu:
    slices = tuple(replace(one, allowed=False) for one in device.slices)
    return replace(device, allowed=False, excluded=why, slices=slices)
