"""What the tests that ask real schedulers share: free ports, and a Grid Engine of one host, in a cell of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

SHARE, LIBRARY, INSTALLED = (Path(f"/{name}/gridengine") for name in ("usr/share", "usr/lib", "var/lib"))
QUEUE = {"qname": "all.q", "hostlist": "localhost", "qtype": "BATCH INTERACTIVE", "pe_list": "smp", "slots": "4"}
QUEUE |= {"shell": "/bin/sh", "shell_start_mode": "unix_behavior", "load_thresholds": "NONE", "tmpdir": "/tmp"}
PE = """pe_name smp
slots 99
user_lists NONE
xuser_lists NONE
start_proc_args NONE
stop_proc_args NONE
allocation_rule $pe_slots
control_slaves TRUE
job_is_first_task FALSE
urgency_slots min
accounting_summary FALSE
qsort_args NONE
"""


@pytest.fixture(scope="session")
def free_ports():
    """So many ports that nothing listens on now: `free_ports(2)`."""

    def find(count):
        sockets = [socket.socket() for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        ports = [one.getsockname()[1] for one in sockets]
        for one in sockets:
            one.close()
        return ports

    return find


def ask(environ, *command):
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=20)


def changed(environ, folder, show, change, values):
    """Change some settings of what `qconf SHOW` prints."""
    lines = [line for line in ask(environ, "qconf", *show).stdout.splitlines() if line.split()[:1]]
    text = "".join(f"{line}\n" for line in lines if line.split()[0] not in values)
    (folder / "conf").write_text(text + "".join(f"{name} {value}\n" for name, value in values.items()))
    done = ask(environ, "qconf", *change, str(folder / "conf"))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def cell(tmp_path_factory, free_ports):
    """The environment from which a Grid Engine of one host is reached."""
    if os.geteuid() or not (shutil.which("qsub") and (SHARE / "scripts" / "init_cluster").exists()):
        pytest.skip("needs root and Grid Engine with its daemons (sge_qmaster, sge_execd)")
    folder = tmp_path_factory.mktemp("sge")
    root, spool = folder / "root", folder / "spool"
    for made in (root / "default" / "common", spool / "qmaster" / "job_scripts", spool / "spooldb", spool / "execd"):
        made.mkdir(parents=True)
    for name in ("bin", "lib", "util"):
        (root / name).symlink_to(INSTALLED / name)
    common = root / "default" / "common"
    common.joinpath("bootstrap").write_text(
        "admin_user root\ndefault_domain none\nignore_fqdn false\nspooling_method berkeleydb\nspooling_lib libspoolb\n"
        f"spooling_params {spool}/spooldb\nbinary_path /usr/sbin\nqmaster_spool_dir {spool}/qmaster\n"
        "security_mode none\nlistener_threads 2\nworker_threads 2\nscheduler_threads 1\n"
    )
    common.joinpath("host_aliases").write_text(f"localhost {socket.gethostname()}\n")
    common.joinpath("act_qmaster").write_text("localhost\n")
    ports = dict(zip(("SGE_QMASTER_PORT", "SGE_EXECD_PORT"), map(str, free_ports(2)), strict=True))
    environ = {**os.environ, **ports, "SGE_ROOT": str(root), "SGE_CELL": "default", "SGE_ND": "1"}
    script = SHARE / "scripts" / "init_cluster"
    subprocess.run(["sh", script, root, "default", spool / "spooldb", "root"], env=environ, check=True)
    running = []
    with (folder / "log").open("wb") as log:
        running.append(subprocess.Popen([LIBRARY / "sge_qmaster"], env=environ, stdout=log, stderr=log))
        try:
            until = time.monotonic() + 20
            while ask(environ, "qconf", "-sh").returncode:
                assert time.monotonic() < until, (folder / "log").read_text()
                time.sleep(0.1)
            ask(environ, "qconf", "-as", "localhost")
            execd = {"execd_spool_dir": spool / "execd", "min_uid": "0", "min_gid": "0", "gid_range": "65400-65500"}
            execd["reporting_params"] = "accounting=true reporting=false flush_time=00:00:01 joblog=false sharelog=0"
            (folder / "host").write_text(
                "hostname localhost\nload_scaling NONE\ncomplex_values NONE\nuser_lists NONE\n"
            )
            with (folder / "host").open("a") as file:
                file.write(
                    "xuser_lists NONE\nprojects NONE\nxprojects NONE\nusage_scaling NONE\nreport_variables NONE\n"
                )
            ask(environ, "qconf", "-Ae", str(folder / "host"))
            (folder / "pe").write_text(PE)
            ask(environ, "qconf", "-Ap", str(folder / "pe"))
            (folder / "global").mkdir()
            changed(environ, folder, ["-sq"], ["-Aq"], QUEUE)
            soon = {"schedule_interval": "0:0:1", "flush_submit_sec": "1", "flush_finish_sec": "1"}
            changed(environ, folder, ["-ssconf"], ["-Msconf"], soon)
            lines = ask(environ, "qconf", "-sconf").stdout.replace("\\\n", " ").splitlines()[1:]
            text = "".join(f"{line}\n" for line in lines if line.strip() and line.split()[0] not in execd)
            (folder / "global" / "global").write_text(text + "".join(f"{k} {v}\n" for k, v in execd.items()))
            ask(environ, "qconf", "-Mconf", str(folder / "global" / "global"))
            running.append(subprocess.Popen([LIBRARY / "sge_execd"], env=environ, stdout=log, stderr=log))
            yield environ
        finally:
            for process in reversed(running):
                process.terminate()
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
