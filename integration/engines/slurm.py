"""A real Slurm of several nodes on this host, for as long as a `with` lasts: munged, slurmctld, slurmd, and where asked
slurmdbd with MariaDB. It runs as the user who starts it, which for the database must be root."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from . import PATH, USER, free_ports

# What every cluster has that is started here; how its nodes are shared, and which there are, comes behind.
DAEMONS = """
ClusterName=test
SlurmctldHost=localhost
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
SlurmctldPort={ports[0]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
{accounting}
"""
COMMON = f"""{DAEMONS}
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=1,bf_interval=1
Licenses=solver:4,mesh:1
GresTypes=gpu
"""
# Nodes that differ; n3 is larger than this host, and mostly has nobody behind it.
CONF = f"""{COMMON}
NodeName=n1 NodeHostname=localhost NodeAddr=127.0.0.1 Port={{ports[1]}} CPUs=2 RealMemory=1000
NodeName=n2 NodeHostname=localhost NodeAddr=127.0.0.1 Port={{ports[2]}} CPUs=2 RealMemory=1000 Gres=gpu:a100:2
NodeName=n3 NodeHostname=localhost NodeAddr=127.0.0.1 Port={{ports[3]}} RealMemory=9000 \\
    Sockets=2 CoresPerSocket=4 ThreadsPerCore=2
PartitionName=main Nodes=n[1-3] Default=YES MaxTime=1:00:00
PartitionName=short Nodes=n[1-2] MaxTime=4:00 DefaultTime=2:00 MaxNodes=1
"""
# Four nodes of two cores, for jobs of a core or more that say nothing of memory.
FOUR = f"""{COMMON}
DefMemPerCPU=200
KillWait=2
NodeName=n1 NodeHostname=localhost NodeAddr=127.0.0.1 Port={{ports[1]}} CPUs=2 RealMemory=1000
NodeName=n2 NodeHostname=localhost NodeAddr=127.0.0.1 Port={{ports[2]}} CPUs=2 RealMemory=1000 Gres=gpu:a100:2
NodeName=n3 NodeHostname=localhost NodeAddr=127.0.0.1 Port={{ports[3]}} CPUs=2 RealMemory=1000
NodeName=n4 NodeHostname=localhost NodeAddr=127.0.0.1 Port={{ports[4]}} CPUs=2 RealMemory=1000
PartitionName=main Nodes=n[1-4] Default=YES MaxTime=1:00:00
"""
# Three nodes that are alike, in a partition for an hour at most.
DEBUG = f"""{COMMON}
NodeName=n1 NodeHostname=localhost NodeAddr=127.0.0.1 Port={{ports[1]}} CPUs=2 RealMemory=1000
NodeName=n2 NodeHostname=localhost NodeAddr=127.0.0.1 Port={{ports[2]}} CPUs=2 RealMemory=1000
NodeName=n3 NodeHostname=localhost NodeAddr=127.0.0.1 Port={{ports[3]}} CPUs=2 RealMemory=1000
PartitionName=debug Nodes=n[1-3] Default=YES MaxTime=1:00:00
"""
GRES = """
NodeName=n2 Name=gpu Type=a100 File={folder}/gpu[0-1]
"""
DBD = """
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
DbdHost=localhost
DbdPort={port}
SlurmUser=root
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={sql_port}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct
"""


@dataclass
class Cluster:
    """A running one: the environment that reaches it, its folder, and its daemons by name."""

    environ: dict[str, str]
    folder: Path
    daemons: dict[str, subprocess.Popen[bytes]]

    @property
    def reach(self) -> dict[str, str]:
        """What leads to it in an environment."""
        return {"SLURM_CONF": self.environ["SLURM_CONF"]}

    def say(self, *argv: str) -> str:
        """What a command of it prints. Raises CalledProcessError."""
        return subprocess.check_output(argv, env=self.environ, text=True, timeout=30)

    def until(self, wanted: str, *argv: str, seconds: float = 30) -> None:
        """Wait until a command prints this. Raises TimeoutError with the logs."""
        end = time.monotonic() + seconds
        while True:
            said = subprocess.run(argv, env=self.environ, capture_output=True, text=True, timeout=30, check=False)
            if said.stdout.strip() == wanted:
                return
            if time.monotonic() > end:
                log = (self.folder / "log").read_text(errors="replace")[-2000:]
                raise TimeoutError(f"{argv} prints {said.stdout!r} {said.stderr!r}, not {wanted!r}\n{log}")
            time.sleep(0.2)

    def stop(self, name: str) -> None:
        """End one of its daemons."""
        process = self.daemons[name]
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def slurm(
    folder: Path,
    *,
    nodes: Sequence[str] = ("n1", "n2"),
    accounting: bool = False,
    conf: str = CONF,
    partition: str = "main",
    environ: Mapping[str, str] = os.environ,
) -> Iterator[Cluster]:
    """Start one in an empty folder and end it. nodes: those that a slurmd stands behind, of n1, n2 and n3.

    conf: another slurm.conf, with as many of `{ports[0]}` to `{ports[5]}`, `{folder}`, `{user}` and `{accounting}` as
    it needs.
    partition: one that all of these nodes are in. environ: what its daemons have in their environment.
    """
    for name in ("state", "spool"):
        (folder / name).mkdir()
    for name in ("gpu0", "gpu1"):
        (folder / name).touch()
    ports = free_ports(6)
    storage = "AccountingStorageType=accounting_storage/none"
    if accounting:
        storage = (
            "AccountingStorageType=accounting_storage/slurmdbd\nAccountingStorageHost=localhost\n"
            f"AccountingStoragePort={ports[4]}\nAccountingStoragePass={folder}/munge.sock\nAccountingStorageEnforce=associations,limits"
        )
    (folder / "slurm.conf").write_text(conf.format(folder=folder, ports=ports, accounting=storage, user=USER))
    (folder / "gres.conf").write_text(GRES.format(folder=folder))
    # Nothing here uses control groups; the other plug-in looks for them at once, and containers have none to write.
    (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o600)
    environ = {**environ, "SLURM_CONF": str(folder / "slurm.conf"), "PATH": PATH}
    cluster = Cluster(environ, folder, {})
    munge = [f"--{name}={folder}/{file}" for name, file in (("key-file", "munge.key"), ("socket", "munge.sock"))]
    munge += [f"--{name}={folder}/munge.{name}" for name in ("pid-file", "log-file", "seed-file")]
    try:
        _start(cluster, "munged", "--force", "--foreground", *munge)
        if accounting:
            _accounting(cluster, ports[4], ports[5])
        _start(cluster, "slurmctld", "-D")
        for name in nodes:
            _start(cluster, "slurmd", "-D", "-N", name, name=name)
        cluster.until(
            str(len(nodes)), "sinfo", "--noheader", f"--partition={partition}", "--states=idle", "--format=%D"
        )
        yield cluster
        if cluster.daemons["slurmctld"].poll() is None:
            subprocess.run(["scancel", "--full", f"--user={USER}"], env=environ, check=False, capture_output=True)
            with suppress(TimeoutError):
                cluster.until("", "squeue", "--noheader", seconds=5)
    finally:
        for name in reversed(cluster.daemons):  # munged last: the others stop only with its help
            cluster.stop(name)


def _start(cluster: Cluster, *argv: str, name: str = "") -> None:
    with (cluster.folder / "log").open("ab") as log:
        cluster.daemons[name or argv[0]] = subprocess.Popen(
            argv, env=cluster.environ, stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
    time.sleep(0.3)


def _accounting(cluster: Cluster, port: int, sql_port: int) -> None:
    data = cluster.folder / "sql"
    data.mkdir()
    common = ["--no-defaults", f"--datadir={data}"]
    install = ["mariadb-install-db", *common, "--user=root", "--auth-root-authentication-method=normal"]
    subprocess.run([*install, "--skip-test-db"], env=cluster.environ, check=True, capture_output=True, timeout=120)
    start = cluster.folder / "start.sql"
    start.write_text(
        "CREATE DATABASE IF NOT EXISTS slurm_acct;\n"
        "CREATE OR REPLACE USER slurm@'127.0.0.1' IDENTIFIED BY 'slurm';\n"
        "GRANT ALL ON slurm_acct.* TO slurm@'127.0.0.1';\n"
    )
    _start(
        cluster, "mariadbd", *common, "--user=root", f"--port={sql_port}", "--bind-address=127.0.0.1",
        f"--socket={cluster.folder}/sql.sock", f"--pid-file={cluster.folder}/sql.pid", f"--init-file={start}",
    )  # fmt: skip
    conf = cluster.folder / "slurmdbd.conf"
    conf.write_text(DBD.format(folder=cluster.folder, port=port, sql_port=sql_port))
    conf.chmod(0o600)
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with suppress(OSError), socket.create_connection(("127.0.0.1", sql_port), 1):
            break
        time.sleep(0.2)
    _start(cluster, "slurmdbd", "-D")
    add = ["sacctmgr", "--immediate", "add", "cluster", "test"]
    while True:
        done = subprocess.run(add, env=cluster.environ, check=False, capture_output=True, text=True, timeout=30)
        if not done.returncode or "already exists" in done.stdout:  # slurmctld of an earlier try registers itself
            break
        if time.monotonic() > end:
            log = (cluster.folder / "log").read_text(errors="replace")[-2000:]
            raise TimeoutError(f"{done.stdout}{done.stderr}{log}")
        time.sleep(0.5)
    cluster.say("sacctmgr", "--immediate", "add", "account", "name=proj", "cluster=test", "GrpTRES=cpu=100")
    cluster.say(
        "sacctmgr", "--immediate", "add", "user", "name=root", "account=proj", "MaxJobs=50", "GrpTRES=cpu=60,node=3"
    )
