"""What a newcomer does wrong in the first ten minutes is answered in one line that says what to do, and leaves nothing.

`first_minutes.txt` is the table of what was tried.
"""

from __future__ import annotations

import fcntl
import os
import pty
import shutil
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

HERE = Path(__file__).resolve().parent
COMMANDS = (
    "resources", "resource-secretary", "jobspec", "ensemble", "ensemble-server", "flux-burst", "fluxburst",
)  # fmt: skip
TOOLS = ("bash", "echo", "env", "hostname", "setpriv", "sh", "sleep")
# Root may read and write everything: without its capabilities it is a user like others.
AS_USER = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.getuid() == 0 else []
JOBSPEC = """version: 1
resources: {type: slot, count: 1, with: [{type: core, count: 1}]}
task:
  name: hello
  command: [echo, hello]
  transform: [{step: submit, watch: true}]
"""
ENSEMBLE = """jobs:
- {name: sleep, command: sleep 1}
rules:
- {trigger: start, action: {name: submit, label: sleep}}
"""
JOB = (
    '{"id": %d, "name": "a", "state": 8, "spec": {"version": 1,'
    ' "resources": [{"type": "slot", "label": "t", "count": 9, "with": [{"type": "core", "count": 1}]}],'
    ' "tasks": [{"command": ["a"], "slot": "t", "count": {"per_slot": 1}}],'
    ' "attributes": {"system": {"duration": 60, "burstable": %d}}}}\n'
)
FILES = {
    "empty": b"",
    "binary": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" * 9,
    "utf16": "#!/bin/bash\n#SBATCH --nodes=1\n".encode("utf-16"),
    "secret": b"nobody may read it",
    "tabs.yaml": b"jobs:\n\t- name: sleep\n",
    "cluster.txt": b"inventory version=1\nhosts=n0 ranks=0 state=up | cores=4 memory=8GB\n",
    "job.sh": b"#!/bin/bash\n#SBATCH --nodes=1\n#SBATCH --time=10:00\nsrun hostname\n",
    "broken.sh": b"#!/bin/bash\n#SBATCH --tme=10:00\nsrun hostname\n",
    "jobspec.yaml": JOBSPEC.encode(),
    "misspelt-jobspec.yaml": JOBSPEC.replace("transform", "tranform").encode(),
    "ensemble.yaml": ENSEMBLE.encode(),
    "misspelt.yaml": ENSEMBLE.replace("command", "comand").encode(),
    "queue.jsonl": (JOB % (1, 1) + JOB % (2, 0)).encode(),
    "misspelt.toml": b'dely = "30s"\n',
}


class Try(NamedTuple):
    """A line of the table. says: what the answer must have."""

    code: int
    command: str
    says: list[str]


