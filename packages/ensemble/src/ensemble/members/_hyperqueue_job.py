"""What a HyperQueue task runs in place of a job's command: it starts the command, and writes down what becomes of it.

HyperQueue's Python API tells neither when a task starts nor on which host, and can't cancel one. So the job tells
itself, in the folder of the run: a line in records/HOST.jsonl when a worker takes it (`claim`), when it starts and
when it has ended (`finish`); and it looks in the file `orders` for what the run asks of it.

It runs as a script, on every node and once for each job, so it imports little and nothing of this package:
`python -I -S _hyperqueue_job.py FOLDER TOKEN < DESCRIPTION`, the description being JSON (see `Hyperqueue.submit`).
A second process does the work: HyperQueue kills what its worker started when that worker goes, and somebody must be
left to end the command and to write that down.
"""

# pathlib and contextlib would be most of the time that it takes to start.
# ruff: noqa: PTH108, PTH116, PTH118, PTH123, SIM105
from __future__ import annotations

import json
import os
import select
import sys
import time

TYPE_CHECKING = False  # importing typing or signal takes as long as all the rest
if TYPE_CHECKING:
    from typing import Any

SIGKILL, SIGPIPE, SIGTERM, SIGXFSZ = 9, 13, 15, 25  # Linux

LOOK = 0.5  # seconds between two looks at the orders
GRACE = 2.0  # seconds from SIGTERM to SIGKILL
SMALL = 1 << 18  # bytes; output up to this goes into one file for all jobs of a host
PRIVATE = 0o600


