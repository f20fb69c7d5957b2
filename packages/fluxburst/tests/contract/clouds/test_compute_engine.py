"""The plugin `compute-engine`: Google's own client against a small server that speaks its few methods.

The server follows the Compute Engine API reference (instances.bulkInsert, aggregatedList, get, delete,
getSerialPortOutput; zoneOperations.get). It is not Compute Engine: nothing here has met the real service.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import inf
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from fluxburst.burstables.compute_engine import BurstParameters, ComputeEngineBurst, init
from fluxburst.errors import (
    AuthenticationError,
    CapacityError,
    ConfigurationError,
    ProviderError,
    QuotaError,
    UncertainError,
)
from fluxburst.model import Burst
from fluxburst.testing import check_create, check_destroy

from .conftest import SECRET, a_lead

pytest.importorskip("google.cloud.compute_v1", reason="google-cloud-compute is not installed")
ZONE = "us-central1-a"
PAGE = 3
Answer = tuple[int, dict[str, Any]]


class Compute(ThreadingHTTPServer):
    """Keeps instances by name; a name that exists is refused. refusal: how bulkInsert answers instead, or its end."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.instances: dict[str, dict[str, Any]] = {}
        self.operations: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.refusal: Answer | str | None = None
        self.ends_with: list[dict[str, str]] = []
        self.lock = Lock()

    def answer(self, method: str, path: str, query: dict[str, str], body: dict[str, Any]) -> Answer | str:
        with self.lock:
            self.asked.append((method, path, body | {"query": query}))
            for verb, pattern, act in _ROUTES:
                match = re.fullmatch(r"/compute/v1/projects/p1/" + pattern, path)
                if match and verb == method:
                    return act(self, *match.groups(), query, body)
        return 404, error(404, "notFound")

    def bulk_insert(self, query: dict[str, str], body: dict[str, Any]) -> Answer | str:
        if self.refusal is not None:
            return self.refusal
        names, given = body["perInstanceProperties"], body["instanceProperties"]
        assert int(body["count"]) == int(body["minCount"]) == len(names)
        ends = list(self.ends_with)
        if set(names) & set(self.instances):
            ends = [{"code": "RESOURCE_ALREADY_EXISTS", "message": "it exists"}]
        if not ends:
            for name in names:
                stamp = "2026-01-31T04:00:00.000-08:00"
                kept = {key: given[key] for key in ("labels", "metadata", "scheduling")}
                self.instances[name] = {"name": name, "status": "RUNNING", "creationTimestamp": stamp, **kept}
        operation: dict[str, Any] = {"name": f"op-{len(self.operations)}", "status": "DONE", "zone": ZONE}
        if ends:
            operation |= {"httpErrorStatusCode": 503, "httpErrorMessage": "NO", "error": {"errors": ends}}
        self.operations[operation["name"]] = operation
        return 200, {**operation, "status": "RUNNING"} if not ends else operation

    def listed(self, query: dict[str, str], _: object) -> Answer:
        wanted = dict(re.findall(r'labels\.([a-z-]+)="([^"]*)"', query["filter"]))
        shown = [one for _, one in sorted(self.instances.items()) if wanted.items() <= one["labels"].items()]
        start = int(query.get("pageToken", "0"))
        page: dict[str, Any] = {"items": {f"zones/{ZONE}": {"instances": shown[start : start + PAGE]}}}
        return 200, page | ({"nextPageToken": str(start + PAGE)} if start + PAGE < len(shown) else {})

    def got(self, name: str, query: object, _: object) -> Answer:
        return (200, self.instances[name]) if name in self.instances else (404, error(404, "notFound"))

    def deleted(self, name: str, query: object, _: object) -> Answer:
        if self.instances.pop(name, None) is None:
            return 404, error(404, "notFound")
        return 200, {"name": "op-delete", "status": "DONE"}

    def operation(self, name: str, query: object, _: object) -> Answer:
        return 200, self.operations[name]

    def printed(self, name: str, query: object, _: object) -> Answer:
        return 200, {"contents": "flux-burst: no certificate could be fetched\n"}

    def preempted(self, query: object, _: object) -> Answer:
        link = f"https://compute/projects/p1/zones/{ZONE}/instances/alice-1-0"
        return 200, {"items": {f"zones/{ZONE}": {"operations": [{"name": "op", "targetLink": link}]}}}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that was cut is what the test wants."""


_ROUTES: list[tuple[str, str, Callable[..., Any]]] = [
    ("POST", f"zones/{ZONE}/instances/bulkInsert", Compute.bulk_insert),
    ("GET", "aggregated/instances", Compute.listed),
    ("GET", "aggregated/operations", Compute.preempted),
    ("GET", f"zones/{ZONE}/instances/([a-z0-9-]+)", Compute.got),
    ("GET", f"zones/{ZONE}/instances/([a-z0-9-]+)/serialPort", Compute.printed),
    ("DELETE", f"zones/{ZONE}/instances/([a-z0-9-]+)", Compute.deleted),
    ("GET", f"zones/{ZONE}/operations/([a-z0-9-]+)", Compute.operation),
]


def error(status: int, reason: str, message: str = "No.") -> dict[str, Any]:
    return {"error": {"code": status, "message": message, "errors": [{"reason": reason, "message": message}]}}


class _Handler(BaseHTTPRequestHandler):
    server: Compute

    def _serve(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        answer = self.server.answer(self.command, url.path, query, json.loads(raw or b"{}"))
        if isinstance(answer, str):
            self.close_connection = True
            return
        body = json.dumps(answer[1]).encode()
        self.send_response(answer[0])
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = _serve

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def compute() -> Iterator[Compute]:
    server = Compute()
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def make(compute, lead, tmp_path, monkeypatch):
    monkeypatch.setattr("fluxburst.burstables.compute_engine.PAUSE", 0.01)
    path = tmp_path / "google.toml"
    path.write_text(
        f'[[shapes]]\nname = "small"\nmachine_type = "n2-standard-4"\nholds = "cores=2"\nzone = "{ZONE}"\nprice = 0.2\n'
        f'[[shapes]]\nmachine_type = "g2-standard-8"\nholds = "cores=4 gpus=1"\nzone = "{ZONE}"\n'
    )

    def plugin(owner: str = "alice", **more: Any) -> ComputeEngineBurst:
        given = {"secret": "file:/x", "image": "projects/p/global/images/flux", **more}
        made = init(BurstParameters("p1", path, endpoint=f"http://127.0.0.1:{compute.server_port}", **given))
        made.lead = a_lead(lead.folder, owner)
        return made

    return plugin


def burst(name: str = "alice-1", hosts: int = 2, **more: Any) -> Burst:
    given = {"shape": "small", "deadline": time.time() + 3600, **more}
    return Burst(name, "compute-engine", hosts=tuple(f"gce{n}" for n in range(hosts)), **given)


@pytest.mark.parametrize("name", ["alice-1", "Alice_B-1f-3"])
def test_the_contract(make, compute, name):
    plugin = make()
    order = burst(name, hosts=4)
    check_create(plugin, order)
    assert len(compute.instances) == 4
    (one,) = plugin.status([order])
    assert (one.name, one.seen, one.since) == (name, "running", 1769860800)
    check_destroy(plugin, burst(name, hosts=4, id=one.id))
    assert not compute.instances


def test_what_is_asked_of_compute_engine(make, compute):
    secret = {"secret": "secretmanager:projects/p1/secrets/curve", "service_account": "sa@p1"}
    make(**secret, spot=True).create(burst(deadline=4102444800.9))
    (body,) = [body for _, path, body in compute.asked if path.endswith("bulkInsert")]
    given = body["instanceProperties"]
    assert given["scheduling"] == {
        "automaticRestart": False,
        "instanceTerminationAction": "DELETE",
        "onHostMaintenance": "TERMINATE",
        "provisioningModel": "SPOT",
        "terminationTime": "2100-01-01T00:00:00+00:00",
    }
    assert given["labels"] == {"flux-burst-owner": "alice", "flux-burst-name": "alice-1"}
    assert set(body["perInstanceProperties"]) == {"alice-1-0", "alice-1-1"}
    assert given["machineType"] == "n2-standard-4" and given["disks"][0]["autoDelete"] is True
    assert "accessConfigs" not in given["networkInterfaces"][0]
    assert SECRET not in json.dumps(body)
    first = body["query"]["requestId"]
    compute.instances.clear()
    make(**secret, spot=True).create(burst(deadline=4102444800.9))
    again = [body for _, path, body in compute.asked if path.endswith("bulkInsert")][1]
    assert again == body and again["query"]["requestId"] == first


def test_a_name_that_exists_is_no_error(make, compute):
    """Another controller was faster, between the look and the call."""
    compute.ends_with = [{"code": "RESOURCE_ALREADY_EXISTS", "message": "it exists"}]
    make().create(burst())
    compute.refusal = (409, error(409, "alreadyExists"))
    make().create(burst())
    assert sum(path.endswith("bulkInsert") for _, path, _ in compute.asked) == 2


def test_nobody_elses_instances(make, compute):
    mine, other = make(), make("bob")
    mine.create(burst("alice-1"))
    other.create(burst("bob-1"))
    for one in compute.instances.values():  # labels can be set by anybody; the metadata says whose it is
        one["labels"]["flux-burst-owner"] = "alice"
    assert [one.name for one in mine.status()] == ["alice-1"]
    mine.destroy(burst("bob-1"))
    mine.destroy(burst("alice-1"))
    assert sorted(compute.instances) == ["bob-1-0", "bob-1-1"]
    assert not mine.status()


KINDS: list[tuple[type[ProviderError], str]] = [
    (CapacityError, "ZONE_RESOURCE_POOL_EXHAUSTED"),
    (CapacityError, "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS"),
    (QuotaError, "QUOTA_EXCEEDED"),
    (UncertainError, "INTERNAL_ERROR"),
]


@pytest.mark.parametrize(("kind", "code"), KINDS)
def test_operations_that_fail(make, compute, kind, code):
    compute.ends_with = [{"code": code, "message": "The zone has not enough."}]
    with pytest.raises(ProviderError, match="The zone has not enough") as caught:
        make().create(burst())
    assert type(caught.value) is kind and code in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "status", "reason"),
    [
        (AuthenticationError, 401, "authError"),
        (AuthenticationError, 403, "forbidden"),
        (QuotaError, 403, "quotaExceeded"),
        (UncertainError, 403, "rateLimitExceeded"),
        (ConfigurationError, 403, "accessNotConfigured"),
        (ConfigurationError, 404, "notFound"),
        (ConfigurationError, 400, "invalid"),
        (UncertainError, 503, "backendError"),
    ],
)
def test_answers_that_refuse(make, compute, kind, status, reason):
    compute.refusal = (status, error(status, reason))
    with pytest.raises(ProviderError) as caught:
        make().create(burst())
    assert type(caught.value) is kind
    assert reason in str(caught.value) or status == 401


def test_no_answer_is_uncertain(make, compute):
    compute.refusal = "cut"
    with pytest.raises(UncertainError):
        make().create(burst())


def test_one_that_was_there_and_is_not(make, compute):
    plugin = make(spot=True)
    plugin.create(burst())
    known = burst(id=plugin.status()[0].id)
    assert known.id == f"{ZONE}/alice-1-0"
    compute.instances.pop("alice-1-1")
    (one,) = plugin.status([known])
    assert (one.seen, one.hosts) == ("running", ("gce0",))
    compute.instances.clear()
    assert [(one.seen, one.preempted) for one in plugin.status([known])] == [("gone", True)]
    never = burst("alice-2")  # nobody has seen it yet: that it is not there says nothing
    assert not plugin.status([never])


def test_a_stopped_instance_still_costs(make, compute):
    plugin = make()
    plugin.create(burst())
    for one in compute.instances.values():
        one["status"] = "TERMINATED"
    (one,) = plugin.status([burst(state="joining")])
    assert (one.seen, one.reason) == ("ending", "it was stopped")
    assert one.output.endswith("no certificate could be fetched\n")


def test_offers_and_parameters(make):
    assert [(one.name, one.price, one.place) for one in make().shapes()] == [
        ("small", 0.2, ZONE),
        ("g2-standard-8", inf, ZONE),
    ]
    assert [one.name for one in make(max_price=0.3).shapes()] == ["small"]
    with pytest.raises(ValueError, match="Amazon"):
        make(secret="ssm:/x")
    with pytest.raises(ValueError, match="service_account"):
        make(secret="secretmanager:projects/p/secrets/x")
