"""The plugin `ec2` against answers as the EC2 API Reference has them, that moto can't give: errors, silence, pages.

"Error codes for the Amazon EC2 API" and the examples of DescribeInstances, RunInstances and GetConsoleOutput.
"""

from __future__ import annotations

import socket
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qsl

import pytest

from fluxburst.burstables import _cloud_aws
from fluxburst.burstables.ec2 import BATCH, BurstParameters, Ec2Burst, init
from fluxburst.errors import (
    AuthenticationError,
    CapacityError,
    ConfigurationError,
    ProviderError,
    QuotaError,
    UncertainError,
)
from fluxburst.model import Burst

from .conftest import IMAGE, SECRET

pytest.importorskip("boto3", reason="boto3 is not installed")
XMLNS = "http://ec2.amazonaws.com/doc/2016-11-15/"


class Wire(ThreadingHTTPServer):
    """Answers by action with (status, XML); `cut` closes the connection, `silence` never answers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.calls: list[dict[str, str]] = []
        self.answers: dict[str, Callable[[dict[str, str]], tuple[int, str] | str]] = {}
        self.over = Event()

    def say(self, action: str, *answers: tuple[int, str] | str) -> None:
        """These in turn, and the last one from then on."""
        left = list(answers)
        self.answers[action] = lambda form: left.pop(0) if len(left) > 1 else left[0]

    def refuse(self, action: str, code: str, status: int = 400, message: str = "No.") -> None:
        error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        self.say(action, (status, f"<Response><Errors>{error}</Errors><RequestID>1</RequestID></Response>"))

    def asked(self, action: str) -> list[dict[str, str]]:
        return [call for call in self.calls if call["Action"] == action]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that was cut is what the test wants."""


class _Handler(BaseHTTPRequestHandler):
    server: Wire

    def do_POST(self) -> None:
        form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        self.server.calls.append(form)
        answer = self.server.answers[form["Action"]](form)
        if answer == "silence":
            self.server.over.wait(60)
        if isinstance(answer, str):
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        body = answer[1].encode()
        self.send_response(answer[0])
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def listing(*items: str, more: str = "") -> tuple[int, str]:
    """A page of DescribeInstances: one reservation."""
    token = f"<nextToken>{more}</nextToken>" if more else ""
    reservation = f"<item><instancesSet>{''.join(items)}</instancesSet></item>" if items else ""
    body = f"<reservationSet>{reservation}</reservationSet>{token}"
    return 200, f'<DescribeInstancesResponse xmlns="{XMLNS}">{body}</DescribeInstancesResponse>'


def instance(id: str, name: str, index: int = 0, state: str = "running", code: str = "", owner: str = "alice") -> str:
    tags = {"flux-burst:owner": owner, "flux-burst:name": name}
    shown = "".join(f"<item><key>{key}</key><value>{value}</value></item>" for key, value in tags.items())
    reason = f"<stateReason><code>{code}</code><message>{code}: said</message></stateReason>" if code else ""
    return (
        f"<item><instanceId>{id}</instanceId><instanceState><code>16</code><name>{state}</name></instanceState>"
        f"<amiLaunchIndex>{index}</amiLaunchIndex><launchTime>2026-01-31T12:00:00.000Z</launchTime>{reason}"
        f"<tagSet>{shown}</tagSet></item>"
    )


def done(action: str, body: str = "") -> tuple[int, str]:
    return 200, f'<{action}Response xmlns="{XMLNS}">{body}</{action}Response>'


@pytest.fixture
def wire() -> Iterator[Wire]:
    server = Wire()
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    server.say("DescribeInstances", listing())
    yield server
    server.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def quick(nobody_is_logged_in) -> Callable[[str], Any]:
    """The plugin's own kind of client, without its long waits. The session is shared: it takes long to read EC2's."""
    import boto3
    import botocore.session
    from botocore.config import Config

    session = boto3.session.Session(botocore_session=botocore.session.get_session(), region_name="us-east-1")
    settings = _cloud_aws.connect("ec2", "us-east-1", None, None).meta.config.merge(Config(read_timeout=1))
    return lambda url: session.client("ec2", endpoint_url=url, config=settings)


