"""Slurm's commands: how they are run, and what their output says. Nothing here decides anything."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

COMMANDS = ("sbatch", "squeue", "scancel", "scontrol", "sacct")  # sacct may be missing
PATIENCE = 60.0  # seconds that one command may take; a hung one counts as one that failed
RANGE = re.compile(r"(\d+)(?:-(\d+)(?::(\d+))?)?")
ROW_FIELDS = ("JobArrayID", "State", "Reason", "NodeList", "StartTime", "EndTime", "RestartCnt", "exit_code", "Name")
ROW_FORMAT = ",".join(f"{field}:|" for field in ROW_FIELDS)
ROW_HEADER = "JOBID|STATE|REASON|NODELIST|"
ACCOUNT_FIELDS = ("JobID", "State", "ExitCode", "Start", "End", "NodeList", "JobName")
ACCOUNT_HEADER = "JobID|State|ExitCode|"
# Slurm's own variables that say which cluster is meant, and users' defaults for what they submit; all others of these
# prefixes would change what the commands do.
KEPT = (
    *("SLURM_CONF", "SLURM_JWT", "SLURM_CONF_SERVER"),
    *(f"SBATCH_{name}" for name in ("ACCOUNT", "CONSTRAINT", "PARTITION", "QOS", "RESERVATION", "WCKEY")),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command said. code: None where it did not end in time, or was ended for what it said."""

    code: int | None
    out: str
    err: str

    @property
    def said(self) -> str:
        """Its words on stderr in one line."""
        return " / ".join(line.strip() for line in self.err.splitlines() if line.strip()) or "no word of it"


@dataclass(frozen=True, slots=True)
class Row:
    """What the queue or the accounting says of one job or array element. Times are seconds since the epoch, 0 unknown.

    status: as wait(2) encodes it. restarts: None where it is not told.
    """

    id: str
    state: str
    reason: str = ""
    hosts: str = ""
    start: float = 0.0
    end: float = 0.0
    restarts: int | None = None
    status: int = 0
    name: str = ""


