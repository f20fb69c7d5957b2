"""What a pod runs, run here: brokers from a burst's MiniCluster and Secret join a real lead, and end in time."""

from __future__ import annotations

import base64
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apiserver
import pytest
from growing import RunningLead, end, free_port, running, until

from fluxburst.burstables import _minicluster
from fluxburst.burstables.kubernetes import BurstParameters
from fluxburst.lead import Lead, environment
from fluxburst.model import Burst, NodeShape
from fluxburst.setup.initialize import Options, initialize
from fluxburst.setup.layout import Size, Slots

if not shutil.which("flux"):
    pytest.skip("no flux in PATH", allow_module_level=True)

GREETING = 'GREETING=it\'s "$(date)" $$ \\ `id`'
PATIENCE = 60.0  # seconds; other work may keep the machine busy


class Pods:
    """Runs the script of the pods of a burst, each as a process group of this machine."""

    def __init__(self, lead: Lead, folder: Path, *env: str) -> None:
        self.lead, self.folder, self.env = lead, folder, list(env)
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, burst: Burst) -> list[subprocess.Popen[bytes]]:
        """The pods of a burst as it would be sent."""
        template = BurstParameters(image="flux", env=self.env).template()
        shape = NodeShape.from_text("pod: cores=1")
        body = _minicluster.minicluster(burst, shape, self.lead, template, time.time())
        return self.run(body, _minicluster.files(burst, self.lead, "flux"))

    def run(self, body: dict[str, Any], data: dict[str, str]) -> list[subprocess.Popen[bytes]]:
        told = body["spec"]["containers"][0]["environment"]
        for index in range(body["spec"]["size"]):
            files, folder = self.folder / f"files{index}", self.folder / f"folder{index}"
            files.mkdir(exist_ok=True)
            # The two folders of a container are this pod's own here.
            for name, text in data.items():
                (files / name).write_text(
                    text.replace(_minicluster.FILES, str(files)).replace(_minicluster.FOLDER, str(folder))
                )
            init = str(body["spec"]["containers"][0]["commands"]["init"]).replace(_minicluster.FILES, str(files))
            values = {name: value.replace("$$", "$") for name, value in told.items()}
            with (self.folder / f"log{index}").open("wb") as log:
                self.running.append(
                    subprocess.Popen(
                        ["bash", "-c", init],
                        env={**environment(), **values, "JOB_COMPLETION_INDEX": str(index)},
                        stdout=log,
                        stderr=log,
                        stdin=subprocess.DEVNULL,
                        start_new_session=True,
                    )
                )
        return self.running

    def stop(self) -> None:
        while self.running:
            end(self.running.pop())


@pytest.fixture
def lead(tmp_path: Path) -> Iterator[RunningLead]:
    options = Options(
        tmp_path / "lead",
        "lead",
        (Slots("kubernetes", 2, Size(1)),),
        port=free_port(),
        bind="127.0.0.1",
        connect="127.0.0.1",
        lead_cores=1,
    )
    with running(initialize(options).lead) as made:
        yield made


@pytest.fixture
def pods(lead: RunningLead, tmp_path: Path) -> Iterator[Pods]:
    made = Pods(lead.lead, tmp_path, GREETING)
    yield made
    made.stop()


def order(seconds: float) -> Burst:
    hosts = ("kubernetes0", "kubernetes1")
    return Burst("ab-cd-1", "kubernetes", "pod", hosts, deadline=time.time() + seconds)


def test_pods_join_the_lead(lead: RunningLead, pods: Pods, tmp_path: Path) -> None:
    job = lead.flux("submit", "-N3", "-n3", "hostname")
    running = pods.start(order(600))
    until(
        lambda: "INACTIVE" in lead.flux("jobs", "-no", "{state}", job),
        lambda: [(tmp_path / f"log{index}").read_text() for index in range(2)],
    )
    assert lead.flux("jobs", "-no", "{nodelist} {result}", job) == "lead,kubernetes[0-1] COMPLETED"
    told = Path(f"/proc/{running[0].pid}/environ").read_text().split("\0")
    assert GREETING in told
    copy = tmp_path / "folder0" / "curve.cert"
    assert oct(copy.stat().st_mode & 0o777) == "0o600"
    assert all(process.poll() is None for process in running)


def test_pods_end_at_the_deadline(lead: RunningLead, pods: Pods) -> None:
    """Whatever a Job's own limit says, which counts from when its Job began."""
    for process in pods.start(order(8)):
        process.wait(PATIENCE)


def test_pods_that_come_too_late_do_nothing(lead: RunningLead, pods: Pods, tmp_path: Path) -> None:
    for process in pods.start(order(-1)):
        assert process.wait(PATIENCE) == 0
    assert "deadline of this burst has passed" in (tmp_path / "log0").read_text()
    assert not (tmp_path / "folder0").exists()


@pytest.mark.timeout(300)
def test_a_job_bursts_into_kubernetes_and_the_burst_goes(lead: RunningLead, pods: Pods, tmp_path: Path) -> None:
    """The controller, a real lead, a real API server; the operator is played, its pods are processes."""
    for needed in ("kubernetes", "flux"):
        pytest.importorskip(needed)
    from fluxburst.client import FluxBurst
    from fluxburst.handles.flux import FluxHandle
    from fluxburst.settings import Settings

    if missing := [name for name in apiserver.NEEDED if not apiserver.binary(name)]:
        pytest.skip(f"no {', '.join(missing)} in KUBEBUILDER_ASSETS or PATH")
    (tmp_path / "server").mkdir()
    server = apiserver.Server(tmp_path / "server")
    settings = Settings(interval=1, delay=0, idle_timeout=2, cooldown=0)
    client = FluxBurst(FluxHandle(lead.uri), settings=settings, lead=lead.lead)
    try:
        operator = apiserver.Operator(server, "bursts")
        client.load("kubernetes", image="flux", kubeconfig=server.kubeconfig(), namespace="bursts")
        job = lead.flux("submit", "-N3", "-n3", "--setattr=system.burstable=1", "hostname")
        listed = (*apiserver.MINICLUSTERS, "bursts", "miniclusters")
        names: set[str] = set()
        deadline = time.monotonic() + 2 * PATIENCE
        while "INACTIVE" not in lead.flux("jobs", "-no", "{state}", job) or client.bursts():
            assert time.monotonic() < deadline, client.bursts()
            client.run_burst()
            for made in operator.objects.list_namespaced_custom_object(*listed)["items"]:
                name = made["metadata"]["name"]
                if made["metadata"].get("deletionTimestamp"):
                    pods.stop()
                    operator.clean(name)
                elif name not in names:
                    names.add(name)
                    operator.start(name)
                    data = operator.secret(name).data
                    pods.run(made, {key: base64.b64decode(text).decode() for key, text in data.items()})
                    for index in range(2):
                        operator.pod(name, index, "Running")
            time.sleep(0.5)
        assert lead.flux("jobs", "-no", "{nodelist} {result}", job) == "lead,kubernetes[0-1] COMPLETED"
        assert len(names) == 1
        assert operator.objects.list_namespaced_custom_object(*listed)["items"] == []
    finally:
        client.close()
        server.stop()
