"""Brokers on instances of Google Compute Engine, from a catalogue of shapes with prices."""

from __future__ import annotations

import re
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fluxburst.burstables import _catalogue, _cloud_boot
from fluxburst.burstables._cloud_google import answers, connect, failure_of, status_of
from fluxburst.burstables._cloud_group import CloudBurst, Machine
from fluxburst.burstables._google_documents import NAME, OWNER, base_of, labels, launch, machine, marks_of
from fluxburst.errors import ParameterError, ProviderError
from fluxburst.model import Burst, NodeShape, Sighting

LOOKS, PAUSE = 10, 1.0  # looks at an operation, and seconds before each: a lack of capacity is told soon
TIMEOUT = 20.0  # seconds for one answer
AT_ONCE = 8  # instances that are deleted at a time: there is no call for several
_METADATA = "http://metadata.google.internal/computeMetadata/v1"
_INDEX = f"""\
name=$(curl -fsS --retry 5 -H 'Metadata-Flavor: Google' {_METADATA}/instance/name)
index=${{name##*-}}"""
# A machine that switched itself off would keep its disk: it deletes itself where its service account may, and else
# waits for the end that Compute Engine puts to it.
_OVER = f"""\
zone=$(curl -fsS -H 'Metadata-Flavor: Google' {_METADATA}/instance/zone) &&
    google -X DELETE "https://compute.googleapis.com/compute/v1/$zone/instances/$name" >/dev/null ||
    say "it can't delete itself and stays until its deadline\""""

NEEDS = {"module google.cloud.compute_v1": "pip install 'flux-burst[google]'"}


@dataclass
class BurstParameters:
    """What may be rented, and how it gets into the network of the lead."""

    project: str = field(metadata={"help": "Id of the project that pays."})
    catalogue: Path = field(metadata={"help": "TOML file of shapes: [[shapes]] machine_type, holds, zone, price, ..."})
    secret: str = field(metadata={"help": "Where instances get the certificate: secretmanager: or file:."})
    image: str | None = field(default=None, metadata={"help": "Image or family, where the catalogue names none."})
    zone: str | None = field(default=None, metadata={"help": "Where the catalogue names none."})
    subnet: str | None = field(default=None, metadata={"help": "As regions/REGION/subnetworks/NAME."})
    external_ip: bool = field(default=False, metadata={"help": "Give instances a public address."})
    disk_gb: int | None = field(default=None, metadata={"help": "Of the boot disk; by default that of the image."})
    service_account: str | None = field(default=None, metadata={"help": "Lets instances read secrets."})
    spot: bool = field(default=False, metadata={"help": "Spot instances: cheaper, and taken back at any time."})
    max_price: float | None = field(default=None, metadata={"help": "No instance that costs more in an hour."})
    setup: Path | None = field(default=None, metadata={"help": "Bash to run before the broker; no secrets in it."})
    user: str | None = field(default=None, metadata={"help": "Account that is made for the broker."})
    endpoint: str | None = field(default=None, metadata={"help": "Of another service, asked without credentials."})
    max_nodes: int = field(default=8, metadata={"help": "The most instances that may exist at once."})

    def __post_init__(self) -> None:
        hint = "that is Amazon's; here it is secretmanager: or file:"
        foreign = {"ssm": hint, "secretsmanager": hint}
        _cloud_boot.check_parameters(self, foreign=foreign, access="service_account")
        if not re.fullmatch(r"[a-z0-9][a-z0-9.:-]*", self.project):
            raise ParameterError(f"{self.project!r} is no id of a project", "project")


