"""The folder that a page runs in: a home of its own, a copy of examples/, and the commands that the page may use."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import venv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from documents.programs import BASE, DISTRIBUTIONS, ROOT, entry_points, programs

SHOWN_HOME = "/home/you"  # what a page calls the home of who reads it
BROUGHT = ("aws",)  # commands of others that pages use, and that may be installed beside ours
MARK = "DOCUMENT_SANDBOX"  # the variable by which processes of a sandbox are found
PATIENCE = 120.0  # seconds that a command may take
KEPT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "USER", "LOGNAME", "KUBEBUILDER_ASSETS")
SAVE = """
trap 'code=$?; unset {unset}; {{ export -p; printf "cd %q\\n" "$PWD"; }} >"$DOCUMENT_STATE"; exit $code' EXIT
set -a
"""
COMMAND = "#!{python}\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n"
# Refuses what a reader who installed one package does not have; a line in a .pth file imports it at each start.
ALONE = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent}:
            raise ModuleNotFoundError(f"No module named {{name!r}} (this page's package is alone)", name=name)
sys.meta_path.insert(0, Absent())
"""


@dataclass(frozen=True)
class Seen:
    """What a command printed, as a terminal shows it, and its exit code; None where it runs on."""

    code: int | None
    text: str


@cache
def _search_path() -> list[str]:
    """The folders that the Python of this environment imports from, its own library left out."""
    code = (
        "import json, sys; print(json.dumps([p for p in sys.path[1:] if p.rstrip('/').endswith(('-packages', 'src'))]))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return list(json.loads(said.stdout))


class Sandbox:
    """One for each page. alone: the distribution that the page must do with (and hpc-resources)."""

    def __init__(self, start: str = ".", alone: str = "") -> None:
        self.home = Path(tempfile.mkdtemp(prefix="doc-")).resolve()
        self.work, self.bin, self.state = self.home / "work", self.home / ".venv" / "bin", self.home / ".state"
        shutil.copytree(
            ROOT / "examples", self.work / "examples", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
        )
        (self.home / "tmp").mkdir()
        self._environment(alone)
        self.state.write_text(f"cd '{self.work / start}'\n")
        self.running: list[tuple[subprocess.Popen[bytes], Path]] = []
        self.made = 0  # output files

    def _environment(self, alone: str) -> None:
        """A virtual environment that sees what this one sees, so that a page can install something beside it."""
        venv.create(self.home / ".venv", symlinks=True, with_pip=False)
        site = next((self.home / ".venv" / "lib").glob("python*/site-packages"))
        (site / "outer.pth").write_text("".join(f"{folder}\n" for folder in _search_path()))
        python = self.bin / "python"
        (self.bin / "pip").write_text(f'#!/bin/sh\nexec {python} -m pip "$@"\n')
        (self.bin / "pip").chmod(0o755)
        kept = {BASE, alone} if alone else set(DISTRIBUTIONS.values())
        for distribution in kept:
            for name, value in entry_points(distribution).items():
                module, _, function = value.partition(":")
                (self.bin / name).write_text(COMMAND.format(python=python, module=module, function=function))
                (self.bin / name).chmod(0o755)
        for name in BROUGHT:
            if (there := Path(sys.executable).parent / name).is_file():
                (self.bin / name).symlink_to(there)
        absent = {
            value.partition(".")[0]
            for distribution in set(DISTRIBUTIONS.values()) - kept
            for value in entry_points(distribution).values()
        }
        if absent:
            (site / "only_this_one.py").write_text(ALONE.format(absent=repr(sorted(absent))))
            (site / "only_this_one.pth").write_text("import only_this_one\n")
        folders = [one for one in os.environ["PATH"].split(os.pathsep) if one and not _ours(Path(one))]
        self.environ = {name: os.environ[name] for name in KEPT if name in os.environ}
        self.environ |= {
            "PATH": os.pathsep.join([str(self.bin), *folders]),
            "HOME": str(self.home),
            "TMPDIR": str(self.home / "tmp"),
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "PYTHONUNBUFFERED": "1",  # stdout and stderr in the order in which a terminal shows them
            "PIP_NO_BUILD_ISOLATION": "0",  # as for every pip option of this kind, 0 means: do without
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_ROOT_USER_ACTION": "ignore",
            "PIP_QUIET": "1",  # pages do not show its progress
            MARK: str(self.home),
            "DOCUMENT_STATE": str(self.state),
        }

    @property
    def here(self) -> Path:
        """Where the page's shell is now."""
        if not (folder := self._said("pwd", {}).strip()):
            raise RuntimeError(f"{self.home} is gone")  # never the folder that we are in
        return Path(folder)

    def _said(self, command: str, environ: dict[str, str]) -> str:
        argv = ["bash", "--noprofile", "--norc", "-c", f". {self.state}\n{command}"]
        return subprocess.run(argv, env=self.environ | environ, capture_output=True, text=True, timeout=PATIENCE).stdout

    def start(
        self, command: str, environ: dict[str, str], stdin: str | None = None
    ) -> tuple[subprocess.Popen[bytes], Path]:
        """Start a command in the page's shell. Its folder and its variables are the next one's."""
        self.made += 1
        output = self.home / f".output{self.made}"
        exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environ.items())
        save = SAVE.format(unset=" ".join(environ)) if stdin is None else ""
        argv = ["bash", "--noprofile", "--norc", "-c", f". {self.state}\n{exports}{save}{command}"]
        given = self.home / ".stdin"
        given.write_text(stdin or "")
        with output.open("wb") as to, given.open("rb") as source:
            process = subprocess.Popen(
                argv,
                env=self.environ | environ,
                cwd=self.work,
                stdin=source,
                stdout=to,
                stderr=to,
                start_new_session=True,
            )
        return process, output

    def run(self, command: str, environ: dict[str, str], stdin: str | None = None) -> tuple[Seen, Path]:
        """Run a command to its end; after two minutes it is killed, and the text says so."""
        process, output = self.start(command, environ, stdin)
        try:
            code = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            with output.open("a") as to:
                to.write(f"\n(it did not end within {PATIENCE:.0f} s)\n")
            code = 124
        return Seen(code, self.read(output)), output

    def read(self, output: Path) -> str:
        """What was printed, with the reader's home in place of this one."""
        return output.read_text(errors="replace").replace(str(self.home), SHOWN_HOME)

    def interrupt(self) -> list[str]:
        """Press Ctrl-C at the commands that stay. Says which did not end."""
        said = []
        for process, output in reversed(self.running):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    said.append(f"a command that stays did not end within 20 s of Ctrl-C: {self.read(output)[-2000:]}")
        return said

    def end(self) -> None:
        """End what still runs and remove the folder."""
        for sign in (signal.SIGTERM, signal.SIGKILL):
            for one in self._processes():
                _signal(one, sign)
            stop = time.monotonic() + 10
            while self._processes() and time.monotonic() < stop:
                time.sleep(0.05)
        shutil.rmtree(self.home, ignore_errors=True)

    def _processes(self) -> list[int]:
        """Those that bear this sandbox's mark."""
        mark, found = f"{MARK}={self.home}".encode(), []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (folder / "environ").read_bytes().split(b"\0") and not _gone(folder):
                    found.append(int(folder.name))
            except OSError:  # it has ended, or is another user's
                continue
        return found


def _gone(folder: Path) -> bool:
    return bool(re.search(r"\) [ZX] ", (folder / "stat").read_text()))


def _signal(process: int, sign: signal.Signals) -> None:
    try:
        os.kill(process, sign)
    except ProcessLookupError:
        return


def _ours(folder: Path) -> bool:
    """Whether a folder of the PATH has commands of ours."""
    return any((folder / name).is_file() for name in programs())
