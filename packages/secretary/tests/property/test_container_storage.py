"""Recordings of the container and storage providers, mutated: a typed answer or a clear error, no absurd number."""

from __future__ import annotations

import contextlib
import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded import container_storage as machines

from resource_secretary import Secretary
from resource_secretary.errors import SecretaryError
from resource_secretary.providers.container import (
    _container,
    _containerd_text,
    _docker_text,
    _singularity,
    charliecloud,
    enroot,
    shifter,
)
from resource_secretary.providers.storage import (
    _beegfs_text,
    _ceph_text,
    _gpfs_text,
    _lustre_text,
    _mounts,
    _network_text,
    _nvme_text,
)
from resource_secretary.run import Ran
from resource_secretary.tools import as_json

PIECES = ["", "0", "-1", "9" * 30, "1e400", "=", " ", "\n", ",", ":", "[", "]", "null", "{}", "N/A", "\0", "é", "²"]
PIECES += ['"', "{", "}", "\\ud800", "\ud7ff", "%", "%2", "\\040", "\\777", "*", "/", "..", "-", "TiB", "true", "NaN"]


@st.composite
def mutated(draw, text: str) -> str:
    """The text with one to five pieces cut out, put in, doubled, or exchanged."""
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 40)))
        piece = draw(st.sampled_from([*PIECES, text[start:end] * 2]))
        text = text[:start] + piece + text[end:]
    return text


def sound(value: object, name: str = "") -> None:
    """No number is negative or absurd, and the whole is what JSON and UTF-8 can hold."""
    if dataclasses.is_dataclass(value):
        json.dumps(as_json(value), allow_nan=False).encode()
        for part, whole in (("free", "total"), ("used", "total"), ("used", "size"), ("nodes_up", "nodes")):
            some, every = getattr(value, part, None), getattr(value, whole, None)
            assert some is None or every is None or some <= every, value
        for field in dataclasses.fields(value):
            sound(getattr(value, field.name), field.name)
    elif isinstance(value, (list, tuple)):
        for one in value:
            sound(one, name)
    elif isinstance(value, int):
        assert 0 <= value < 2**63, name
    else:
        assert value is None or isinstance(value, str), name


def quotas_of(text):
    return _network_text.read_quotas(Ran(("quota",), 1, text))


def versions_of(text):
    return _docker_text.read_versions(text)


def engine_of(text):
    return _docker_text.read_engine(text, _docker_text.Versions("1", "1", None, False), None)


