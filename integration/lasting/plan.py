"""What is asked for, what is killed, and how long is waited for what: data, no logic."""

from __future__ import annotations

from dataclasses import dataclass

from engines.slurm import DAEMONS

PAUSE = 4.0  # mean seconds between two acts of the chaos
AWAY = 3.0  # mean seconds until what was killed is started again
REST = 6.0  # mean seconds between two ensembles of one load: others may need this machine, too
LOOK = 120.0  # seconds between two looks at the journals of runs that go on
MEND = 30.0  # seconds after which somebody looks after a Slurm whose slurmctld was killed, or a Flux
STOP = 120.0  # seconds that a process has to end after SIGTERM: all this keeps a machine busy
STUCK = 600.0  # seconds without anything new in a journal after which a run counts as stuck
DRAIN = 900.0  # seconds that the last ensembles have to come to their end, when nothing is killed any more
GO = 180.0  # seconds for what is left (bursts, supervisors) to go by itself

# What each job does: it says that it begins, waits, says that it ends, and ends. Only the first task speaks.
JOB = """
test "${FLUX_TASK_RANK:-${SLURM_PROCID:-0}}" = 0 || { sleep "$3"; exit "$4"; }
echo "s $1" >> "$2"
sleep "$3"
echo "e $1 $4" >> "$2"
exit "$4"
"""
COMMAND = '[sh, JOBSCRIPT, "{group}.{index}.{attempt}", WITNESS, "SECONDS", "CODE"]'


@dataclass(frozen=True, slots=True)
class Group:
    """Jobs of one kind. count: of an ensemble of size 1. end: how each ends, unless its engine takes it away."""

    name: str
    count: int
    seconds: float
    end: str = "success"
    code: int = 0
    keys: str = ""
    when: str = ""  # a condition of a metric rule, instead of the start
    most: int = 1  # attempts that the application's own failures cost


KEEP = "retries: {max: 0, infrastructure: 50}"
GROUPS = (
    Group("quick", 40, 0.2, keys=KEEP),
    Group("slow", 6, 4, keys=KEEP),
    Group("bad", 6, 0.2, "failed", 3, "retries: {max: 1, infrastructure: 50}", most=2),
    Group("late", 1, 300, "timeout", keys=f"timeout: 4, {KEEP}"),
    Group("more", 20, 0.2, keys=KEEP, when="count.quick.finished >= HALF"),
    Group("after", 6, 0.5, keys=f"depends_on: {{quick: finished}}, {KEEP}"),
)
WIDE = (Group("wide", 4, 1, keys=f"nodes: 2, {KEEP}"),)
BURSTS = (
    Group("quick", 20, 0.2, keys=KEEP),
    Group("more", 10, 0.2, keys=KEEP, when="count.quick.finished >= HALF"),
    Group("burst", 3, 2, keys=f"nodes: 3, attributes: {{burstable: true, burst: {{plugin: local}}}}, {KEEP}"),
    Group("remote", 2, 3, keys=f"nodes: 2, attributes: {{burstable: true, burst: {{plugin: slurm}}}}, {KEEP}"),
)

SLURM = f"""{DAEMONS}
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
MaxArraySize=1001
KillWait=2
SlurmdTimeout=30
NodeName=n1 NodeHostname=localhost NodeAddr=127.0.0.1 Port={{ports[1]}} CPUs=4 RealMemory=1000
NodeName=n2 NodeHostname=localhost NodeAddr=127.0.0.1 Port={{ports[2]}} CPUs=4 RealMemory=1000
NodeName=n3 NodeHostname=localhost NodeAddr=127.0.0.1 Port={{ports[3]}} CPUs=4 RealMemory=1000
NodeName=n4 NodeHostname=localhost NodeAddr=127.0.0.1 Port={{ports[4]}} CPUs=4 RealMemory=1000
PartitionName=main Nodes=n[1-4] Default=YES MaxTime=1:00:00
"""
NODES = ("n1", "n2", "n3", "n4")

FLUX = """
[resource]
path = "{folder}/R"
noverify = true
[kvs]
checkpoint-period = "5s"
"""

BURST = """
interval = 1
delay = 0
idle_timeout = 4
cooldown = 1
lease = "20m"
join_timeout = "1m"
start_timeout = "5m"
backoff = 2
grace = 20
"""
