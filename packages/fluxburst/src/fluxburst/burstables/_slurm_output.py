"""What Slurm's commands say, and what it means here: states (squeue(1), JOB STATE CODES), reasons and errors."""

from __future__ import annotations

import re
from collections import Counter

from fluxburst.errors import (
    AuthenticationError,
    CapacityError,
    ConfigurationError,
    ProviderError,
    QuotaError,
    UncertainError,
)
from fluxburst.model import NodeShape, Seen

# Options of sbatch(1) that a burst depends on: nobody else sets them.
OWN = (
    *("array", "begin", "chdir", "clusters", "comment", "deadline", "dependency", "error", "export", "export-file"),
    *(
        "get-user-env",
        "help",
        "hold",
        "ignore-pbs",
        "input",
        "job-name",
        "kill-on-invalid-dep",
        "no-kill",
        "no-requeue",
    ),
    *(
        "nodes",
        "ntasks",
        "ntasks-per-node",
        "open-mode",
        "output",
        "parsable",
        "quiet",
        "requeue",
        "signal",
        "test-only",
    ),
    *("time", "time-min", "uid", "gid", "usage", "verbose", "version", "wait", "wrap"),
)

STATES: dict[str, Seen] = {
    "PENDING": "pending",
    "CONFIGURING": "pending",
    "REQUEUED": "pending",
    "REQUEUE_FED": "pending",
    "REQUEUE_HOLD": "pending",
    "RESV_DEL_HOLD": "pending",
    "SPECIAL_EXIT": "pending",
    "RUNNING": "running",
    "RESIZING": "running",
    "STOPPED": "running",
    "SUSPENDED": "running",
    "COMPLETING": "ending",
    "SIGNALING": "ending",
    "STAGE_OUT": "ending",
    "BOOT_FAIL": "gone",
    "CANCELLED": "gone",
    "COMPLETED": "gone",
    "DEADLINE": "gone",
    "FAILED": "gone",
    "NODE_FAIL": "gone",
    "OUT_OF_MEMORY": "gone",
    "PREEMPTED": "gone",
    "REVOKED": "gone",
    "TIMEOUT": "gone",
}

# How a job has ended, for people.
ENDS = {
    "BOOT_FAIL": "a node did not start",
    "CANCELLED": "somebody cancelled it",
    "COMPLETING": "Slurm is ending it",
    "DEADLINE": "its time was over before it could run",
    "NODE_FAIL": "a node failed",
    "OUT_OF_MEMORY": "it ran out of memory",
    "PREEMPTED": "Slurm took its nodes back",
    "TIMEOUT": "its time was over",
}

# Reasons of a pending job that pass only when somebody changes something (squeue(1), JOB REASON CODES).
STUCK = {
    "AccountNotAllowed": "the partition does not admit the account",
    "AssocGrpCpuLimit": "the account has all the cores that it may have",
    "AssocGrpNodeLimit": "the account has all the nodes that it may have",
    "AssocMaxNodePerJobLimit": "more nodes than the account may have in one job",
    "AssocMaxWallDurationPerJobLimit": "longer than the account's jobs may run",
    "BadConstraints": "no node has such features",
    "InvalidAccount": "there is no such account for this user",
    "InvalidQOS": "there is no such QOS for this user",
    "JobHeldAdmin": "an administrator holds it",
    "JobHeldUser": "it is held",
    "PartitionConfig": "no nodes of the partition are such",
    "PartitionDown": "the partition is down",
    "PartitionInactive": "the partition is inactive",
    "PartitionNodeLimit": "more nodes than the partition gives to one job, or has",
    "PartitionTimeLimit": "longer than the partition's jobs may run; give [plugins.slurm] a shorter lease",
    "QOSMaxNodePerJobLimit": "more nodes than the QOS gives to one job",
    "QOSMaxNodePerUserLimit": "more nodes than the QOS gives to one user",
    "QOSMaxWallDurationPerJobLimit": "longer than the QOS's jobs may run; give [plugins.slurm] a shorter lease",
    "QOSNotAllowed": "the partition does not admit the QOS",
    "ReservationDeleted": "the reservation was deleted",
}

