"""Read what `condor_status -json` and `condor_q -json` print: lists of ClassAds, expressions as `/Expr(...)/`.

HTCondor manual, "ClassAd Attributes". Cpus, Memory and GPUs of a partitionable slot are what is left of it, and
TotalSlotCpus, TotalSlotMemory and TotalSlotGPUs what it is cut from; its dynamic slots are those parts that are given
out. Memory is in MiB.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from resource_secretary.errors import OutputError
from resource_secretary.providers.workload._fields import Fields, document, unknown_shape
from resource_secretary.providers.workload._gpu_names import gpu_word
from resource_secretary.reading import LARGEST, MOST_CORES, MOST_MEMORY

SLOT = (
    *("Name", "Machine", "State", "Activity", "SlotType", "PartitionableSlot", "DynamicSlot", "BackfillSlot"),
    *("Offline", "Cpus", "Memory", "GPUs", "TotalSlotCpus", "TotalSlotMemory", "TotalSlotGPUs", "GPUs_DeviceName"),
    *("CUDADeviceName", "OpSysAndVer", "Arch", "Microarch", "Draining", "Start"),
)
JOB = (
    *("ClusterId", "ProcId", "JobStatus", "Owner", "HoldReason", "HoldReasonCode", "RequestCpus", "RequestMemory"),
    *("RequestGPUs", "RemoteHost", "QDate", "JobCurrentStartDate"),
)
SCHEDD = ("Name", "TotalIdleJobs", "TotalRunningJobs", "TotalHeldJobs")
SUBMITTER = ("Name", "ScheddName", "Machine", "IdleJobs", "RunningJobs", "HeldJobs")

# "Machine ClassAd Attributes", State. Owner: whoever owns the machine uses it, or START does not hold.
_STATES = {
    **dict.fromkeys(("Unclaimed", "Claimed", "Matched", "Preempting", "Backfill"), "up"),
    **dict.fromkeys(("Owner", "Drained", "Delete", "Shutdown"), "drained"),
}
# Memory is in MiB.
_MOST = {"Cpus": MOST_CORES, "Memory": MOST_MEMORY >> 20, "GPUs": MOST_CORES}
_IDLE = ("Unclaimed", "Backfill")  # what backfill runs gives way to jobs
# "Job ClassAd Attributes", JobStatus.
STATUS = {
    1: "idle",
    2: "running",
    3: "removed",
    4: "completed",
    5: "held",
    6: "transferring-output",
    7: "suspended",
}


@dataclass(frozen=True, slots=True)
class CondorSlot:
    """A slot that jobs are matched to: a partitionable one with all that was cut from it, or a static one.

    kind: partitionable or static. state: up, down (hibernating), drained (draining, its owner's now, or its START is
    false) or unknown; raw_state and activity as HTCondor has them. memory in bytes. gpu_type: "" where not told.
    free_cpus, free_memory, free_gpus: what a job can still get; None where it is not up or can't be read, and `unread`
    says why.
    """

    machine: str
    name: str
    kind: str
    state: str
    raw_state: str = ""
    activity: str = ""
    cpus: int = 0
    memory: int = 0
    gpus: int = 0
    gpu_type: str = ""
    free_cpus: int | None = None
    free_memory: int | None = None
    free_gpus: int | None = None
    system: str = ""
    architecture: str = ""
    unread: str = ""


@dataclass(frozen=True, slots=True)
class CondorJob:
    """A job. state: idle, running, held, ... memory in bytes. What it requests is None where it is an expression;
    `unread` holds what can't be read. submitted, started: seconds since the epoch."""

    id: str
    owner: str
    state: str
    reason: str = ""
    reason_code: int | None = None
    cpus: int | None = None
    memory: int | None = None
    gpus: int | None = None
    host: str = ""
    submitted: int | None = None
    started: int | None = None
    unread: str = ""


@dataclass(frozen=True, slots=True)
class CondorSubmitter:
    """The jobs that a user has at one access point."""

    name: str
    access_point: str
    idle: int
    running: int
    held: int


def read_ads(source: str, text: str) -> list[Fields]:
    """The ads of a `-json` answer. Nothing at all is what HTCondor prints where there are none. Raises OutputError."""
    if not text.strip():
        return []
    value = document(source, text)
    if not isinstance(value, list):
        raise unknown_shape(source, text, "a list of ads expected")
    return [Fields.of(source, f"[{at}]", one) for at, one in enumerate(value)]


