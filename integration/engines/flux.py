"""A Flux instance of several brokers on this host, for as long as a `with` lasts."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def flux(folder: Path, size: int = 4, patience: float = 60) -> Iterator[dict[str, str]]:
    """Start one in an empty folder and end it. Gives the environment that reaches it.

    Raises TimeoutError where it is not up within `patience` seconds.
    """
    told, log = folder / "uri", folder / "log"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("FLUX_")}
    # It lasts until the pipe is closed: that ends its first program, and with it every broker.
    command = ["flux", "start", f"--test-size={size}", "sh", "-c", f"flux getattr local-uri > '{told}'; exec cat"]
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=file, stderr=file)
    try:
        end = time.monotonic() + patience
        while not (told.is_file() and told.read_text().endswith("\n")):
            if process.poll() is not None or time.monotonic() > end:
                raise TimeoutError(f"flux start: no instance\n{log.read_text(errors='replace')}")
            time.sleep(0.1)
        yield {"FLUX_URI": told.read_text().strip()}
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
