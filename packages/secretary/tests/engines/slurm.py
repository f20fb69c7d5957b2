"""A real Slurm of several nodes on this host, for as long as a `with` lasts: munged, slurmctld, slurmd, and where asked
slurmdbd with MariaDB. Used by the contract tests of this package and by the integration suite."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

CONF = """
ClusterName=test
SlurmctldHost=localhost
SlurmUser=root
SlurmdUser=root
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
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
SchedulerParameters=sched_interval=1,bf_interval=1
Licenses=solver:4,mesh:1
GresTypes=gpu
{accounting}
NodeName=n1 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 RealMemory=1000
NodeName=n2 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 RealMemory=1000 Gres=gpu:a100:2
NodeName=n3 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[3]} RealMemory=9000 \\
    Sockets=2 CoresPerSocket=4 ThreadsPerCore=2
PartitionName=main Nodes=n[1-3] Default=YES MaxTime=1:00:00
PartitionName=short Nodes=n[1-2] MaxTime=4:00 DefaultTime=2:00 MaxNodes=1
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
DAEMONS = ("munged", "slurmctld", "slurmd", "scontrol", "sbatch")
ACCOUNTING = ("slurmdbd", "mariadbd", "mariadb-install-db", "sacctmgr")
PATH = f"{os.environ['PATH']}:/usr/sbin"


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody listens on now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def missing(*more: str) -> list[str]:
    """The daemons that are not installed; also where this is not root."""
    lacking = [name for name in (*DAEMONS, *more) if not shutil.which(name, path=PATH)]
    return lacking if os.geteuid() == 0 else ["root", *lacking]


@dataclass
class Cluster:
    """A running one: the environment that reaches it, its folder, and its daemons by name."""

    environ: dict[str, str]
    folder: Path
    daemons: dict[str, subprocess.Popen[bytes]]

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
) -> Iterator[Cluster]:
    """Start one in an empty folder and end it. nodes: those that a slurmd stands behind, of n1, n2 and n3.

    conf: another slurm.conf, with as many of `{ports[0]}` to `{ports[5]}`, `{folder}` and `{accounting}` as it needs.
    partition: one that all of these nodes are in.
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
    (folder / "slurm.conf").write_text(conf.format(folder=folder, ports=ports, accounting=storage))
    (folder / "gres.conf").write_text(GRES.format(folder=folder))
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o600)
    environ = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf"), "PATH": PATH}
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
        cluster.until(str(len(nodes)), "sinfo", "--noheader", f"--partition={partition}", "--states=idle", "--format=%D")
        yield cluster
        if cluster.daemons["slurmctld"].poll() is None:
            subprocess.run(["scancel", "--full", "--user=root"], env=environ, check=False, capture_output=True)
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
