"""A mutation run: small changes of the code, one at a time, each of which some test should notice.

mutmut makes the changes and runs the tests, on a copy of the package in build/mutation/TARGET: the tree is never
touched. Targets and settings are in mutation.toml beside this file. Of each target a sample is tried, drawn with
--seed: the same code, seed and size give the same mutants. What has been tried is not tried again, so that a run that
was broken off goes on, and a larger --sample adds to a smaller one; --again tries those that survived, for which a test
may have been written since, and --fresh forgets everything.

The report is printed and written to build/mutation/TARGET.txt: the counts, then the diff of every mutant that survived.
It fails nothing: whether a survivor is a gap in the tests or means the same as the code is for a reader to say.

mutmut changes what is in functions, without those that have a decorator (properties, class methods), and neither
constants nor tables of a module.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "mutation"
UNTRIED = "not checked"
NOTICED = ("killed", "timeout")
# mutmut wraps each function, which takes twice as much of the stack; tests of how deep something may be need the rest.
DEEPER = "\nimport sys as _sys\n\n_sys.setrecursionlimit(2 * _sys.getrecursionlimit())\n"


@dataclass(frozen=True, slots=True)
class Target:
    name: str
    package: str
    source: list[str]
    tests: list[str]
    leave: list[str]
    environment: dict[str, str]

    @property
    def folder(self) -> Path:
        """Where mutmut works. Its copy is one folder deeper: tests that look for the repository find `packages`."""
        return BUILD / self.name / "packages" / self.package

    def prepare(self, settings: dict[str, Any]) -> None:
        """Bring the copy up to date with the tree."""
        origin = ROOT / "packages" / self.package
        self.folder.mkdir(parents=True, exist_ok=True)
        unwanted = shutil.ignore_patterns("__pycache__", ".hypothesis")
        for kind in ("src", "tests"):
            shutil.rmtree(self.folder / kind, ignore_errors=True)
            shutil.copytree(origin / kind, self.folder / kind, ignore=unwanted)
        shutil.rmtree(self.folder / "mutants" / "tests", ignore_errors=True)
        with (self.folder / "tests" / "conftest.py").open("a") as conftest:
            conftest.write(DEEPER)
        examples = self.folder.parent / "examples"
        if not examples.is_symlink():
            examples.symlink_to(ROOT / "examples")
        of_mutmut = {
            "source_paths": ["src/"],
            "only_mutate": [f"src/{file}" for file in self.source],
            "pytest_add_cli_args_test_selection": [f"tests/{file}" for file in self.tests],
            "pytest_add_cli_args": [f"--deselect=tests/{test}" for test in self.leave],
            "use_git_change_detection": False,
            "timeout_constant": settings["timeout_constant"],
            "timeout_multiplier": settings["timeout_multiplier"],
        }
        lines = [f"{key} = {json.dumps(value)}" for key, value in of_mutmut.items()]
        pytest = '[tool.pytest.ini_options]\naddopts = ["--import-mode=importlib", "-p", "no:cacheprovider"]\n'
        (self.folder / "pyproject.toml").write_text("\n".join(["[tool.mutmut]", *lines, "", pytest]))

    def mutmut(self, *arguments: str, seconds: float | None = None) -> str:
        """Run it; what it printed. After so many seconds it is ended: what it has found until then is kept."""
        command = [sys.executable, "-m", "mutmut", *arguments]
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env={**os.environ, "HYPOTHESIS_PROFILE": "first", **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )
        try:
            return process.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            return ""
        finally:
            with contextlib.suppress(ProcessLookupError):  # the one that tries a mutant outlives it
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def results(self) -> dict[str, str]:
        """Every mutant and what came of it: killed, survived, timeout, no tests, suspicious, not checked."""
        lines = self.mutmut("results", "--all", "true").splitlines()
        return {name: outcome for name, _, outcome in (line.strip().rpartition(": ") for line in lines) if name}

    def run(self, sample: int, seed: int, again: bool, seconds: float) -> dict[str, str]:
        """Try a sample for so long and give its results.

        Raises SystemExit if the tests fail without any change, with mutmut's words above it.
        """
        said = self.mutmut("run", "--max-children", "1", "none-is-called-this")
        known = self.results()
        everything = sorted(known)
        if "failed to collect stats" in said or not everything:
            raise SystemExit(f"{said[-4000:]}\n{self.name}: the tests must pass before the code is changed")
        chosen = random.Random(seed).sample(everything, len(everything))[:sample]
        wanted = [name for name in chosen if known[name] == UNTRIED or (again and known[name] not in NOTICED)]
        if wanted:
            self.mutmut("run", "--max-children", "1", *wanted, seconds=seconds)
        results = self.results()
        return {name: results[name] for name in sorted(chosen)}

    def report(self, results: dict[str, str], of: int) -> str:
        """The counts, those of each module, and the diffs of what survived."""
        counts = Counter(results.values())
        tried = len(results) - counts[UNTRIED]
        parts = [f"{self.name}: {tried} of {of} mutants; {told(counts)}"]
        modules: dict[str, Counter[str]] = {}
        for name, outcome in results.items():
            modules.setdefault(name.partition(".x")[0], Counter())[outcome] += 1
        parts += [f"  {module}: {told(outcomes)}" for module, outcomes in sorted(modules.items())]
        alive = [name for name, outcome in results.items() if outcome not in (*NOTICED, UNTRIED)]
        parts += [self.mutmut("show", name) for name in alive]
        return "\n".join(parts)


def told(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {outcome}" for outcome, number in counts.most_common())


def main() -> None:
    with Path(__file__).with_suffix(".toml").open("rb") as file:
        found = tomllib.load(file)
    settings = found.pop("tool")
    parser = argparse.ArgumentParser(prog="mutation", description="Change the code, see whether a test notices.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(found)}; all of them by default")
    parser.add_argument("--sample", type=int, default=settings["sample"], help="mutants of each target (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="which ones (%(default)s)")
    parser.add_argument(
        "--minutes",
        type=float,
        default=settings["minutes"],
        help="for each target, and what the clean tests take (%(default)s)",
    )
    parser.add_argument("--again", action="store_true", help="try those that survived once more")
    parser.add_argument("--fresh", action="store_true", help="try again what has been tried")
    options = parser.parse_args()
    if unknown := set(options.targets) - set(found):
        parser.error(f"no target {', '.join(sorted(unknown))}: there are {', '.join(found)}")
    for name in options.targets or found:
        target = Target(name, **found[name])
        if options.fresh:
            shutil.rmtree(BUILD / name, ignore_errors=True)
        target.prepare(settings)
        results = target.run(options.sample, options.seed, options.again, 60 * options.minutes)
        report = target.report(results, len(target.results()))
        (BUILD / f"{name}.txt").write_text(report + "\n")
        print(report, flush=True)


if __name__ == "__main__":
    main()
