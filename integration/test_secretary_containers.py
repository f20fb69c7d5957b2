"""Container runtimes and mounts of this machine: what the secretary says is what the tools and the kernel say.

Each engine is a throwaway of its own: its storage, sockets and images lie in a temporary folder.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from resource_secretary import Secretary
from resource_secretary.providers.storage._mounts import read_mounts, visible
from resource_secretary.result import Unreachable
from resource_secretary.system import System

IMAGE = "localhost/tiny:1.0"
Environ = dict[str, str]


def said(environ: Environ, *argv: str, stdin: bytes | None = None) -> str:
    """What a tool prints. A failure of it is one of the test."""
    done = subprocess.run(argv, env=environ, input=stdin, capture_output=True, timeout=120)
    assert done.returncode == 0, f"{argv}: {done.stderr.decode(errors='replace')}"
    return done.stdout.decode()


def need(*commands: str, root: bool = False) -> None:
    missing = [command for command in commands if not shutil.which(command)]
    if missing:
        pytest.skip(f"not on PATH: {', '.join(missing)}")
    if root and os.geteuid():
        pytest.skip(f"{commands[0]} can be started by root only")


def need_namespaces() -> None:
    """What unpacks images does so in a mount namespace of its own, which most containers don't allow."""
    need("unshare")
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    tried = subprocess.run(["unshare", *user, "--mount", "true"], capture_output=True, text=True, timeout=60)
    if tried.returncode:
        pytest.skip(f"no mount namespaces here: {tried.stderr.strip()[:100]}")


def secretary(environ: Environ) -> Secretary:
    return Secretary(system=System(timeout=60, environ=environ))


def call(environ: Environ, tool: str, **arguments: Any) -> dict[str, Any]:
    return secretary(environ).call(tool, arguments, timeout=60).result


def metadata(environ: Environ, name: str) -> dict[str, Any]:
    entry = secretary(environ).detect(name=name, timeout=60)[name]
    assert entry.metadata is not None, entry.result.reason
    return entry.metadata


def eventually(what: str, good: Callable[[], bool], process: subprocess.Popen[bytes], patience: float = 60) -> None:
    end = time.monotonic() + patience
    while not good():
        if process.poll() is not None:
            pytest.skip(f"{what} does not start on this host: exit code {process.returncode}")
        if time.monotonic() > end:
            pytest.skip(f"{what} does not answer on this host within {patience:g} s")
        time.sleep(0.2)


def answers(environ: Environ, *argv: str) -> bool:
    return subprocess.run(argv, env=environ, capture_output=True, timeout=60).returncode == 0


@pytest.fixture
def files(tmp_path: Path) -> bytes:
    """The root file system of an image, as a tar."""
    folder = tmp_path / "rootfs"
    (folder / "etc").mkdir(parents=True)
    (folder / "etc/name").write_text("tiny")
    return subprocess.run(["tar", "-C", str(folder), "-c", "."], check=True, capture_output=True).stdout


@pytest.fixture
def podman(tmp_path: Path, needs: Callable[..., None]) -> Environ:
    needs("podman")
    need_namespaces()
    conf = tmp_path / "storage.conf"
    conf.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{tmp_path}/graph"\nrunroot = "{tmp_path}/run"\n')
    return {**os.environ, "CONTAINERS_STORAGE_CONF": str(conf), "XDG_RUNTIME_DIR": str(tmp_path)}


def test_podman(podman: Environ, files: bytes) -> None:
    assert call(podman, "podman.images")["items"] == []
    said(podman, "podman", "import", "-", IMAGE, stdin=files)
    said(podman, "podman", "create", "--name", "box", IMAGE, "/bin/true")
    found = call(podman, "podman.info")
    assert metadata(podman, "podman")["version"] == found["version"]
    wanted = said(podman, "podman", "info", "--format", "{{.Version.Version}} {{.Host.Security.Rootless}}").split()
    assert [found["version"], str(found["rootless"]).lower()] == wanted
    assert (found["storage_driver"], found["images"], found["containers"]) == ("vfs", 1, 1)
    [image] = call(podman, "podman.images")["items"]
    assert image["name"] == said(podman, "podman", "images", "--format", "{{.Repository}}:{{.Tag}}").strip()
    assert image["id"] == said(podman, "podman", "images", "--no-trunc", "--quiet").strip().removeprefix("sha256:")
    there = call(podman, "podman.image", name=IMAGE)
    assert there["present"] and there["id"] == image["id"] and there["size"] == image["size"]
    assert call(podman, "podman.image", name="localhost/other:1.0")["present"] is False
    [box] = call(podman, "podman.containers")["items"]
    assert (box["name"], box["image"], box["state"]) == ("box", IMAGE, "created")


