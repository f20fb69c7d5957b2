"""Machines where Kubernetes, HTCondor, HyperQueue or OAR answers, made of recordings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from resource_secretary.providers.workload._htcondor_json import JOB, SCHEDD, SLOT, SUBMITTER
from resource_secretary.testing import RecordedSystem

DATA = Path(__file__).parents[1] / "data"
KUBECTL = ("kubectl", "--request-timeout=9s")
UNFINISHED = "&fieldSelector=status.phase%21%3DSucceeded%2Cstatus.phase%21%3DFailed"
EMPTY = '{"kind":"List","metadata":{},"items":[]}'


def raw(path: str) -> tuple[str, ...]:
    return (*KUBECTL, "get", "--raw", path)


def kubernetes() -> RecordedSystem:
    def text(name: str) -> str:
        return (DATA / "kubernetes-1.20.2" / name).read_text()

    return RecordedSystem(
        files={"/home/user/.kube/config": ""},
        environ={"HOME": "/home/user"},
        commands={
            (*KUBECTL, "version", "-o", "json"): text("version.json"),
            (*KUBECTL, "config", "view", "--minify", "-o", "json"): text("config.json"),
            raw("/api/v1/nodes?limit=1000"): text("nodes.json"),
            raw("/api/v1/pods?limit=1000"): text("pods.json"),
            raw(f"/api/v1/pods?limit=1000{UNFINISHED}"): text("pods-unfinished.json"),
            raw("/api/v1/namespaces/default/pods?limit=1000"): EMPTY,
            raw("/apis/batch/v1/jobs?limit=1000"): text("jobs.json"),
            raw("/apis/batch/v1/namespaces/default/jobs?limit=1000"): EMPTY,
            raw("/api/v1/namespaces/lab/resourcequotas?limit=1000"): text("quotas.json"),
            raw("/api/v1/namespaces/default/resourcequotas?limit=1000"): EMPTY,
            raw("/api/v1/namespaces?limit=1000"): text("namespaces.json"),
            raw("/apis/storage.k8s.io/v1/storageclasses?limit=1000"): text("storage.json"),
        },
    )


def _ads(command: str, options: tuple[str, ...], attributes: tuple[str, ...]) -> tuple[str, ...]:
    return (command, *options, "-json", "-attributes", ",".join(attributes))


COLLECTOR = _ads("condor_status", ("-collector",), ("Name", "CondorVersion"))
SCHEDDS = _ads("condor_status", ("-schedd",), SCHEDD)
SLOTS = _ads("condor_status", ("-constraint", 'SlotType =!= "Dynamic" && BackfillSlot =!= true'), SLOT)
JOBS = _ads("condor_q", ("-allusers",), JOB)


def htcondor() -> RecordedSystem:
    def text(name: str) -> str:
        return (DATA / "htcondor-23.9.6" / name).read_text()

    return RecordedSystem(
        commands={
            ("condor_version",): text("version.txt"),
            COLLECTOR: text("collector.json"),
            SLOTS: text("slots.json"),
            SCHEDDS: text("schedds.json"),
            _ads("condor_status", ("-submitters",), SUBMITTER): text("submitters.json"),
            JOBS: text("jobs.json"),
            _ads("condor_q", ("user",), JOB): text("jobs.json"),
        }
    )


def _hq(*words: str) -> tuple[str, ...]:
    return ("hq", "--output-mode", "json", *words)


HQ_SERVER, HQ_WORKERS, HQ_JOBS = _hq("server", "info"), _hq("worker", "list"), _hq("job", "list")


def hyperqueue(version: str = "0.27") -> RecordedSystem:
    folder = DATA / f"hyperqueue-{version}-shape"
    return RecordedSystem(
        commands={
            HQ_SERVER: (folder / "server.json").read_text(),
            HQ_WORKERS: (folder / "workers.json").read_text(),
            HQ_JOBS: (folder / "jobs.json").read_text(),
            _hq("job", "list", "--all"): (folder / "jobs.json").read_text(),
        }
    )


def oar(version: str = "2.5.9") -> RecordedSystem:
    folder = DATA / "oar-2.5.9"
    return RecordedSystem(
        commands={
            ("oarnodes", "-V"): (folder / "version.txt").read_text(),
            ("oarnodes", "-l"): (folder / "list.txt").read_text(),
            ("oarnodes", "-J"): (DATA / f"oar-{version}" / "nodes.json").read_text(),
            ("oarstat", "-f", "-J"): (folder / "jobs.json").read_text(),
        }
    )


MACHINES: dict[str, Callable[[], RecordedSystem]] = {
    "kubernetes": kubernetes,
    "htcondor": htcondor,
    "hyperqueue": hyperqueue,
    "oar": oar,
}
