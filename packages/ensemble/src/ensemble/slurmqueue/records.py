"""What is kept in the member's folder: the batches that were submitted, and what the jobs themselves wrote down.

batches.jsonl: one line before each submission (its job name, the names of its jobs, their pack), one with the id or
    `void` after it, and one for each restart that was told. Only the run writes it, and each intent reaches the disk.
pack-N.rec: the records of about a thousand jobs, one line each for start and end; only jobs write them.
pack-N.data: their output, one piece after the other.
live/: output files of jobs that run, of those that were killed, and long ones.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ensemble.slurmqueue.script import beside

PACK = 1000  # jobs that share a pack
CHUNK = 1 << 22  # bytes of records that are read at a time


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a job. how: `exit`, `term` (it was told to end), `timeout`, or what kept it from being started."""

    batch: str
    index: int
    restart: int
    kind: str  # place, start, end
    time: float
    id: str = ""
    hosts: str = ""
    how: str = ""
    code: int = 0
    out: str = "file"
    err: str = "file"


@dataclass(slots=True)
class Batch:
    """A submission.

    id: empty while it is not known whether it arrived. void: it is known that it did not. outputs: of the jobs that
    name a file of their own, that file.
    """

    name: str
    pack: int
    jobs: list[str]
    time: float
    array: bool
    id: str = ""
    void: bool = False
    outputs: dict[str, str] = field(default_factory=dict)


def parse(line: str) -> Record | None:
    """A record; None for a line that is not whole, or is none."""
    words = line.split()
    if len(words) < 7 or words[-1] != ".":
        return None
    batch, index, restart, kind, time, *rest = words[:-1]
    try:
        place = int(index), int(restart)
        at = float(time) if time.count(".") < 2 and "N" not in time else float(time.partition(".")[0])
        if kind in ("start", "place") and len(rest) == 2:
            return Record(batch, *place, kind, at, id=rest[0], hosts=rest[1])
        if kind == "end" and len(rest) == 4:
            return Record(batch, *place, kind, at, how=rest[0], code=int(rest[1]), out=rest[2], err=rest[3])
    except ValueError:
        return None
    return None


@dataclass(slots=True)
class Store:
    """The folder of one member."""

    folder: Path
    batches: dict[str, Batch] = field(default_factory=dict)
    of_job: dict[str, list[str]] = field(default_factory=dict)  # a job to the batches that it was submitted in
    restarts: dict[str, int] = field(default_factory=dict)  # told of a job
    ends: dict[str, tuple[int, str, str]] = field(default_factory=dict)  # a job to its pack, and where its output is
    _read: dict[int, int] = field(default_factory=dict)
    _filled: int = 0
    _pack: int = 0
    _file: int = -1

    def open(self) -> None:
        """Read what is there. Raises OSError."""
        (self.folder / "live").mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.folder / "batches.jsonl"
        whole = 0
        if path.exists():
            data = path.read_bytes()
            whole = data.rfind(b"\n") + 1  # a line cut by a crash was never acted upon
            for line in data[:whole].splitlines():
                self._line(json.loads(line))
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.ftruncate(self._file, whole)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _line(self, line: dict[str, Any]) -> None:
        name = line["batch"]
        if "jobs" in line:
            batch = Batch(
                name, line["pack"], line["jobs"], line["time"], line["array"], outputs=line.get("outputs", {})
            )
            self.batches[name] = batch
            for job in batch.jobs:
                self.of_job.setdefault(job, []).append(name)
            if batch.pack > self._pack:
                self._pack, self._filled = batch.pack, 0
            self._filled += len(batch.jobs)
        elif "id" in line:
            self.batches[name].id = line["id"]
        elif "restart" in line:
            self.restarts[line["job"]] = line["restart"]
        else:
            self.batches[name].void = True

    def _write(self, line: dict[str, Any], *, sync: bool = False) -> None:
        self._line(line)
        os.write(self._file, json.dumps(line, separators=(",", ":")).encode() + b"\n")
        if sync:
            os.fsync(self._file)

    def next_pack(self, count: int) -> int:
        """The pack for so many more jobs."""
        return self._pack + 1 if self._filled and self._filled + count > PACK else self._pack

    def intend(self, batch: Batch) -> None:
        """Write down, before it is done, that these jobs will be submitted under this name."""
        line = {"batch": batch.name, "pack": batch.pack, "jobs": batch.jobs, "time": batch.time, "array": batch.array}
        line |= {"outputs": batch.outputs} if batch.outputs else {}
        self._write(line, sync=True)

    def arrived(self, name: str, job_id: str) -> None:
        self._write({"batch": name, "id": job_id})

    def refused(self, name: str) -> None:
        self._write({"batch": name, "void": True})

    def restarted(self, name: str, job: str, count: int) -> None:
        self._write({"batch": name, "job": job, "restart": count}, sync=True)

    def new_records(self, packs: set[int]) -> list[Record]:
        """What was written into these packs since it was read last. One open file at a time, none a job."""
        found: list[Record] = []
        for pack in sorted(packs):
            while True:
                offset = self._read.get(pack, 0)
                try:
                    with (self.folder / f"pack-{pack}.rec").open("rb") as file:
                        file.seek(offset)
                        data = file.read(CHUNK)
                except OSError:
                    break
                whole = data.rfind(b"\n") + 1
                if not whole:
                    break
                self._read[pack] = offset + whole
                records = (parse(line) for line in data[:whole].decode(errors="replace").splitlines())
                for record in records:
                    batch = self.batches.get(record.batch) if record else None
                    if record is None or batch is None or not 0 <= record.index < len(batch.jobs):
                        continue
                    if record.kind == "end":
                        self.ends[batch.jobs[record.index]] = (batch.pack, record.out, record.err)
                    elif record.kind == "start":
                        self.ends.pop(batch.jobs[record.index], None)  # it was put back into the queue
                    found.append(record)
        return found

    def forget_read(self) -> None:
        """Read all records from their beginning next time."""
        self._read.clear()

    def piece(self, job: str, stream: str) -> tuple[Path, int, int | None] | None:
        """Where a job's output is: a file, the offset and the length in it (None: all). None where there is none."""
        live = self.folder / "live" / f"{job}.{stream}"
        for name in self.of_job.get(job, []):
            if own := self.batches[name].outputs.get(job):
                return (Path(own) if stream == "out" else beside(Path(own))), 0, None
        if (end := self.ends.get(job)) is None:
            return live, 0, None
        pack, out, err = end
        at = out if stream == "out" else err
        if at == "-":
            return None
        offset, colon, length = at.partition(":")
        if colon and offset.isdigit() and length.isdigit():
            return self.folder / f"pack-{pack}.data", int(offset), int(length)
        return live, 0, None