class ComputeEngineBurst(CloudBurst):
    """A burst is the instances of one bulk insert, all of them or none; Compute Engine deletes them at the deadline."""

    def __init__(self, params: BurstParameters) -> None:
        super().__init__(params, "machine_type")
        for entry in self._entries.values():
            if not (entry.zone or params.zone):
                raise ParameterError(f"shape {entry.name!r} has none, and there is no other", "zone")
        self._clients: dict[str, Any] = {}

    def shapes(self) -> Sequence[NodeShape]:
        spot, most = self.params.spot, self.params.max_price
        prices = {name: one.asked_price(spot=spot, fallback=False) for name, one in self._entries.items()}
        return [
            NodeShape(shape.name, shape.holds, shape.price, self._zone(entry))
            for entry in self._entries.values()
            for shape in [entry.shape(spot=spot, fallback=False)]
            if most is None or ((price := prices[entry.name]) is not None and price <= most)
        ]

    def create(self, burst: Burst) -> None:
        entry = self._entry(burst)
        if any(True for _ in self._instances(burst.name)):
            return
        project, zone, owner = self.params.project, self._zone(entry), self.need_lead().owner
        request = {
            "project": project,
            "zone": zone,
            "request_id": _request_id(owner, burst.name),
            "bulk_insert_instance_resource_resource": launch(burst, entry, self.params, owner, self._script(burst)),
        }
        try:
            with answers("instances.bulkInsert"):
                operation = self._client("InstancesClient").bulk_insert_unary(request, timeout=TIMEOUT)
        except ProviderError as error:
            if status_of(error.__cause__) == 409:  # its names are taken: somebody was faster
                return
            raise
        self._follow(operation, {"project": project, "zone": zone, "operation": operation.name})

    def _follow(self, operation: Any, place: dict[str, str]) -> None:
        """Look at an operation for a while: a lack of capacity is told there, not in the answer. Later it shows."""
        for _ in range(LOOKS):
            if operation.status.name == "DONE":
                break
            time.sleep(PAUSE)
            with answers("zoneOperations.get"):
                operation = self._client("ZoneOperationsClient").get(place, timeout=TIMEOUT)
        failure = failure_of("instances.bulkInsert", operation)
        if failure is not None:
            raise failure

    def status(self, known: Sequence[Burst] = ()) -> Sequence[Sighting]:
        now, found = self.clock(), defaultdict[str, list[Machine]](list)
        for zone, instance in self._instances():
            found[marks_of(instance)[NAME]].append(machine(zone, instance))
        lost = [burst for burst in known if burst.name not in found and burst.id and self._ended(burst)]
        taken = self._preempted(lost) if self.params.spot and lost else set()
        gone = [Sighting(one.name, "gone", one.id, preempted=one.name in taken) for one in lost]
        rest = [burst for burst in known if burst not in lost]
        return self._sightings(found, known) + gone + self._absences.long(rest, found, now, self._ended)

    def destroy(self, burst: Burst) -> None:
        found = [(zone, instance.name) for zone, instance in self._instances(burst.name)]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for _ in pool.map(self._delete, found):
                pass

    def _delete(self, place: tuple[str, str]) -> None:
        zone, name = place
        request = {"project": self.params.project, "zone": zone, "instance": name}
        try:
            with answers("instances.delete"):
                self._client("InstancesClient").delete_unary(request, timeout=TIMEOUT)
        except ProviderError as error:
            if status_of(error.__cause__) != 404:
                raise

    def _script(self, burst: Burst) -> str:
        params = self.params
        join = _cloud_boot.join_script(
            self.need_lead(),
            burst,
            index=_INDEX,
            secret=_cloud_boot.fetched(params.secret),
            over=_OVER,
            user=params.user,
            setup=params.setup,
        )
        return "#!/bin/bash\n" + _cloud_boot.GOOGLE_CALL.format(metadata=_METADATA) + join

    def _zone(self, entry: _catalogue.Entry) -> str:
        return entry.zone or self.params.zone or ""

    def _client(self, name: str) -> Any:
        if name not in self._clients:
            self._clients[name] = connect(name, self.params.endpoint)
        return self._clients[name]

    def _instances(self, name: str = "") -> Iterator[tuple[str, Any]]:
        """(zone, instance) of every instance of this owner, or of one burst."""
        lead = self.need_lead()
        wanted = " AND ".join(f'labels.{key}="{value}"' for key, value in labels(lead.owner, name).items())
        request = {"project": self.params.project, "filter": wanted, "max_results": 500}
        client = self._client("InstancesClient")
        with answers("instances.aggregatedList"):
            for zone, part in client.aggregated_list(request, timeout=TIMEOUT):
                for instance in part.instances:
                    marks = marks_of(instance)
                    if marks.get(OWNER) == lead.owner and marks.get(NAME) and name in {"", marks[NAME]}:
                        yield zone.removeprefix("zones/"), instance

    def _ended(self, burst: Burst) -> bool:
        """Whether Compute Engine, asked for one instance by its name, has none."""
        zone, _, name = burst.id.partition("/")
        if not name:
            if burst.shape not in self._entries:
                return False
            zone, name = self._zone(self._entries[burst.shape]), f"{base_of(burst.name)}-0"
        try:
            with answers("instances.get"):
                self._client("InstancesClient").get(
                    {"project": self.params.project, "zone": zone, "instance": name}, timeout=TIMEOUT
                )
        except ProviderError as error:
            return status_of(error.__cause__) == 404
        return False

    def _preempted(self, lost: Sequence[Burst]) -> set[str]:
        """Which of these bursts Compute Engine has taken back; none where it does not tell."""
        request = {"project": self.params.project, "filter": 'operationType="compute.instances.preempted"'}
        taken = set()
        try:
            with answers("globalOperations.aggregatedList"):
                for _, part in self._client("GlobalOperationsClient").aggregated_list(request, timeout=TIMEOUT):
                    taken |= {one.target_link.rpartition("/")[2].rpartition("-")[0] for one in part.operations}
        except ProviderError:
            return set()
        return {burst.name for burst in lost if base_of(burst.name) in taken}

    def _console(self, id: str) -> str:
        zone, _, name = id.partition("/")
        request = {"project": self.params.project, "zone": zone, "instance": name}
        try:
            with answers("instances.getSerialPortOutput"):
                answer = self._client("InstancesClient").get_serial_port_output(request, timeout=TIMEOUT)
        except ProviderError:
            return ""
        return str(answer.contents)


def _request_id(*parts: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "flux-burst:" + "/".join(parts)))


def init(params: BurstParameters) -> ComputeEngineBurst:
    return ComputeEngineBurst(params)