class Commands:
    """Slurm's commands as they are found on PATH. Looked up once."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        path = environ.get("PATH")
        self.paths = {name: found for name in COMMANDS if (found := shutil.which(name, path=path))}
        self._submit = {
            key: value for key, value in environ.items() if key in KEPT or not key.startswith(("SLURM_", "SBATCH_"))
        }
        prefixes = ("SQUEUE_", "SACCT_", "SCANCEL_", "SCONTROL_")
        self._ask = {key: value for key, value in self._submit.items() if not key.startswith(prefixes)}
        # Epoch seconds: right over midnight and in every time zone. Long task lists are not cut.
        self._ask |= {"LC_ALL": "C", "SLURM_TIME_FORMAT": "%s", "SLURM_BITSTR_LEN": "0"}

    def ping(self) -> str:
        """Why slurmctld can't be asked, in one line; empty where it answers."""
        try:
            done = subprocess.run(
                [self.paths["scontrol"], "ping"],
                env=self._ask,
                capture_output=True,
                text=True,
                timeout=15.0,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"scontrol ping: {error}"
        if done.returncode == 0 and " UP" in done.stdout:
            return ""
        said = (done.stdout.strip() or done.stderr.strip() or "no word of it").splitlines()[0]
        return f"slurmctld does not answer: {said}"

    async def run(
        self, name: str, *arguments: str, stdin: bytes = b"", stop: str = "", patience: float = PATIENCE
    ) -> Answer:
        """Run a command to its end, or until it took too long, or said `stop` on stderr. Raises OSError."""
        environ = self._submit if name == "sbatch" else self._ask  # what sbatch has, the jobs inherit
        process = await asyncio.create_subprocess_exec(
            self.paths.get(name, name),
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environ,
            start_new_session=True,  # Ctrl-C is for us: a submission must not be cut in the middle
        )
        words: list[bytes] = []
        try:
            async with asyncio.timeout(patience):
                out, _, _ = await asyncio.gather(
                    process.stdout.read() if process.stdout else _nothing(),
                    _listen(process, words, stop),
                    _feed(process, stdin),
                )
                code: int | None = await process.wait()
        except TimeoutError:
            out, code = b"", None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        err = b"".join(words).decode(errors="replace")
        return Answer(None if stop and stop in err else code, out.decode(errors="replace"), err)


async def _nothing() -> bytes:
    return b""


async def _feed(process: asyncio.subprocess.Process, data: bytes) -> None:
    if process.stdin is None:
        return
    try:
        process.stdin.write(data)
        await process.stdin.drain()
        process.stdin.close()
        await process.stdin.wait_closed()
    except (BrokenPipeError, ConnectionResetError):  # it ended without reading: its exit code tells
        return


async def _listen(process: asyncio.subprocess.Process, words: list[bytes], stop: str) -> None:
    if process.stderr is None:
        return
    while line := await process.stderr.read(4096):
        words.append(line)
        if stop and stop.encode() in b"".join(words):
            process.kill()
            return


def squeue_arguments(user: str) -> list[str]:
    """All jobs of this user, ended ones too as long as slurmctld keeps them (MinJobAge)."""
    return ["--user", user, "--states=all", "--local", f"--Format={ROW_FORMAT}"]


def sacct_arguments(since: str, *, ids: Iterable[str] = (), names: Iterable[str] = ()) -> list[str]:
    """since: `YYYY-MM-DDTHH:MM:SS` (sacct looks at today alone where nobody says so)."""
    found = ["--parsable2", "--allocations", "--starttime", since, f"--format={','.join(ACCOUNT_FIELDS)}"]
    if listed := ",".join(ids):
        found.append(f"--jobs={listed}")
    if listed := ",".join(names):
        found.append(f"--name={listed}")
    return found


def squeue_rows(text: str) -> list[Row] | None:
    """The rows of a reply; None where it is none: empty, cut, or something else."""
    lines = text.splitlines()
    if not lines or not lines[0].startswith(ROW_HEADER) or (text and not text.endswith("\n")):
        return None
    found: list[Row] = []
    for line in lines[1:]:
        values = line.removesuffix("|").split("|", len(ROW_FIELDS) - 1)
        if len(values) < len(ROW_FIELDS):
            return None
        job, state, reason, hosts, start, end, restarts, status, name = values
        count = int(restarts) if restarts.isdigit() else None
        found += [
            Row(one, state, reason, hosts, _time(start), _time(end), count, _status(status), name)
            for one in expand(job)
        ]
    return found


def sacct_rows(text: str) -> list[Row] | None:
    """The rows of a reply; None where it is none."""
    lines = text.splitlines()
    if not lines or not lines[0].startswith(ACCOUNT_HEADER):
        return None
    found: list[Row] = []
    for line in lines[1:]:
        values = line.split("|", len(ACCOUNT_FIELDS) - 1)
        if len(values) < len(ACCOUNT_FIELDS):
            return None
        job, state, status, start, end, hosts, name = values
        hosts = "" if hosts == "None assigned" else hosts
        found += [
            Row(one, state, "", hosts, _time(start), _time(end), None, _status(status), name) for one in expand(job)
        ]
    return found


def expand(job: str) -> Iterator[str]:
    """`7`, `7_3`, or `7_[1-3,5,8-12:2%4]` (elements that are alike) as single ids."""
    base, _, tasks = job.partition("_")
    if not tasks.startswith("["):
        yield job
        return
    for part in tasks.strip("[]").partition("%")[0].split(","):
        if match := RANGE.fullmatch(part):
            first, last, step = match[1], match[2] or match[1], match[3] or "1"
            yield from (f"{base}_{index}" for index in range(int(first), int(last) + 1, int(step)))


def compress(ids: Sequence[str], most: int = 3000) -> list[str]:
    """The other way round, for scancel: elements of one array in one word, of about `most` letters at most."""
    arrays: dict[str, list[int]] = {}
    found: list[str] = []
    for one in ids:
        base, _, index = one.partition("_")
        if index.isdigit():
            arrays.setdefault(base, []).append(int(index))
        else:
            found.append(one)
    for base, indices in arrays.items():
        parts: list[str] = []
        for first, last in _runs(sorted(set(indices))):
            parts.append(str(first) if first == last else f"{first}-{last}")
            if sum(len(part) + 1 for part in parts) > most:
                found.append(f"{base}_[{','.join(parts)}]")
                parts = []
        if parts:
            found.append(f"{base}_[{','.join(parts)}]")
    return found


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    first = last = numbers[0]
    for number in numbers[1:]:
        if number != last + 1:
            yield first, last
            first = number
        last = number
    yield first, last


def config(text: str) -> dict[str, str]:
    """`scontrol show config` as a mapping."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {key.strip(): value.strip() for key, _, value in pairs}


def _time(text: str) -> float:
    return float(text) if text.isdigit() else 0.0


def _status(text: str) -> int:
    """`4:0` as sacct has it (exit code and signal), or squeue's number, which is one of wait(2)."""
    code, colon, number = text.partition(":")
    if colon and code.isdigit() and number.isdigit():
        return int(number) & 0x7F or (int(code) & 0xFF) << 8
    return int(text) if text.isdigit() else 0


def orphan(name: str) -> bool:
    """Whether an sbatch that submits under this job name still runs on this machine, left by one of us that died."""
    wanted = f"--job-name={name}".encode()
    with os.scandir("/proc") as entries:
        for entry in entries:
            if not entry.name.isdigit():
                continue
            try:
                with open(f"/proc/{entry.name}/cmdline", "rb") as file:  # noqa: PTH123 -- hundreds of them
                    words = file.read().split(b"\0")
            except OSError:
                continue
            if wanted in words and any(b"sbatch" in word for word in words[:3]):
                return True
    return False
