"""`resource-secretary detect` on this machine against the early prototype: `python bench_detect.py [--json FILE]`.

Both are run by their own entry point, in a process of its own, several times in turns; the first time in each process
is not counted, so that what is compared is the work beyond interpreter and imports. The prototype (0.0.11) is installed
from the package index into an environment beside the results, with the four packages that it does not declare. Where
Flux, Slurm and Grid Engine are installed, throwaway ones are started, so that both have something to ask.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.append(str(ROOT / "integration"))  # the package `engines`
PROTOTYPE = ("resource-secretary==0.0.11", "pyyaml", "jinja2", "psutil", "rich")
ROUNDS, TIMES = 5, 3
STUBS = ("flux", "scontrol", "kubectl", "nvidia-smi", "podman")  # each asleep for 30 s
DEADLINE = 2.0  # seconds, as `detect` has it
# Prints the seconds that each call of the command took, the first one left out.
CHILD = """
import contextlib, io, sys, time
from importlib.metadata import entry_points
[entry] = [e for e in entry_points(group="console_scripts") if e.name == "resource-secretary"]
main = entry.load()
times = int(sys.argv[1])
words = sys.argv[2:]
for number in range(times + 1):
    sys.argv = ["resource-secretary", *words]
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        with contextlib.suppress(SystemExit):
            main()
    if number:
        print(time.perf_counter() - start)
"""
IMPORT = (
    "import time; start = time.perf_counter(); from resource_secretary import Secretary;"
    "print(time.perf_counter() - start)"
)


def seconds(python: str, *words: str, times: int = TIMES, **environ: str) -> list[float]:
    """What each call took."""
    command = [python, "-c", CHILD, str(times), *words]
    done = subprocess.run(command, env={**os.environ, **environ}, capture_output=True, text=True, check=True)
    return [float(line) for line in done.stdout.split()]


def prototype() -> str | None:
    """The interpreter of an environment that has it, None where it can't be installed."""
    folder = ROOT / "build" / "bench" / "prototype-0.0.11"
    python = folder / "bin" / "python"
    if not (folder / "ready").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        made = [sys.executable, "-m", "venv", str(folder)], [str(python), "-m", "pip", "install", "-q", *PROTOTYPE]
        for command in made:
            if subprocess.run(command, check=False).returncode:
                return None
        (folder / "ready").touch()
    return str(python)


@contextlib.contextmanager
def engines() -> Iterator[str]:
    """Slurm and Grid Engine, throwaway ones that the environment leads to; yields which of them are here."""
    from engines import gridengine, missing, slurm

    there = ["Flux" if "FLUX_URI" in os.environ else "no Flux"]
    with contextlib.ExitStack() as stack:
        if lacking := missing("slurm"):
            there.append(f"no Slurm (missing: {', '.join(lacking)})")
        else:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-slurm-"))
            os.environ.update(stack.enter_context(slurm.slurm(Path(folder))).environ)
            there.append("Slurm")
        if lacking := missing("gridengine"):
            there.append(f"no Grid Engine (missing: {', '.join(lacking)})")
        else:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-sge-"))
            os.environ.update(stack.enter_context(gridengine.gridengine(Path(folder))).environ)
            there.append("Grid Engine")
        yield ", ".join(there)


def stubbed(folder: Path) -> float:
    """The longest that `detect` took where five tools hang."""
    for name in STUBS:
        (folder / name).write_text("#!/bin/sh\nexec sleep 30\n")
        (folder / name).chmod(0o755)
    path = f"{folder}:/usr/bin:/bin"
    return max(seconds(sys.executable, "detect", "--refresh", times=2, PATH=path))


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--json", metavar="FILE")
    given = options.parse_args()
    if shutil.which("flux") and "FLUX_URI" not in os.environ:
        os.execvp("flux", ["flux", "start", "--test-size=4", sys.executable, *sys.argv])
    with tempfile.TemporaryDirectory(prefix="bench-detect-") as folder, engines() as there:
        os.environ["XDG_CACHE_HOME"] = folder
        old = prototype()
        rounds: list[dict[str, float]] = []
        for _ in range(ROUNDS):
            one = {
                "cold": statistics.median(seconds(sys.executable, "detect", "--refresh")),
                "cached": statistics.median(seconds(sys.executable, "detect")),
            }
            if old:
                one["prototype"] = statistics.median(seconds(old, "detect"))
            rounds.append(one)
        (Path(folder) / "bin").mkdir()
        hanging = stubbed(Path(folder) / "bin")
        imports = [
            float(subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, check=True).stdout)
            for _ in range(20)
        ]
    middle = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    print(f"detect, beyond interpreter and imports, {ROUNDS} rounds; here: {there}")
    for name, seen in middle.items():
        print(f"  {name:<10} {seen * 1000:8.1f} ms")
    ratios = {
        name: statistics.median(one["prototype"] / one[name] for one in rounds) for name in ("cold", "cached") if old
    }
    for name, least in (("cold", 4), ("cached", 20)):
        told = f"{ratios[name]:.1f} times as fast as the prototype" if old else "the prototype can't be installed"
        print(f"  {name}: {told} (at least {least})")
    print(f"five tools that hang: {hanging:.2f} s (under {DEADLINE + 0.5})")
    print(f"from resource_secretary import Secretary: {statistics.median(imports) * 1000:.1f} ms (under 40)")
    if given.json:
        result = {
            "benchmark": "detect",
            "engines": there,
            "milliseconds": {name: round(seen * 1000, 2) for name, seen in middle.items()},
            "ratios": {name: round(ratio, 2) for name, ratio in ratios.items()},
            "seconds_with_five_that_hang": round(hanging, 3),
            "import_milliseconds": round(statistics.median(imports) * 1000, 2),
        }
        Path(given.json).write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