def test_podman_in_the_place_of_docker(podman: Environ, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "docker").write_text(f'#!/bin/sh\nexec {shutil.which("podman")} "$@"\n')
    (folder / "docker").chmod(0o755)
    environ = {**podman, "PATH": f"{folder}{os.pathsep}{podman['PATH']}"}
    result = secretary(environ).detect(name="docker", timeout=60)["docker"].result
    assert result.state == "absent" and "Podman" in result.reason


@pytest.fixture
def charliecloud(tmp_path: Path, needs: Callable[..., None]) -> Environ:
    needs("charliecloud")
    # ch-image is a script for the system's Python, which has the libraries that it needs.
    path = f"/usr/bin{os.pathsep}{os.environ['PATH']}"
    environ = {**os.environ, "PATH": path, "USER": "user", "CH_IMAGE_STORAGE": str(tmp_path / "images")}
    if not answers(environ, "ch-image", "--version"):
        pytest.skip("ch-image does not run here: it lacks a library (lark)")
    return environ


def test_charliecloud(charliecloud: Environ, tmp_path: Path, files: bytes) -> None:
    assert call(charliecloud, "charliecloud.images")["items"] == [] and not (tmp_path / "images").exists()
    said(charliecloud, "ch-image", "import", str(tmp_path / "rootfs"), "tiny:1.0")
    printed = subprocess.run(["ch-run", "--version"], env=charliecloud, capture_output=True, text=True, timeout=60)
    found = metadata(charliecloud, "charliecloud")
    assert found["version"] == (printed.stdout + printed.stderr).strip() and found["exists"]
    names = [image["name"] for image in call(charliecloud, "charliecloud.images")["items"]]
    assert names == said(charliecloud, "ch-image", "list").split() == ["tiny:1.0"]
    assert call(charliecloud, "charliecloud.image", name="tiny:1.0")["present"]
    assert not call(charliecloud, "charliecloud.image", name="tiny:2.0")["present"]
    works = subprocess.run(["ch-checkns"], env=charliecloud, capture_output=True, timeout=60).returncode == 0
    assert call(charliecloud, "charliecloud.check")["work"] is works


@pytest.mark.parametrize("brand", ["apptainer", "singularity"])
def test_apptainer_or_singularity(brand: str, tmp_path: Path) -> None:
    need(brand)
    environ = {**os.environ, "HOME": str(tmp_path), f"{brand.upper()}_CACHEDIR": str(tmp_path / "cache")}
    printed = said(environ, brand, "--version").split()
    entry = secretary(environ).detect(name=brand, timeout=60)[brand]
    if brand == "singularity" and printed[0] == "apptainer":
        assert entry.result.state == "absent" and "pptainer" in entry.result.reason
        return
    assert entry.metadata is not None, entry.result.reason
    assert [entry.metadata["runtime"], entry.metadata["version"]] == [printed[0], printed[-1]]
    built = dict(line.split("=", 1) for line in said(environ, brand, "buildcfg").splitlines() if "=" in line)
    assert entry.metadata["configuration"] == built[f"{brand.upper()}_CONF_FILE"]
    assert call(environ, f"{brand}.list_cache")["items"] == call(environ, f"{brand}.instances")["items"] == []
    sif = tmp_path / "new.sif"
    said(environ, brand, "sif", "new", str(sif))
    there = call(environ, f"{brand}.image", path=str(sif))
    assert there["present"] and there["platform"] is None
    assert there["id"] in said(environ, brand, "sif", "header", str(sif))
    assert call(environ, f"{brand}.image", path=str(tmp_path / "none.sif"))["present"] is False


@pytest.fixture
def containerd(tmp_path: Path) -> Iterator[Environ]:
    need("containerd", "ctr", root=True)
    socket, conf = tmp_path / "c.sock", tmp_path / "config.toml"
    conf.write_text(
        f'version = 2\nroot = "{tmp_path}/root"\nstate = "{tmp_path}/state"\n'
        f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\n  address = "{socket}"\n'
    )
    environ = {**os.environ, "CONTAINERD_ADDRESS": str(socket), "HOME": str(tmp_path)}
    environ.pop("CONTAINERD_NAMESPACE", None)
    with (tmp_path / "containerd.log").open("wb") as log:
        process = subprocess.Popen(["containerd", "-c", str(conf)], stdout=log, stderr=log, env=environ)
    try:
        eventually("containerd", lambda: answers(environ, "ctr", "version"), process)
        yield environ
    finally:
        process.terminate()
        process.wait(timeout=60)


