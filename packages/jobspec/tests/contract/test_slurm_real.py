"""Our reader and writer against the sbatch that is installed here, in a throwaway cluster that only holds jobs.

A job_submit plug-in writes down what sbatch sent, so that no guess about scontrol's output is in between; names of
partitions, reservations and hosts are not checked there.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from jobspec.convert import convert
from jobspec.explain import as_dict
from jobspec.readers import read

CONF = """\
ClusterName=throwaway
SlurmctldHost=localhost
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.sock
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
JobSubmitPlugins=lua
MaxArraySize=4000001
MaxJobCount=1000000
GresTypes={gres}
Licenses={licenses}
NodeName=n[1-4000] NodeHostname=localhost NodeAddr=127.0.0.1 CPUs=512 Sockets=8 CoresPerSocket=32 ThreadsPerCore=2 \
RealMemory=9000000 TmpDisk=9000000 Features={features} Gres=gpu:8
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE OverSubscribe=YES
"""
SENT = [
    "name",
    "account",
    "qos",
    "partition",
    "reservation",
    "comment",
    "min_nodes",
    "max_nodes",
    "num_tasks",
    "ntasks_per_node",
    "ntasks_per_socket",
    "ntasks_per_core",
    "ntasks_per_tres",
    "cpus_per_task",
    "sockets_per_node",
    "cores_per_socket",
    "threads_per_core",
    "pn_min_cpus",
    "min_mem_per_node",
    "min_mem_per_cpu",
    "mem_per_tres",
    "cpus_per_tres",
    "tres_per_job",
    "tres_per_node",
    "tres_per_socket",
    "tres_per_task",
    "pn_min_tmp_disk",
    "licenses",
    "shared",
    "time_limit",
    "time_min",
    "deadline",
    "array_inx",
    "dependency",
    "requeue",
    "features",
    "req_nodes",
    "exc_nodes",
    "work_dir",
    "std_in",
    "std_out",
    "std_err",
    "mail_type",
    "mail_user",
    "nice",
    "overcommit",
    "contiguous",
    "req_switch",
    "wait4switch",
    "core_spec",
    "reboot",
    "wckey",
    "network",
    "burst_buffer",
    "cpu_freq_min",
    "cpu_freq_max",
    "delay_boot",
    "prefer",
]
LUA = """\
function slurm_job_submit(job)
  local out, file = {{}}, io.open("{folder}/sent", "a")
  for _, key in ipairs({{{keys}}}) do
    local ok, value = pcall(function() return job[key] end)
    if ok and value ~= nil then out[#out + 1] = key .. "\\1" .. tostring(value) end
  end
  file:write((table.concat(out, "\\2"):gsub("\\n", " ")) .. "\\n")
  file:close()
  job.partition, job.reservation, job.req_nodes, job.exc_nodes = "all", "", "", ""
  return slurm.SUCCESS
end
function slurm_job_modify() return slurm.SUCCESS end
"""
UNSET = {"4294967294", "65534", "1.844674407371e+19"}


class Cluster:
    """A slurmctld without any slurmd."""

    def __init__(self, folder: Path, ports, features, gres, licenses):
        self.folder = folder
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "SBATCH_"))},
            "SLURM_CONF": str(folder / "slurm.conf"),
        }
        names = {"features": features, "gres": gres, "licenses": licenses}
        listed = {key: ",".join(sorted(value)) for key, value in names.items()}
        (folder / "slurm.conf").write_text(CONF.format(folder=folder, ports=ports, **listed))
        (folder / "gres.conf").write_text("NodeName=n[1-4000] Name=gpu Count=8\n")
        keys = ", ".join(f'"{key}"' for key in SENT)
        (folder / "job_submit.lua").write_text(LUA.format(folder=folder, keys=keys))
        (folder / "state").mkdir()
        (folder / "sent").touch()
        key = folder / "munge.key"
        key.write_bytes(random.Random(1).randbytes(128))
        key.chmod(0o600)
        munge = [f"--{name}={folder}/munge.{end}" for name, end in (("socket", "sock"), ("pid-file", "pid"))]
        munge += [f"--{name}={folder}/munge.{end}" for name, end in (("log-file", "log"), ("seed-file", "seed"))]
        quiet = subprocess.DEVNULL
        self.daemons = [
            subprocess.Popen(["munged", "--force", "--foreground", f"--key-file={key}", *munge], stderr=quiet)
        ]
        for _ in range(100):
            if (folder / "munge.sock").exists():
                break
            time.sleep(0.05)
        self.daemons.append(subprocess.Popen(["slurmctld", "-D"], env=self.environment, stderr=quiet))
        for _ in range(100):
            if self.run("scontrol", "ping").returncode == 0:
                return
            time.sleep(0.1)
        raise RuntimeError((folder / "slurmctld.log").read_text()[-2000:])

    def run(self, *argv, stdin=None):
        return subprocess.run(
            argv, input=stdin, capture_output=True, env=self.environment, cwd="/tmp", check=False, timeout=30
        )

    def submit(self, text):
        """Whether it is accepted, what was sent (one dictionary for each component), and what sbatch says."""
        sent = self.folder / "sent"
        at = sent.stat().st_size
        done = self.run("sbatch", "-H", stdin=text.encode(errors="surrogateescape"))
        rows = sent.read_bytes()[at:].decode(errors="surrogateescape").splitlines()
        found = [dict(pair.split("\1", 1) for pair in row.split("\2")) for row in rows]
        found = [{key: value for key, value in one.items() if value not in UNSET} for one in found]
        return done.returncode == 0, found, done.stderr.decode(errors="replace")

    def held(self):
        """For each job what scontrol shows of it."""
        shown = self.run("scontrol", "show", "job", "-o").stdout.decode(errors="replace")
        return [dict(re.findall(r"(\S+?)=(\S*)", line)) for line in shown.splitlines()]

    def stop(self):
        for daemon in reversed(self.daemons):
            daemon.terminate()
            daemon.wait(20)


@pytest.fixture(scope="module")
def cluster(slurm_corpus, free_ports):
    if missing := [name for name in ("sbatch", "slurmctld", "scontrol", "munged") if not shutil.which(name)]:
        pytest.skip(f"Slurm is not installed: no {missing[0]}")
    if os.geteuid():
        pytest.skip("a throwaway slurmctld of Debian's package runs as root")
    features, gres, licenses = {"a100", "v100", "knl", "quad"}, {"gpu", "nic"}, {"matlab:1000", "ansys:1000"}
    for text, said in slurm_corpus:
        for job in read(text, "slurm").jobs if said["accepted"] else ():
            if job.constraint:
                features |= set(re.split(r"[&|]", re.sub(r"[\[\]()]|\*[0-9]+", "", job.constraint.text)))
            gres |= {one.name for one in job.gres}
            licenses |= {f"{name}:1000" for name, _ in job.licenses}
    folder = Path(subprocess.check_output(["mktemp", "-d", "/tmp/jobspec-slurm-XXXXXX"], text=True).strip())
    folder.chmod(0o755)
    running = Cluster(folder, free_ports(2), features, gres, licenses)
    try:
        yield running
    finally:
        running.stop()
        shutil.rmtree(folder)


def numbers(sent):
    """Those of the values sent that are numbers in the neutral job too."""

    def number(key, zero=None):
        return int(float(sent[key])) or zero if key in sent else None

    limit = number("time_limit")
    return {
        "name": sent["name"],
        "nodes_min": number("min_nodes", 0),
        "nodes_max": number("max_nodes"),
        "ntasks_per_node": number("ntasks_per_node"),
        "cpus_per_task": number("cpus_per_task") or 1,
        "mem_per_node": number("min_mem_per_node"),
        "mem_per_cpu": number("min_mem_per_cpu"),
        "tmp": number("pn_min_tmp_disk"),
        "time": None if limit is None else "unlimited" if limit == 2**32 - 1 else limit * 60,
        "partition": sent.get("partition"),
        "exclude": sent.get("exc_nodes") or None,
        "comment": sent.get("comment") or None,
        "requeue": sent.get("requeue") != "0",  # not sent where nobody said it: JobRequeue is 1
    }


def explained(job):
    def memory(per):
        return job["memory"]["bytes"] // 2**20 or None if job["memory"] and job["memory"]["per"] == per else None

    return {
        "name": job["name"] or "sbatch",
        "nodes_min": job["nodes"] and job["nodes"]["min"],
        "nodes_max": job["nodes"] and job["nodes"]["max"],
        "ntasks_per_node": job["tasks_per_node"],
        "cpus_per_task": job["cpus_per_task"],
        "mem_per_node": memory("node"),
        "mem_per_cpu": memory("cpu"),
        "tmp": (job["disk_per_node"] and job["disk_per_node"] // 2**20) or None,
        "time": job["walltime_s"],
        "partition": job["queue"],
        "exclude": job["exclude_hosts"],
        "comment": job["comment"],
        "requeue": job["requeue"],
    }


COUNTS = ["1", "2", "3", "4", "8", "16", "0", "-1", "+3", "1k", "x", "1.5"]
VALUES = {
    "-N": ["1", "2", "4", "8", "1-4", "2-8", "3-3", "-3", "0-2", "2-", "4-2", "2,4", "1k", "x"],
    "-n": COUNTS,
    "-c": COUNTS,
    "--ntasks-per-node=": COUNTS,
    "--tasks=": COUNTS,
    "--ntasks-per-gpu=": ["1", "2", "4"],
    "--sockets-per-node=": ["1", "2"],
    "--cores-per-socket=": ["4", "8"],
    "--threads-per-core=": ["1", "2"],
    "--hint=": ["nomultithread", "compute_bound", "memory_bound", "multithread", "foo"],
    "-w": ["n1", "n1,n2", "n[1-3]", "n[1-2],x4", "n[1-3]-ib"],
    "--gpus=": ["1", "2", "4", "8", "6", "a100:4", "a100:2,v100:2", "x:", "1.5", "0"],
    "--gpus-per-node=": ["1", "2", "4", "a100:2", "0"],
    "--gpus-per-task=": ["1", "2", "a100:1"],
    "--gres=": [
        "gpu",
        "gpu:2",
        "gpu:a100:2",
        "gpu:1,nic:2",
        "nic",
        "gpu=2",
        "gpu:",
        "none",
        "gpu:x",
        "gpu:1.5",
        "GPU/1",
    ],
    "--cpus-per-gpu=": ["2", "4"],
    "--mem=": ["0", "100", "10K", "1025K", "4G", "4GB", "2T", "4GiB", "1.5G", "-4", "G"],
    "--mem-per-cpu=": ["100", "1G", "2GB", "x"],
    "--mem-per-gpu=": ["1G", "2g"],
    "-t": [
        "0",
        "5",
        "90",
        "4:00",
        "1:30",
        "1:2:3",
        "1-0",
        "2-12:30",
        "1-2:3:4",
        "3-",
        "UNLIMITED",
        "1h",
        "5:",
        "1:2:3:4",
        "1-2-3",
        "2.5",
    ],
    "--tmp=": ["10", "1G", "x"],
    "-a": ["0", "1-10", "1-10%2", "0-20:5", "3,1,2", "1,2,", "[1-4]", "%5", "10-1", "1-", "1:5", "1-10:0"],
    "-d": [
        "afterok:900001",
        "afterok:900001:900002,afterany:900003",
        "afterok:900001?afterok:900002",
        "singleton",
        "900007",
        "afterok:$X",
        "afterok:",
        "afterok=1",
        "foo:1",
    ],
    "-C": [
        "a100",
        "a100&v100",
        "a100,v100",
        "a100|v100",
        "[a100|v100]",
        "a100*2&v100",
        "[a100*2&v100*3]",
        "(a100&v100)|knl",
        "a100&",
        "&a100",
        "a100||v100",
        "[a100",
        "[a100&v100]",
        "zzz=1",
    ],
    "--signal=": ["USR1", "B:USR1@60", "10@5", "SIGTERM@", "FOO", "USR1@70000", "USR1@1m"],
    "--begin=": [
        "now+1hour",
        "now+2days",
        "16:00",
        "2035-01-02T10:00",
        "010235",
        "4pm",
        "tomorrow",
        "x",
        "25:00",
        "4:00PM",
    ],
    "--mail-type=": ["ALL", "END,FAIL", "none", "BEGIN,FOO", "FOO"],
    "-m": ["block", "cyclic:block", "plane=4", "plane", "foo"],
    "-p": ["a", "a,b"],
    "-x": ["n7", "n[8-9]"],
    "--comment=": ['"a b # c"', "x"],
    "-J": ["x", "'a b'", 'q\\"r', "=x"],
    "-L": ["matlab", "matlab:2,ansys", "matlab:x"],
}
FLAGS = [
    "--exclusive",
    "--exclusive=user",
    "--exclusive=x",
    "-s",
    "-O",
    "-H",
    "--requeue",
    "--no-requeue",
    "--requeue=yes",
    "--contiguous",
]
FOREIGN = (
    "#PBS -l nodes=2:ppn=4,walltime=1:00:00", "#PBS -l select=2:ncpus=4:mpiprocs=4:mem=8gb", "#PBS -l nodes=n1+n2",
    "#PBS -N other", "#PBS -q there -j oe", "#PBS -m abe", "#PBS -d .", "#PBS some words",
    "#PBS -W depend=afterok:900003",
    "#BSUB -n 4,8", "#BSUB -W 1:30", "#BSUB -M 4000000", "#BSUB -R x", "#BSUB -cwd /tmp/x",
    "#PBS -l mem=400mb", "#PBS -l select=2:ncpus=4:mpiprocs=2", "#PBS -l select=1:ncpus=8,walltime=1:00:00",
    "#PBS -l naccelerators=2", "#PBS -l nodes=1:ppn=2:gpus=2", "#PBS -l walltime=10,ncpus=4:mpiprocs=2",
)  # fmt: skip
ENDS = ["", "", "", "", "", " # comment", "#x'y", " word", " 'x", ' "" --bad', " : x", " \\"]


def script(rng):
    lines = []
    for _ in range(rng.choice((1, 2, 2, 3, 4))):
        words = []
        for _ in range(rng.choice((1, 1, 1, 2))):
            option = rng.choice((*VALUES, *VALUES, *FLAGS))
            words.append(f"{option}{rng.choice(VALUES[option])}" if option in VALUES else option)
        lines.append(f"#SBATCH {' '.join(words)}{rng.choice(ENDS)}")
    if rng.random() < 0.15:
        lines.insert(rng.randrange(len(lines) + 1), "#SBATCH hetjob")
    if rng.random() < 0.2:
        lines.append(rng.choice(FOREIGN))
    return "#!/bin/sh\n" + "\n".join(lines) + "\nhostname\n"


def test_sbatch_and_we_agree_on_random_scripts(cluster):
    rng, wrong, accepted = random.Random(22), [], 0
    for _ in range(400):
        text = script(rng)
        fine, sent, said = cluster.submit(text)
        found = as_dict("-", read(text, "slurm"))
        if fine != found["accepted"]:
            wrong.append((text, "sbatch accepts" if fine else said, found["errors"]))
        elif fine:
            accepted += 1
            jobs = found.get("components") or [found["job"]]
            for job, one in zip(jobs, sent, strict=True):
                if len(sent) > 1:  # Slurm keeps the hosts of the components apart
                    one.pop("exc_nodes", None)
                    job["exclude_hosts"] = None
                if (ours := explained(job)) != (theirs := numbers(one)):
                    wrong.append((text, {key: (ours[key], theirs[key]) for key in ours if ours[key] != theirs[key]}))
    assert not wrong, f"{len(wrong)}: {wrong[:3]}"
    assert accepted > 80


# Merged by slurmctld, or made up by it
TIMES = {"SubmitTime", "EligibleTime", "AccrueTime", "LastSchedEval", "StartTime", "Deadline"}
OTHERWISE = TIMES | {"JobId", "ArrayJobId", "Command", "StdOut", "StdErr", "AllocNode:Sid", "Dependency", "TRES"}


def test_what_we_write_is_accepted_with_the_same_values(cluster, slurm_corpus):
    """Each fifth script of the corpus and its conversion, as slurmctld holds them."""
    cluster.run("scancel", "--user=root")
    pairs = []
    for text, said in slurm_corpus[::5]:
        if not said["accepted"]:
            continue
        written = convert(text, read(text, "slurm"), "slurm").files[0].text
        before, after = cluster.submit(text), cluster.submit(written)
        assert before[0], (text, before[2])
        assert after[0], (written, after[2])
        pairs.append((text, before[1], after[1]))
    for text, before, after in pairs:
        for old, new in zip(before, after, strict=True):
            if "--output=\n" in text:  # sent as the folder
                old.pop("std_out")
            for key in ("array_inx", "features", "name", "mail_user", "std_out", "req_nodes"):
                if not old.get(key) or key in {"array_inx", "features"}:  # "" is nothing; merged and sorted ones
                    old.pop(key, None)
                    new.pop(key, None)
            assert old == new, text
    held = [job for job in cluster.held() if job["JobState"] == "PENDING"]
    assert len(held) == 2 * len(pairs)
    held.sort(key=lambda job: int(job["JobId"]))
    for old, new in zip(held[::2], held[1::2], strict=True):
        assert {key: (old[key], new.get(key)) for key in old.keys() - OTHERWISE if old[key] != new.get(key)} == {}


def test_a_job_of_another_system_is_accepted(cluster):
    text = (
        "#PBS -N xy\n#PBS -l select=2:ncpus=8:mpiprocs=4:mem=8gb\n#PBS -l walltime=1:00:30\n#PBS -q long -A me\n"
        "#PBS -J 0-8:2\n#PBS -m abe -M me@example.org\n#PBS -v A=1,B=2\n#PBS -W depend=afterok:12\nhostname\n"
    )
    reading = read(text, "pbspro")
    if reading.errors:
        pytest.skip(f"not read: {reading.errors[0].message}")
    written = convert(text, reading, "slurm").files[0].text
    fine, [sent], said = cluster.submit(written)
    assert fine, (written, said)
    assert (sent["min_nodes"], sent["time_limit"], sent["array_inx"]) == ("2", "61", "0,2,4,6,8")
    assert (sent["num_tasks"], sent["cpus_per_task"], sent["dependency"]) == ("8", "2", "afterok:12")
