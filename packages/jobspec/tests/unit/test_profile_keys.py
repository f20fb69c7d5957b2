"""Every key of a profile changes what is read or written, and is documented."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from jobspec.convert import convert
from jobspec.profile import DEFAULT, Profile, load_profile
from jobspec.readers import read

# key, value, source, directives and body, target, what is written with it only
EFFECTS = [
    ("queues", "{long: week}", "slurm", "#SBATCH -p long", "pbspro", "#PBS -q week"),
    ("accounts", "{a: b}", "slurm", "#SBATCH -A a", "flux", "# flux: --bank=b"),
    ("qos", "{a: b}", "slurm", "#SBATCH -q a", "slurm", "#SBATCH --qos=b"),
    ("constraints", "{ib: edr}", "slurm", "#SBATCH -C ib", "flux", "# flux: --requires=edr"),
    ("gpu_types", "{a100: big}", "slurm", "#SBATCH --gpus-per-node=a100:2", "slurm", "#SBATCH --gpus-per-node=big:2"),
    ("nodes", "{n1: m1}", "slurm", "#SBATCH -w n1", "slurm", "#SBATCH --nodelist=m1"),
    ("modules", "{gcc/9: gcc/12}", "slurm", "#SBATCH -n 1\nmodule load gcc/9", "slurm", "module load gcc/12"),
    ("parallel_environments", "{smp: threads}", "slurm", "#SBATCH -N 1 -n 4", "gridengine", "#$ -pe threads 4"),
    ("default_queue", "debug", "slurm", "#SBATCH -n 1", "lsf", "#BSUB -q debug"),
    ("default_account", "me", "slurm", "#SBATCH -n 1", "flux", "# flux: --bank=me"),
    ("cores_per_node", "64", "slurm", "#SBATCH -n 65", "cobalt", "#COBALT -n 2"),
    ("gpus_per_node", "4", "slurm", "#SBATCH -n 8 --gpus-per-task=1", "cobalt", "#COBALT -n 2"),
    ("memory_per_node", "100GB", "slurm", "#SBATCH -N 1 --mem=0", "pbspro", "#PBS -l select=1:ncpus=1:mem=97656250kb"),
    ("memory_units", "{lsf: GB}", "lsf", "#BSUB -n 1\n#BSUB -M 2", "slurm", "#SBATCH --mem-per-cpu=2G"),
    ("memory_per", "{lsf: job}", "lsf", "#BSUB -n 2\n#BSUB -M 2GB", "pbspro", "2gb"),
    ("gpus_as", "gres", "slurm", "#SBATCH -N 1 --gpus-per-node=4", "slurm", "#SBATCH --gres=gpu:4"),
    ("array_cap", "10", "slurm", "#SBATCH -a 1-12", "slurm", "#SBATCH --array=0-2"),
    ("options", "{slurm: [image]}", "slurm", "#SBATCH --image=x", "slurm", "#SBATCH --image=x"),
    ("clusters", "[c1]", "slurm", "#SBATCH -M c1", "slurm", "#SBATCH --clusters=c1"),
    ("image", "site/image", "slurm", "#SBATCH -n 1", "kubernetes", "        image: site/image"),
]


def written(script: str, source: str, target: str, profile: Profile) -> str:
    reading = read(script, source, profile)
    if not reading.accepted:
        return "refused"
    return "".join(file.text for file in convert(script, reading, target, profile, file="a.sh").files)


@pytest.mark.parametrize(("key", "value", "source", "lines", "target", "wanted"), EFFECTS)
def test_every_key_has_an_effect(key: str, value: str, source: str, lines: str, target: str, wanted: str) -> None:
    more = "\nparallel_environments: {mpi: x}" if target == "gridengine" and key != "parallel_environments" else ""
    profile = load_profile(f"{key}: {value}{more}")
    script = f"#!/bin/sh\n{lines}\n:\n"
    try:
        before = written(script, source, target, DEFAULT)
    except Exception as error:
        assert key == "parallel_environments", error
        before = ""
    assert wanted not in before
    assert wanted in written(script, source, target, profile)


def test_no_key_is_without_an_effect_or_undocumented() -> None:
    keys = {field.name for field in fields(Profile)}
    assert {row[0] for row in EFFECTS} == keys
    manual = Path(__file__).resolve().parents[4] / "docs" / "converting.md"
    if not manual.is_file():
        pytest.skip("the documents are not beside this package")
    text = manual.read_text()
    assert not [key for key in keys if f"`{key}`" not in text]
