"""Read what Ceph tells: the JSON of `ceph -s`, numbers in extended attributes of directories.

CephFS documentation, "Quotas" and "Directory statistics".
"""

from __future__ import annotations

from dataclasses import dataclass

from resource_secretary.reading import read_object


@dataclass(frozen=True, slots=True)
class CephCluster:
    """status: HEALTH_OK, HEALTH_WARN or HEALTH_ERR. checks: what is wrong. Bytes of the whole cluster, raw: copies of
    data count. osds_*: how many there are, that are up, that are in use.
    """

    status: str
    checks: tuple[str, ...]
    total: int | None
    free: int | None
    osds: int | None
    osds_up: int | None
    osds_in: int | None


def read_status(text: str) -> CephCluster:
    """The cluster of `ceph -s -f json`, of Luminous to Squid. Raises OutputError."""
    record = read_object("ceph -s", text)
    health = record.part("health")
    checks = health.part("checks")
    pgs, osds = record.part("pgmap"), record.part("osdmap")
    # Until Nautilus the map of the OSDs lies in another one of the same name.
    osds = osds.part("osdmap") if "osdmap" in osds.fields else osds
    total, free = pgs.number("bytes_total"), pgs.number("bytes_avail")
    if total is not None and free is not None and free > total:
        raise pgs.error(f"of {total} bytes {free} can't be free")
    found = []
    for name in checks.fields:
        summary = checks.part(name).part("summary").text("message", default="")
        found.append(f"{name}: {summary}" if summary else name)
    return CephCluster(
        status=health.text("status", "overall_status"),
        checks=tuple(found),
        total=total,
        free=free,
        osds=osds.number("num_osds"),
        osds_up=osds.number("num_up_osds"),
        osds_in=osds.number("num_in_osds"),
    )
