"""A HyperQueue server and its workers, in a process of its own that outlives the run which started it.

`python -P _hyperqueue_server.py FOLDER CORES WORKERS PATIENCE` returns when the server is up and a worker has run a
task, with exit code 0, or 1 and the reason on stderr; what serves goes on in the background, and writes to
FOLDER/server.log. It ends by the order `stop`, with the folder, and when nobody has wanted it for IDLE seconds.
`python -P` (3.11) keeps this folder, which has modules named like the libraries that they use, off the path.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

LONGEST = 80  # bytes of a folder in which a socket can be: sockaddr_un has 108 in all (unix(7))
LOOK = 0.25  # seconds between two looks at the orders
UP = b"up"
IDLE = 900.0  # seconds without a run and without jobs after which it ends


class _Enough(Exception):
    """Raised in the callback of wait_for_jobs, which makes one question of it."""


def states(client: Any, ids: list[int]) -> dict[int, dict[str, Any]]:
    """What the server says of these jobs: `total`, `finished`, `failed`, `completed`. Unknown ones are not in it.

    The Python API only has a call that waits for jobs. It calls back with their states first.
    """
    told: dict[int, dict[str, Any]] = {}

    def look(now: dict[int, dict[str, Any]]) -> None:
        told.update(now)
        raise _Enough

    with suppress(_Enough):
        client.connection.wait_for_jobs(ids, look)
    return told


def probe(client: Any, patience: float) -> str:
    """Run a task that does nothing; why it did not run within its time, empty where it did."""
    from hyperqueue import Job

    job = Job(name="ensemble-probe", max_fails=None)
    job.program([sys.executable, "-I", "-S", "-c", ""], stdout=None, stderr=None)
    submitted = client.submit(job)
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        told = states(client, [submitted.id]).get(submitted.id, {})
        if told.get("finished"):
            return ""
        if told.get("failed"):
            return str(client.get_failed_tasks(submitted)[0].error)
        time.sleep(0.02)
    return f"no worker ran a task within {patience:g} s"


def serve(folder: Path, cores: int, workers: int, patience: float, ready: int) -> None:
    """Start everything, say so on the pipe `ready`, and stay."""
    from hyperqueue.cluster import LocalCluster

    lock = os.open(folder / "server.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    home = folder / "server"
    home.mkdir(exist_ok=True)
    orders = folder / "orders"
    seen = orders.stat().st_size if orders.exists() else 0  # orders before this one's time are not for it
    cluster = LocalCluster(str(home))
    try:
        for _ in range(workers):
            add_worker(cluster, cores, folder)
        client = cluster.client()
        if why := probe(client, patience):
            raise RuntimeError(why)
        tell(folder, cores, workers)
        os.write(ready, UP)
        os.close(ready)
        wanted = time.monotonic()
        while folder.is_dir():
            time.sleep(LOOK)
            text = b""
            if orders.exists() and orders.stat().st_size > seen:
                with orders.open("rb") as file:
                    file.seek(seen)
                    text = file.read()
                text = text[: text.rfind(b"\n") + 1]
                seen += len(text)
            for line in text.decode().splitlines():
                order, _, argument = line.partition(" ")
                if order == "stop":
                    return
                if order == "workers":
                    trouble = ""
                    try:
                        while workers < int(argument):
                            add_worker(cluster, cores, folder)
                            workers += 1
                    except Exception as error:  # noqa: BLE001 - the workers that there are go on
                        trouble = first_line(error)
                    tell(folder, cores, workers, trouble)
            if text or _owned(folder) or _busy(client, folder):
                wanted = time.monotonic()
            elif time.monotonic() - wanted > IDLE:
                return
    finally:
        cluster.stop()


def add_worker(cluster: Any, cores: int, folder: Path) -> None:
    """Start a worker. It makes a socket below TMPDIR and leaves it there, so that is our folder while it starts."""
    from hyperqueue.cluster import WorkerConfig

    before = os.environ.get("TMPDIR")
    if len(os.fsencode(folder)) <= LONGEST:
        os.environ["TMPDIR"] = str(folder)
    try:
        cluster.start_worker(WorkerConfig(cores=cores))
    finally:
        if before is None:
            os.environ.pop("TMPDIR", None)
        else:
            os.environ["TMPDIR"] = before


def tell(folder: Path, cores: int, workers: int, trouble: str = "") -> None:
    """Write down what there is, whole or not at all. trouble: why there are fewer workers than were asked for."""
    new = folder / "server.new"
    told = {"host": os.uname().nodename, "pid": os.getpid(), "cores": cores, "workers": workers, "trouble": trouble}
    new.write_text(json.dumps(told))
    new.replace(folder / "server.json")


def uid(home: Path) -> str:
    """What a server calls itself, new each time that one starts. Raises OSError, ValueError."""
    return str(json.loads((home / "hq-current" / "access.json").read_text())["server_uid"])


def _owned(folder: Path) -> bool:
    """Whether a run has the folder now."""
    try:
        with (folder / "owner.lock").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _busy(client: Any, folder: Path) -> bool:
    """Whether this server has jobs that have not ended."""
    try:
        lines = (folder / "submitted.jsonl").read_text().splitlines()
        mine = uid(folder / "server")
        ids = [entry["id"] for entry in map(json.loads, lines) if entry.get("server") == mine]
    except (OSError, ValueError):
        return False
    return bool(ids) and not all(state["completed"] for state in states(client, ids).values())


def main() -> int:
    folder = Path(sys.argv[1])
    cores, workers, patience = int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        said = b""
        while more := os.read(reader, 4096):
            said += more
        if said != UP:
            sys.stderr.write(f"{said.decode() or 'it ended without a word'}\n")
        return said != UP
    os.setsid()
    os.close(reader)
    log = os.open(folder / "server.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    try:
        serve(folder, cores, workers, patience, writer)
    except BaseException as error:
        with suppress(OSError):  # nobody waits any more
            os.write(writer, first_line(error).encode())
        raise
    return 0


def first_line(error: object) -> str:
    """What the library says, in one line: it adds causes and stack traces."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    causes = [lines[at + 1].strip() for at, line in enumerate(lines[:-1]) if line.startswith("Caused by")]
    return f"{lines[0]} ({causes[-1]})" if causes else lines[0]


if __name__ == "__main__":
    sys.exit(main())