# The first that occurs in what a command says (slurm_errno.c's texts, as the commands print them).
ERRORS: tuple[tuple[str, type[ProviderError], str], ...] = (
    ("time limit is invalid", ConfigurationError, "a shorter lease, or another partition, is needed"),
    ("Invalid account", ConfigurationError, "name an account of yours ('account')"),
    ("Invalid qos", ConfigurationError, "name a QOS of yours ('qos')"),
    ("invalid partition specified", ConfigurationError, "name a partition that there is ('partition')"),
    ("Invalid feature specification", ConfigurationError, "name features that nodes have ('constraint')"),
    ("reservation is invalid", ConfigurationError, "name a reservation that there is ('reservation')"),
    ("reservation can not be used", AuthenticationError, "the reservation is for others ('reservation')"),
    ("node configuration is not available", ConfigurationError, "no nodes of the partition have this shape"),
    ("Node count specification invalid", ConfigurationError, "the partition has not so many nodes"),
    ("More processors requested than permitted", ConfigurationError, "no nodes of the partition have this shape"),
    ("Memory specification can not be satisfied", ConfigurationError, "no nodes of the partition have this shape"),
    ("Invalid generic resource", ConfigurationError, "no nodes have such GPUs ('shape', 'option')"),
    ("nodes are busy", CapacityError, "no such nodes are free"),
    ("nodes not available", CapacityError, "no such nodes are free"),
    ("node not available", CapacityError, "no such nodes are free"),
    ("accounting/QOS policy", QuotaError, "the account has as much as it may have"),
    ("temporarily unable to accept job", QuotaError, "the queue has as many jobs as it takes"),
    ("not permitted to use this partition", AuthenticationError, "ask for the right to use the partition"),
    ("Access/permission denied", AuthenticationError, "this user may not do that"),
    ("Invalid user id", AuthenticationError, "Slurm does not know this user"),
    ("authentication", AuthenticationError, "Slurm does not accept this machine's credentials (is munged running?)"),
    ("Munge", AuthenticationError, "Slurm does not accept this machine's credentials (is munged running?)"),
    ("configuration source", ConfigurationError, "this machine has no slurm.conf, and SLURM_CONF names none"),
    ("Unable to contact slurm controller", UncertainError, "slurmctld does not answer"),
    ("Socket timed out", UncertainError, "slurmctld does not answer in time"),
    ("Zero Bytes were transmitted", UncertainError, "slurmctld broke off"),
    # Any other refusal is one: what slurmctld did not take does not exist.
    ("Batch job submission failed", ConfigurationError, "Slurm refuses it"),
    ("unrecognized option", ConfigurationError, "this Slurm does not know an option that was given ('option')"),
    ("Invalid --", ConfigurationError, "an option has a wrong value ('option')"),
)

# One line for each kind of node of each partition (sinfo(1)): partition, availability, sockets, cores of one, memory in
# MiB, generic resources.
SINFO = ("--noheader", "--exact", "--format=%R|%a|%X|%Y|%m|%G")
_GPUS = re.compile(r"(?:^|,)gpu:(?:[^:,()]+:)?(\d+)")


def sizes(said: str, partition: str | None = None) -> list[NodeShape]:
    """The node shapes of every partition that is up (or of one), from what `sinfo` says.

    A shape has the name of its partition, and its size behind that where a partition has several.
    """
    from resources import parse

    rows = []
    for line in said.splitlines():
        place, available, sockets, cores, _, gres = (line.split("|") + [""] * 6)[:6]
        if available == "up" and partition in {None, place} and sockets.isdecimal() and cores.isdecimal():
            gpus = sum(map(int, _GPUS.findall(gres)))
            rows.append((place, int(sockets) * int(cores), gpus))
    rows = list(dict.fromkeys(rows))
    several = Counter(place for place, _, _ in rows)
    return [
        NodeShape(
            place if several[place] == 1 else f"{place}-{cores}c{f'-{gpus}g' if gpus else ''}",
            parse(f"cores={cores}{f' gpus={gpus}' if gpus else ''}"),
            place=place,
        )
        for place, cores, gpus in rows
    ]


def error(command: str, said: str) -> ProviderError:
    """The error of a command that failed, from what it printed; UncertainError where the text says nothing."""
    line = " ".join(said.split())[-300:] or "it failed without a word"
    for text, kind, cure in ERRORS:
        if text.lower() in said.lower():
            return kind(f"{cure} ({line})")
    return UncertainError(f"{command} failed: {line}")


def reason(state: str, given: str) -> str:
    """Why a job is in its state; given: Slurm's own word for it."""
    if state == "PENDING" and given in STUCK:
        return f"it will not run as things are: {STUCK[given]} ({given})"
    word = "" if given in {"", "None", "(null)"} else given
    return ENDS.get(state) or ("" if state == "RUNNING" else f"{state.lower()}: {word}".strip(": "))