def test_containerd(containerd: Environ, tmp_path: Path, files: bytes) -> None:
    if shutil.which("nerdctl"):
        pytest.skip("nerdctl is on PATH and would be asked in the place of ctr")
    lines = said(containerd, "ctr", "version").splitlines()
    versions = [line.split()[1] for line in lines if line.strip().startswith("Version:")]
    found = metadata(containerd, "containerd")
    assert [found["client_version"], found["version"]] == versions
    states = {one["name"]: one["state"] for one in call(containerd, "containerd.snapshotters")["items"]}
    assert states["native"] == "ok"
    said(containerd, "ctr", "namespaces", "create", "other")
    assert (
        call(containerd, "containerd.namespaces")["items"] == said(containerd, "ctr", "namespaces", "ls", "-q").split()
    )
    assert call(containerd, "containerd.images", namespace="other")["items"] == []
    if not shutil.which("podman"):
        pytest.skip("no podman on PATH to make an image")
    need_namespaces()
    conf = tmp_path / "storage.conf"
    conf.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{tmp_path}/graph"\nrunroot = "{tmp_path}/run"\n')
    maker = {**containerd, "CONTAINERS_STORAGE_CONF": str(conf)}
    said(maker, "podman", "import", "-", IMAGE, stdin=files)
    said(maker, "podman", "save", "--quiet", "--format", "oci-archive", "-o", str(tmp_path / "tiny.tar"), IMAGE)
    said(containerd, "ctr", "images", "import", str(tmp_path / "tiny.tar"))
    names = [image["name"] for image in call(containerd, "containerd.images")["items"]]
    assert names == said(containerd, "ctr", "images", "ls", "-q").split() == [IMAGE]


def test_containerd_that_is_gone_is_unreachable(tmp_path: Path) -> None:
    need("ctr")
    if shutil.which("nerdctl"):
        pytest.skip("nerdctl is on PATH and would be asked in the place of ctr")
    environ = {**os.environ, "CONTAINERD_ADDRESS": str(tmp_path / "none.sock")}
    result = secretary(environ).detect(name="containerd", timeout=30)["containerd"].result
    assert isinstance(result, Unreachable) and "none.sock" in result.reason


@pytest.fixture
def docker(containerd: Environ, tmp_path: Path) -> Iterator[Environ]:
    need("dockerd", "docker", root=True)
    socket = f"unix://{tmp_path}/d.sock"
    options = ["--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs"]
    folders = [f"--data-root={tmp_path}/data", f"--exec-root={tmp_path}/exec", f"--pidfile={tmp_path}/pid"]
    argv = ["dockerd", f"--containerd={containerd['CONTAINERD_ADDRESS']}", f"--host={socket}", *options, *folders]
    environ = {**containerd, "DOCKER_HOST": socket, "DOCKER_CONFIG": str(tmp_path)}
    with (tmp_path / "docker.log").open("wb") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log, env=environ)
    try:
        eventually("dockerd", lambda: answers(environ, "docker", "version"), process)
        yield environ
    finally:
        process.terminate()
        process.wait(timeout=60)


def test_docker(docker: Environ, files: bytes) -> None:
    need_namespaces()
    said(docker, "docker", "import", "-", "tiny:1.0", stdin=files)
    found = metadata(docker, "docker")
    asked = "{{.ServerVersion}} {{.Driver}} {{.CgroupDriver}} {{.NCPU}} {{.MemTotal}}"
    version, driver, cgroup, cpus, memory = said(docker, "docker", "info", "--format", asked).split()
    assert (found["version"], found["storage_driver"], found["cgroup_driver"]) == (version, driver, cgroup)
    assert (found["cpus"], found["memory"]) == (int(cpus), int(memory))
    [image] = call(docker, "docker.images")["items"]
    wanted = said(docker, "docker", "images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}")
    assert [image["name"], image["id"]] == wanted.split()
    there = call(docker, "docker.image", name="tiny:1.0")
    size = said(docker, "docker", "image", "inspect", "--format", "{{.Size}}", "tiny:1.0")
    assert there["present"] and there["size"] == int(size) and there["id"] == image["id"]
    assert call(docker, "docker.image", name="other:1.0")["present"] is False
    assert call(docker, "docker.containers")["items"] == []


