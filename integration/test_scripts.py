"""Batch scripts and jobspecs give the same on Slurm and on Flux: what they print, where, and their exit codes.

The scripts have what public ones have: the directives, and the ways to write them, that are found most often.
"""

from __future__ import annotations

import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from desk import Desk, desk, until
from engines import slurm

HERE = Path(__file__).resolve().parent
SCRIPTS = sorted(path.name for path in (HERE / "scripts").iterdir() if path.suffix)
Told = tuple[int, dict[str, list[str]]]  # the exit code, and the lines of each file that was written
# A batch job of Flux is an instance, whose broker says that the script has failed; srun says that it waits for a core
# that the step before it had.
NOTICE = re.compile(r" broker\.err\[0\]: rc2\.0: |^srun: (Job \d+ step creation|Step created)")
pytestmark = [pytest.mark.needs("flux", "slurm"), pytest.mark.timeout(900)]  # all scripts run before the first test


def place(user: Desk, name: str) -> Path:
    """A folder of its own for one run of a script, with what the script expects there."""
    made = user.work / name
    (made / "log" / "slurm").mkdir(parents=True)
    shutil.copy(HERE / "scripts" / "solve", made)
    return made


def convert(user: Desk, source: Path, to: str, folder: Path) -> str:
    """Say a script to another system; gives the report."""
    done = user.ask("jobspec", "convert", "--to", to, str(source))
    assert done.returncode == 0, done.stderr
    (folder / "job").write_text(done.stdout)
    return done.stderr


def submit(user: Desk, folder: Path) -> str:
    """Submit the script there to the system that the folder is named for; gives the job's id."""
    argv = ("flux", "batch", "job") if folder.name.endswith("flux") else ("sbatch", "--parsable", "job")
    done = user.ask(*argv, where=folder.name)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def told(user: Desk, folder: Path, job: str) -> Told:
    """Wait for a job. `ID` stands for its id, and lines of tasks side by side have no order."""
    if folder.name.endswith("flux"):
        code = user.ask("flux", "job", "status", job).returncode
    else:
        state = ("squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%T")
        until(lambda: user(*state).strip() in ("COMPLETED", "FAILED"), lambda: user(*state))
        code = int(re.findall(r" ExitCode=(\d+):0 ", user("scontrol", "show", "job", "--oneliner", job))[0])
    files = {}
    for file in sorted(folder.rglob("*")):
        name = str(file.relative_to(folder))
        if file.is_file() and name not in ("solve", "job"):
            # Each system has its own name for output that nobody has given one.
            name = re.sub("^(slurm|flux)-(?=ID)", "", name.replace(job, "ID"))
            files[name] = sorted(line for line in file.read_text().splitlines() if not NOTICE.search(line))
    return code, files


@pytest.fixture(scope="module")
def results(flux_of_four: dict[str, str], slurm_of_four: slurm.Cluster) -> Iterator[dict[str, Told]]:
    """What became of each script on each system, `NAME slurm` and `NAME flux`, all of them side by side.

    `NAME back` is what Flux was told, said to Slurm again; it is not there where the report tells that the script asks
    Flux itself.
    """
    jobs: dict[Path, str] = {}
    with desk({**flux_of_four, **slurm_of_four.reach}) as user:
        for name in SCRIPTS:
            on_slurm, on_flux, back = (place(user, f"{name} {where}") for where in ("slurm", "flux", "back"))
            if name.endswith(".sbatch"):
                shutil.copy(HERE / "scripts" / name, on_slurm / "job")
            else:
                convert(user, HERE / "scripts" / name, "slurm", on_slurm)
            convert(user, HERE / "scripts" / name, "flux", on_flux)
            jobs |= {folder: submit(user, folder) for folder in (on_slurm, on_flux)}
            if "a command of Flux" not in convert(user, on_flux / "job", "slurm", back):
                jobs[back] = submit(user, back)
        yield {folder.name: told(user, folder, job) for folder, job in jobs.items()}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_batch_script_does_the_same_on_slurm_and_on_flux(results: dict[str, Told], name: str) -> None:
    code, files = results[f"{name} slurm"]
    assert any(files.values()), "nothing was printed"
    assert results[f"{name} flux"] == (code, files)
    assert results.get(f"{name} back", (code, files)) == (code, files)


def test_what_scripts_print_is_what_they_say(results: dict[str, Told]) -> None:
    """Two systems could be wrong alike: so this is written out."""
    assert results["lattice.sbatch flux"] == (
        0,
        {
            "lattice-ID.log": sorted(
                ["lattice: 4 tasks on 2 nodes, 1 thread each"]
                + [f"rank {rank} of 4 on node {rank // 2}, local {rank % 2}" for rank in range(4)]
                + [f"step {step} of 3" for step in (1, 2, 3)]
            )
        },
    )
    assert results["export.sbatch flux"][0] == 7
    assert sum(name.endswith(" back") for name in results) >= 4


@pytest.mark.parametrize("name", ["hello-world-wait-jobspec.yaml", "groups-jobspec.yaml"])
def test_a_jobspec_runs_alike_on_slurm_on_flux_and_here(
    flux_of_four: dict[str, str], slurm_of_four: slurm.Cluster, root: Path, name: str
) -> None:
    with desk({**flux_of_four, **slurm_of_four.reach}) as user:
        shutil.copy(root / "examples" / name, user.work)
        printed = {}
        for where in ("slurm", "flux", "local"):
            told = user("jobspec", "run", "-t", where, name).splitlines()
            # A job's id is its system's own, and tasks side by side have no order.
            printed[where] = sorted(re.sub(r"^(=> step \w+) \S+ OK$", r"\1 JOB OK", line) for line in told)
    assert sum(line.endswith("OK") for line in printed["local"]) > 2
    assert printed["slurm"] == printed["flux"] == printed["local"]
    wanted = (
        {"run 0", "run 1", "collected", "done"} if "groups" in name else {f"hello world from {socket.gethostname()}"}
    )
    assert wanted < set(printed["slurm"])