def tries() -> list[Try]:
    found = []
    for line in (HERE / "first_minutes.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            code, _, rest = line.partition("  ")
            command, _, says = rest.partition("  =>  ")
            found.append(Try(int(code), command.strip(), says.split(" || ")))
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a newcomer."""
    folder = tmp_path_factory.mktemp("newcomer")
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    (folder / "folder").mkdir()
    (folder / "readonly").mkdir(mode=0o500)
    (folder / "secret").chmod(0)
    (folder / "locked").mkdir(mode=0)
    yield folder
    for name in ("readonly", "locked"):
        (folder / name).chmod(0o700)


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An empty HOME, and a PATH with nothing but the commands."""
    tools = tmp_path_factory.mktemp("bin")
    for name in COMMANDS:
        (tools / name).symlink_to(Path(sys.executable).parent / name)
    for name in TOOLS:
        if found := shutil.which(name):
            (tools / name).symlink_to(found)
    return {"PATH": str(tools), "HOME": str(tmp_path_factory.mktemp("home")), "LANG": "C.UTF-8"}


def there(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def answered(text: str) -> None:
    """No traceback, and nothing that calls itself a bug."""
    assert "Traceback" not in text
    assert "bug:" not in text


@pytest.mark.parametrize("one", tries(), ids=lambda one: one.command)
def test_one_line_says_what_to_do(one: Try, place: Path, environ: dict[str, str]) -> None:
    before = there(place), there(Path(environ["HOME"]))
    done = subprocess.run(
        [*AS_USER, "bash", "-c", one.command],
        cwd=place,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    answered(done.stdout + done.stderr)
    assert done.returncode == one.code, done.stdout + done.stderr
    for words in one.says:
        assert any(word in done.stdout + done.stderr for word in words.split(" // ")), done.stdout + done.stderr
    if one.code == 2:
        assert done.stdout == ""
        assert done.stderr.startswith("Usage: ")
        assert sum(line.startswith("Error: ") for line in done.stderr.splitlines()) == (" " in one.command)
    if one.code == 1 and not done.stdout:
        assert len(done.stderr.splitlines()) == 1, done.stderr
    if one.code:
        assert (there(place), there(Path(environ["HOME"]))) == before, "it left something"


FULL = (
    ("jobspec convert --to flux --out-dir {} job.sh", "can't write"),
    ("ensemble run ensemble.yaml --member local --dir {}", "can't be written"),
    ("resource-secretary hub ask cores=1 --simulate hpc --truth {}", "can't write the truth"),
)


@pytest.mark.parametrize(("command", "says"), FULL, ids=[command for command, _ in FULL])
def test_a_full_disk_is_told_and_gets_no_half_of_a_file(
    command: str, says: str, place: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    """A limit on the size of files has each write fail, as a full disk does."""
    argv = ["bash", "-c", f"ulimit -f 0; {command.format(tmp_path / 'out')}"]
    done = subprocess.run(
        argv, cwd=place, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
    )
    answered(done.stdout + done.stderr)
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert says in line
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size] == []


LISTINGS = (
    ("resources", "kinds"),
    ("resource-secretary", "providers", "--category", "hardware"),
    ("resource-secretary", "hub", "policies"),
    ("jobspec", "transformers"),
    ("jobspec", "explain", "job.sh"),
    ("ensemble", "members"),
    ("ensemble", "simulate", "ensemble.yaml"),
    ("ensemble-server", "--help"),
    ("flux-burst", "plugins"),
    ("flux-burst", "plan", "--queue", "queue.jsonl", "--plugin", "mock"),
)
each_listing = pytest.mark.parametrize("argv", LISTINGS, ids=" ".join)


@each_listing
def test_a_reader_who_has_gone_is_told_nothing(argv: tuple[str, ...], place: Path, environ: dict[str, str]) -> None:
    """`| head -1`, at its worst: nobody reads at all."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            argv, cwd=place, env=environ, stdin=subprocess.DEVNULL, stdout=writer, stderr=subprocess.PIPE, text=True
        )
    finally:
        os.close(writer)
    answered(done.stderr)
    assert "roken pipe" not in done.stderr
    assert done.returncode in {0, 1}


@each_listing
@pytest.mark.parametrize("width", [0, 1, 5000])
def test_a_terminal_of_any_width_gets_an_answer(
    argv: tuple[str, ...], width: int, place: Path, environ: dict[str, str]
) -> None:
    own, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    process = subprocess.Popen(
        argv, cwd=place, env=environ | {"TERM": "xterm"}, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    text = b""
    try:
        while chunk := os.read(own, 65536):
            text += chunk
    except OSError:
        pass  # Linux says so when the other end is closed
    os.close(own)
    answered(text.decode())
    assert (process.wait(60), bool(text)) == (0, True)


READING = (
    ("resources", "parse", "-"),
    ("resource-secretary", "ask", "-"),
    ("jobspec", "convert", "--to", "flux", "-"),
    ("ensemble", "validate", "-"),
    ("flux-burst", "plan", "--queue", "-", "--plugin", "mock"),
)


@pytest.mark.parametrize("argv", READING, ids=" ".join)
def test_ctrl_c_ends_a_command_that_waits_for_its_input(
    argv: tuple[str, ...], place: Path, environ: dict[str, str]
) -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, cwd=place, env=environ, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        process.stdin.write(b"#" * 200_000)  # more than a pipe takes: when this returns, the command reads
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, b"")
    assert error.decode().splitlines() == [f"{argv[0]}: interrupted"]


def old_pythons() -> list[str]:
    """Those that really run: the names on PATH may be stand-ins for some that are not installed."""
    found = [path for version in ("3.8", "3.9", "3.10") if (path := shutil.which(f"python{version}"))]
    return [path for path in found if subprocess.run([path, "-c", ""], capture_output=True).returncode == 0]


def test_an_old_python_is_refused_before_anything_that_it_can_not_read() -> None:
    lines = (HERE.parent / "noxfile.py").read_text().splitlines()
    refuses = next(number for number, line in enumerate(lines) if line.startswith("if sys.version_info < (3, 11)"))
    assert refuses < lines.index("import nox")


def test_an_old_python_is_refused_in_one_line() -> None:
    if not (pythons := old_pythons()):
        pytest.skip("no Python before 3.11 is here: apt-get install python3.10, or pyenv")
    for python in pythons:
        done = subprocess.run([python, str(HERE.parent / "noxfile.py")], capture_output=True, text=True)
        assert done.returncode == 1
        [line] = done.stderr.splitlines()
        assert "Python 3.11 or newer is needed and this is 3." in line