@pytest.fixture
def make(wire, quick, catalogue, lead, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between botocore's repetitions
    url = f"http://127.0.0.1:{wire.server_port}"

    def plugin(**more: Any) -> Ec2Burst:
        made = init(BurstParameters(catalogue, **{"secret": "file:/x", "image": IMAGE, "endpoint_url": url, **more}))
        made.lead, made._client = lead, quick(url)
        return made

    return plugin


BURST = Burst("alice-1", "ec2", "small", ("ec2-0", "ec2-1"), deadline=4e9)

KINDS: dict[type[ProviderError], str] = {
    CapacityError: "InsufficientInstanceCapacity SpotMaxPriceTooLow InsufficientFreeAddressesInSubnet",
    QuotaError: "InstanceLimitExceeded VcpuLimitExceeded MaxSpotInstanceCountExceeded PendingVerification",
    AuthenticationError: "UnauthorizedOperation AuthFailure RequestExpired OptInRequired SignatureDoesNotMatch",
    ConfigurationError: "InvalidAMIID.NotFound InvalidParameterValue Unsupported InvalidSubnetID.NotFound NeverHeardOf",
    UncertainError: "RequestLimitExceeded InternalError Unavailable IdempotentParameterMismatch",
}


@pytest.mark.parametrize(("kind", "code"), [(kind, code) for kind, codes in KINDS.items() for code in codes.split()])
def test_kinds_of_errors(make, wire, kind, code):
    message = "You may not. Encoded authorization failure message: aGlkZGVu"
    status = 500 if code in {"InsufficientInstanceCapacity", "InternalError"} else 400
    wire.refuse("RunInstances", code, status, message)
    with pytest.raises(ProviderError) as caught:
        make().create(BURST)
    assert type(caught.value) is kind
    assert code in str(caught.value) and "You may not." in str(caught.value)
    assert "aGlkZGVu" not in str(caught.value) and SECRET not in str(caught.value)


@pytest.mark.parametrize("how", ["cut", "silence", "garbage", "half"])
def test_no_answer_is_uncertain(make, wire, how):
    said = {"garbage": (200, "<html>Moved"), "half": (502, "Bad Gateway")}.get(how, how)
    wire.say("RunInstances", said)
    with pytest.raises(UncertainError):
        make().create(BURST)
    asked = wire.asked("RunInstances")
    assert len({call["ClientToken"] for call in asked}) == 1  # sent again, it is the same request to EC2
    again = make()
    wire.say("DescribeInstances", listing(instance("i-1", "alice-1"), instance("i-2", "alice-1", 1)))
    again.create(BURST)
    assert len(wire.asked("RunInstances")) == len(asked)


def test_no_connection_and_no_credentials(make, wire, quick, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    plugin = make()
    plugin._client = quick(f"http://127.0.0.1:{port}")
    with pytest.raises(UncertainError):
        plugin.status()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    plugin._client = _cloud_aws.connect("ec2", "us-east-1", None, plugin.params.endpoint_url)
    with pytest.raises(AuthenticationError, match="credentials"):
        plugin.status()
    with pytest.raises(ConfigurationError, match="profile"):
        _cloud_aws.connect("ec2", None, "nobody", None)


def test_spot_falls_back_where_the_price_allows_it(make, wire):
    wire.refuse("RunInstances", "InsufficientInstanceCapacity", 500)
    refused = wire.answers["RunInstances"]
    made = done("RunInstances", "<instancesSet><item><instanceId>i-1</instanceId></item></instancesSet>")
    wire.answers["RunInstances"] = lambda form: refused(form) if "InstanceMarketOptions.MarketType" in form else made
    with pytest.raises(CapacityError):
        make(spot=True).create(BURST)
    with pytest.raises(CapacityError):
        make(spot=True, fallback=True, max_price=0.05).create(BURST)
    wire.calls.clear()
    plugin = make(spot=True, fallback=True, max_price=0.1)
    plugin.create(BURST)
    spot, demand = wire.asked("RunInstances")[0], wire.asked("RunInstances")[-1]
    assert "InstanceMarketOptions.MarketType" in spot and "InstanceMarketOptions.MarketType" not in demand
    assert spot["ClientToken"] != demand["ClientToken"]
    wire.refuse("RunInstances", "InternalError", 500)  # it may have been done: nothing else is tried
    wire.calls.clear()
    with pytest.raises(UncertainError):
        plugin.create(BURST)
    assert all("InstanceMarketOptions.MarketType" in call for call in wire.asked("RunInstances"))


def test_pages_and_batches_of_a_thousand(make, wire):
    every = [instance(f"i-{n}", "alice-1", n) for n in range(1000)]
    strange = instance("i-foreign", "alice-1", owner="bob")  # even if the filter were not kept
    pages = {"": listing(*every[:500], more="2"), "2": listing(*every[500:], strange)}
    wire.answers["DescribeInstances"] = lambda form: pages[form.get("NextToken", "")]
    wire.say("TerminateInstances", done("TerminateInstances"))
    plugin = make()
    assert [(one.name, one.seen, one.hosts) for one in plugin.status()] == [("alice-1", "running", None)]
    assert len(wire.asked("DescribeInstances")) == 2
    plugin.destroy(BURST)
    batches = [
        [value for key, value in call.items() if key.startswith("InstanceId.")]
        for call in wire.asked("TerminateInstances")
    ]
    assert max(map(len, batches)) <= BATCH
    assert sorted(id for batch in batches for id in batch) == sorted(f"i-{n}" for n in range(1000))


def test_one_unknown_instance_keeps_no_other_alive(make, wire):
    ids = ["i-1", "i-2", "i-3"]
    wire.say("DescribeInstances", listing(*(instance(id, "alice-1", at) for at, id in enumerate(ids))))
    wire.refuse("TerminateInstances", "InvalidInstanceID.NotFound")
    refused = wire.answers["TerminateInstances"]
    wire.answers["TerminateInstances"] = lambda form: (
        refused(form) if "i-2" in form.values() else done("TerminateInstances")
    )
    make().destroy(BURST)
    ended = [call["InstanceId.1"] for call in wire.asked("TerminateInstances") if "InstanceId.2" not in call]
    assert ended == ids


def test_spot_requests_are_cancelled(make, wire):
    wire.say("DescribeInstances", listing())
    request = "<item><spotInstanceRequestId>sir-1</spotInstanceRequestId><state>open</state></item>"
    body = f"<spotInstanceRequestSet>{request}</spotInstanceRequestSet>"
    wire.say("DescribeSpotInstanceRequests", done("DescribeSpotInstanceRequests", body))
    wire.say("CancelSpotInstanceRequests", done("CancelSpotInstanceRequests"))
    make(spot=True).destroy(BURST)
    (call,) = wire.asked("CancelSpotInstanceRequests")
    assert call["SpotInstanceRequestId.1"] == "sir-1"
    assert not wire.asked("TerminateInstances")


@pytest.mark.parametrize(
    ("instances", "seen", "preempted", "hosts"),
    [
        ([("pending", ""), ("running", "")], "pending", False, None),
        ([("running", ""), ("running", "")], "running", False, None),
        ([("running", ""), ("terminated", "Server.SpotInstanceTermination")], "running", True, ("ec2-0",)),
        ([("shutting-down", ""), ("terminated", "")], "ending", False, None),
        ([("terminated", "Server.SpotInstanceTermination")] * 2, "gone", True, None),
        ([("terminated", "Client.InstanceInitiatedShutdown")] * 2, "gone", False, None),
        ([("stopped", ""), ("terminated", "")], "ending", False, None),
    ],
)
def test_what_instances_say_together(make, wire, instances, seen, preempted, hosts):
    items = [instance(f"i-{at}", "alice-1", at, state, code) for at, (state, code) in enumerate(instances)]
    wire.say("DescribeInstances", listing(*items))
    (one,) = make().status([BURST])
    assert (one.seen, one.preempted, one.hosts) == (seen, preempted, hosts)
    assert one.since == 1769860800
    code = next((code for _, code in instances if code), "")
    assert one.reason == (f"{code}: said" if code else "")


def test_output_of_a_boot_that_failed(make, wire):
    """Asked for while it joins, and not at every look."""
    wire.say("DescribeInstances", listing(instance("i-1", "alice-1"), instance("i-2", "alice-1", 1, "terminated")))
    text = b64encode(b"x" * 5000 + b"\x1b[31m\nflux-burst: no certificate could be fetched\n").decode()
    wire.say("GetConsoleOutput", done("GetConsoleOutput", f"<instanceId>i-2</instanceId><output>{text}</output>"))
    plugin = make()
    joining = Burst("alice-1", "ec2", "small", ("ec2-0", "ec2-1"), state="joining", deadline=4e9)
    for _ in range(3):
        (one,) = plugin.status([joining])
        assert one.output.endswith("no certificate could be fetched\n")
        assert len(one.output) <= 2000 and "\x1b" not in one.output
    (call,) = wire.asked("GetConsoleOutput")
    assert call["InstanceId"] == "i-2"
    ready = Burst("alice-1", "ec2", "small", ("ec2-0", "ec2-1"), state="ready", deadline=time.time() + 60)
    make().status([ready])
    assert len(wire.asked("GetConsoleOutput")) == 1