def test_docker_without_a_daemon_is_unreachable(tmp_path: Path) -> None:
    need("docker")
    environ = {**os.environ, "DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    result = secretary(environ).detect(name="docker", timeout=30)["docker"].result
    if result.state == "absent":
        pytest.skip(f"docker is not Docker here: {result.reason}")
    assert isinstance(result, Unreachable) and "none.sock" in result.reason


# Prints the mounts that the table says can be seen, as `major:minor point`.
SEEN = """
from resource_secretary.providers.storage._mounts import read_mounts, visible
for mount in visible(read_mounts(open('/proc/self/mountinfo').read())[0]): print(mount.device, mount.point)
"""
# Mounts over and above each other in a namespace of its own, and then what the kernel says is where.
OVER = """
import os, subprocess, sys
folder = sys.argv[1]
def mount(at):
    os.makedirs(f'{folder}/{at}', exist_ok=True)
    subprocess.run(['mount', '-t', 'tmpfs', 'none', f'{folder}/{at}'], check=True)
for at in ('a', 'a/b', 'a/b', 'c/d', 'c', 'c/d', 'e f'): mount(at)
"""


def test_what_can_be_seen_of_the_mounts_is_what_the_kernel_finds_there(tmp_path: Path) -> None:
    need("unshare")
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    code = OVER + SEEN
    argv = ["unshare", *user, "--mount", "--propagation", "private", sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    if done.returncode and "unshare" in done.stderr:
        pytest.skip(f"no mount namespaces here: {done.stderr.strip()[:100]}")
    assert done.returncode == 0, done.stderr
    seen = [line.partition(" ") for line in done.stdout.splitlines()]
    mine = sorted(point.removeprefix(f"{tmp_path}/") for _, _, point in seen if point.startswith(f"{tmp_path}/"))
    assert mine == ["a", "a/b", "c", "c/d", "e f"]


# A file system whose server takes every question and answers none, beside one that answers.
DEAD = """
import ctypes, json, os, subprocess, sys
folder = sys.argv[1]
for name in ('dead', 'link'): os.mkdir(f'{folder}/{name}')
fuse = os.open('/dev/fuse', os.O_RDWR)
options = f'fd={fuse},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()}'
if ctypes.CDLL(None, use_errno=True).mount(b'host:', f'{folder}/dead'.encode(), b'fuse.sshfs', 0, options.encode()):
    sys.exit(f'no FUSE: {os.strerror(ctypes.get_errno())}')
os.symlink(f'{folder}/dead/x/y', f'{folder}/link/x')
from resource_secretary import Secretary
from resource_secretary.errors import SecretaryError
from resource_secretary.system import System
here = Secretary(system=System(environ={**os.environ, 'TMPDIR': f'{folder}/dead/tmp', 'SCRATCH': folder}))
told = {'state': here.detect(name='network-fs')['network-fs'].result.state}
for tool, arguments in (('network-fs.mounts', {}), ('local-scratch.places', {}), ('local-scratch.named', {}),
                        ('network-fs.space', {'path': f'{folder}/link/x'})):
    try: told[tool] = here.call(tool, arguments, timeout=4).result
    except SecretaryError as error: told[tool] = str(error)
print(json.dumps(told), flush=True)
os._exit(0)
"""


def test_a_file_system_that_never_answers(tmp_path: Path) -> None:
    need("unshare")
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("/dev/fuse may not be opened here")
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    argv = ["unshare", *user, "--mount", "--propagation", "private", sys.executable, "-c", DEAD, str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    if done.returncode and ("unshare" in done.stderr or "no FUSE" in done.stderr):
        pytest.skip(f"no FUSE in a mount namespace here: {done.stderr.strip()[:100]}")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["state"] == "active"
    [dead] = [one for one in told["network-fs.mounts"]["items"] if one["point"] == f"{tmp_path}/dead"]
    assert dead["total"] is None and dead["problem"].startswith("no answer in")
    assert all(one["total"] is not None for one in told["local-scratch.places"]["items"])
    named = {one["name"]: one for one in told["local-scratch.named"]["items"]}
    assert named["TMPDIR"]["problem"] and named["TMPDIR"]["free"] is None
    assert named["SCRATCH"]["free"] is not None
    assert "no answer" in str(told["network-fs.space"])


def test_the_mounts_of_this_machine_are_those_that_the_kernel_finds() -> None:
    mounts = visible(read_mounts(Path("/proc/self/mountinfo").read_text())[0])
    assert len({mount.point for mount in mounts}) == len(mounts)
    for mount in mounts:
        # Where btrfs is, a folder has a number of its own.
        if mount.type not in ("btrfs", "autofs") and os.access(mount.point, os.X_OK):
            device = Path(mount.point).stat().st_dev
            assert f"{os.major(device)}:{os.minor(device)}" == mount.device, mount.point


def test_local_disks_are_as_large_as_df_says() -> None:
    need("df")
    found = call(dict(os.environ), "local-scratch.places")["items"] if _has_disk() else []
    if not found:
        pytest.skip("no local file system is mounted here")
    for place in found:
        columns = "size,avail,itotal"
        printed = subprocess.run(
            ["df", "-B1", f"--output={columns}", place["point"]], capture_output=True, text=True, check=True, timeout=60
        )
        total, free, inodes = printed.stdout.splitlines()[1].split()
        assert place["total"] == int(total) and (place["files"] or 0) == int(inodes.replace("-", "0"))
        assert abs(place["free"] - int(free)) < int(total) / 20  # others write too


def _has_disk() -> bool:
    return secretary(dict(os.environ)).detect(name="local-scratch", timeout=30)["local-scratch"].active
