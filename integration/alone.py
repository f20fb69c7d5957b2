"""Prove that one distribution is useful alone: `alone.py DISTRIBUTION whl|tar.gz DIST_FOLDER EMPTY_FOLDER`.

It is installed from DIST_FOLDER into a new virtual environment in EMPTY_FOLDER. Only hpc-resources
and third parties may come along; its commands then answer there, with no source tree in reach.
Standard library only. Exits 1 with the first thing that is not so.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
BASE = "hpc-resources"
# What each one does for somebody who has nothing else; the named files are copied from examples/.
USEFUL = {
    "hpc-resources": (["resources", "parse", "cores=4 memory=8GB walltime=1:00:00", "--json"], ""),
    "resource-secretary": (["resource-secretary", "offer", "--json"], ""),
    "jobspec": (["jobspec", "request", "batch-script.sh"], "batch-script.sh"),
    "ensemble-python": (
        ["ensemble", "run", "hello-world.yaml", "--member", "local", "--dir", "run"],
        "hello-world.yaml",
    ),
    "flux-burst": (["flux-burst", "plan", "--queue", "queue.jsonl", "--plugin", "mock", "--json"], "queue.jsonl"),
}
# Runs inside the new environment: what is installed there, and the commands of the distribution.
LOOK = """
import importlib.metadata as m, json, sys
names = sorted(d.metadata["Name"] for d in m.distributions())
dist = m.distribution(sys.argv[1])
scripts = sorted(e.name for e in dist.entry_points if e.group == "console_scripts")
modules = sorted({f.parts[0] for f in dist.files if f.parts[0].isidentifier()})
for module in modules:
    __import__(module)
print(json.dumps({"names": names, "version": dist.version, "scripts": scripts,
                  "places": [sys.modules[module].__file__ for module in modules]}))
"""


class NotAlone(Exception):
    """What was found to be wrong."""


def run(argv: list[str], folder: Path) -> str:
    """Run one command in the folder and give its stdout. Raises NotAlone unless it exits 0."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    environment["PATH"] = f"{folder / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        argv, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300
    )
    if done.returncode:
        raise NotAlone(f"`{' '.join(argv)}` exited {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def the_one(dist: Path, name: str, kind: str) -> Path:
    """The one archive of a distribution in a folder."""
    found = sorted(dist.glob(f"{name.replace('-', '_')}-*.{kind}"))
    if len(found) != 1:
        raise NotAlone(f"one {kind} of {name} is needed in {dist}, there are {len(found)}")
    return found[0].resolve()


def check(name: str, kind: str, dist: Path, folder: Path) -> str:
    """Install it, ask it, and say in one line what was seen."""
    archive, base = the_one(dist, name, kind), the_one(dist, BASE, "whl")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    python = str(folder / "venv" / "bin" / "python")
    # hpc-resources comes because it is needed, and then from the wheel beside it, whatever the index has.
    (folder / "constraints.txt").write_text(f"{BASE} @ {base.as_uri()}\n")
    constraints = [] if name == BASE else ["--constraint", "constraints.txt"]
    run([python, "-m", "pip", "install", "--quiet", *constraints, str(archive)], folder)
    seen = json.loads(run([python, "-c", LOOK, name], folder))
    if unwanted := set(seen["names"]) & (set(USEFUL) - {name, BASE}):
        raise NotAlone(f"{name} brought along {', '.join(sorted(unwanted))}")
    if strays := [place for place in seen["places"] if not Path(place).is_relative_to(folder.resolve())]:
        raise NotAlone(f"imported from outside of the environment: {', '.join(strays)}")
    for script in seen["scripts"]:
        program = str(folder / "venv" / "bin" / script)
        if not run([program, "--help"], folder).strip():
            raise NotAlone(f"`{script} --help` says nothing")
        if seen["version"] not in (said := run([program, "--version"], folder)):
            raise NotAlone(f"`{script} --version` says {said.strip()!r}, installed is {seen['version']}")
    argv, example = USEFUL[name]
    if example:
        (folder / example).write_bytes((EXAMPLES / example).read_bytes())
    answer = run(argv, folder)
    if not answer.strip():
        raise NotAlone(f"`{' '.join(argv)}` answers nothing")
    if "--json" in argv:
        json.loads(answer)
    return f"{archive.name}: alone with {len(seen['names'])} distributions; `{' '.join(argv)}` answers"


def main() -> int:
    name, kind, dist, folder = sys.argv[1:]
    try:
        print(check(name, kind, Path(dist), Path(folder)))
    except NotAlone as error:
        print(f"{name} ({kind}): {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
