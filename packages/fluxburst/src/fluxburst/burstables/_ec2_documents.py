"""What EC2 is asked with and what it answers, as its API Reference has it; no call is made here."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fluxburst.burstables._catalogue import Entry
from fluxburst.burstables._cloud_group import Machine
from fluxburst.errors import ConfigurationError
from fluxburst.model import Burst, Seen

if TYPE_CHECKING:
    from fluxburst.burstables.ec2 import BurstParameters

OWNER, NAME = "flux-burst:owner", "flux-burst:name"
_SEEN: Mapping[str, Seen] = {
    "pending": "pending",
    "running": "running",
    "shutting-down": "ending",
    "stopping": "ending",
    "stopped": "ending",  # its disks are still there, and cost
    "terminated": "gone",
}


def launch(
    burst: Burst, entry: Entry, params: BurstParameters, owner: str, user_data: str, spot: bool
) -> dict[str, Any]:
    """RunInstances' arguments for all of a burst: the same ones whenever they are asked for.

    Raises ConfigurationError where no image is said.
    """
    image = entry.image or params.image
    if not image:
        raise ConfigurationError(f"shape {entry.name!r} has no image: say --ec2-image, or image in the catalogue")
    tags = [{"Key": key, "Value": value} for key, value in {**marks(owner, burst.name), "Name": burst.name}.items()]
    kinds = ["instance", "volume", *(["spot-instances-request"] if spot else [])]
    subnet = entry.subnet or params.subnet
    profile = params.instance_profile
    given: dict[str, Any] = {
        "ImageId": image,
        "InstanceType": entry.machine,
        "MinCount": burst.nodes,  # all of them or none
        "MaxCount": burst.nodes,
        "ClientToken": hashlib.sha256(f"{owner} {burst.name} {spot}".encode()).hexdigest()[:40],
        "TagSpecifications": [{"ResourceType": kind, "Tags": tags} for kind in kinds],
        "InstanceInitiatedShutdownBehavior": "terminate",
        "MetadataOptions": {"HttpEndpoint": "enabled", "HttpTokens": "required", "HttpPutResponseHopLimit": 1},
        "UserData": user_data,
        "SubnetId": subnet,
        "SecurityGroupIds": params.security_group,
        "KeyName": params.key_name,
        "IamInstanceProfile": {"Arn" if profile.startswith("arn:") else "Name": profile} if profile else None,
        "Placement": {"AvailabilityZone": entry.zone} if entry.zone and not subnet else None,
        "InstanceMarketOptions": _spot(entry) if spot else None,
    }
    return {key: value for key, value in given.items() if value}


def _spot(entry: Entry) -> dict[str, Any]:
    options = {"SpotInstanceType": "one-time", "InstanceInterruptionBehavior": "terminate"}
    if entry.spot_price is not None:  # without it EC2 takes no more than the price on demand
        options["MaxPrice"] = f"{entry.spot_price:.6f}"
    return {"MarketType": "spot", "SpotOptions": options}


def marks(owner: str, name: str = "") -> dict[str, str]:
    """The tags of what an owner has made, or of one burst."""
    return {OWNER: owner, **({NAME: name} if name else {})}


def filters(marks: Mapping[str, str]) -> list[dict[str, Any]]:
    """As DescribeInstances reads them: * and ? stand for others there, unless a backslash precedes."""
    plain = {ord(one): f"\\{one}" for one in "\\*?"}
    return [{"Name": f"tag:{key}", "Values": [value.translate(plain)]} for key, value in marks.items()]


def tags_of(instance: Mapping[str, Any]) -> dict[str, str]:
    """The tags of an instance."""
    return {tag["Key"]: tag["Value"] for tag in instance.get("Tags", ())}


def machine(instance: Mapping[str, Any]) -> Machine:
    """An instance as DescribeInstances shows it."""
    why = instance.get("StateReason") or {}
    code, started = why.get("Code") or "", instance.get("LaunchTime")
    return Machine(
        instance["InstanceId"],
        int(instance.get("AmiLaunchIndex", 0)),
        _SEEN.get(instance["State"]["Name"], "pending"),
        started.timestamp() if started else 0.0,
        why.get("Message") or code or instance.get("StateTransitionReason", ""),
        code in {"Server.SpotInstanceTermination", "Server.SpotInstanceShutdown"},
    )
