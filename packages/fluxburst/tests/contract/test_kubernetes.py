"""Kubernetes over a real API server, on which the test plays the operator and the kubelets (see apiserver.py)."""

from __future__ import annotations

import base64
import itertools
import json
import logging
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import apiserver
import pytest
import yaml

pytest.importorskip("kubernetes", reason="kubernetes is not installed: pip install 'flux-burst[kubernetes]'")

from fluxburst.burstables import _cluster, _minicluster
from fluxburst.client import FluxBurst
from fluxburst.errors import AuthenticationError, ConfigurationError, QuotaError, UncertainError
from fluxburst.lead import Lead, LeadError
from fluxburst.model import Burst, Sighting
from fluxburst.testing import check_burstable, check_create

NUMBERS = itertools.count()
CERTIFICATE = "#  the lead's certificate\ncurve\n    secret-key = Zq9-private-part\n"
HOSTILE = [
    'A=it\'s "quoted"',
    "B=$(FLUX_BURST_DEADLINE) $$(x) $HOME `id`",
    "C=two\nlines\ttab",
    "D=--flag=x;exit",
    "E=",
]
DOCUMENT = Path(__file__).parents[4] / "docs" / "bursting-kubernetes.md"


if MISSING := [name for name in apiserver.NEEDED if not apiserver.binary(name)]:
    pytest.skip(f"no {', '.join(MISSING)} in KUBEBUILDER_ASSETS or PATH", allow_module_level=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    started = apiserver.Server(tmp_path_factory.mktemp("kubernetes"))
    yield started
    started.stop()


@pytest.fixture
def operator(server: Any) -> Any:
    return apiserver.Operator(server, f"n{next(NUMBERS)}")


@pytest.fixture
def lead(tmp_path: Path) -> Lead:
    hosts = ("lead", *(f"kubernetes{number}" for number in range(4)))
    bootstrap = {"curve_cert": "curve.cert", "hosts": [{"host": host} for host in hosts]}
    (tmp_path / "curve.cert").write_text(CERTIFICATE)
    return Lead(tmp_path, "ab12cd34", hosts, "tcp://h:8050", {"kubernetes": hosts[1:]}, {"bootstrap": bootstrap})


class Place:
    """A namespace, and plugins for it."""

    def __init__(self, server: Any, operator: Any, lead: Lead) -> None:
        self.server, self.operator, self.lead, self.namespace = server, operator, lead, operator.namespace
        self.plugin = self.make()

    def make(self, user: str = "tester", lead: Lead | None = None, **values: Any) -> Any:
        values = {"image": "flux:1", "shape": ["big: cores=4 memory=8GB gpus=1"], "namespace": self.namespace, **values}
        plugin = FluxBurst().load("kubernetes", **{"kubeconfig": self.server.kubeconfig(user), **values})
        plugin.lead = lead or self.lead
        return plugin

    def burst(self, hosts: int = 2, **values: Any) -> Burst:
        name = f"ab12cd34-5f6e7d8c-{next(NUMBERS)}"
        some = tuple(f"kubernetes{number}" for number in range(hosts))
        return Burst(name, "kubernetes", "big", some, ("1",), **{"deadline": time.time() + 3600, **values})

    def seen(self, burst: Burst, plugin: Any = None) -> Sighting:
        (one,) = [found for found in (plugin or self.plugin).status([burst]) if found.name == burst.name]
        return one


@pytest.fixture
def place(server: Any, operator: Any, lead: Lead) -> Place:
    return Place(server, operator, lead)


def test_the_contract(place: Place) -> None:
    values = {"image": "flux:1", "kubeconfig": place.server.kubeconfig(), "namespace": place.namespace}
    plugin: Any = check_burstable("kubernetes", **values)
    plugin.lead = place.lead
    burst = replace(place.burst(), shape="pod")
    check_create(plugin, burst)
    name = f"burst-{burst.name}"
    place.operator.start(name)
    for _ in range(2):
        plugin.destroy(burst)
        assert place.seen(burst, plugin).seen == "ending"
    place.operator.clean(name)
    assert place.seen(burst, plugin).seen == "gone"
    plugin.destroy(burst)
    assert plugin.status() == []


def test_what_a_burst_is_made_of(place: Place) -> None:
    plugin = place.make(
        env=HOSTILE, workdir="/data/a b", node_selector=["pool=x"], toleration=["gpu=yes:NoSchedule", "spot"]
    )
    burst = place.burst(deadline=time.time() + 600)
    plugin.create(burst)
    name = f"burst-{burst.name}"
    made, secret = place.operator.found(name), place.operator.secret(name)
    spec, (container,) = made["spec"], made["spec"]["containers"]
    # As it was sent: nothing was dropped by the schema, whose fields are the operator's.
    sent = _minicluster.minicluster(burst, plugin.shapes()[0], place.lead, plugin.params.template(), time.time())
    assert {**spec, "deadlineSeconds": 0} == {**sent["spec"], "deadlineSeconds": 0}
    assert spec["size"] == 2
    assert 500 < spec["deadlineSeconds"] <= 600
    assert container["resources"]["limits"] == {"cpu": "4", "memory": str(8 * 2**30), "nvidia.com/gpu": "1"}
    assert spec["pod"]["tolerations"][0] == {"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}
    told = {key: expand(value) for key, value in container["environment"].items()}
    assert [f"{key}={told[key]}" for key in "ABCDE"] == HOSTILE
    assert made["metadata"]["labels"] == {"flux-burst/owner": "ab12cd34", "flux-burst/name": burst.name}
    (owner,) = secret.metadata.owner_references
    assert owner.uid == made["metadata"]["uid"]
    data = {key: base64.b64decode(value).decode() for key, value in secret.data.items()}
    assert data["curve.cert"] == CERTIFICATE
    assert "-Shostname=kubernetes1\n" in data["broker.1"]
    assert "private" not in json.dumps(made)


def expand(value: str) -> str:
    """What Kubernetes makes of a value in a container's environment (v1 EnvVar, `value`), where no name is known."""
    made, rest = "", value
    while "$" in rest:
        head, _, rest = rest.partition("$")
        made += head + "$"
        rest = rest.removeprefix("$")
    return made + rest


def test_the_life_of_a_burst(place: Place) -> None:
    burst = place.burst(hosts=3)
    name, operator = f"burst-{burst.name}", place.operator
    place.plugin.create(burst)
    one = place.seen(burst)
    assert (one.seen, one.id, one.hosts) == ("pending", f"{place.namespace}/{name}", None)
    assert one.reason == "the Flux Operator has made nothing of it yet"
    assert abs(one.since - time.time()) < 300
    operator.start(name)
    no_room = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes\nfit"}
    operator.pod(name, 0, "Pending", conditions=[no_room])
    assert place.seen(burst).reason == "Unschedulable: 0/3 nodes fit"
    state = apiserver.container(name, waiting={"reason": "ImagePullBackOff", "message": "no such image"})
    operator.pod(name, 0, "Pending", containerStatuses=[state])
    assert place.seen(burst).reason == "ImagePullBackOff: no such image"
    for index in range(3):
        operator.pod(name, index, "Running", containerStatuses=[apiserver.container(name, running={})])
    one = place.seen(burst)
    assert (one.seen, one.reason, one.hosts, one.preempted) == ("running", "", None, False)
    operator.pod(name, 1, "Failed", reason="Evicted", message="the node is low on memory")
    one = place.seen(burst)
    assert (one.seen, one.hosts, one.preempted) == ("running", ("kubernetes0", "kubernetes2"), True)
    operator.over(name, "DeadlineExceeded", "Job was active longer than specified deadline")
    one = place.seen(burst)
    assert (one.seen, one.reason) == ("ending", "DeadlineExceeded: Job was active longer than specified deadline")


def test_what_a_broker_that_failed_has_said(place: Place) -> None:
    burst = place.burst(hosts=1)
    name, operator = f"burst-{burst.name}", place.operator
    place.plugin.create(burst)
    operator.start(name)
    kubelet = apiserver.Kubelet(place.server, f"node-{place.namespace}", b"broker.err: handshake failed\n")
    try:
        kubelet.take(place.namespace, f"{name}-0-x")
        operator.pod(name, 0, "Running", containerStatuses=[apiserver.container(name, running={})])
        assert place.seen(burst).output == ""
        ended = apiserver.container(name, terminated={"exitCode": 1, "reason": "Error"})
        operator.pod(name, 0, "Failed", containerStatuses=[ended])
        one = place.seen(burst)
        assert (one.reason, one.output) == ("Error (exit code 1)", "broker.err: handshake failed\n")
        (path,) = kubelet.asked
        assert "tailLines=40" in path
    finally:
        kubelet.stop()
    assert place.seen(burst).output == ""  # a node that is away is no reason to know nothing


def test_a_creation_that_was_cut_short_is_taken_up(place: Place) -> None:
    """The MiniCluster was made and its Secret was not: the same order again makes what is missing, and that once."""
    burst = place.burst()
    template = place.plugin.params.template()
    body = _minicluster.minicluster(burst, place.plugin.shapes()[0], place.lead, template, time.time())
    place.plugin.cluster.make(body, place.namespace)
    for _ in range(2):
        place.plugin.create(burst)
    assert place.operator.secret(f"burst-{burst.name}").data["curve.cert"]


def test_nothing_is_made_for_hosts_that_can_not_join(place: Place) -> None:
    with pytest.raises(LeadError, match="no slot of this lead"):
        place.plugin.create(replace(place.burst(), hosts=("unknown",)))
    assert place.plugin.status() == []


def test_marks_that_are_none_of_ours(place: Place) -> None:
    """Somebody has put our label, without a name that we could have given, onto something."""
    for number, labels in enumerate([{}, {"flux-burst/name": ""}, {"flux-burst/name": "A_b"}]):
        about = {"name": f"x{number}", "labels": {"flux-burst/owner": "ab12cd34", **labels}}
        body = {"apiVersion": "flux-framework.org/v1alpha2", "kind": "MiniCluster", "metadata": about}
        place.plugin.cluster.make({**body, "spec": {"containers": []}}, place.namespace)
    assert place.plugin.status() == []


def test_what_is_somebody_elses_is_left_alone(place: Place, lead: Lead) -> None:
    other = place.make(lead=replace(lead, owner="other"))
    burst = place.burst()
    other.create(burst)
    for call in (place.plugin.create, place.plugin.destroy):
        with pytest.raises(ConfigurationError, match="not of this lead; nothing was done"):
            call(burst)
    assert [one.name for one in other.status()] == [burst.name]
    assert place.plugin.status() == []
    assert place.plugin.status([burst]) == []  # neither ours nor gone: unknown


def test_leftovers_of_a_minicluster_are_seen_and_swept(place: Place) -> None:
    """Somebody deletes a MiniCluster but not what belongs to it: pods without an owner cost money, too."""
    burst = place.burst()
    name = f"burst-{burst.name}"
    place.plugin.create(burst)
    place.operator.start(name)
    objects = (*apiserver.MINICLUSTERS, place.namespace, "miniclusters", name)
    place.operator.objects.delete_namespaced_custom_object(*objects, body={"propagationPolicy": "Background"})
    one = place.seen(burst)
    assert (one.seen, one.reason) == ("ending", "its MiniCluster is gone, what belonged to it is not yet")
    place.plugin.destroy(Burst(one.name, "kubernetes", "", (), id=one.id))  # as one that was found by its mark
    assert place.seen(burst).seen == "gone"
    assert place.operator.core.list_namespaced_secret(place.namespace, label_selector="flux-burst/name").items == []


def test_namespaces(server: Any, place: Place) -> None:
    elsewhere = apiserver.Operator(server, f"n{next(NUMBERS)}").namespace
    burst = place.burst(namespace=elsewhere)
    with pytest.raises(ConfigurationError, match=f"'{elsewhere}' is not one of"):
        place.plugin.create(burst)
    for allowed in ([elsewhere], ["*"]):
        plugin = place.make(namespaces=allowed)
        plugin.create(burst)
        assert place.seen(burst, plugin).id.startswith(f"{elsewhere}/")
    assert place.seen(burst).id.startswith(f"{elsewhere}/")  # known: looked for where it is
    with pytest.raises(ConfigurationError, match="there is no such namespace: kubectl create namespace"):
        place.make(namespaces=["*"]).create(place.burst(namespace="nowhere"))
    for hostile in ("../x", "a/b", "A b", "x?dryRun=All", "-n"):
        with pytest.raises(ConfigurationError, match="namespace"):
            place.make(namespaces=[hostile]).create(place.burst(namespace=hostile))


def test_many_pages(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cluster, "PAGE", 2)
    bursts = [place.burst(hosts=1) for _ in range(5)]
    for burst in bursts:
        place.plugin.create(burst)
    assert {one.name for one in place.plugin.status()} == {burst.name for burst in bursts}


@pytest.mark.parametrize(
    "values", [{"env": ["A"]}, {"env": ["1x=y"]}, {"toleration": ["a:b"]}, {"node_selector": ["="]}]
)
def test_options_that_make_no_sense(values: dict[str, Any]) -> None:
    from fluxburst.errors import FluxBurstError

    with pytest.raises(FluxBurstError):
        FluxBurst().load("kubernetes", image="i", **values)


@pytest.mark.parametrize("name", ["x" * 60, "Upper", "a_b", "a/b", "-a", "a\nb", ""])
def test_names_that_no_object_can_have(place: Place, name: str) -> None:
    with pytest.raises(ConfigurationError):
        place.plugin.create(replace(place.burst(), name=name))


# What goes wrong


def refused(place: Place, user: str, call: str, **values: Any) -> str:
    plugin = place.make(user, **values)
    with pytest.raises(AuthenticationError) as caught:
        plugin.status() if call == "status" else getattr(plugin, call)(place.burst())
    return str(caught.value)


def test_credentials(place: Place) -> None:
    assert "cannot list resource" in refused(place, "quiet", "status")
    text = refused(place, "quiet", "create")
    assert 'cannot create resource "miniclusters"' in text
    assert "docs/bursting-kubernetes.md" in text
    bad = place.server.kubeconfig("nobody", token="this-token-is-wrong")
    text = refused(place, "quiet", "status", kubeconfig=bad)
    assert "401" in text
    assert "this-token" not in text


def test_credentials_that_were_mended(place: Place) -> None:
    plugin = place.make(kubeconfig=place.server.kubeconfig("mended", token="wrong"))
    with pytest.raises(AuthenticationError):
        plugin.status()
    place.server.kubeconfig("mended", token="token-of-tester")
    assert plugin.status() == []


def documented_rules() -> list[dict[str, Any]]:
    """The rules of the Role in the documentation."""
    if not DOCUMENT.is_file():
        pytest.skip("the repository's documentation is not here")
    (block,) = re.findall(r"```yaml\n(.*?kind: Role\n.*?)```", DOCUMENT.read_text(), re.DOTALL)
    return list(yaml.safe_load(block)["rules"])


def live(place: Place, plugin: Any) -> None:
    """Everything that a plugin asks a cluster, with leftovers and a burst that was cut short."""
    burst = place.burst()
    name = f"burst-{burst.name}"
    for _ in range(2):
        plugin.create(burst)
    place.operator.start(name)
    terminated = apiserver.container(name, terminated={"exitCode": 1, "reason": "Error"})
    place.operator.pod(name, 0, "Failed", containerStatuses=[terminated])
    assert place.seen(burst, plugin).reason == "Error (exit code 1)"
    plugin.destroy(burst)
    objects = (*apiserver.MINICLUSTERS, place.namespace, "miniclusters", name)
    place.operator.objects.patch_namespaced_custom_object(*objects, {"metadata": {"finalizers": None}})
    plugin.destroy(burst)
    assert place.seen(burst, plugin).seen == "gone"


def test_the_documented_role_is_enough(place: Place) -> None:
    plugin = place.make(kubeconfig=place.server.account(place.namespace, documented_rules()))
    deadline = time.monotonic() + 60
    while True:  # the server learns of rights a little later
        try:
            plugin.status()
            break
        except AuthenticationError:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    live(place, plugin)
    with pytest.raises(AuthenticationError, match="cannot list resource"):
        place.make(kubeconfig=plugin.params.kubeconfig, namespace="default").status()
    for call in (plugin.cluster.core.list_namespaced_secret, plugin.cluster.core.list_namespaced_config_map):
        with pytest.raises(Exception, match="forbidden"):
            call(place.namespace)


def test_the_documented_role_is_not_more_than_enough(place: Place) -> None:
    """With any one of its verbs taken away something fails; of logs, only that they are not shown."""
    rules = documented_rules()
    wanted = {
        (group, one, verb) for r in rules for group in r["apiGroups"] for one in r["resources"] for verb in r["verbs"]
    }
    asked: set[tuple[str, str, str]] = set()
    plugin = place.make()
    request = plugin.cluster.core.api_client.rest_client.request

    def watched(method: str, url: str, **options: Any) -> Any:
        asked.add(right(method, url))
        return request(method, url, **options)

    plugin.cluster.core.api_client.rest_client.request = watched
    live(place, plugin)
    assert asked == wanted


def right(method: str, url: str) -> tuple[str, str, str]:
    """What a request asks for: the API group, the resource and the verb ("Authorization Overview", request verbs)."""
    path = urlsplit(url).path.strip("/").split("/")
    group = path[1] if path[0] == "apis" else ""
    resource, *rest = path[path.index("namespaces") + 2 :]
    if len(rest) > 1:
        resource = f"{resource}/{rest[1]}"
    verbs = {("GET", True): "get", ("GET", False): "list", ("POST", False): "create", ("DELETE", True): "delete"}
    return group, resource, verbs.get((method, bool(rest)), "deletecollection")


def test_a_quota(place: Place) -> None:
    hard = {"spec": {"hard": {"count/miniclusters.flux-framework.org": "0"}}}
    place.operator.core.create_namespaced_resource_quota(place.namespace, {"metadata": {"name": "none"}, **hard})
    status = {"status": {**hard["spec"], "used": {"count/miniclusters.flux-framework.org": "0"}}}
    place.operator.core.patch_namespaced_resource_quota_status("none", place.namespace, status)
    deadline = time.monotonic() + 60
    while True:  # the server learns of a quota a little later
        try:
            place.plugin.create(place.burst())
        except QuotaError as error:
            assert "exceeded quota" in str(error)
            return
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_no_answer(place: Place) -> None:
    import socket

    port = apiserver.free_port()
    dead = place.server.kubeconfig("dead", server=f"https://127.0.0.1:{port}")
    with pytest.raises(UncertainError, match="no answer"):
        place.make(kubeconfig=dead).status()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mute = place.server.kubeconfig("mute", server=f"https://127.0.0.1:{silent.getsockname()[1]}")
        plugin = place.make(kubeconfig=mute)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_cluster, "QUIET", {**_cluster.QUIET, "_request_timeout": (0.5, 0.5)})
            with pytest.raises(UncertainError, match="no answer"):
                plugin.create(place.burst())


def test_a_certificate_that_is_not_trusted(place: Place, tmp_path: Path) -> None:
    config = yaml.safe_load(place.server.kubeconfig().read_text())
    del config["clusters"][0]["cluster"]["certificate-authority"]
    path = tmp_path / "untrusting"
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(ConfigurationError, match="not one that the kubeconfig trusts"):
        place.make(kubeconfig=path).status()
    config["clusters"][0]["cluster"]["insecure-skip-tls-verify"] = True
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(ConfigurationError, match="insecure-skip-tls-verify"):
        place.make(kubeconfig=path).status()
    for text in ("", "no yaml: [", "contexts: 3"):
        path.write_text(text)
        with pytest.raises(ConfigurationError, match="no way to a cluster"):
            place.make(kubeconfig=path).status()


def test_what_the_server_refuses_names_the_field(place: Place) -> None:
    plugin = place.make()
    plugin.params.run_as_user = "root"
    with pytest.raises(ConfigurationError, match=r"runAsUser: .*must be of type integer"):
        plugin.create(place.burst())


def test_a_refused_secret_is_not_quoted(place: Place, lead: Lead, tmp_path: Path) -> None:
    (tmp_path / "curve.cert").write_text(CERTIFICATE * 40_000)
    with pytest.raises(ConfigurationError, match=r"making Secret .* refuses data") as caught:
        place.plugin.create(place.burst())
    assert "private" not in str(caught.value)


def test_no_secret_in_any_log(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    burst = place.burst()
    place.plugin.create(burst)
    place.seen(burst)
    place.plugin.destroy(burst)
    assert "private" not in caplog.text
    assert base64.b64encode(CERTIFICATE.encode()).decode()[:40] not in caplog.text
    assert "token-of" not in caplog.text


def test_without_the_operator(place: Place) -> None:
    place.server.uninstall()
    try:
        deadline = time.monotonic() + 60
        with suppress(ConfigurationError):
            while time.monotonic() < deadline:
                place.plugin.status()
                time.sleep(0.2)
        for call in (place.plugin.create, place.plugin.destroy, lambda burst: place.plugin.status([burst])):
            with pytest.raises(ConfigurationError, match="install the Flux Operator"):
                call(place.burst())
    finally:
        place.server.install()


def test_with_the_real_garbage_collector(place: Place) -> None:
    """A burst that is deleted takes along its Job, its pods and its Secret, and is gone only then."""
    if not apiserver.binary("kube-controller-manager"):
        pytest.skip("no kube-controller-manager in KUBEBUILDER_ASSETS or PATH")
    burst = place.burst()
    name = f"burst-{burst.name}"
    place.plugin.create(burst)
    place.operator.start(name)
    place.plugin.destroy(burst)
    assert place.seen(burst).seen == "ending"
    place.server.collector()
    core = place.operator.core
    deadline = time.monotonic() + 90
    while place.seen(burst).seen != "gone":
        assert time.monotonic() < deadline
        time.sleep(0.3)
    assert core.list_namespaced_pod(place.namespace).items == []
    while core.list_namespaced_secret(
        place.namespace, label_selector="flux-burst/name"
    ).items:  # which nothing waits for
        assert time.monotonic() < deadline
        time.sleep(0.3)


def test_the_script_is_good_shell(tmp_path: Path) -> None:
    (tmp_path / "start").write_text(_minicluster.START)
    assert subprocess.run(["sh", "-n", str(tmp_path / "start")], check=False).returncode == 0
