"""A provider that does what providers should not, installed as others are, and a client that sees every byte."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

MAIN = ["-c", "from resource_secretary.cli import main; main()"]
PATIENCE = 60.0

NOISY = '''
import ctypes
import os
import subprocess
import sys
from dataclasses import dataclass

from resource_secretary.errors import CommandFailed
from resource_secretary.providers import Active, BaseProvider, dispatch_tool, secretary_tool

print("printed at import")


@dataclass(frozen=True)
class Facts:
    read: str


class NoisyProvider(BaseProvider):
    category = "test"
    name = "noisy"
    description = "A provider that prints."

    def probe(self):
        print("printed by a provider", flush=True)
        os.write(1, b"written to descriptor 1\\n")
        subprocess.run(["echo", "said by a child"])
        library = ctypes.CDLL(None)
        library.puts(b"put by a library")
        library.fflush(None)
        return Active(Facts(sys.stdin.read()))

    @secretary_tool
    def echo(self, text: str) -> str:
        """The text.
        text: any."""
        self.probe()
        return text

    @secretary_tool
    def fail(self) -> str:
        """It fails."""
        raise CommandFailed("squeue --me", "exit code 1: slurm_load_jobs error: Unable to contact slurm controller")

    @secretary_tool
    def lie(self) -> int:
        """It does not give what it says."""
        return "no number"

    @secretary_tool
    def leave(self) -> int:
        """It ends the process, or tries to."""
        raise SystemExit(3)

    @secretary_tool
    def sleep(self, seconds: int) -> str:
        """Runs sleep.
        seconds: how long."""
        return self.system.run("sleep", str(seconds)).text()

    @secretary_tool
    def quotes(self, count: int) -> list[str]:
        """Texts that grow when they are escaped.
        count: how many."""
        return ['"' * 60] * count

    @dispatch_tool
    def submit(self, words: list[str]) -> list[str]:
        """Gives the words back.
        words: any."""
        return words
'''
BROKEN = "print('before it breaks')\nraise SystemExit(4)\n"


class RawClient:
    """A server as a process, and what it writes, line by line: each must be a message."""

    def __init__(self, command: list[str], environ: dict[str, str]) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, env=environ, stdin=pipe, stdout=pipe, stderr=pipe)
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.noise = b""
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._read, self._drain)]
        for thread in self._threads:
            thread.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self._lines.put(line)
        self._lines.put(b"")

    def _drain(self) -> None:
        self.noise = self.process.stderr.read() if self.process.stderr else b""

    def write(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, **message: Any) -> None:
        self.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    def receive(self) -> dict[str, Any]:
        line = self._lines.get(timeout=PATIENCE)
        assert len(line) < 60_000
        message: dict[str, Any] = json.loads(line)
        assert message["jsonrpc"] == "2.0"
        return message

    def answer(self, number: int) -> dict[str, Any]:
        """The answer to a request; what comes before it is dropped."""
        while True:
            message = self.receive()
            if message.get("id") == number:
                return message

    def start(self) -> dict[str, Any]:
        client = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
        self.send(id=0, method="initialize", params=client)
        answer = self.answer(0)
        self.send(method="notifications/initialized")
        return answer

    def call(self, number: int, name: str, **arguments: Any) -> dict[str, Any]:
        self.send(id=number, method="tools/call", params={"name": name, "arguments": arguments})
        answer: dict[str, Any] = self.answer(number)["result"]
        return answer

    def end(self) -> tuple[int, list[bytes], str]:
        """Close its input: its exit code, the lines that it still wrote, and its stderr."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.finish()

    def finish(self) -> tuple[int, list[bytes], str]:
        code = self.process.wait(PATIENCE)
        for thread in self._threads:
            thread.join(PATIENCE)
        rest = []
        while not self._lines.empty():
            rest.append(self._lines.get())
        return code, [line for line in rest if line], self.noise.decode(errors="replace")


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    """A path entry with a noisy provider and one that ends the process when it is imported."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "resource_secretary_noisy.py").write_text(NOISY)
    (folder / "resource_secretary_broken.py").write_text(BROKEN)
    return folder


@pytest.fixture
def environ(tmp_path: Path, plugins: Path) -> dict[str, str]:
    """The environment of a server that has these plugins, no cache, and only the commands of POSIX."""
    paths = os.pathsep.join(filter(None, (str(plugins), os.environ.get("PYTHONPATH", ""))))
    kept = {name: value for name, value in os.environ.items() if name != "RESOURCE_SECRETARY_TOKEN"}
    return kept | {"PYTHONPATH": paths, "XDG_CACHE_HOME": str(tmp_path / "cache"), "XDG_RUNTIME_DIR": str(tmp_path)}


@pytest.fixture
def serve(environ: dict[str, str]) -> Iterator[Callable[..., RawClient]]:
    started: list[RawClient] = []

    def start(*options: str, **variables: str) -> RawClient:
        started.append(RawClient([sys.executable, *MAIN, "serve", *options], environ | variables))
        return started[-1]

    yield start
    for client in started:
        if client.process.poll() is None:
            client.process.kill()
        client.finish()
        for stream in (client.process.stdin, client.process.stdout, client.process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
