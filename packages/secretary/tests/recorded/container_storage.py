"""Machines on which the container and storage providers are active, by the names of the providers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from resource_secretary.run import Ran
from resource_secretary.system import Disk
from resource_secretary.testing import RecordedSystem

DATA = Path(__file__).parents[1] / "data"
JSON = ("--format", "{{json .}}")
Commands = dict[tuple[str, ...], "Ran | str"]


def text(name: str) -> str:
    return (DATA / name).read_text()


USER = {
    "/proc/sys/user/max_user_namespaces": "96365",
    "/etc/subuid": "other:100000:65536\nuser:165536:65536",
    "/etc/subgid": "user:165536:65536",
    "/sys/fs/cgroup/cgroup.controllers": "cpu memory",
}
ANY = "sha256:d54d5b04e5eb029a3d979f962cd510725e297ab94dae3ebbb8fa9ac3e71ede94"
INSPECTED = f'[\n{{"Id":"{ANY}","RepoTags":["tiny:1.0"],"Architecture":"amd64","Os":"linux","Size":35664}}\n]\n'
NO_IMAGE = "Error response from daemon: no such image: nosuch:1: No such image: nosuch:1"


def docker(version: str = "28.2") -> RecordedSystem:
    folder = f"docker-{version}"
    commands: Commands = {
        ("docker", "version", *JSON): text(f"{folder}/version.json"),
        ("docker", "info", *JSON): text(f"{folder}/info.json"),
        ("docker", "images", "--no-trunc", *JSON): text(f"{folder}/images.jsonl"),
        ("docker", "ps", "--all", "--no-trunc", *JSON): text(f"{folder}/ps.jsonl"),
        ("docker", "image", "inspect", "--", "tiny:1.0"): INSPECTED,
        ("docker", "image", "inspect", "--", "nosuch:1"): Ran((), 1, "[]\n", NO_IMAGE),
    }
    return RecordedSystem(commands=commands, files=USER)


PODMAN = {"3.4": "3.4.4", "4.3": "4.3.1", "5.8": "5.8.6"}


def podman(version: str = "4.3") -> RecordedSystem:
    commands: Commands = {
        ("podman", "version", "--format", "json"): text("podman-4.3/version.json").replace("4.3.1", PODMAN[version]),
        ("podman", "info", "--format", "json"): text(f"podman-{version}/info.json"),
        ("podman", "images", "--format", "json"): text("podman-4.3/images.json"),
        ("podman", "ps", "--all", "--format", "json"): text("podman-4.3/ps.json"),
        ("podman", "image", "inspect", "--", "tiny:1.0"): INSPECTED,
        ("podman", "image", "inspect", "--", "nosuch:1"): Ran(
            (), 125, "", "Error: inspecting object: nosuch:1: image not known"
        ),
    }
    return RecordedSystem(commands=commands, files=USER)


def containerd() -> RecordedSystem:
    commands: Commands = {
        ("ctr", "version"): text("containerd-1.6/version.txt"),
        ("ctr", "namespaces", "ls", "--quiet"): text("containerd-1.6/namespaces.txt"),
        ("ctr", "--namespace=default", "images", "ls"): text("containerd-1.6/images.txt"),
        ("ctr", "--namespace=default", "containers", "ls", "--quiet"): "box\n",
        ("ctr", "plugins", "ls"): text("containerd-1.6/plugins.txt"),
    }
    return RecordedSystem(commands=commands, files={"/run/containerd/containerd.sock": ""})


def nerdctl() -> RecordedSystem:
    machine = containerd()
    machine.commands |= {
        ("nerdctl", "version", *JSON): text("nerdctl-1.7/version.json"),
        ("nerdctl", "namespace", "ls", "--quiet"): text("nerdctl-1.7/namespaces.txt"),
        ("nerdctl", "--namespace=k8s.io", "images", "--no-trunc", *JSON): text("nerdctl-1.7/images.jsonl"),
        ("nerdctl", "--namespace=k8s.io", "ps", "--all", "--no-trunc", *JSON): text("nerdctl-1.7/ps.jsonl"),
    }
    return machine


def apptainer(command: str = "apptainer") -> RecordedSystem:
    folder = "apptainer-1.4"
    commands: Commands = {
        (command, "--version"): text(f"{folder}/version.txt"),
        (command, "buildcfg"): text(f"{folder}/buildcfg.txt"),
        (command, "cache", "list", "--verbose"): text(f"{folder}/cache.txt"),
        (command, "instance", "list", "--json"): text(f"{folder}/instances.json"),
        (command, "sif", "header", "/images/v1.sif"): text(f"{folder}/sif-header.txt"),
        (command, "sif", "header", "/images/none.sif"): Ran((), 255, "", text(f"{folder}/no-file.stderr.txt")),
        (command, "sif", "header", "/images/odd.sif"): Ran((), 255, "", text(f"{folder}/no-sif.stderr.txt")),
    }
    files = {**USER, "/etc/apptainer/apptainer.conf": text(f"{folder}/apptainer.conf")}
    links = {"/images/latest.sif": "v1.sif", "/images/secret.sif": "/etc/passwd"}
    return RecordedSystem(commands=commands, files=files, environ={"HOME": "/home/user"}, links=links)


def singularity() -> RecordedSystem:
    folder = "singularity-ce-4.2"
    commands: Commands = {
        ("singularity", "--version"): text(f"{folder}/version.txt"),
        ("singularity", "buildcfg"): text(f"{folder}/buildcfg.txt"),
        ("singularity", "cache", "list", "--verbose"): text(f"{folder}/cache.txt"),
        ("singularity", "instance", "list", "--json"): text("apptainer-1.4/no-instances.json"),
    }
    files = {
        **USER,
        "/etc/singularity/singularity.conf": text("apptainer-1.4/apptainer.conf"),
        "/usr/libexec/singularity/bin/starter-suid": "",
        "/proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104",
    }
    return RecordedSystem(commands=commands, files=files, environ={"HOME": "/home/user"})


def charliecloud() -> RecordedSystem:
    commands: Commands = {
        ("ch-run", "--version"): Ran((), 0, "", text("charliecloud-0.31/version.stderr.txt")),
        ("ch-image", "list"): text("charliecloud-0.31/list.txt"),
        ("ch-checkns",): text("charliecloud-0.31/checkns.txt"),
    }
    return RecordedSystem(commands=commands, files={**USER, "/var/tmp/user.ch/version": "5"}, environ={"USER": "user"})


def shifter() -> RecordedSystem:
    commands: Commands = {
        ("shifter",): "",
        ("shifterimg", "images"): text("shifter-18/images.txt"),
    }
    return RecordedSystem(commands=commands, files={"/etc/shifter/udiRoot.conf": "system=mycluster"})


def enroot() -> RecordedSystem:
    commands: Commands = {
        ("enroot", "version"): text("enroot-3.4/version.txt"),
        ("enroot", "list"): text("enroot-3.4/list.txt"),
    }
    files = {**USER, "/etc/enroot/enroot.conf": text("enroot-3.4/enroot.conf"), "/etc/enroot/hooks.d/98-nvidia.sh": ""}
    return RecordedSystem(commands=commands, files=files)


POINTS = ("/", "/boot", "/local", "/tank", "/srv/b", "/scratch", "/mnt/beegfs", "/fs/project", "/ceph", "/mnt/my data")
DISKS = {
    point: Disk(10**12 + index, 5 * 10**11, 4 * 10**11 + index, 1000, 900) for index, point in enumerate(POINTS)
} | {"/dev/shm": Disk(2**34, 2**33, 2**33, 100, 90), "/mnt/win": Disk(10**9, 10**8, 10**8, 0, 0)}


def cluster() -> RecordedSystem:
    """A node with one mount of every kind. The server behind /home does not answer."""
    files = {
        "/proc/self/mountinfo": text("mounts/cluster.txt"),
        "/sys/fs/lustre/version": "lustre: 2.15.5",
        "/sys/fs/lustre/health_check": "healthy",
        "/sys/module/beegfs/version": "7.4.6",
        "/proc/fs/beegfs/1A2B-65000000-host/mgmt_nodes": "mgmt01 [ID: 1]\n   Connections: TCP: 1 (192.0.2.1:8008);",
        "/proc/fs/beegfs/1A2B-65000000-host/meta_nodes": "meta01 [ID: 1]\n   Root: <yes>\n   Connections: <none>",
        "/proc/fs/beegfs/1A2B-65000000-host/storage_nodes": text("beegfs-7.4/storage_nodes.txt"),
        "/proc/swaps": "Filename\tType\tSize\tUsed\tPriority\n/dev/nvme0n1p3 partition 100 0 -2",
        **nvme_files(),
        "/sys/class/block/dm-0/dev": "253:0",
        "/sys/class/block/dm-0/dm/name": "vg-root",
        "/sys/dev/block/253:0/queue/rotational": "0",
        "/sys/dev/block/259:5/../queue/rotational": "0",
        "/sys/dev/block/259:5/partition": "1",
        "/sys/class/block/sdb1/partition": "1",
        "/sys/class/block/sdb1/../queue/rotational": "1",
    }
    links = {"/scratch/link": "/home/user", "/home/user/work": "/scratch/work", "/scratch/loop": "loop"}
    commands: Commands = {
        ("lfs", "df", "--lazy", "/scratch"): text("lustre-2.15/df.txt"),
        ("lfs", "quota", "-q", "-u", "user", "/scratch"): text("lustre-2.15/quota-over.txt"),
        ("lfs", "quota", "-q", "-p", "1000", "/scratch"): text("lustre-2.12/quota.txt"),
        ("lfs", "project", "-d", "/scratch/work"): text("lustre-2.12/project.txt"),
        ("lfs", "getstripe", "-d", "/scratch/work"): text("lustre-2.15/getstripe-pfl.txt"),
        ("lfs", "check", "servers"): text("lustre-2.12/servers.txt"),
        ("beegfs-df", "-p", "/mnt/beegfs"): text("beegfs-7.4/df.txt"),
        ("beegfs-ctl", "--getquota", "--csv", "--uid", "user", "--mount=/mnt/beegfs"): text("beegfs-7.4/quota.csv"),
        ("/usr/lpp/mmfs/bin/mmlsquota", "-Y"): text("gpfs-5/mmlsquota.txt"),
        ("/usr/lpp/mmfs/bin/mmlsfs", "all", "-Y"): text("gpfs-5/mmlsfs.txt"),
        ("/usr/lpp/mmfs/bin/mmgetstate", "-Y"): text("gpfs-5/mmgetstate.txt"),
        ("ceph", "-s", "--format=json", "--connect-timeout=5"): text("ceph-18/status.json"),
        ("quota", "-w", "-p"): Ran((), 1, text("quota-4.06/quota.txt")),
        ("nvme", "list", "-o", "json"): text("nvme-cli-2/list.json"),
        ("nvme", "smart-log", "/dev/nvme0", "-o", "json"): text("nvme-cli-1/smart-log.json"),
        ("nvme", "smart-log", "/dev/nvme1", "-o", "json"): text("nvme-cli-2/smart-log.json"),
        ("id", "-gn"): "lab\n",
    }
    attributes = {
        ("/ceph/proj", "ceph.quota.max_bytes"): "1000000000000",
        ("/ceph/proj", "ceph.dir.rbytes"): "250000000000",
        ("/ceph/proj", "ceph.dir.rentries"): "1234",
        ("/ceph/proj/me", "ceph.dir.rbytes"): "5",
        ("/ceph/proj/me", "ceph.dir.rentries"): "1",
        ("/ceph", "ceph.dir.rbytes"): "9",
        ("/ceph", "ceph.dir.rentries"): "9",
    }
    environ = {"TMPDIR": "/local/tmp", "SCRATCH": "/home/user/work", "MEMDIR": "/dev/shm/user", "LSCRATCH": "relative"}
    return RecordedSystem(
        files=files, links=links, commands=commands, disks=DISKS, attributes=attributes, environ=environ
    )


def nvme_files() -> dict[str, str]:
    files = {}
    for index, (model, node) in enumerate([("KIOXIA KCD61LUL3T84", "0"), ("SAMSUNG MZWLR3T8HBLS-00007", "-1")]):
        folder = f"/sys/class/nvme/nvme{index}"
        files |= {f"{folder}/model": model, f"{folder}/firmware_rev": "0107", f"{folder}/state": "live"}
        files |= {f"{folder}/transport": "pcie", f"{folder}/numa_node": node}
        block = f"/sys/class/block/nvme{index}n1"
        files |= {
            f"{block}/size": "7501476528",
            f"{block}/queue/logical_block_size": "512",
            f"{block}/dev": f"259:{index}",
        }
    block = "/sys/class/block/nvme0n1"
    for number in (1, 2, 3):
        files[f"{block}/nvme0n1p{number}/partition"] = str(number)
        files[f"/sys/class/block/nvme0n1p{number}/dev"] = f"259:{number + 1}"
    files["/sys/class/block/nvme0n1p1/holders/dm-0"] = ""
    files["/sys/class/block/nvme1n1/nvme1n1p1/partition"] = "1"
    files["/sys/class/block/nvme1n1p1/dev"] = "259:5"
    return files


MACHINES: dict[str, Callable[[], RecordedSystem]] = {
    "docker": docker,
    "podman": podman,
    "containerd": containerd,
    "apptainer": apptainer,
    "singularity": singularity,
    "charliecloud": charliecloud,
    "shifter": shifter,
    "enroot": enroot,
    **dict.fromkeys(("lustre", "beegfs", "gpfs", "ceph", "network-fs", "local-scratch", "nvme"), cluster),
}
