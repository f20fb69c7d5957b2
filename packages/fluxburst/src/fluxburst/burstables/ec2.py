"""Brokers on instances of Amazon EC2, from a catalogue of shapes with prices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

from fluxburst.burstables import _catalogue, _cloud_boot
from fluxburst.burstables._cloud_aws import answers, code_of, connect
from fluxburst.burstables._cloud_group import CloudBurst, Machine
from fluxburst.burstables._ec2_documents import NAME, filters, launch, machine, marks, tags_of
from fluxburst.errors import CapacityError, ConfigurationError, ParameterError, ProviderError, QuotaError
from fluxburst.model import Burst, NodeShape, Sighting

BATCH = 100  # instances that one call ends
USER_DATA_SIZE = 16384  # bytes, before base64: EC2 User Guide, "Run commands when you launch an EC2 instance"
_INDEX = """\
imds=http://169.254.169.254/latest
token=$(curl -fsS --retry 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' "$imds/api/token")
index=$(curl -fsS --retry 5 -H "X-aws-ec2-metadata-token: $token" "$imds/meta-data/ami-launch-index")"""
_OVER = "shutdown -h now || poweroff -f"
NEEDS = {"module boto3": "pip install 'flux-burst[ec2]'"}


@dataclass
class BurstParameters:
    """What may be rented, and how it gets into the network of the lead."""

    catalogue: Path = field(metadata={"help": "TOML file of shapes: [[shapes]] instance_type, holds, price, ..."})
    secret: str = field(metadata={"help": "Where instances get the certificate: ssm:, secretsmanager: or file:."})
    image: str | None = field(default=None, metadata={"help": "AMI, where the catalogue names none."})
    region: str | None = field(default=None, metadata={"help": "By default that of the profile."})
    profile: str | None = field(default=None, metadata={"help": "Profile of the AWS configuration."})
    subnet: str | None = field(default=None, metadata={"help": "Where the catalogue names none."})
    security_group: list[str] = field(default_factory=list, metadata={"help": "Id; can be repeated."})
    instance_profile: str | None = field(default=None, metadata={"help": "Name or ARN; lets instances read secrets."})
    key_name: str | None = field(default=None, metadata={"help": "Key pair for ssh; none is needed."})
    spot: bool = field(default=False, metadata={"help": "Spot instances, at most at the catalogue's spot_price."})
    fallback: bool = field(default=False, metadata={"help": "On demand where there is no spot capacity."})
    max_price: float | None = field(default=None, metadata={"help": "No instance that can cost more in an hour."})
    setup: Path | None = field(default=None, metadata={"help": "Bash to run before the broker; no secrets in it."})
    user: str | None = field(default=None, metadata={"help": "Account that is made for the broker."})
    endpoint_url: str | None = field(default=None, metadata={"help": "Of another service that speaks as EC2 does."})
    max_nodes: int = field(default=8, metadata={"help": "The most instances that may exist at once."})

    def __post_init__(self) -> None:
        hint = "that is Google's; here it is ssm:, secretsmanager: or file:"
        _cloud_boot.check_parameters(self, foreign={"secretmanager": hint}, access="instance_profile")
        if self.fallback and not self.spot:
            raise ParameterError("is for spot instances", "fallback")


class Ec2Burst(CloudBurst):
    """A burst is the instances of one RunInstances call: all of them or none."""

    def __init__(self, params: BurstParameters) -> None:
        super().__init__(params, "instance_type")
        self._client: Any = None
        self._made: dict[str, list[str]] = {}  # ids of instances that the listing may not show yet

    def shapes(self) -> Sequence[NodeShape]:
        spot, fallback, most = self.params.spot, self.params.fallback, self.params.max_price
        offered = []
        for entry in self._entries.values():
            sure = entry.asked_price(spot=spot, fallback=False)
            if most is None or (sure is not None and sure <= most):  # a price that is not known may be any
                offered.append(entry.shape(spot=spot, fallback=fallback and self._falls_back(entry)))
        return offered

    def check(self) -> None:
        """Ask EC2 whether it would launch one instance of each shape (DryRun). Raises ProviderError."""
        lead = self.need_lead()
        for shape in self.shapes():
            hosts = (lead.slots("ec2") or lead.hosts)[-1:]
            burst = Burst(f"{lead.owner}-check", "ec2", shape.name, hosts, deadline=self.clock() + 3600)
            try:
                self._run(burst, spot=self.params.spot, DryRun=True)
            except ProviderError as error:
                if code_of(error.__cause__) != "DryRunOperation":
                    raise

    def create(self, burst: Burst) -> None:
        entry = self._entry(burst)
        if any(True for _ in self._instances(burst.name)):
            return
        try:
            self._run(burst, spot=self.params.spot)
        except (CapacityError, QuotaError):  # spot instances have quotas of their own
            if not (self.params.fallback and self._falls_back(entry)):
                raise
            self._run(burst, spot=False)

    def status(self, known: Sequence[Burst] = ()) -> Sequence[Sighting]:
        now, found = self.clock(), defaultdict[str, list[Machine]](list)
        for instance in self._instances():
            found[tags_of(instance)[NAME]].append(machine(instance))
        for name in found:
            self._made.pop(name, None)
        names = {burst.name for burst in known}
        there = [one for one in self._sightings(found, known) if one.name in names or one.seen != "gone"]
        return there + self._absences.long(known, found, now, self._ended)

    def destroy(self, burst: Burst) -> None:
        found = list(self._instances(burst.name))
        ids = [one["InstanceId"] for one in found if one["State"]["Name"] not in {"terminated", "shutting-down"}]
        shown = {one["InstanceId"] for one in found}
        ids += [id for id in self._made.get(burst.name, ()) if id not in shown]
        requests = {one["SpotInstanceRequestId"] for one in found if one.get("SpotInstanceRequestId")}
        if self.params.spot:
            requests |= self._open_requests(burst.name)
        self._each("TerminateInstances", "terminate_instances", "InstanceIds", ids)
        self._each("CancelSpotInstanceRequests", "cancel_spot_instance_requests", "SpotInstanceRequestIds", requests)

    def _each(self, what: str, method: str, key: str, ids: Iterable[str]) -> None:
        """End all of these, some with each call. One unknown id has a call refused: the others must not outlive it."""
        every = sorted(ids)
        batches = [every[start : start + BATCH] for start in range(0, len(every), BATCH)]
        while batches:
            batch = batches.pop()
            try:
                self._call(what, method, **{key: batch})
            except ConfigurationError as error:
                if not code_of(error.__cause__).endswith(".NotFound"):
                    raise
                batches += [[id] for id in batch] if len(batch) > 1 else []

    def _run(self, burst: Burst, *, spot: bool, **more: Any) -> None:
        request = launch(
            burst, self._entries[burst.shape], self.params, self.need_lead().owner, self._user_data(burst), spot
        )
        answer = self._call("RunInstances", "run_instances", **request, **more)
        self._made[burst.name] = [one["InstanceId"] for one in answer.get("Instances", ())]

    def _user_data(self, burst: Burst) -> str:
        """What cloud-init runs. The end is armed at the earliest boot that it can reach, before anything is fetched."""
        params, region = self.params, self.client.meta.region_name
        script = _cloud_boot.join_script(
            self.need_lead(),
            burst,
            index=_INDEX,
            secret=_cloud_boot.fetched(params.secret, region),
            over=_OVER,
            user=params.user,
            setup=params.setup,
        )
        hook = "#cloud-boothook\n#!/bin/sh\n" + _cloud_boot.lease(burst.deadline, early=True)
        late = "#!/bin/bash\n" + _cloud_boot.lease(burst.deadline, early=False) + script
        made = _cloud_boot.parts([("cloud-boothook", hook), ("x-shellscript", late)])
        if len(made) > USER_DATA_SIZE:
            raise ConfigurationError(
                f"the user data has {len(made)} bytes, EC2 takes {USER_DATA_SIZE}: shorten --ec2-setup"
            )
        return made.decode()

    @property
    def client(self) -> Any:
        if self._client is None:
            params = self.params
            self._client = connect("ec2", params.region, params.profile, params.endpoint_url)
        return self._client

    def _falls_back(self, entry: _catalogue.Entry) -> bool:
        most = inf if self.params.max_price is None else self.params.max_price
        return most == inf or (entry.price is not None and entry.price <= most)

    def _call(self, what: str, method: str, **arguments: Any) -> Any:
        client = self.client
        with answers(what):
            return getattr(client, method)(**arguments)

    def _instances(self, name: str = "", **arguments: Any) -> Iterator[Mapping[str, Any]]:
        """Every instance of this owner, or of one burst, that EC2 still shows."""
        ours = marks(self.need_lead().owner, name)
        client = self.client
        with answers("DescribeInstances"):
            for page in client.get_paginator("describe_instances").paginate(
                Filters=filters(ours), PaginationConfig={"PageSize": 500}
            ):
                for reservation in page["Reservations"]:
                    for instance in reservation["Instances"]:
                        tags = tags_of(instance)
                        if NAME in tags and ours.items() <= tags.items():
                            yield instance

    def _open_requests(self, name: str) -> set[str]:
        wanted = [*filters(marks(self.need_lead().owner, name)), {"Name": "state", "Values": ["open", "active"]}]
        answer = self._call("DescribeSpotInstanceRequests", "describe_spot_instance_requests", Filters=wanted)
        return {one["SpotInstanceRequestId"] for one in answer.get("SpotInstanceRequests", ())}

    def _ended(self, burst: Burst) -> bool:
        """Whether EC2, asked for one instance by its id, knows nothing of it: its tags may have been taken off."""
        if not burst.id:
            return True
        try:
            answer = self._call("DescribeInstances", "describe_instances", InstanceIds=[burst.id])
        except ProviderError as error:
            return code_of(error.__cause__) == "InvalidInstanceID.NotFound"
        states = [one["State"]["Name"] for each in answer["Reservations"] for one in each["Instances"]]
        return all(state == "terminated" for state in states)

    def _console(self, id: str) -> str:
        for latest in ({"Latest": True}, {}):  # only Nitro instances have the latest
            try:
                answer = self._call("GetConsoleOutput", "get_console_output", InstanceId=id, **latest)
            except ProviderError:
                continue
            if answer.get("Output"):
                return str(answer["Output"])
        return ""


def init(params: BurstParameters) -> Ec2Burst:
    return Ec2Burst(params)
