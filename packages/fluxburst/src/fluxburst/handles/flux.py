"""A running Flux instance as the lead, through Flux's own Python bindings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fluxburst.errors import HandleError, JobError
from fluxburst.jobs import Job, read_job

if TYPE_CHECKING:
    from resources import Resource
    from resources.documents import Inventory

_INSTALL = "install flux-python in the version of the Flux on this system, and ply (pip install 'flux-burst[flux]')"


class FluxHandle:
    """The instance that FLUX_URI names, or the system's. Raises HandleError where there is none to be had."""

    def __init__(self) -> None:
        try:
            import flux
            import flux.job
            import flux.resource
        except (ImportError, OSError) as error:
            raise HandleError(f"Flux's Python bindings can't be imported ({error}): {_INSTALL}") from error
        self._flux = flux
        try:
            self._handle: Any = flux.Flux()
        except OSError as error:
            raise HandleError(f"no Flux instance answers: {error}") from error

    def jobs(self) -> Sequence[Job]:
        constants = self._flux.constants
        states = constants.FLUX_JOB_STATE_PENDING
        try:
            listed = self._flux.job.job_list(
                self._handle, max_entries=0, userid=constants.FLUX_USERID_UNKNOWN, states=states
            ).get_jobs()
            lookup = self._flux.job.JobKVSLookup(self._handle, ids=[job["id"] for job in listed])
            specs = {entry["id"]: entry["jobspec"] for entry in lookup.data() if "jobspec" in entry}
            # A job without a jobspec has gone between the two questions.
            return [read_job({**job, "spec": specs[job["id"]]}, strict=False) for job in listed if job["id"] in specs]
        except (OSError, JobError) as error:
            raise HandleError(f"the jobs can't be listed: {error}") from error

    def inventory(self) -> Inventory | None:
        from resources import ZERO
        from resources.documents import Group, Inventory

        try:
            listed = self._flux.resource.resource_list(self._handle).get()
        except OSError as error:
            raise HandleError(f"the resources can't be listed: {error}") from error
        free = {rank: total for rank, _, total in _hosts(listed.free)}
        up = {rank for rank, _, _ in _hosts(listed.up)}
        groups = [
            Group((name,), (rank,), total, free.get(rank, ZERO), "up" if rank in up else "down")
            for rank, name, total in _hosts(listed.all)
        ]
        return Inventory(tuple(groups)).merged()


def _hosts(resource_set: Any) -> list[tuple[int, str, Resource]]:
    """(rank, name, what it has) of every host of Flux's resource set; its `encode` is R (RFC 20)."""
    from resources.flux_r import from_flux_r

    if not resource_set.nnodes:
        return []  # Flux writes an empty set with one host without a name
    return [(rank, name, group.total) for rank, name, group in from_flux_r(json.loads(resource_set.encode())).hosts()]
