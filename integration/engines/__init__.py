"""The engines that this suite runs on: what each needs, what of it is not here, and what to install then.

Slurm, Grid Engine and Flux are started by the suite, in a temporary folder and on loopback; `ensemble` and `jobspec`
start HyperQueue by themselves. The others are looked at where they are found.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

# A user's PATH on Debian has no daemons in it.
PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"
USER = pwd.getpwuid(os.geteuid()).pw_name
DEBIAN, PYPI = "apt-get install --no-install-recommends", "pip install"


@dataclass(frozen=True)
class Engine:
    """One of them. commands, modules: what must be there. root: whether only root can start it.

    answers: a command that must succeed and print something where the engine is one that the host runs.
    """

    name: str
    install: str
    commands: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    root: bool = False
    answers: tuple[str, ...] = ()
    more: Callable[[], list[str]] = list

    def missing(self) -> list[str]:
        """What is not here, in words; nothing where the engine can be used."""
        lacking = [name for name in self.commands if not shutil.which(name, path=PATH)]
        lacking += [f"Python module {name}" for name in self.modules if importlib.util.find_spec(name) is None]
        lacking += self.more()
        if self.root and os.geteuid():
            lacking.append("root")
        if self.answers and not lacking and not _answers(self.answers):
            lacking.append(f"answer to `{' '.join(self.answers)}`")
        return lacking


def _answers(argv: tuple[str, ...]) -> bool:
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
    return done.returncode == 0 and bool(done.stdout.strip())


def _envtest() -> list[str]:
    """Programs that are neither in KUBEBUILDER_ASSETS nor on PATH (the envtest convention)."""
    assets = Path(os.environ.get("KUBEBUILDER_ASSETS") or "/usr/local/kubebuilder/bin")
    return [name for name in ("etcd", "kube-apiserver") if not (assets / name).is_file() and not shutil.which(name)]


def _gridengine() -> list[str]:
    # Debian has them outside of PATH, beside the scripts that make a cell.
    files = ("/usr/lib/gridengine/sge_execd", "/usr/share/gridengine/scripts/init_cluster")
    return [name for name in files if not Path(name).exists()]


SLURM = ("munged", "slurmctld", "slurmd", "scontrol", "sbatch", "srun")
ENGINES = {
    "flux": Engine("Flux", "use the image fluxrm/flux-core:bookworm-v0.88.0, or build flux-core", ("flux",)),
    "slurm": Engine("Slurm", f"{DEBIAN} munge slurmctld slurmd slurm-client", SLURM),
    "accounting": Engine(
        "Slurm's accounting",
        f"{DEBIAN} munge slurmctld slurmd slurm-client slurmdbd slurm-wlm-mysql-plugin mariadb-server-core "
        "mariadb-client",
        (*SLURM, "slurmdbd", "sacctmgr", "mariadbd", "mariadb-install-db"),
        root=True,
    ),
    "gridengine": Engine(
        "Grid Engine",
        f"{DEBIAN} gridengine-master gridengine-exec gridengine-client",
        ("qconf", "qsub"),
        root=True,
        more=_gridengine,
    ),
    "openmpi": Engine("Open MPI", f"{DEBIAN} openmpi-bin", ("ompi_info",)),
    "mpich": Engine("MPICH", f"{DEBIAN} mpich", ("mpichversion",)),
    "modules": Engine("Environment Modules", f"{DEBIAN} environment-modules", ("modulecmd",)),
    "podman": Engine("Podman", f"{DEBIAN} podman crun", ("podman",)),
    "charliecloud": Engine("Charliecloud", f"{DEBIAN} charliecloud", ("ch-run", "ch-image")),
    "hyperqueue": Engine("HyperQueue", f"{PYPI} hyperqueue", modules=("hyperqueue",)),
    "kubernetes": Engine(
        "Kubernetes",
        "set KUBEBUILDER_ASSETS to a folder with etcd and kube-apiserver, as setup-envtest makes one; with kubectl",
        ("openssl", "kubectl"),
        ("kubernetes",),
        more=_envtest,
    ),
    "moto": Engine("moto", f"{PYPI} 'moto[server]' boto3", modules=("moto", "boto3")),
    "htcondor": Engine(
        "HTCondor", "run a pool on this host", ("condor_status",), answers=("condor_status", "-collector")
    ),
    "oar": Engine("OAR", "run its server on this host", ("oarnodes",), answers=("oarnodes", "-l")),
}


def missing(*names: str) -> list[str]:
    """What is not here of these engines, in words."""
    return list(dict.fromkeys(what for name in names for what in ENGINES[name].missing()))


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody listens on now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
