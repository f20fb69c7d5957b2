"""Kubernetes: the contract over a real API server, on which the test plays the nodes (see kubernetes_cluster.py)."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import itertools
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import yaml

pytest.importorskip("kubernetes", reason="kubernetes is not installed: pip install 'ensemble-python[kubernetes]'")

from ensemble.errors import MemberError
from ensemble.member import Options, SubmitLimit, Unreachable
from ensemble.members.kubernetes import KubernetesMember
from ensemble.members.minicluster import MiniClusterMember
from ensemble.testing import SCENARIOS, Scenario, Session, check_member


def _load() -> ModuleType:
    path = Path(__file__).with_name("kubernetes_cluster.py")
    spec = importlib.util.spec_from_file_location("kubernetes_cluster", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


cluster = _load()
NUMBERS = itertools.count()
MISSING = [name for name in ("etcd", "kube-apiserver", "openssl") if not cluster.binary(name)]
if MISSING:
    pytest.skip(f"no {', '.join(MISSING)} in KUBEBUILDER_ASSETS or PATH", allow_module_level=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    started = cluster.Server(tmp_path_factory.mktemp("kubernetes"))
    yield started
    started.stop()


class Place:
    """A namespace with a node, and members for it."""

    def __init__(self, server: object, folder: Path) -> None:
        self.server = server
        self.namespace = f"n{next(NUMBERS)}"
        (folder / "logs").mkdir()
        (folder / "member").mkdir()
        self.folder = folder / "member"
        self.node = cluster.Node(server, self.namespace, folder / "logs")

    def make(self, **settings: object) -> KubernetesMember:
        given = {"kubeconfig": str(self.server.kubeconfig), "namespace": self.namespace, "image": "i", **settings}
        return KubernetesMember(Options(run="R1", folder=self.folder, settings=given))


@pytest.fixture
def place(server: object, tmp_path: Path) -> Iterator[Place]:
    made = Place(server, tmp_path)
    yield made
    made.node.stop()


# A pod's log has both streams in one, and a directory of the container's is not this machine's.
LOGS = ("output_and_errors_are_kept",)


@pytest.mark.parametrize(
    "scenario", [one for one in SCENARIOS if one.__name__ not in LOGS], ids=lambda scenario: scenario.__name__
)
def test_contract(scenario: Scenario, place: Place) -> None:
    check_member(scenario, place.make)


def play(place: Place, scenario: Scenario, **settings: object) -> None:
    check_member(scenario, lambda: place.make(**settings))


def exceptions(session: Session) -> list[tuple[str, str]]:
    return [(e.context["type"], e.context["note"]) for e in session.events if e.name == "exception"]


async def first_pod(place: Place) -> dict[str, object]:
    for _ in range(200):
        if pods := place.node.pods():
            return dict(pods[0])
        await asyncio.sleep(0.1)
    raise TimeoutError


def test_a_second_creation_meets_the_first(place: Place) -> None:
    async def twice(session: Session) -> None:
        place.node.paused = True
        jobs = session.prepare(["true"], count=2)
        await session.member.submit(jobs)
        other = Session(place.make)
        await other.member.open(other.emit, other.lost)
        await other.member.submit(jobs)
        assert len(place.node.jobs()) == 2
        ids = {event.context["id"] for event in [*session.events, *other.events] if event.name == "submit"}
        assert len(ids) == 2
        place.node.paused = False
        assert await other.outcomes([job.name for job in jobs]) == {"success"}
        await other.member.close(leave=True)

    play(place, twice)


def test_an_indexed_job_of_many(place: Place) -> None:
    """A server of 1.20 keeps of it what matters here; its controller is played."""

    async def many(session: Session) -> None:
        assert isinstance(session.member, KubernetesMember)
        session.member._version = (1, 29)
        names = await session.submit(["sh", "-c", "exit 3"], count=12)
        assert await session.outcomes(names) == {"failed"}
        (job,) = place.node.jobs()
        assert job["spec"]["completions"] == 12
        assert {event.context["id"] for event in session.events if event.name == "submit"} == {
            f"{job['metadata']['name']}:{index}" for index in range(12)
        }
        names = await session.submit(["sleep", "60"], count=10)
        await session.until("start", names)
        await session.member.cancel(names[:2])
        assert await session.outcomes(names[:2]) == {"cancelled"}
        assert not {event.job for event in session.events if event.name == "exception"} & set(names[2:])
        await session.again()
        absent = await session.member.adopt(session.known(names[2:]))
        assert not absent
        await session.member.cancel(names[2:])
        assert await session.outcomes(names) == {"cancelled"}

    play(place, many)


def test_the_api_server_goes_and_comes_back(server: object, place: Place) -> None:
    async def restarted(session: Session) -> None:
        names = await session.submit(["sleep", "1"], count=3)
        await session.until("start", names)
        server.kill()
        await asyncio.to_thread(server.start)
        assert await session.outcomes(names) == {"success"}

    play(place, restarted)


def test_a_container_that_does_not_come_up_is_given_up_with_its_reason(place: Place) -> None:
    async def stuck(session: Session) -> None:
        place.node.paused = True
        (name,) = await session.submit(["true"])
        place.node.once()
        pod = await first_pod(place)
        waiting = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "nowhere/none"'}
        place.node.report(pod["metadata"]["name"], {"waiting": waiting}, phase="Pending")
        assert await session.outcomes([name]) == {"exception"}
        assert exceptions(session)[0][0] == "boot"
        assert "nowhere/none" in exceptions(session)[0][1]
        for _ in range(100):
            if not place.node.jobs():
                return
            await asyncio.sleep(0.1)
        raise AssertionError("its Job should be deleted")

    play(place, stuck, stuck=1)


def test_an_eviction_is_the_infrastructure_s(place: Place) -> None:
    async def evicted(session: Session) -> None:
        (name,) = await session.submit(["sleep", "60"])
        await session.until("start", [name])
        place.node.paused = True
        pod = await first_pod(place)
        state = {"exitCode": 137, "reason": "Error", "startedAt": "2026-03-01T10:00:05Z"}
        state["finishedAt"] = state["startedAt"]
        told = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory"}
        place.node.report(pod["metadata"]["name"], {"terminated": state}, **told)
        assert await session.outcomes([name]) == {"exception"}
        assert exceptions(session) == [("preempted", "Evicted: The node was low on memory")]

    play(place, evicted)


def test_a_pod_that_is_replaced_is_a_requeue(place: Place) -> None:
    async def replaced(session: Session) -> None:
        (name,) = await session.submit(["sleep", "3"])
        await session.until("start", [name])
        place.node.replaces = True
        pod = await first_pod(place)
        place.node.core.delete_namespaced_pod(
            pod["metadata"]["name"], place.namespace, grace_period_seconds=0, _preload_content=False
        )
        await session.until("clean", [name])
        course = [event.name for event in session.events]
        assert course == ["submit", "alloc", "start", "requeue", "alloc", "start", "finish", "clean"]

    play(place, replaced)


def test_a_job_that_somebody_deletes_is_cancelled(place: Place) -> None:
    async def deleted(session: Session) -> None:
        (name,) = await session.submit(["sleep", "60"])
        await session.until("start", [name])
        (job,) = place.node.jobs()
        place.node.batch.delete_namespaced_job(
            job["metadata"]["name"], place.namespace, propagation_policy="Background", _preload_content=False
        )
        assert await session.outcomes([name]) == {"cancelled"}
        assert exceptions(session)[0][1].endswith("was deleted")

    play(place, deleted)


def test_output_is_written_where_it_is_asked_for(place: Place, tmp_path: Path) -> None:
    async def written(session: Session) -> None:
        (name,) = await session.submit(["sh", "-c", "echo out; echo err >&2; exit 1"], output=str(tmp_path / "log"))
        assert await session.outcomes([name]) == {"failed"}
        assert (tmp_path / "log").read_bytes() == b"out\nerr\n"
        assert await session.member.read(name, "err", -4) == b"err\n"
        assert await session.member.read(name, "out", 4, 2) == b"er"
        assert session.member.where(name).startswith(f"kubectl -n {place.namespace} logs r1-group-0-0-")

    play(place, written)


def test_what_the_server_refuses_ends_with_its_words(place: Place) -> None:
    async def refused(session: Session) -> None:
        for pod, said in (
            ({"priorityClassName": ["no", "list"]}, "priorityClassName"),
            ({"restartPolicy": "Always"}, "the server says 422"),
        ):
            names = await session.submit(["true"], attributes={"pod": pod})
            assert await session.outcomes(names) == {"exception"}
            kind, note = exceptions(session)[-1]
            assert kind == "submit"
            assert said in note

    play(place, refused)


def test_a_quota_pauses(place: Place) -> None:
    hard = {"count/jobs.batch": "0"}
    core = place.node.core
    core.create_namespaced_resource_quota(place.namespace, {"metadata": {"name": "q"}, "spec": {"hard": hard}})
    core.patch_namespaced_resource_quota_status("q", place.namespace, {"status": {"hard": hard, "used": hard}})

    async def full(session: Session) -> None:
        with pytest.raises(SubmitLimit, match="exceeded quota"):
            await session.submit(["true"])
        assert not session.events

    play(place, full)


def test_calls_do_not_grow_with_jobs(place: Place) -> None:
    async def counted(session: Session) -> None:
        names = await session.submit(["true"], count=30)
        await session.until("clean", names)
        assert sum(session.member.calls.values()) == 4  # a list and a watch of each kind

    play(place, counted)


def test_a_server_that_is_not_there_is_unreachable(server: object, place: Place) -> None:
    config = place.folder / "config"
    config.write_text(server.kubeconfig.read_text().replace(str(server.port), str(cluster.free_port())))

    async def nobody() -> None:
        with pytest.raises(Unreachable, match="asking for its version"):
            await place.make(kubeconfig=str(config)).open(lambda event: None, lambda error: None)
        config.write_text(server.kubeconfig.read_text().replace("of-a-throwaway-server", "wrong"))
        with pytest.raises(MemberError, match="401") as caught:
            await place.make(kubeconfig=str(config)).open(lambda event: None, lambda error: None)
        assert "wrong" not in str(caught.value)

    asyncio.run(nobody())


def test_certificates_are_always_checked(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        "clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1', insecure-skip-tls-verify: true}}]\n"
        "users: [{name: c, user: {token: x}}]\ncontexts: [{name: c, context: {cluster: c, user: c}}]\n"
    )

    async def refuses(settings: dict[str, object], said: str) -> None:
        with pytest.raises(MemberError, match=said):
            await KubernetesMember(Options(settings=settings)).open(lambda event: None, lambda error: None)

    asyncio.run(refuses({"kubeconfig": str(config)}, "check of certificates"))
    asyncio.run(refuses({"kubeconfig": str(tmp_path / "none")}, "no way to a cluster"))
    with pytest.raises(MemberError, match="no setting 'imag'"):
        KubernetesMember(Options(settings={"imag": "x"}))


# MiniCluster: the resource is a real one of the API server; its operator is a few lines of the test.

CRD = Path(__file__).parents[1] / "data" / "minicluster-crd.yaml"
KIND = ("flux-framework.org", "v1alpha2")


@pytest.fixture
def minicluster(server: object, place: Place) -> Iterator[Place]:
    from kubernetes import client

    api = server.api()
    definitions = client.ApiextensionsV1Api(api)
    with contextlib.suppress(client.ApiException):  # there already
        definitions.create_custom_resource_definition(yaml.safe_load(CRD.read_text()))
    objects = client.CustomObjectsApi(api)
    body = {
        "apiVersion": "/".join(KIND),
        "kind": "MiniCluster",
        "metadata": {"name": "flux"},
        "spec": {"size": 2, "maxSize": 4},
    }
    for _ in range(100):
        with contextlib.suppress(client.ApiException):
            objects.create_namespaced_custom_object(*KIND, place.namespace, "miniclusters", body)
            break
        time.sleep(0.1)
    place.objects = objects
    yield place


def make_minicluster(place: Place, **settings: object) -> MiniClusterMember:
    given = {"kubeconfig": str(place.server.kubeconfig), "namespace": place.namespace, "minicluster": "flux"}
    options = {**given, "jobs": {"name": "hyperqueue"}, "wait": 20, **settings}
    return MiniClusterMember(Options(run="R1", folder=place.folder, cores=2, interval=0.5, settings=options))


def operate(place: Place, ended: threading.Event) -> None:
    """What the operator does: the size that is asked for becomes the size that is."""
    where = (*KIND, place.namespace, "miniclusters", "flux")
    while not ended.wait(0.2):
        asked = place.objects.get_namespaced_custom_object(*where)["spec"]["size"]
        place.objects.patch_namespaced_custom_object_status(*where, {"status": {"size": asked, "maximumSize": 4}})


def test_a_minicluster_grows_and_shrinks_and_its_jobs_run(minicluster: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("hyperqueue")
    monkeypatch.setenv("HOME", str(minicluster.folder))
    ended = threading.Event()
    operator = threading.Thread(target=operate, args=(minicluster, ended), daemon=True)
    operator.start()

    async def grows(session: Session) -> None:
        assert session.member.size == 2
        await session.member.resize(4)
        await session.member.resize(4)
        assert session.member.size == 4
        await session.member.resize(1)
        assert session.member.size == 1
        for wrong in (0, 5):
            with pytest.raises(MemberError, match="can have 1 to 4 nodes"):
                await session.member.resize(wrong)
        names = await session.submit(["true"], count=2)
        assert await session.outcomes(names) == {"success"}
        assert session.member.calls is session.member._jobs.calls

    try:
        check_member(grows, lambda: make_minicluster(minicluster))
    finally:
        ended.set()
        operator.join(10)


def test_a_minicluster_without_an_operator_is_told_of(minicluster: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("hyperqueue")
    monkeypatch.setenv("HOME", str(minicluster.folder))

    async def waits(session: Session) -> None:
        with pytest.raises(MemberError, match="has None of 3 nodes after 1 s"):
            await session.member.resize(3)

    check_member(waits, lambda: make_minicluster(minicluster, wait=1))

    async def missing() -> None:
        with pytest.raises(MemberError, match=r"MiniCluster none: the server says 404"):
            await make_minicluster(minicluster, minicluster="none").open(lambda event: None, lambda error: None)

    asyncio.run(missing())
    with pytest.raises(MemberError, match="which one"):
        make_minicluster(minicluster, minicluster="")


@pytest.fixture
def controlled(server: object, place: Place) -> Iterator[Place]:
    """The real Job controller and garbage collector, in place of the played ones."""
    name = "kube-controller-manager"
    if not cluster.binary(name):
        pytest.skip(f"no {name} in KUBEBUILDER_ASSETS or PATH")
    place.node.makes_pods = False
    server.run(
        name,
        f"--kubeconfig={server.kubeconfig}",
        "--controllers=job,garbagecollector",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        f"--secure-port={cluster.free_port()}",
        f"--cert-dir={server.folder}/manager",
    )
    yield place
    server.kill()


CONTROLLED = (
    "jobs_succeed",
    "a_job_fails",
    "a_running_job_is_cancelled",
    "waiting_jobs_are_cancelled",
    "closing_cancels",
)


@pytest.mark.parametrize(
    "scenario", [one for one in SCENARIOS if one.__name__ in CONTROLLED], ids=lambda scenario: scenario.__name__
)
def test_contract_with_the_job_controller(scenario: Scenario, controlled: Place) -> None:
    check_member(scenario, controlled.make)
