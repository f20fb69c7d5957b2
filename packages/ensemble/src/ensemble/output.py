"""The output of a job of a run that may long have ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ensemble.errors import RunDirError
from ensemble.rundir import JobRow, RunDir, base_name, loads

if TYPE_CHECKING:
    from ensemble.member import Member

PART = 1 << 20
_STATES = {"ended": "which has ended", "running": "which runs", "held": "which waits", "intent": "which waits"}
_STATES |= {"submitted": "which waits"}


@dataclass(frozen=True, slots=True)
class Output:
    """parts: its bytes, in order. notes: what the reader should know, for people."""

    parts: Iterator[bytes]
    notes: tuple[str, ...] = ()


def read_output(run: RunDir, name: str, stream: str) -> Output:
    """What a job wrote to `stream`, `out` or `err`; the last attempt where `name` is that of a job with several.

    Through the member that ran it, else from its file, else what the journal kept of it. Raises RunDirError where
    there is no such job, or nothing is left, and says where it was looked for.
    """
    job = find_job(run, name)
    notes = () if job.name == name else (f"{name} is {job.name}",)
    parts = through_member(run, job, stream)
    if parts is not None and (first := next(parts, b"")):
        return Output(_after(first, parts), notes)
    folders = (run.path, run.member_folder, run.member_folder / "out")
    places = [folder / f"{job.name}.{stream}" for folder in folders]
    for place in places:
        if place.is_file():
            return Output(_file(run, place), notes)
    tail = run.tail(job.name)[0 if stream == "out" else 1]
    if tail:
        return Output(iter([tail.encode()]), (*notes, f"only the end of what {job.name} wrote was kept"))
    if parts is not None:
        state = _STATES.get(job.state, job.state)
        said = f"{job.name}, {state}, wrote nothing to std{stream} that member {run.value('member')} has"
        return Output(iter(()), (*notes, said))
    raise RunDirError(
        run.path,
        f"no std{stream} of {job.name} is kept here, and member {run.value('member')} can't be asked (looked for"
        f" {', '.join(map(str, places))})" + (f"; its id in the queue is {job.id}" if job.id else ""),
    )


def through_member(run: RunDir, job: JobRow, stream: str) -> Iterator[bytes] | None:
    """Through Member.read of the member of that run; None where it can't be used."""
    import asyncio

    from resources.errors import ResourcesError

    from ensemble.errors import EnsembleError
    from ensemble.member import Options
    from ensemble.plugins import choose, registry

    settings = loads(run.meta.get("settings"), {})
    cores = loads(run.meta.get("cores"), None)
    options = Options(run.value("run"), run.member_folder, cores, settings=settings)
    try:
        _, kind = choose(run.value("member"), registry())
        return asyncio.run(_read_all(kind(options), job, stream))
    except (EnsembleError, ResourcesError, OSError):
        return None  # it can't be used here


def _after(first: bytes, parts: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from parts


async def _read_all(member: Member, job: JobRow, stream: str) -> Iterator[bytes]:
    """Without a connection where that does, as with files; else connected, and told which job is meant."""
    from ensemble.job import Job, Known, Spec

    parts = await _parts(member, job.name, stream)
    if not parts:
        await member.open(lambda event: None, lambda error: None)
        try:
            token = f"{member.options.run}-{job.name}"
            await member.adopt([Known(Job(job.name, token, Spec(job.name, ("true",))), job.id, "clean")])
            parts = await _parts(member, job.name, stream)
        finally:
            await member.close(leave=True)
    return iter(parts)


async def _parts(member: Member, name: str, stream: str) -> list[bytes]:
    parts: list[bytes] = []
    offset = 0
    while part := await member.read(name, stream, offset):
        parts.append(part)
        offset += len(part)
    return parts


def find_job(run: RunDir, name: str) -> JobRow:
    """The attempt of that name or id; of a job with several attempts the last. Raises RunDirError."""
    found = next(run.jobs("WHERE name = ?", name), None) or next(run.jobs("WHERE id = ?", name), None)
    if found is None:
        raise RunDirError(run.path, f"there is no job {name!r}{_meant(run, name)}")
    if found.name != name or found.name != base_name(found.name):
        return found
    later = run.superseded()
    while found.name in later:
        found = next(run.jobs("WHERE name = ?", later[found.name]), found)
    return found


def _meant(run: RunDir, name: str) -> str:
    groups = run.rows("SELECT grp, count(*), min(name) FROM jobs GROUP BY grp ORDER BY min(rowid) LIMIT 8")
    for group, _, first in groups:
        if group == name:
            return f"; that is a group, its jobs are {first} and so on"
    return f"; there are groups {', '.join(group for group, _, _ in groups)}" if groups else "; there are no jobs yet"


def _file(run: RunDir, path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while part := file.read(PART):
                yield part
    except OSError as error:
        raise RunDirError(run.path, f"can't read {path}: {error.strerror}") from None
