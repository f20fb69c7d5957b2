"""A Kubernetes API server for tests by the envtest convention, and a stand-in for what would run on its nodes.

The server and etcd are real ones, from the folder in KUBEBUILDER_ASSETS or from PATH. There is no controller manager,
scheduler or kubelet: `Node` plays these for Jobs. It makes their pods, runs the commands as processes of this
machine, reports the states as a kubelet does, and serves the logs to the API server as a kubelet does.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

INDEX = "batch.kubernetes.io/job-completion-index"
TOKEN = "of-a-throwaway-server"


def binary(name: str) -> str | None:
    return shutil.which(name, path=os.environ.get("KUBEBUILDER_ASSETS")) or shutil.which(name)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """etcd and kube-apiserver in a folder. `kubeconfig` is how to reach it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.processes: list[subprocess.Popen[bytes]] = []
        self.kubeconfig = folder / "kubeconfig"
        peer, client = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        key = folder / "accounts.key"
        subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
        (folder / "tokens.csv").write_text(f"{TOKEN},tester,tester,system:masters\n")
        etcd = [f"--data-dir={folder}/etcd", f"--listen-client-urls={client}", f"--advertise-client-urls={client}"]
        self.run("etcd", *etcd, f"--listen-peer-urls={peer}")
        self.arguments = (
            f"--etcd-servers={client}",
            f"--cert-dir={folder}/certs",
            f"--secure-port={self.port}",
            "--bind-address=127.0.0.1",
            "--service-account-issuer=https://test",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--disable-admission-plugins=ServiceAccount,TaintNodesByCondition",
            "--kubelet-preferred-address-types=InternalIP",
            "--authorization-mode=RBAC",
            f"--token-auth-file={folder}/tokens.csv",
        )
        self.start()

    def run(self, name: str, *arguments: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes.append(
                subprocess.Popen([binary(name) or name, *arguments], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
            )

    def start(self) -> None:
        """Start the API server, and wait until it serves."""
        self.run("kube-apiserver", *self.arguments)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with suppress(Exception):
                self.write_kubeconfig()
                self.core().list_namespace(_request_timeout=5)
                self.core().read_namespace("default", _request_timeout=5)
                return
            time.sleep(0.2)
        raise TimeoutError((self.folder / "kube-apiserver.log").read_text()[-2000:])

    def write_kubeconfig(self) -> None:
        certificate = self.folder / "certs" / "apiserver.crt"
        cluster = {"server": f"https://127.0.0.1:{self.port}", "certificate-authority": str(certificate)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": {"token": TOKEN}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "current-context": "test",
        }
        certificate.stat()
        self.kubeconfig.write_text(yaml.safe_dump(config))

    def api(self) -> Any:
        from kubernetes import client, config

        configuration = client.Configuration()
        config.load_kube_config(str(self.kubeconfig), client_configuration=configuration)
        configuration.retries = 0
        return client.ApiClient(configuration)

    def core(self) -> Any:
        from kubernetes import client

        return client.CoreV1Api(self.api())

    def kill(self) -> None:
        """End what was started last at once: the API server; etcd stays."""
        self.processes[-1].kill()
        self.processes.pop().wait()

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.kill()
            process.wait()


class Node:
    """Plays the Job controller, the scheduler and the kubelet of one node, four times a second."""

    def __init__(self, server: Server, namespace: str, folder: Path) -> None:
        from kubernetes import client

        self.server, self.namespace, self.folder = server, namespace, folder
        self.core, self.batch = client.CoreV1Api(server.api()), client.BatchV1Api(server.api())
        self.core.create_namespace({"metadata": {"name": namespace}})
        self.name = f"node-{namespace}"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.status: dict[str, dict[str, Any]] = {}
        self.began: dict[str, float] = {}
        self.made: set[tuple[str, int]] = set()
        self.replaces = False  # whether a Job makes a new pod for one that was deleted, as old servers' do
        self.makes_pods = True  # False where a Job controller does
        self.paused = False
        self._logs = self._serve_logs()
        self._register()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _register(self) -> None:
        self.core.create_node({"metadata": {"name": self.name}})
        addresses = [{"type": "InternalIP", "address": "127.0.0.1"}]
        endpoints = {"kubeletEndpoint": {"Port": self._logs.server_address[1]}}
        self.core.patch_node_status(self.name, {"status": {"addresses": addresses, "daemonEndpoints": endpoints}})

    def _serve_logs(self) -> ThreadingHTTPServer:
        folder = self.folder

        class Logs(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path, _, query = self.path.partition("?")
                options = dict(part.split("=") for part in query.split("&") if part)
                data = (folder / f"{path.split('/')[3]}.log").read_bytes()
                if "tailLines" in options:
                    data = b"".join(data.splitlines(keepends=True)[-int(options["tailLines"]) :])
                data = data[: int(options.get("limitBytes", len(data)))]
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:
                pass

        logs = ThreadingHTTPServer(("127.0.0.1", 0), Logs)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certs = self.server.folder / "certs"
        context.load_cert_chain(certs / "apiserver.crt", certs / "apiserver.key")
        logs.socket = context.wrap_socket(logs.socket, server_side=True)
        threading.Thread(target=logs.serve_forever, daemon=True).start()
        return logs

    def stop(self) -> None:
        self._ended.set()
        self._thread.join(20)
        self._logs.shutdown()
        self._logs.server_close()
        for process in self.processes.values():
            self._kill(process)

    def _work(self) -> None:
        while not self._ended.wait(0.25):
            if not self.paused:
                with suppress(Exception):  # the API server is restarted in tests
                    self.once()

    def jobs(self) -> list[dict[str, Any]]:
        return list(json.loads(self.batch.list_namespaced_job(self.namespace, _preload_content=False).data)["items"])

    def pods(self) -> list[dict[str, Any]]:
        return list(json.loads(self.core.list_namespaced_pod(self.namespace, _preload_content=False).data)["items"])

    def once(self) -> None:
        jobs = {job["metadata"]["uid"]: job for job in self.jobs()}
        pods = self.pods()
        have = {(pod["metadata"]["labels"]["job-name"], _index(pod)) for pod in pods}
        for uid, job in jobs.items() if self.makes_pods else ():
            for index in range(job["spec"].get("completions") or 1):
                made = (uid, index) in self.made and not self.replaces
                if (job["metadata"]["name"], index) not in have and not made:
                    self.made.add((uid, index))
                    self._make_pod(job, index)
        for pod in pods:
            owner = pod["metadata"]["ownerReferences"][0]["uid"]
            name = pod["metadata"]["name"]
            if owner not in jobs or pod["metadata"].get("deletionTimestamp"):
                self._end(pod)
            elif not pod["spec"].get("nodeName"):
                target = {"target": {"kind": "Node", "name": self.name}, "metadata": {"name": name}}
                self.core.create_namespaced_binding(self.namespace, target, _preload_content=False)
                self._run(pod)
            elif name in self.processes:
                self._look(pod)

    def _make_pod(self, job: dict[str, Any], index: int) -> None:
        meta = job["metadata"]
        template = job["spec"]["template"]
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": meta["name"], "uid": meta["uid"], "controller": True}
        labels = {**template["metadata"]["labels"], "job-name": meta["name"]}
        about = {"generateName": f"{meta['name']}-", "labels": labels, "ownerReferences": [owner]}
        about["annotations"] = {**template["metadata"].get("annotations", {}), INDEX: str(index)}
        self.core.create_namespaced_pod(
            self.namespace, {"metadata": about, "spec": template["spec"]}, _preload_content=False
        )

    def _run(self, pod: dict[str, Any]) -> None:
        name = pod["metadata"]["name"]
        container = pod["spec"]["containers"][0]
        environment = {entry["name"]: entry.get("value", "").replace("$$", "$") for entry in container.get("env") or ()}
        self.began[name] = time.time()
        try:
            with (self.folder / f"{name}.log").open("wb") as log:
                self.processes[name] = subprocess.Popen(
                    [word.replace("$$", "$") for word in container["command"]],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={**os.environ, **environment},
                    cwd=container.get("workingDir"),
                    start_new_session=True,
                )
        except OSError as error:
            state = {"exitCode": 128, "reason": "StartError", "message": str(error), **self._times(name)}
            self.report(name, {"terminated": state}, phase="Failed")
            return
        self.report(name, {"running": {"startedAt": _stamp(self.began[name])}}, phase="Running")

    def _times(self, name: str) -> dict[str, str]:
        return {"startedAt": _stamp(self.began[name]), "finishedAt": _stamp(time.time())}

    def _look(self, pod: dict[str, Any]) -> None:
        name = pod["metadata"]["name"]
        limit = pod["spec"].get("activeDeadlineSeconds")
        process = self.processes[name]
        if limit and process.poll() is None and time.time() > self.began[name] + limit:
            self._kill(process)
            self._report_end(name, reason="DeadlineExceeded", message="Pod was active on the node longer than allowed")
        elif process.poll() is not None:
            self._report_end(name)

    def _report_end(self, name: str, **status: Any) -> None:
        code = self.processes.pop(name).wait()
        state = {"exitCode": code if code >= 0 else 128 - code, "reason": "Error" if code else "Completed"}
        self.report(
            name, {"terminated": {**state, **self._times(name)}}, phase="Failed" if code else "Succeeded", **status
        )

    def _end(self, pod: dict[str, Any]) -> None:
        name = pod["metadata"]["name"]
        if name in self.processes:
            self._kill(self.processes[name])
            self._report_end(name)
        self.core.delete_namespaced_pod(name, self.namespace, grace_period_seconds=0, _preload_content=False)

    def report(self, name: str, state: dict[str, Any], **status: Any) -> None:
        """Patch the status of a pod, as its kubelet would."""
        container = {"name": "job", "image": "i", "imageID": "", "ready": False, "restartCount": 0, "state": state}
        self.core.patch_namespaced_pod_status(
            name, self.namespace, {"status": {"containerStatuses": [container], **status}}, _preload_content=False
        )

    @staticmethod
    def _kill(process: subprocess.Popen[bytes]) -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _index(pod: dict[str, Any]) -> int:
    return int((pod["metadata"].get("annotations") or {}).get(INDEX, 0))


def _stamp(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
