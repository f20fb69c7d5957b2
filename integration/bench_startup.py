"""How long every CLI's `--help` takes, beside a bare `python -c pass` of the same run.

Best of N, because what else the machine does can only add. The commands are those that are
installed beside the interpreter that runs this. With `--json FILE` the numbers are written too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

COMMANDS = ("resources", "resource-secretary", "jobspec", "ensemble", "flux-burst")
LIMIT = 100.0  # ms beyond the bare interpreter


def best(argv: list[str], runs: int) -> float:
    """The shortest of several runs, in milliseconds; one before them fills the byte code caches."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    times = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        subprocess.run(argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - start)
    return min(times[1:]) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description="How long every CLI's --help takes beside `python -c pass`.")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--runs", type=int, default=15)
    options = parser.parse_args()
    bare = best([sys.executable, "-c", "pass"], options.runs)
    rows = []
    print(f"{'command':<28}{'ms':>8}{'beyond bare':>13}{'ratio':>7}  within {LIMIT:.0f} ms")
    print(f"{'python -c pass':<28}{bare:>8.1f}")
    for command in COMMANDS:
        took = best([str(Path(sys.executable).parent / command), "--help"], options.runs)
        beyond = took - bare
        rows.append({"command": command, "ms": took, "beyond_ms": beyond, "ratio": took / bare})
        within = "yes" if beyond <= LIMIT else "NO"
        print(f"{command + ' --help':<28}{took:>8.1f}{beyond:>13.1f}{took / bare:>7.1f}  {within}")
    if options.json:
        result = {"benchmark": "startup", "bare_ms": bare, "limit_ms": LIMIT, "runs": options.runs, "rows": rows}
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
