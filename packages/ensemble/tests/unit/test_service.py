"""What the service is made of: messages, shares, addresses and tokens."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

import pytest

pytest.importorskip("grpc", reason="grpcio is not installed: ensemble-python[service]")

from ensemble.errors import ServiceError
from ensemble.events import Event
from ensemble.job import Job, Known, Spec
from ensemble.service.convert import MOST_BYTES, event_message, event_of, job_message, job_of, known_of, parts
from ensemble.service.security import Address, client_token, own_token, read_tokens
from ensemble.service.share import share
from ensemble.service.v1 import ensemble_pb2 as pb

FULL = Spec(
    group="a",
    argv=("sh", "-c", "echo 'ä' $X"),
    nodes=0,
    tasks=3,
    cores=2,
    gpus=1,
    memory=5 << 40,
    duration=86400 * 400,
    workdir="/w",
    environment={"A": "1", "B": "ü"},
    stdin="in",
    output="out",
    attributes={"system": {"queue": "debug"}, "n": [1, 2.5, None]},
    metrics=True,
)


def test_a_job_arrives_as_it_was_sent():
    default = Spec("g", ("x",))
    for field in dataclasses.fields(Spec):  # a new field must not be forgotten
        assert getattr(FULL, field.name) != getattr(default, field.name)
    for spec in (FULL, default):
        job = Job("a.1.2", "run-a.1.2", spec, ("n1", "n2"))
        sent = job_message(job).SerializeToString()
        assert job_of(pb.Job.FromString(sent)) == job
        known = Known(job, "f123", "alloc")
        message = pb.Known(job=job_message(job), id=known.id, seen=known.seen)
        assert known_of(message) == known


def test_an_event_arrives_as_it_was_sent():
    for event in (
        Event("submit", 1.25, "a.1", {"id": "7"}),
        Event("finish", 1e9 + 0.123456, "a.1", {"status": 256}),
        Event("exception", 2.0, "a.1", {"type": "cancel", "severity": 0, "note": "ü"}),
        Event("clean", 3.0, "a.1"),
    ):
        assert event_of(pb.JobEvent.FromString(event_message(event).SerializeToString())) == event


@pytest.mark.parametrize(
    "message",
    [
        pb.JobEvent(name="hello", job="a.1"),
        pb.JobEvent(name="submit", job="../../x"),
        pb.JobEvent(name="submit", job="a.1", time=float("nan")),
        pb.JobEvent(name="submit", job="a.1", context="[1]"),
        pb.JobEvent(name="submit", job="a.1", context="{" * 100_000),
        pb.JobEvent(name="finish", job="a.1"),
        pb.JobEvent(name="finish", job="a.1", context='{"status": "x"}'),
        pb.JobEvent(name="exception", job="a.1", context='{"type": 1}'),
        pb.JobEvent(name="alloc", job="a.1", context='{"hosts": 7}'),
    ],
)
def test_no_event(message):
    with pytest.raises(ServiceError):
        event_of(message)


@pytest.mark.parametrize(
    "change", [{"name": "../x"}, {"name": ""}, {"token": "a/b"}, {"argv": []}, {"attributes": "7"}]
)
def test_no_job(change):
    fields = {"name": "a.1", "token": "r-a.1", "argv": ["x"], "attributes": ""} | change
    with pytest.raises(ServiceError):
        job_of(pb.Job(**fields))


def test_a_job_that_no_message_holds():
    for spec in (Spec("g", ("\ud800",)), Spec("g", ("x" * (4 << 20),)), Spec("g", ("x",), tasks=1 << 40)):
        with pytest.raises(ValueError, match=r"."):
            job_message(Job("a", "b", spec))


def test_parts_are_all_there_in_order_and_small():
    chance = random.Random(1)
    for count in (0, 1, 999, 1000, 1001, 5000):
        items = ["x" * chance.randrange(3000) for _ in range(count)]
        made = list(parts(items, len))
        assert [item for part, _ in made for item in part] == items
        assert [more for _, more in made] == [True] * (len(made) - 1) + [False]
        assert all(len(part) <= 1000 and sum(map(len, part)) <= MOST_BYTES for part, _ in made)


class Taker:
    def __init__(self, waiting: int, weight: int = 1, in_queue: int = 0) -> None:
        self.waiting, self.weight, self.in_queue = waiting, weight, in_queue

    def grant(self, count: int) -> None:
        assert 0 < count <= self.waiting
        self.waiting -= count
        self.in_queue += count


def test_shares():
    def given(capacity: int, *takers: Taker) -> list[int]:
        share(takers, capacity)
        assert not capacity or sum(taker.in_queue for taker in takers) <= max(capacity, before)
        return [taker.in_queue for taker in takers]

    before = 0
    assert given(12, Taker(100), Taker(100), Taker(100)) == [4, 4, 4]
    assert given(12, Taker(100, 3), Taker(100)) == [9, 3]
    assert given(12, Taker(100), Taker(2)) == [10, 2]
    assert given(0, Taker(100_000), Taker(7)) == [100_000, 7]
    assert given(10, Taker(5, in_queue=6), Taker(100, in_queue=1)) == [6, 4]
    before = 15
    assert given(10, Taker(5, in_queue=15), Taker(5)) == [15, 0]
    large = given(10_000, Taker(10**6), Taker(10**6), Taker(10))
    assert large[2] == 10
    assert abs(large[0] - large[1]) <= 500


def test_addresses():
    for text, host, port, loopback in (
        ("localhost", "localhost", 50651, True),
        ("127.1.2.3:7", "127.1.2.3", 7, True),
        ("[::1]:7", "::1", 7, True),
        ("::1", "::1", 50651, True),
        ("example.org:7", "example.org", 7, False),
        ("127.0.0.1.example.org:7", "127.0.0.1.example.org", 7, False),
        ("localhost.:7", "localhost.", 7, False),
        ("0.0.0.0:7", "0.0.0.0", 7, False),
        ("[::]:7", "::", 7, False),
        ("0:7", "0", 7, False),
    ):
        read = Address.read(text)
        assert (read.host, read.port, read.is_loopback) == (host, port, loopback)
        assert Address.read(str(read)) == read
    for text in ("", ":7", "x:y", "x:99999", "x:-1"):
        with pytest.raises(ServiceError):
            Address.read(text)


def test_token_files(tmp_path: Path):
    file = tmp_path / "tokens"

    def write(text: str, mode: int = 0o600) -> Path:
        file.write_text(text)
        file.chmod(mode)
        return file

    assert read_tokens(write("# one\n  abcdefghijklmnop  \n\nqrstuvwxyz0123456789\n")) == (
        "abcdefghijklmnop",
        "qrstuvwxyz0123456789",
    )
    for text, mode, says in (
        ("abcdefghijklmnop", 0o640, "chmod 600"),
        ("abcdefghijklmnop", 0o604, "chmod 600"),
        ("short", 0o600, "16 or more"),
        ("abcdefgh ijklmnop", 0o600, "no blanks"),
        ("# nothing", 0o600, "no token"),
        ("ä" * 20, 0o600, "ASCII"),
    ):
        with pytest.raises(ServiceError, match=says):
            read_tokens(write(text, mode))
    (made,) = own_token(tmp_path)
    assert own_token(tmp_path) == (made,)
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600
    assert client_token(None, {}, tmp_path / "token") == made
    assert client_token(None, {"ENSEMBLE_TOKEN": "x"}, tmp_path / "token") == "x"
    with pytest.raises(ServiceError, match="no token"):
        client_token(None, {}, tmp_path / "nothing")