class Run:
    """One task of HyperQueue that carries one attempt of a job. folder: of the run; token: of the attempt."""

    def __init__(self, folder: str, token: str) -> None:
        self.folder, self.token = folder, token
        self.host = os.uname().nodename
        self.task = f"{os.environ.get('HQ_JOB_ID', '')}@{os.environ.get('HQ_TASK_ID', '')}"
        self.restarted = os.environ.get("HQ_INSTANCE_ID", "0") != "0"
        self._orders = b"\n"
        self._seen = 0

    def record(self, what: str, **fields: Any) -> None:
        """Add a line to the records of this host: one write, so that lines of several jobs don't mix."""
        line = {"what": what, "token": self.token, "task": self.task, "time": time.time(), **fields}
        _append(f"{self.folder}/records/{self.host}.jsonl", json.dumps(line).encode() + b"\n")

    def ordered(self, order: str) -> bool:
        """Whether the run has given this order for this attempt. Opening the file makes NFS look at the server."""
        try:
            fd = os.open(f"{self.folder}/orders", os.O_RDONLY)
        except OSError:
            return False
        try:
            if os.fstat(fd).st_size != self._seen:
                os.lseek(fd, self._seen, os.SEEK_SET)
                while more := os.read(fd, 1 << 20):
                    self._orders += more
                    self._seen += len(more)
        finally:
            os.close(fd)
        return f"\n{order} {self.token}\n".encode() in self._orders

    def first(self) -> bool:
        """Whether of several tasks with this token this is the first."""
        try:
            os.close(os.open(f"{self.folder}/claims/{self.token}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE))
        except FileExistsError:
            return False
        return True


def supervise(run: Run, job: dict[str, Any], parent: int) -> int:
    """Run the command, and give the exit code. parent: a pipe that closes when HyperQueue's own process ends."""
    os.setsid()
    if run.restarted:
        # The run counts what was lost with a worker itself, and submits a new attempt.
        note = "its worker was lost, and HyperQueue started it over"
        run.record("finish", status=None, type="node-lost", note=note)
        return 1
    run.record("claim", host=run.host, pid=os.getpid())
    # The orders are read after the claim is written; the run reads the claims after it has written an order.
    # So at least one of the two sees the other.
    if run.ordered("cancel"):
        run.record("finish", status=None, type="cancel", note="it was cancelled before it started")
        return 1
    if run.ordered("doubt") and not run.first():
        run.record("void")
        return 0
    try:
        os.chdir(job["workdir"])
        places = _places(run, job)
        pids = _start(job, places)
    except (OSError, ValueError) as error:
        run.record("finish", status=None, type="exec", note=f"it can't be started: {error}")
        return 1
    run.record("start")
    end, note, statuses = _wait(run, pids, job["duration"], parent)
    status = max(statuses, key=lambda status: (status & 0x7F, status))
    outputs = {stream: _put_away(run, stream, *places[stream]) for stream in ("out", "err")}
    run.record("finish", status=status, type=end, note=note, **outputs)
    return os.waitstatus_to_exitcode(status) & 0xFF or bool(end)


def _places(run: Run, job: dict[str, Any]) -> dict[str, tuple[str, bool]]:
    """For each stream its file, and whether it is ours to put away."""
    if job["output"]:
        out = os.path.join(job["workdir"], job["output"])
        stem = out.removesuffix(".out")
        return {"out": (out, False), "err": (f"{stem}.err", False)}
    return {stream: (f"{run.folder}/live/{run.token}.{stream}", True) for stream in ("out", "err")}


def _start(job: dict[str, Any], places: dict[str, tuple[str, bool]]) -> list[int]:
    """Start the tasks of the job, all in one process group, the first one's."""
    os.environ.update(job["environment"])
    files = [os.open(job["stdin"] or os.devnull, os.O_RDONLY)]
    for stream in ("out", "err"):
        path, ours = places[stream]
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        files.append(os.open(path, flags, PRIVATE if ours else 0o666))
    actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(files)]
    pids: list[int] = []
    try:
        for _ in range(job["tasks"]):
            pids.append(
                os.posix_spawnp(
                    job["argv"][0],
                    job["argv"],
                    os.environ,
                    file_actions=actions,
                    setpgroup=pids[0] if pids else 0,
                    setsigdef=[SIGPIPE, SIGXFSZ],
                )
            )
    except OSError:
        if pids:
            _signal(pids[0], SIGKILL)
        raise
    finally:
        for fd in files:
            os.close(fd)
    return pids


def _wait(run: Run, pids: list[int], duration: float, parent: int) -> tuple[str, str, list[int]]:
    """Wait for all; why they were ended before their time ("": they were not), a note on it, and how each ended."""
    poll = select.poll()
    try:
        for pid in pids:
            poll.register(os.pidfd_open(pid), select.POLLIN)
        look = LOOK
    except OSError:  # a kernel before 5.3: look more often
        look = LOOK / 10
    poll.register(parent, select.POLLHUP)
    deadline = time.monotonic() + duration if duration else float("inf")
    end = note = ""
    kill_at = float("inf")
    while not all(map(_ended, pids)):
        now = time.monotonic()
        if now >= kill_at:
            _signal(pids[0], SIGKILL)
            kill_at = float("inf")
        elif not end:
            if now >= deadline:
                end, note = "timeout", f"it ran longer than {duration} s"
            elif run.ordered("cancel"):
                end, note = "cancel", "it was cancelled"
            if end:
                _signal(pids[0], SIGTERM)
                kill_at = now + GRACE
        until = min(kill_at, deadline if not end else float("inf"), now + look) - now
        for fd, happened in poll.poll(max(0.0, until) * 1000 + 1):
            if fd != parent:
                poll.unregister(fd)  # it has ended
            elif happened and not end:
                poll.unregister(parent)
                end, note = "node-lost", f"HyperQueue's worker on {run.host} ended, or ended it"
                _signal(pids[0], SIGTERM)
                kill_at = time.monotonic() + GRACE
    # What the job left running goes with it. The group is still there: its leader is not reaped yet.
    _signal(pids[0], SIGKILL)
    return end, note, [os.waitpid(pid, 0)[1] for pid in pids]


def _ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _signal(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        pass


def _put_away(run: Run, stream: str, path: str, ours: bool) -> list[Any]:
    """Where a stream is from now on: file, offset, length. Length -1: all of the file.

    What is small goes into one file for all jobs of this host: 100,000 jobs are not to make 100,000 files.
    """
    if not ours:
        return [path, 0, -1]
    try:
        size = os.stat(path).st_size
        place: list[Any] = ["", 0, 0]
        if size > SMALL:
            return [path, 0, -1]
        if size:
            with open(path, "rb") as file:
                data = file.read()
            pack = f"{run.folder}/output/{run.host}.{stream}"
            place = [pack, _append(pack, data), len(data)]
        os.unlink(path)
        return place
    except OSError:  # a full disk: it stays where it is
        return [path, 0, -1]


def _append(path: str, data: bytes) -> int:
    """Add to the end of a file in one write; where it begins there."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE)
    try:
        if os.write(fd, data) != len(data):
            raise OSError(f"{path}: the disk is full")
        return os.lseek(fd, 0, os.SEEK_CUR) - len(data)
    finally:
        os.close(fd)


def main() -> int:
    folder, token = sys.argv[1:]
    job = json.load(sys.stdin.buffer)
    reader, _writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(reader)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(_writer)
    code = 1
    try:
        code = int(supervise(Run(folder, token), job, reader))
    finally:
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