PARSERS = {
    "mounts/cluster.txt": lambda text: _mounts.visible(_mounts.read_mounts(text)[0]),
    "lustre-2.12/df.txt": lambda text: _lustre_text.read_targets(text, "/p"),
    "lustre-2.15/df.txt": lambda text: _lustre_text.read_targets(text, "/p"),
    "lustre-2.12/quota.txt": lambda text: _lustre_text.read_quota(text, "/p", "user", "user"),
    "lustre-2.15/quota-over.txt": lambda text: _lustre_text.read_quota(text, "/p", "user", "user"),
    "lustre-2.15/quota-inexact.txt": lambda text: _lustre_text.read_quota(text, "/p", "user", "user"),
    "lustre-2.12/getstripe-dir.txt": lambda text: _lustre_text.read_layout(text, "/p"),
    "lustre-2.12/getstripe-file.txt": lambda text: _lustre_text.read_layout(text, "/p"),
    "lustre-2.15/getstripe-pfl.txt": lambda text: _lustre_text.read_layout(text, "/p"),
    "lustre-2.12/servers.txt": _lustre_text.read_servers,
    "lustre-2.12/project.txt": lambda text: _lustre_text.read_project(text, "/p"),
    "beegfs-6.18/df.txt": _beegfs_text.read_df,
    "beegfs-7.4/df.txt": _beegfs_text.read_df,
    "beegfs-7.4/quota.csv": lambda text: _beegfs_text.read_quota_csv(text, "/p", "user"),
    "beegfs-7.4/storage_nodes.txt": lambda text: _beegfs_text.read_servers(text, "storage"),
    "beegfs-8.3/health-df.txt": _beegfs_text.read_targets,
    "beegfs-8.3/quota.ndjson": lambda text: _beegfs_text.read_quota_json(text, "/p"),
    "beegfs-8.4/health-df.json": _beegfs_text.read_targets,
    "gpfs-5/mmlsquota.txt": _gpfs_text.read_quotas,
    "gpfs-5/mmrepquota.txt": _gpfs_text.read_quotas,
    "gpfs-5/mmlsfs.txt": _gpfs_text.read_file_systems,
    "gpfs-5/mmgetstate.txt": _gpfs_text.read_nodes,
    "ceph-14/status.json": _ceph_text.read_status,
    "ceph-18/status.json": _ceph_text.read_status,
    "quota-4.06/quota.txt": quotas_of,
    "nvme-cli-1/list.json": _nvme_text.read_list,
    "nvme-cli-2/list.json": _nvme_text.read_list,
    "nvme-cli-1/smart-log.json": lambda text: _nvme_text.read_smart(text, "nvme0"),
    "nvme-cli-2/smart-log.json": lambda text: _nvme_text.read_smart(text, "nvme0"),
    "docker-20.10/version.json": versions_of,
    "docker-28.2/version.json": versions_of,
    "nerdctl-1.7/version.json": versions_of,
    "podman-4.3/as-docker.json": versions_of,
    "docker-20.10/info.json": engine_of,
    "docker-28.2/info.json": engine_of,
    "docker-20.10/images.jsonl": _docker_text.read_images,
    "docker-28.2/images.jsonl": _docker_text.read_images,
    "nerdctl-1.7/images.jsonl": _docker_text.read_images,
    "docker-20.10/ps.jsonl": _docker_text.read_containers,
    "nerdctl-1.7/ps.jsonl": _docker_text.read_containers,
    "podman-3.4/info.json": _docker_text.read_podman,
    "podman-4.3/info.json": _docker_text.read_podman,
    "podman-4.3/version.json": _docker_text.read_podman_version,
    "podman-5.8/info.json": _docker_text.read_podman,
    "podman-4.3/images.json": _docker_text.read_podman_images,
    "podman-4.3/ps.json": _docker_text.read_podman_containers,
    "containerd-1.6/version.txt": lambda text: list(_containerd_text.read_version(text)),
    "containerd-1.6/images.txt": lambda text: _containerd_text.read_images(text, "default"),
    "containerd-1.6/plugins.txt": _containerd_text.read_snapshotters,
    "containerd-1.6/namespaces.txt": lambda text: _containerd_text.read_names(text, "ctr"),
    "apptainer-1.4/version.txt": _singularity.read_version,
    "apptainer-1.4/cache.txt": _singularity.read_cache,
    "apptainer-1.4/cache-guide.txt": _singularity.read_cache,
    "singularity-3.5/cache.txt": _singularity.read_cache,
    "apptainer-1.4/sif-header.txt": lambda text: _singularity.read_header(text, "/x.sif"),
    "singularity-3.5/sif-header.txt": lambda text: _singularity.read_header(text, "/x.sif"),
    "apptainer-1.4/instances.json": _singularity.read_instances,
    "apptainer-1.4/apptainer.conf": _singularity.read_settings,
    "apptainer-1.4/buildcfg.txt": lambda text: list(_singularity.read_build(text).values()),
    "charliecloud-0.31/list.txt": charliecloud.read_images,
    "charliecloud-0.31/version.stderr.txt": charliecloud.read_version,
    "shifter-18/images.txt": shifter.read_images,
    "enroot-3.4/list.txt": enroot.read_containers,
    "enroot-3.4/version.txt": enroot.read_version,
    "enroot-3.4/enroot.conf": enroot.read_settings,
}


@pytest.mark.parametrize("name", PARSERS)
def test_a_recording_as_it_is(name):
    answer = PARSERS[name](machines.text(name))
    assert answer
    sound(answer)


@pytest.mark.parametrize("name", PARSERS)
@settings(max_examples=40, deadline=None)
@given(source=st.data())
def test_a_mutated_recording(name, source):
    text = source.draw(mutated(machines.text(name)))
    try:
        answer = PARSERS[name](text)
    except SecretaryError:
        return
    sound(answer)


@settings(max_examples=40, deadline=None)
@given(source=st.data())
def test_tables_of_mounts_keep_the_rules(source):
    mounts = _mounts.read_mounts(source.draw(mutated(machines.text("mounts/cluster.txt"))))[0]
    seen = _mounts.visible(mounts)
    assert len({mount.id for mount in seen}) <= len({mount.id for mount in mounts})
    for mount in seen:
        found = _mounts.mount_of(mount.point, seen)
        assert found is not None and found.point == mount.point


@given(st.text(max_size=60), st.text(max_size=20))
def test_any_text_of_subordinate_ids(text, user):
    assert (_container.subordinate(text, user) or 0) >= 0


@settings(max_examples=40, deadline=None)
@given(path=st.one_of(st.text(max_size=30), st.text(max_size=30).map(lambda tail: f"/scratch/{tail}")))
def test_no_path_of_another_file_system_reaches_a_command(path):
    node = machines.cluster()
    with contextlib.suppress(SecretaryError):
        Secretary(system=node).call("lustre.layout", {"path": path})
    for words in node.asked:
        assert words[-1] == "/scratch" or words[-1].startswith("/scratch/")
        assert ".." not in words[-1].split("/") and not words[-1].startswith("-")
