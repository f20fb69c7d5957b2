"""Slurm's words and what they mean here: states of jobs, reasons to wait, and refusals of sbatch. Tables only.

Sources: squeue(1), "JOB STATE CODES" and "JOB REASON CODES"; slurm_errno(3) for the texts of refusals.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

Phase = Literal["waits", "held", "placed", "runs", "ending", "elsewhere", "done", "failed"]


class State(NamedTuple):
    """What a state means for one job.

    phase: `waits` (pending), `held` (pending, and will never start by itself), `placed` (has nodes, does not run
        yet), `runs`, `ending` (its nodes are cleaned up; how it ends is not told yet), `elsewhere` (this cluster does
        not know), `done` (ended; the exit status tells how), `failed` (ended for the reason in `cause`).
    cause: one of ensemble.events.CAUSES, for `held` and `failed`.
    """

    code: str
    phase: Phase
    cause: str = ""


STATES: Mapping[str, State] = {
    "BOOT_FAIL": State("BF", "failed", "boot"),
    "CANCELLED": State("CA", "failed", "cancel"),
    "COMPLETED": State("CD", "done"),
    "CONFIGURING": State("CF", "placed"),
    "COMPLETING": State("CG", "ending"),
    "DEADLINE": State("DL", "failed", "timeout"),
    "FAILED": State("F", "done"),
    "NODE_FAIL": State("NF", "failed", "node-lost"),
    "OUT_OF_MEMORY": State("OOM", "failed", "memory"),
    "PENDING": State("PD", "waits"),
    "PREEMPTED": State("PR", "failed", "preempted"),
    "RUNNING": State("R", "runs"),
    "RESV_DEL_HOLD": State("RD", "held", "alloc"),
    "REQUEUE_FED": State("RF", "waits"),
    "REQUEUE_HOLD": State("RH", "held", "boot"),
    "REQUEUED": State("RQ", "waits"),
    "RESIZING": State("RS", "runs"),
    "REVOKED": State("RV", "elsewhere"),  # a federation's other cluster runs it; its own records tell the end
    "SIGNALING": State("SI", "runs"),
    "SPECIAL_EXIT": State("SE", "held", "boot"),
    "STAGE_OUT": State("SO", "ending"),
    "STOPPED": State("ST", "runs"),
    "SUSPENDED": State("S", "runs"),
    "TIMEOUT": State("TO", "failed", "timeout"),
    # of later versions than 22.05
    "EXPEDITING": State("EX", "waits"),
    "LAUNCH_FAILED": State("LF", "failed", "boot"),
    "POWER_UP_NODE": State("PO", "placed"),
    "RECONFIG_FAIL": State("RC", "failed", "boot"),
    "UPDATE_DB": State("UD", "ending"),
}

_BY_CODE = {state.code: state for state in STATES.values()}


def state_of(text: str) -> State | None:
    """The state of `CANCELLED`, `CANCELLED by 1000`, `CANCELLED+` or `CA`; None for a word that is not known."""
    word = text.split()[0].rstrip("+") if text.split() else ""
    return STATES.get(word) or _BY_CODE.get(word)


# Reasons of a pending job that will never go away by themselves, to the type of the exception that says so.
# Jobs that a person holds (JobHeldUser, JobHeldAdmin) are not among them: a person can let them go.
NEVER: Mapping[str, str] = {
    "AccountNotAllowed": "submit",
    "BadConstraints": "alloc",
    "DependencyNeverSatisfied": "dependency",
    "DeadLine": "timeout",
    "FedJobLock": "submit",
    "InvalidAccount": "submit",
    "InvalidQOS": "submit",
    "InactiveLimit": "alloc",
    "PartitionConfig": "alloc",  # more than the partition has at all, nodes that are down included
    "PartitionNodeLimit": "alloc",
    "PartitionTimeLimit": "alloc",
    "QOSNotAllowed": "submit",
    "ReservationDeleted": "alloc",
    "JobLaunchFailure": "boot",
    "launch failed requeued held": "boot",
}
# AssocMaxCpuPerJobLimit, QOSMaxWallDurationPerJobLimit, ...: this one job is too large for its limit, and stays so.
_PER_JOB = re.compile(r"(Assoc|QOS)\w*Max\w*PerJob\w*|(Assoc|QOS)\w*MinCpu\w*|(Assoc|QOS)\w*MaxWall\w*")
HELD = ("JobHeldUser", "JobHeldAdmin")


def never(reason: str) -> str:
    """The type of exception where a pending job with that reason can never start; empty where it may."""
    if cause := NEVER.get(reason.strip("()")):
        return cause
    return "alloc" if _PER_JOB.fullmatch(reason) else ""


Refusal = Literal["limit", "unreachable", "alloc", "submit", "policy"]
# What sbatch says when it fails, in the order in which it is looked for. `policy` is said of a limit on the number of
# jobs, which passes, and of sizes that are never allowed.
REFUSALS: tuple[tuple[str, Refusal], ...] = (
    (r"\w*MaxSubmit\w*", "limit"),
    (r"\w*GrpSubmit\w*", "limit"),
    (r"temporarily unable to accept job|job queue full", "limit"),
    (r"\b(Assoc|QOS)\w*(PerJob|MaxWall|MinCpu)\w*", "alloc"),
    (r"accounting/QOS policy", "policy"),
    (r"Unable to contact slurm controller", "unreachable"),
    (r"Socket timed out", "unreachable"),
    (r"Zero Bytes were transmitted", "unreachable"),
    (r"Connection (refused|reset|timed out)", "unreachable"),
    (r"Transport endpoint is not connected", "unreachable"),
    (r"Unexpected message received", "unreachable"),
    (r"controller in standby mode", "unreachable"),
    (r"Slurm database .*(unavailable|not responding)", "unreachable"),
    (r"[Uu]nable to (read|resolve|establish)", "unreachable"),
    (r"Could not establish a configuration source", "unreachable"),
    (r"[Pp]rotocol authentication error", "unreachable"),
    (r"Incompatible versions of client and server", "submit"),
    (r"node configuration is not available", "alloc"),
    (r"partition configuration not available", "alloc"),
    (r"More processors requested than permitted", "alloc"),
    (r"Memory (specification|required)", "alloc"),
    (r"CPU count", "alloc"),
    (r"[Nn]ode count", "alloc"),
    (r"time limit is invalid|Time limit specification", "alloc"),
    (r"generic resource", "alloc"),
    (r"[Ii]nvalid feature|Invalid (job )?constraint", "alloc"),
)


def refusal(text: str) -> Refusal:
    """What kind of refusal sbatch's words are. Words that are not known are `submit`: it was refused for good."""
    return next((kind for pattern, kind in REFUSALS if re.search(pattern, text)), "submit")


def denies(code: int, said: str, name: str) -> bool:
    """Whether `scontrol show job ID` says that there is no such job, or shows another one under its id.

    name: the job's own, empty where it is not known. Of an element of an array whose number another job has now,
    scontrol (22.05) says `Job 848_5 not found`.
    """
    if code:
        return "Invalid job id" in said or re.search(r"^Job \S+ not found", said, re.MULTILINE) is not None
    names = re.findall(r"\bJobName=(\S*)", said)
    return bool(name and names) and name not in names