def read_slots(source: str, text: str) -> list[CondorSlot]:
    """The slots that are no part of another. One that can't be read loses itself: `unread` says why."""
    made = []
    for ad in read_ads(source, text):
        if ad.get("DynamicSlot") is True or ad.get("SlotType") == "Dynamic" or ad.get("BackfillSlot") is True:
            continue  # parts of a partitionable slot, or the same cores a second time for backfill
        name = ad.text("Name")
        machine = ad.text("Machine", name.rpartition("@")[2])
        kind = "partitionable" if ad.get("PartitionableSlot") is True else "static"
        try:
            made.append(_slot(machine, name, kind, ad))
        except OutputError as error:
            made.append(CondorSlot(machine, name, kind, "unknown", unread=str(error)))
    return made


def read_jobs(source: str, text: str) -> list[CondorJob]:
    """The jobs of `condor_q -json`. One whose fields can't be read keeps those that can. Raises OutputError."""
    made = []
    for ad in read_ads(source, text):
        id = f"{ad.count('ClusterId')}.{ad.count('ProcId')}"
        status = ad.get("JobStatus")
        try:
            made.append(
                CondorJob(
                    id=id,
                    owner=ad.text("Owner", ""),
                    state=STATUS.get(ad.count("JobStatus"), f"unknown ({status})"),
                    reason=ad.text("HoldReason", ""),
                    reason_code=_known(ad, "HoldReasonCode"),
                    cpus=_known(ad, "RequestCpus", MOST_CORES),
                    memory=_mebibytes(_known(ad, "RequestMemory", MOST_MEMORY >> 20)),
                    gpus=_known(ad, "RequestGPUs", MOST_CORES),
                    host=ad.text("RemoteHost", "").rpartition("@")[2],
                    submitted=_known(ad, "QDate"),
                    started=_known(ad, "JobCurrentStartDate"),
                )
            )
        except OutputError as error:
            made.append(CondorJob(id, "", "unknown", unread=str(error)))
    return made


def read_submitters(source: str, text: str) -> list[CondorSubmitter]:
    """The ads of `condor_status -submitters`. Raises OutputError."""
    return [
        CondorSubmitter(
            ad.text("Name"),
            ad.text("ScheddName", ad.text("Machine", "")),
            ad.count("IdleJobs", 0),
            ad.count("RunningJobs", 0),
            ad.count("HeldJobs", 0),
        )
        for ad in read_ads(source, text)
    ]


def _slot(machine: str, name: str, kind: str, ad: Fields) -> CondorSlot:
    raw, activity = ad.text("State"), ad.text("Activity", "")
    state = _STATES.get(raw, "unknown")
    if ad.get("Offline") is True:
        state = "down"
    elif state == "up" and (ad.get("Draining") is True or ad.get("Start") is False):
        state = "drained"  # START is an expression most often; where it is just false, no job will ever start
    cpus, memory, gpus = (
        ad.count(f"TotalSlot{key}", ad.count(key, 0, most=most), most=most) for key, most in _MOST.items()
    )
    left: tuple[int | None, int | None, int | None] = (None, None, None)
    if state == "up" and kind == "partitionable":
        left = ad.count("Cpus"), ad.count("Memory") * 2**20, ad.count("GPUs", 0)
    elif state == "up":
        left = (cpus, memory * 2**20, gpus) if raw in _IDLE else (0, 0, 0)
    if left[0] is not None and (left[0] > cpus or (left[1] or 0) > memory * 2**20 or (left[2] or 0) > gpus):
        raise ad.error(f"{name} has more left than there is of it")
    return CondorSlot(
        machine=machine,
        name=name,
        kind=kind,
        state=state,
        raw_state=raw,
        activity=activity,
        cpus=cpus,
        memory=memory * 2**20,
        gpus=gpus,
        gpu_type=gpu_word(ad.text("GPUs_DeviceName", ad.text("CUDADeviceName", ""))),
        free_cpus=left[0],
        free_memory=left[1],
        free_gpus=left[2],
        system=ad.text("OpSysAndVer", ""),
        architecture=ad.text("Microarch", ad.text("Arch", "")),
    )


def _known(ad: Fields, key: str, most: int = LARGEST) -> int | None:
    """A number; None where there is none, or an expression that only a match can evaluate."""
    value: Any = ad.get(key)
    if value is None or (isinstance(value, str) and value.startswith("/Expr(")):
        return None
    return ad.count(key, most=most)


def _mebibytes(amount: int | None) -> int | None:
    return None if amount is None else amount * 2**20
