"""Batch scripts explained and converted, against Flux's own reader: `python bench_scripts.py [--json FILE]`.

Everything goes through the command line, files in and files out: what is measured is what a user waits for, the start
of Python included, as processor time. Where Flux is installed `flux batch --dry-run` reads a sample of the very files
that came out. Memory is the peak of a process that reads few files, and of one that reads many.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

FILES, FEW, SAMPLE, ROUNDS = 4000, 400, 20, 3
CORPUS = Path(__file__).resolve().parents[4] / "shared" / "corpus" / "directives.jsonl"


def corpus() -> list[str]:
    """The Slurm scripts of the corpus, or where it is absent as many made of the options that people use."""
    if CORPUS.is_file():
        rows = [row for row in map(json.loads, CORPUS.open()) if row["system"] == "slurm"]
        return [rebuilt(row) for row in rows]
    dice = random.Random(1)
    return [made(dice) for _ in range(800)]


def rebuilt(row: dict[str, Any]) -> str:
    """A script from its directive lines, with a launch line and a variable so that the body has work too."""
    before = [line["text"] for line in row["lines"] if not line["after_command"]]
    after = [line["text"] for line in row["lines"] if line["after_command"]]
    body = ["module load gcc", "cd $SLURM_SUBMIT_DIR", "srun -n 4 ./a.out"]
    return "\n".join([row.get("shebang") or "#!/bin/bash", *before, *body, *after]) + "\n"


def made(dice: random.Random) -> str:
    lines = [
        f"--job-name=job{dice.randrange(1000)}",
        f"--nodes={dice.randrange(1, 9)}",
        f"--ntasks-per-node={dice.choice((1, 4, 16, 32))}",
        f"--time={dice.randrange(1, 48)}:00:00",
        f"--mem={dice.randrange(1, 64)}G",
        dice.choice(("--partition=batch", "--exclusive", "--gres=gpu:1", "--mail-type=END,FAIL")),
        "--output=job-%j.out # the log",
    ]
    directives = "".join(f"#SBATCH {line}\n" for line in lines)
    return f"#!/bin/bash\n{directives}module load gcc\ncd $SLURM_SUBMIT_DIR\nsrun ./a.out\n"


def command(*arguments: str) -> tuple[float, int]:
    """(seconds, peak memory in bytes) of one run of our command line."""
    # 1: a script of the corpus that Slurm refuses
    return measured([sys.executable, "-c", "from jobspec.cli import main; main()", *arguments], allowed=(0, 1))


def measured(argv: list[str], allowed: tuple[int, ...] = (0,)) -> tuple[float, int]:
    """(seconds of processor time, peak memory in bytes) of a process and all that it started."""
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in allowed:
        raise SystemExit(f"{' '.join(argv[:4])} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def flux_rate(folder: Path) -> float | None:
    """Files a second that Flux itself reads, None without it."""
    if not shutil.which("flux"):
        return None
    files = sorted(folder.rglob("*.flux"))[:SAMPLE]
    return len(files) / sum(measured(["flux", "batch", "--dry-run", str(file)])[0] for file in files)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json")
    where = parser.parse_args().json
    texts = corpus()
    with tempfile.TemporaryDirectory() as temporary:
        source, target = Path(temporary, "in"), Path(temporary, "out")
        source.mkdir()
        names = []
        for number in range(FILES):
            path = source / f"{number:05}.sbatch"
            path.write_text(texts[number % len(texts)], errors="surrogateescape")
            names.append(str(path))
        convert = ("convert", "--to", "flux", "--out-dir", str(target))
        explained = min(command("explain", "--json", *names) for _ in range(ROUNDS))
        converted = min(command(*convert, *names) for _ in range(ROUNDS))
        few = command(*convert, *names[:FEW])[1]
        theirs = flux_rate(target)
    result = {
        "files": FILES,
        "explain_per_s": round(FILES / explained[0]),
        "convert_per_s": round(FILES / converted[0]),
        "flux_batch_dry_run_per_s": theirs and round(theirs, 1),
        "convert_ratio_to_flux": theirs and round(FILES / converted[0] / theirs),
        "memory_growth_per_file": round((converted[1] - few) / (FILES - FEW)),
    }
    rows = [
        ("explain (scripts a second)", f"{result['explain_per_s']}", "at least 2,000"),
        ("convert --to flux (scripts a second)", f"{result['convert_per_s']}", "at least 1,000"),
        ("flux batch --dry-run (scripts a second)", "not installed" if theirs is None else f"{theirs:.1f}", ""),
        ("ratio to it", "-" if theirs is None else f"{result['convert_ratio_to_flux']}", ""),
        (f"memory, {FEW} files and {FILES} (MB)", f"{few / 2**20:.1f}, {converted[1] / 2**20:.1f}", "does not grow"),
    ]
    width = max(len(row[0]) for row in rows)
    print(f"{FILES} Slurm scripts, for each second of one core ({os.uname().machine})")
    for name, value, wanted in rows:
        print(f"  {name:<{width}}  {value:>16}  {wanted}".rstrip())
    if where:
        Path(where).write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
