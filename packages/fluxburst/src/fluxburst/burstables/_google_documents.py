"""What Compute Engine is asked with and what it answers, as its API reference has it; no call is made here."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fluxburst.burstables._catalogue import Entry
from fluxburst.burstables._cloud_group import Machine
from fluxburst.errors import ConfigurationError
from fluxburst.model import Burst, Seen, amount

if TYPE_CHECKING:
    from fluxburst.burstables.compute_engine import BurstParameters

OWNER, NAME = "flux-burst-owner", "flux-burst-name"
# Compute Engine API, instances: the life cycle of an instance.
_SEEN: Mapping[str, Seen] = {
    "PENDING": "pending",
    "PROVISIONING": "pending",
    "STAGING": "pending",
    "REPAIRING": "pending",
    "RUNNING": "running",
    "PENDING_STOP": "ending",
    "STOPPING": "ending",
    "SUSPENDING": "ending",
    "SUSPENDED": "ending",
    "TERMINATED": "ending",  # stopped: its disk is still there, and costs
}


def launch(burst: Burst, entry: Entry, params: BurstParameters, owner: str, script: str) -> dict[str, Any]:
    """BulkInsertInstanceResource for all of a burst: the same one whenever it is asked for.

    Raises ConfigurationError where no image is said.
    """
    image = entry.image or params.image
    if not image:
        raise ConfigurationError(
            f"shape {entry.name!r} has no image: say --compute-engine-image, or image in the catalogue"
        )
    subnet = entry.subnet or params.subnet
    network: dict[str, Any] = {"subnetwork": subnet} if subnet else {}
    if params.external_ip:
        network["access_configs"] = [{"type_": "ONE_TO_ONE_NAT"}]
    disk = {"source_image": image, **({"disk_size_gb": params.disk_gb} if params.disk_gb else {})}
    stops = params.spot or amount(entry.shape(spot=False, fallback=False).holds, "gpus") > 0
    scopes = ["https://www.googleapis.com/auth/cloud-platform"]
    metadata = {OWNER: owner, NAME: burst.name, "startup-script": script}
    properties = {
        "machine_type": entry.machine,
        "labels": labels(owner, burst.name),
        "disks": [{"boot": True, "auto_delete": True, "initialize_params": disk}],
        "network_interfaces": [network],
        "service_accounts": [{"email": params.service_account, "scopes": scopes}] if params.service_account else [],
        "metadata": {"items": [{"key": key, "value": value} for key, value in metadata.items()]},
        "scheduling": {
            # A time rather than a duration: the request is the same when it is made again.
            "termination_time": datetime.fromtimestamp(int(burst.deadline), UTC).isoformat(),
            "instance_termination_action": "DELETE",
            "provisioning_model": "SPOT" if params.spot else "STANDARD",
            "automatic_restart": False,
            "on_host_maintenance": "TERMINATE" if stops else "MIGRATE",
        },
    }
    names: dict[str, dict[str, str]] = {f"{base_of(burst.name)}-{index}": {} for index in range(burst.nodes)}
    return {
        "count": burst.nodes,
        "min_count": burst.nodes,  # all of them or none
        "per_instance_properties": names,
        "instance_properties": properties,
    }


def base_of(name: str) -> str:
    """The start of the names of a burst's instances: RFC 1035, section 2.3.1, and room for a number."""
    if re.fullmatch(r"[a-z](?:[a-z0-9-]{0,54}[a-z0-9])?", name):
        return name
    return f"fb-{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def labels(owner: str, name: str = "") -> dict[str, str]:
    """Marks as labels can hold them: lower-case letters, digits, - and _, 63 at most. Metadata has them in full."""
    given = {OWNER: owner, **({NAME: name} if name else {})}
    short = re.compile(r"[a-z0-9_-]{1,63}")
    return {
        key: value if short.fullmatch(value) else f"h-{hashlib.sha256(value.encode()).hexdigest()[:40]}"
        for key, value in given.items()
    }


def marks_of(instance: Any) -> dict[str, str]:
    return {item.key: item.value for item in instance.metadata.items if item.key in {OWNER, NAME}}


def machine(zone: str, instance: Any) -> Machine:
    number = instance.name.rpartition("-")[2]
    made = datetime.fromisoformat(instance.creation_timestamp).timestamp() if instance.creation_timestamp else 0.0
    seen = _SEEN.get(instance.status, "pending")
    reason = instance.status_message or ("it was stopped" if seen == "ending" else "")
    return Machine(f"{zone}/{instance.name}", int(number) if number.isdecimal() else 0, seen, made, reason)
