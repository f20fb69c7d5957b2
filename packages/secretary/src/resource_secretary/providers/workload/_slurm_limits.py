"""What `sacctmgr --parsable2` says: associations with their limits, and the clusters that share the database."""

from __future__ import annotations

from dataclasses import dataclass

from resource_secretary.errors import OutputError
from resource_secretary.providers.workload import _slurm_values as values
from resource_secretary.providers.workload._slurm_text import Record
from resource_secretary.run import printable

ASSOCIATION = (
    *("Cluster", "Account", "User", "Partition", "DefaultQOS", "QOS", "GrpTRES", "GrpJobs", "GrpSubmit", "GrpWall"),
    *("MaxTRES", "MaxJobs", "MaxSubmit", "MaxWall"),
)
CLUSTER = ("Cluster", "ControlHost", "ControlPort", "Federation", "FedState")


@dataclass(frozen=True, slots=True)
class SlurmAssociation:
    """An account that a user may charge, and its limits; null and {} where the association itself sets none.

    A limit of a parent account or of a QOS holds too and is not told here. partition: "" for all. group_*: of all jobs
    together, max_*: of each job, or max_jobs and max_submitted of the user. Times in seconds; resources as Slurm writes
    them, such as cpu=60,node=3.
    """

    cluster: str
    account: str
    user: str
    partition: str
    default_qos: str
    qos: tuple[str, ...]
    group_resources: dict[str, str]
    group_jobs: int | None
    group_submitted: int | None
    group_time: int | None
    max_resources: dict[str, str]
    max_jobs: int | None
    max_submitted: int | None
    max_time: int | None


@dataclass(frozen=True, slots=True)
class SlurmCluster:
    """A cluster of the database. address: "" where its controller does not run. federation: "" where it is in none."""

    name: str
    address: str
    port: int | None
    federation: str
    federation_state: str


def read_associations(text: str) -> list[SlurmAssociation]:
    """The lines of `sacctmgr show associations`. Raises OutputError."""
    return [_association(row) for row in _rows(text, ASSOCIATION, "associations")]


def read_clusters(text: str) -> list[SlurmCluster]:
    """The lines of `sacctmgr show clusters`. Raises OutputError."""
    made = []
    for row in _rows(text, CLUSTER, "clusters"):
        try:
            port = row.maybe("ControlPort")
        except ValueError as error:
            raise OutputError("sacctmgr show clusters", row.name, str(error)) from None
        words = (row.text("ControlHost"), port or None, row.text("Federation"))
        state = row.text("FedState")
        made.append(SlurmCluster(row.text("Cluster"), *words, "" if state == "NA" else state))
    return made


def _rows(text: str, names: tuple[str, ...], source: str) -> list[Record]:
    made = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        parts = line.split("|")
        if len(parts) != len(names):
            said = f"{len(names)} fields expected: {printable(line[:80])!r}"
            raise OutputError(f"sacctmgr show {source}", f"line {number}", said)
        made.append(Record(f"line {number}", dict(zip(names, parts, strict=True))))
    return made


def _association(row: Record) -> SlurmAssociation:
    try:
        return SlurmAssociation(
            cluster=row.text("Cluster"),
            account=row.text("Account"),
            user=row.text("User"),
            partition=row.text("Partition"),
            default_qos=row.text("DefaultQOS"),
            qos=row.words("QOS"),
            group_resources=row.tres("GrpTRES"),
            group_jobs=row.maybe("GrpJobs"),
            group_submitted=row.maybe("GrpSubmit"),
            group_time=row.read("GrpWall", values.seconds),
            max_resources=row.tres("MaxTRES"),
            max_jobs=row.maybe("MaxJobs"),
            max_submitted=row.maybe("MaxSubmit"),
            max_time=row.read("MaxWall", values.seconds),
        )
    except ValueError as error:
        raise OutputError("sacctmgr show associations", row.name, str(error)) from None
