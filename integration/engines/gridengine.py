"""A real Grid Engine in a cell of its own on this host, for as long as a `with` lasts: for the integration suite and
the benchmarks."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from . import free_ports

SHARE, LIBRARY, INSTALLED = (Path(f"/{name}/gridengine") for name in ("usr/share", "usr/lib", "var/lib"))
BOOTSTRAP = """admin_user root
default_domain none
ignore_fqdn false
spooling_method berkeleydb
spooling_lib libspoolb
spooling_params {spool}/spooldb
binary_path /usr/sbin
qmaster_spool_dir {spool}/qmaster
security_mode none
listener_threads 2
worker_threads 2
scheduler_threads 1
"""
HOST = """hostname localhost
load_scaling NONE
complex_values NONE
user_lists NONE
xuser_lists NONE
projects NONE
xprojects NONE
usage_scaling NONE
report_variables NONE
"""
ENVIRONMENT = """pe_name {name}
slots {slots}
user_lists NONE
xuser_lists NONE
start_proc_args NONE
stop_proc_args NONE
allocation_rule {rule}
control_slaves TRUE
job_is_first_task FALSE
urgency_slots min
accounting_summary FALSE
qsort_args NONE
"""
QUEUE = {"hostlist": "localhost", "shell": "/bin/sh", "shell_start_mode": "unix_behavior", "load_thresholds": "NONE"}
QUEUES: list[dict[str, str]] = [
    {"qname": "all.q", "slots": "4", "pe_list": "smp mpi"},
    {"qname": "short.q", "slots": "2", "pe_list": "two,[localhost=smp two]", "h_rt": "1:30:00", "s_rt": "1:00:00"},
    {"qname": "off.q", "slots": "3", "pe_list": "NONE", "h_rt": "90"},
]


class Cell:
    """A cell: its environment, and questions to it."""

    def __init__(self, environ: dict[str, str], folder: Path) -> None:
        self.environ, self.folder = environ, folder

    def ask(self, *words: str) -> str:
        done = subprocess.run(words, env=self.environ, capture_output=True, text=True, timeout=30, check=False)
        if done.returncode:
            raise RuntimeError(f"{words}: {done.stdout}{done.stderr}")
        return done.stdout

    def change(self, show: tuple[str, ...], change: str, values: Mapping[str, str], name: str = "conf") -> None:
        """Some settings of what `qconf SHOW` prints, put back with `qconf CHANGE`."""
        told = self.ask("qconf", *show).replace("\\\n", " ")
        lines = [line for line in told.splitlines() if line.strip() and not line.startswith("#")]
        kept = [line for line in lines if line.split()[0] not in values]
        file = self.folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("\n".join([*kept, *(f"{key} {value}" for key, value in values.items())]) + "\n")
        self.ask("qconf", change, str(file))

    def given(self, change: str, text: str) -> None:
        (self.folder / "given").write_text(text)
        self.ask("qconf", change, str(self.folder / "given"))


def until(true: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Wait until something is true. Raises TimeoutError."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.2)


@contextmanager
def gridengine(folder: Path) -> Iterator[Cell]:
    """Start one in an empty folder and end it: one host, three queues (one is disabled), parallel environments."""
    root, spool = folder / "root", folder / "spool"
    common = root / "default/common"
    for made in (common, spool / "qmaster/job_scripts", spool / "spooldb", spool / "execd"):
        made.mkdir(parents=True)
    for name in ("bin", "lib", "util"):
        (root / name).symlink_to(INSTALLED / name)
    (common / "bootstrap").write_text(BOOTSTRAP.format(spool=spool))
    (common / "host_aliases").write_text(f"localhost {socket.gethostname()}\n")
    (common / "act_qmaster").write_text("localhost\n")
    master, execd = free_ports(2)
    places = {"SGE_ROOT": str(root), "SGE_CELL": "default", "SGE_ND": "1"}
    ports = {"SGE_QMASTER_PORT": str(master), "SGE_EXECD_PORT": str(execd)}
    made_cell = Cell({**os.environ, **places, **ports}, folder)
    made_cell.ask("sh", str(SHARE / "scripts/init_cluster"), str(root), "default", str(spool / "spooldb"), "root")
    running: list[subprocess.Popen[bytes]] = []
    with (folder / "log").open("wb") as log:

        def start(name: str) -> None:
            daemon = subprocess.Popen([LIBRARY / name], env=made_cell.environ, stdout=log, stderr=log)
            running.append(daemon)

        try:
            start("sge_qmaster")
            asked = ["qconf", "-sh"]
            until(
                lambda: not subprocess.run(asked, env=made_cell.environ, capture_output=True, check=False).returncode,
                "no qmaster",
            )
            configure(made_cell, spool)
            start("sge_execd")
            until(lambda: "lx-" in made_cell.ask("qhost"), "no execution daemon")
            made_cell.ask("qmod", "-d", "off.q")
            yield made_cell
            kill = ["qdel", "-f", "-u", "root"]  # fails where there is no job
            subprocess.run(kill, env=made_cell.environ, capture_output=True, check=False, timeout=30)
        finally:
            for process in reversed(running):  # a master takes about 10 s to write down what it knows
                process.terminate()
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def configure(cell: Cell, spool: Path) -> None:
    cell.ask("qconf", "-as", "localhost")
    cell.given("-Ae", HOST)
    for name, slots, rule in (("smp", 999, "$pe_slots"), ("mpi", 64, "$round_robin"), ("two", 8, "2")):
        cell.given("-Ap", ENVIRONMENT.format(name=name, slots=slots, rule=rule))
    complexes = [line for line in cell.ask("qconf", "-sc").splitlines() if not line.startswith("#")]
    cell.given("-Mc", "\n".join([*complexes, "gpu gpu INT <= YES YES 0 0"]) + "\n")
    cell.ask("qconf", "-mattr", "exechost", "complex_values", "gpu=4", "localhost")
    for queue in QUEUES:
        cell.change(("-sq",), "-Aq", QUEUE | queue)
    soon = {"schedule_interval": "0:0:1", "flush_submit_sec": "1", "flush_finish_sec": "1", "schedd_job_info": "true"}
    cell.change(("-ssconf",), "-Msconf", soon)
    ids = {"min_uid": "0", "min_gid": "0", "gid_range": "65400-65500", "load_report_time": "00:00:02"}
    cell.change(("-sconf",), "-Mconf", {"execd_spool_dir": str(spool / "execd"), **ids}, "global/global")
