from __future__ import annotations

import json

import pytest
from fluxburst.errors import JobError, QueueError
from fluxburst.jobs import LONGEST_LINE, f58, read_job, read_queue


def test_states_as_numbers_and_names(info):
    assert read_job(info(state=8)).state == "SCHED"
    assert read_job(info(state="DEPEND")).state == "DEPEND"


def test_the_order_of_the_scheduler(info):
    jobs = [
        read_job(info("old", t_submit=1.0)),
        read_job(info("urgent", t_submit=9.0, urgency=20)),
        read_job(info("older", t_submit=0.5)),
        read_job(info("ranked", t_submit=9.0, urgency=16, priority=100000)),
    ]
    assert [job.id for job in sorted(jobs, key=lambda job: job.order)] == ["ranked", "urgent", "older", "old"]


def test_ids_are_shown_as_flux_shows_them():
    # A job of a real Flux 0.88: `flux jobs --json` gives both forms.
    assert f58(20048773120) == "ƒXYeCm5"
    assert f58(0) == "ƒ1"


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"id": None}, "id"),
        ({"id": True}, "id"),
        ({"id": ""}, "id"),
        ({"state": 3}, "state"),
        ({"state": "PENDING"}, "state"),
        ({"state": None}, "state"),
        ({"state": [8]}, "state"),
        ({"urgency": -1}, "urgency"),
        ({"priority": "high"}, "priority"),
        ({"t_submit": True}, "t_submit"),
        ({"name": 3}, "name"),
        ({"spec": None}, "spec"),
    ],
)
def test_a_wrong_field_names_its_place(info, fields, place):
    with pytest.raises(JobError) as caught:
        read_job({**info(), **fields})
    assert caught.value.place == place


def test_a_lead_may_hold_jobspecs_that_this_does_not_read(info):
    job = read_job({**info(), "spec": {"version": 9999}}, strict=False)
    assert job.demand is None
    assert "spec.version" in job.problem


def test_a_queue_file(queue_file, info):
    assert [job.id for job in read_queue(queue_file(info(1), info(2)))] == ["1", "2"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "no JSON"),
        ("3", "a job is an object"),
        ("[" * 100_000, "nested too deeply"),
        ('{"id": NaN}', "NaN"),
        ('{"id": ' + "1" * 5000 + "}", "no JSON"),
        ('{"t_submit": 1e999}', "job id"),
        (json.dumps({"id": 2, "state": 8, "spec": 3}), "spec: an object belongs here"),
    ],
)
def test_an_error_names_file_and_line(tmp_path, info, line, says):
    path = tmp_path / "queue.jsonl"
    path.write_text(f"{json.dumps(info(1))}\n\n{line}\n")
    with pytest.raises(QueueError, match=says) as caught:
        read_queue(str(path))
    assert caught.value.line == 3
    assert str(caught.value).startswith(f"{path}:3: ")


def test_a_job_that_occurs_twice(queue_file, info):
    with pytest.raises(QueueError, match="'1' occurs twice"):
        read_queue(queue_file(info(1), info("1")))


def test_bounds(tmp_path):
    path = tmp_path / "queue.jsonl"
    path.write_bytes(b"x" * (LONGEST_LINE + 1))
    with pytest.raises(QueueError, match="longer than"):
        read_queue(str(path))


@pytest.mark.parametrize("file", ["no-such-file", "/", "a\0b"])
def test_a_file_that_cannot_be_read(file):
    with pytest.raises(QueueError, match="can't read the queue"):
        read_queue(file)
