"""Recordings of Slurm and Flux, mutated: a typed answer that adds up, or a clear error; never another exception."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from property.test_recordings import mutated

from resource_secretary.errors import SecretaryError
from resource_secretary.providers.workload import _flux_json as flux_json
from resource_secretary.providers.workload import _flux_nodes as flux_nodes
from resource_secretary.providers.workload import _slurm_accounting as accounts
from resource_secretary.providers.workload import _slurm_jobs as jobs
from resource_secretary.providers.workload import _slurm_json as slurm_json
from resource_secretary.providers.workload import _slurm_limits as limits
from resource_secretary.providers.workload import _slurm_submit as submits
from resource_secretary.providers.workload import _slurm_text as texts
from resource_secretary.tools import as_json


def accounting(text: str) -> object:
    found = accounts.read_accounting(text, "5")
    return accounts.account_of(found, ()) if found else None


READERS: dict[str, Callable[[str], object]] = {
    "slurm-22.05.8/partitions.txt": texts.read_partitions,
    "slurm-osc/partitions.txt": texts.read_partitions,
    "slurm-20.11.8/nodes.txt": texts.read_nodes,
    "slurm-22.05.8/reservations.txt": texts.read_reservations,
    "slurm-22.05.8/licenses.txt": texts.read_licenses,
    "slurm-22.05.8/queue.txt": jobs.read_queue,
    "slurm-22.05.8/depth.txt": jobs.read_depth,
    "slurm-22.05.8/job-1.txt": jobs.read_job,
    "slurm-20.11.8/job.txt": jobs.read_job,
    "slurm-22.05.8/accounting.txt": accounting,
    "slurm-22.05.8/associations.txt": limits.read_associations,
    "slurm-22.05.8/clusters.txt": limits.read_clusters,
    "slurm-22.05.8/start.stderr.txt": submits.read_start,
    "slurm-21.08.5/job.json": lambda text: slurm_json.read_job_json(text, "26515966"),
    "slurm-23.02/job.json": lambda text: slurm_json.read_job_json(text, "58948420"),
    "slurm-23.11.1/job.json": lambda text: slurm_json.read_job_json(text, "6080221"),
    "slurm-22.05.8/nodes.json": slurm_json.read_nodes_json,
    "slurm-24.05-docs/nodes.json": slurm_json.read_nodes_json,
    "flux-0.88.0/jobs-all.json": flux_json.read_jobs,
    "flux-0.6x/job-running.json": flux_json.read_jobs,
    "flux-0.88.0/eventlog-failed.jsonl": flux_json.read_events,
    "flux-0.88.0/queues-named.txt": flux_nodes.read_queues,
    "flux-0.88.0/queue-status-named.txt": flux_nodes.read_status,
    "flux-0.88.0/drained.txt": lambda text: list(flux_nodes.read_drained(text).items()),
}
_SIGNED = {"returncode"}


def numbers(value: object) -> list[float]:
    """All numbers of a result; what an answer counts is never below zero."""
    if dataclasses.is_dataclass(value):
        fields = [getattr(value, one.name) for one in dataclasses.fields(value) if one.name not in _SIGNED]
        return [number for field in fields for number in numbers(field)]
    if isinstance(value, dict):
        return [number for one in value.values() for number in numbers(one)]
    if isinstance(value, (list, tuple)):
        return [number for one in value for number in numbers(one)]
    return [value] if isinstance(value, (int, float)) and not isinstance(value, bool) else []


@pytest.mark.parametrize("file", READERS)
def test_a_recording_as_it_is(file, data):
    assert READERS[file]((data / file).read_text())


@pytest.mark.parametrize("file", READERS)
@settings(max_examples=40, deadline=None)
@given(source=st.data())
def test_a_mutated_recording(file, source, data):
    [text] = source.draw(mutated([(data / file).read_text()]))
    try:
        found = READERS[file](text)
    except SecretaryError:
        return
    as_json(found)
    assert all(0 <= number < 2**64 for number in numbers(found)), found
