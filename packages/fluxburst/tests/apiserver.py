"""A Kubernetes API server for tests by the envtest convention; the test plays the operator and the kubelets.

The server and etcd are real ones, from the folder in KUBEBUILDER_ASSETS or from PATH. No controller runs by itself.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

CRD = Path(__file__).parent / "data" / "minicluster-crd.yaml"
NEEDED = ("etcd", "kube-apiserver", "openssl")
TOKENS = {"tester": "system:masters", "quiet": ""}  # users, whose tokens are their names, and groups
MINICLUSTERS = ("flux-framework.org", "v1alpha2")


def binary(name: str) -> str | None:
    return shutil.which(name, path=os.environ.get("KUBEBUILDER_ASSETS")) or shutil.which(name)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """etcd and kube-apiserver in a folder, with the MiniCluster resource."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        try:
            self._start()
            self.install()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        key = self.folder / "accounts.key"
        subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
        lines = [f'token-of-{user},{user},{user},"{group}"\n' for user, group in TOKENS.items()]
        (self.folder / "tokens.csv").write_text("".join(lines))
        self.port = free_port()
        peer, etcd = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        urls = [f"--listen-client-urls={etcd}", f"--advertise-client-urls={etcd}", f"--listen-peer-urls={peer}"]
        self.run("etcd", f"--data-dir={self.folder}/etcd", *urls)
        self.run(
            "kube-apiserver",
            f"--etcd-servers={etcd}",
            f"--cert-dir={self.folder}/certs",
            f"--secure-port={self.port}",
            "--bind-address=127.0.0.1",
            "--service-account-issuer=https://test",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--disable-admission-plugins=ServiceAccount",
            "--authorization-mode=RBAC",
            f"--token-auth-file={self.folder}/tokens.csv",
            "--kubelet-preferred-address-types=InternalIP",
        )
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            with suppress(Exception):
                self.core().read_namespace("default", _request_timeout=5)
                return
            time.sleep(0.2)
        raise TimeoutError((self.folder / "kube-apiserver.log").read_text()[-2000:])

    def run(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            made = subprocess.Popen(
                [binary(name) or name, *arguments], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        self.processes.append(made)
        return made

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.kill()
            process.wait()

    def install(self) -> None:
        """Make MiniClusters known, and wait until they are served."""
        import yaml
        from kubernetes import client

        definitions = client.ApiextensionsV1Api(self.api())
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with suppress(client.ApiException):  # an old one may still be ending
                definitions.create_custom_resource_definition(yaml.safe_load(CRD.read_text()))
            with suppress(client.ApiException):
                self.objects().list_cluster_custom_object(*MINICLUSTERS, "miniclusters", _request_timeout=5)
                return
            time.sleep(0.2)
        raise TimeoutError("MiniClusters are not served")

    def collector(self) -> None:
        """Start the real garbage collector, in place of the played one."""
        self.run(
            "kube-controller-manager",
            f"--kubeconfig={self.kubeconfig()}",
            "--controllers=garbagecollector",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            f"--secure-port={free_port()}",
            f"--cert-dir={self.folder}/manager",
        )

    def account(self, namespace: str, rules: list[dict[str, Any]]) -> Path:
        """A kubeconfig for a service account with these rights in one namespace."""
        from kubernetes import client

        rights, meta = client.RbacAuthorizationV1Api(self.api()), {"name": "burster"}
        self.core().create_namespaced_service_account(namespace, {"metadata": meta})
        rights.create_namespaced_role(namespace, {"metadata": meta, "rules": rules})
        subject = {"kind": "ServiceAccount", "name": "burster", "namespace": namespace}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "burster"}
        rights.create_namespaced_role_binding(namespace, {"metadata": meta, "subjects": [subject], "roleRef": role})
        asked = self.core().create_namespaced_service_account_token(
            "burster", namespace, {"spec": {"audiences": ["https://test"]}}
        )
        return self.kubeconfig(f"burster-{namespace}", token=asked.status.token)

    def uninstall(self) -> None:
        """Take MiniClusters away, with all that there are; no controller lets those go whose end was asked for."""
        from kubernetes import client

        client.ApiextensionsV1Api(self.api()).delete_custom_resource_definition("miniclusters.flux-framework.org")
        objects = self.objects()
        with suppress(client.ApiException):
            for one in objects.list_cluster_custom_object(*MINICLUSTERS, "miniclusters")["items"]:
                place = (*MINICLUSTERS, one["metadata"]["namespace"], "miniclusters", one["metadata"]["name"])
                with suppress(client.ApiException):
                    objects.patch_namespaced_custom_object(*place, {"metadata": {"finalizers": None}})

    def kubeconfig(self, user: str = "tester", *, server: str = "", token: str = "") -> Path:
        """A file for one of the users."""
        import yaml

        certificate = self.folder / "certs" / "apiserver.crt"
        cluster = {"server": server or f"https://127.0.0.1:{self.port}", "certificate-authority": str(certificate)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": user, "user": {"token": token or f"token-of-{user}"}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
            "current-context": "test",
        }
        certificate.stat()
        path = self.folder / f"kubeconfig-{user}"
        path.write_text(yaml.safe_dump(config))
        return path

    def api(self) -> Any:
        from kubernetes import client, config

        configuration = client.Configuration()
        config.load_kube_config(str(self.kubeconfig()), client_configuration=configuration)
        configuration.retries = False
        return client.ApiClient(configuration)

    def core(self) -> Any:
        from kubernetes import client

        return client.CoreV1Api(self.api())

    def batch(self) -> Any:
        from kubernetes import client

        return client.BatchV1Api(self.api())

    def objects(self) -> Any:
        from kubernetes import client

        return client.CustomObjectsApi(self.api())


class Operator:
    """Plays the Flux Operator, the Job's controller and the kubelets for the MiniClusters of one namespace."""

    def __init__(self, server: Server, namespace: str) -> None:
        self.namespace = namespace
        self.core, self.batch, self.objects = server.core(), server.batch(), server.objects()
        self.core.create_namespace({"metadata": {"name": namespace}})

    def found(self, name: str) -> dict[str, Any]:
        return dict(self.objects.get_namespaced_custom_object(*MINICLUSTERS, self.namespace, "miniclusters", name))

    def secret(self, name: str) -> Any:
        return self.core.read_namespaced_secret(name, self.namespace)

    def start(self, name: str) -> None:
        """Make the Job of a MiniCluster and its pods, as the operator does: labelled, and owned by it."""
        made = self.found(name)
        spec, container = made["spec"], made["spec"]["containers"][0]
        pod = {
            "restartPolicy": "Never",
            "containers": [{"name": name, "image": container["image"]}],
            "terminationGracePeriodSeconds": 0,
        }
        meta = {"name": name, "labels": spec["jobLabels"], "ownerReferences": [_owner(made)]}
        template = {"metadata": {"labels": spec["pod"]["labels"]}, "spec": pod}
        limits = {"backoffLimit": spec["backoffLimit"], "activeDeadlineSeconds": spec.get("deadlineSeconds")}
        body = {"metadata": meta, "spec": {**limits, "parallelism": spec["size"], "template": template}}
        job = self.batch.create_namespaced_job(self.namespace, body, _preload_content=False)
        owner = _owner({**json.loads(job.data), "apiVersion": "batch/v1", "kind": "Job"})
        for index in range(spec["size"]):
            about = {
                "name": f"{name}-{index}-x",
                "labels": {**spec["pod"]["labels"], "job-index": str(index)},
                "ownerReferences": [owner],
            }
            self.core.create_namespaced_pod(self.namespace, {"metadata": about, "spec": pod}, _preload_content=False)

    def pod(self, name: str, index: int, phase: str, **status: Any) -> None:
        """Report the status of a pod, as a kubelet does."""
        self.core.patch_namespaced_pod_status(
            f"{name}-{index}-x", self.namespace, {"status": {"phase": phase, **status}}, _preload_content=False
        )

    def over(self, name: str, reason: str, message: str = "") -> None:
        """Report that a Job has failed, as its controller does."""
        failed = {"type": "Failed", "status": "True", "reason": reason, "message": message}
        self.batch.patch_namespaced_job_status(
            name, self.namespace, {"status": {"conditions": [failed]}}, _preload_content=False
        )

    def clean(self, name: str) -> None:
        """End what belonged to a MiniCluster, as the garbage collector does, and let it go."""
        for call in (
            self.core.delete_collection_namespaced_pod,
            self.batch.delete_collection_namespaced_job,
            self.core.delete_collection_namespaced_secret,
        ):
            selector = f"flux-burst/name={name.removeprefix('burst-')}"
            options = {"grace_period_seconds": 0, "propagation_policy": "Background", "_preload_content": False}
            call(self.namespace, label_selector=selector, **options)
        place = (*MINICLUSTERS, self.namespace, "miniclusters", name)
        self.objects.patch_namespaced_custom_object(*place, {"metadata": {"finalizers": None}})


class Kubelet:
    """A node that has the logs of pods: serves them to the API server as a kubelet does. asked: the paths."""

    def __init__(self, server: Server, name: str, logs: bytes) -> None:
        asked: list[str] = []

        class Logs(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_response(200)
                self.send_header("Content-Length", str(len(logs)))
                self.end_headers()
                self.wfile.write(logs)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.name, self.asked, self.core = name, asked, server.core()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Logs)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certs = server.folder / "certs"
        context.load_cert_chain(certs / "apiserver.crt", certs / "apiserver.key")
        self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.core.create_node({"metadata": {"name": name}})
        addresses = [{"type": "InternalIP", "address": "127.0.0.1"}]
        endpoints = {"kubeletEndpoint": {"Port": self.http.server_address[1]}}
        self.core.patch_node_status(name, {"status": {"addresses": addresses, "daemonEndpoints": endpoints}})

    def take(self, namespace: str, pod: str) -> None:
        """Have a pod on this node, as the scheduler does."""
        body = {"target": {"kind": "Node", "name": self.name}, "metadata": {"name": pod}}
        self.core.create_namespaced_binding(namespace, body, _preload_content=False)

    def stop(self) -> None:
        self.http.shutdown()
        self.http.server_close()


def container(name: str, **state: Any) -> dict[str, Any]:
    """A container's status as pods have it."""
    return {"name": name, "image": "i", "imageID": "", "ready": False, "restartCount": 0, "state": state}


def _owner(made: dict[str, Any]) -> dict[str, Any]:
    meta = made["metadata"]
    return {
        "apiVersion": made["apiVersion"],
        "kind": made["kind"],
        "name": meta["name"],
        "uid": meta["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
