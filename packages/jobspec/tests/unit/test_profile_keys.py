"""Every key of a profile changes what is read or written, and is documented."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from jobspec.convert import convert
from jobspec.errors import JobspecError
from jobspec.profile import Profile, load_profile
from jobspec.readers import read
from jobspec.report import Entry

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
    ("memory_per_node", "100GB", "slurm", "#SBATCH -N 1 --mem=0", "pbspro", "#PBS -l select=1:ncpus=1:mem=100gb"),
    ("memory_units", "{lsf: GB}", "lsf", "#BSUB -n 1\n#BSUB -M 2", "slurm", "#SBATCH --mem-per-cpu=2G"),
    ("memory_per", "{lsf: job}", "lsf", "#BSUB -n 2\n#BSUB -M 2GB", "pbspro", "mem=1gb"),
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
    common = "cores_per_node: 64\n" if key == "gpus_per_node" else ""
    script = f"#!/bin/sh\n{lines}\n:\n"
    try:
        before = written(script, source, target, load_profile(common))
    except JobspecError as error:
        assert key == "parallel_environments", error
        before = ""
    assert wanted not in before
    assert wanted in written(script, source, target, load_profile(f"{common}{key}: {value}"))


# A center that keeps its scheduler: queue, account, feature and host in the words of each.
SAME = [
    ("slurm", "#SBATCH -p q1 -A a1\n#SBATCH -C f1&g1\n#SBATCH -w n1,n3 -x n[1-2]"),
    ("pbspro", "#PBS -q q1 -A a1\n#PBS -l select=1:ncpus=1:f1=true:host=n1"),
    ("torque", "#PBS -q q1 -A a1\n#PBS -l nodes=1:f1:ppn=2+n1"),
    ("lsf", '#BSUB -q q1 -P a1\n#BSUB -R "select[f1 && g1]"\n#BSUB -m n1'),
    ("gridengine", "#$ -q q1\n#$ -A a1\n#$ -l f1=TRUE\n#$ -l hostname=n1"),
    ("oar", "#OAR -q q1\n#OAR --project a1\n#OAR -p f1=YES\n#OAR -l core=1"),
    ("flux", "# flux: -n1 -q q1 -B a1 --requires=f1\n# flux: --requires=hosts:n1"),
    ("cobalt", "#COBALT -q q1 -A a1 -n 1 -t 5 --attrs f1=1:location=n1"),
]
NEW = Profile(queues={"q1": "Q2"}, accounts={"a1": "A2"}, constraints={"f1": "F2"}, nodes={"n1": "N2"})


@pytest.mark.parametrize(("system", "lines"), SAME)
def test_names_change_where_the_scheduler_stays(system: str, lines: str) -> None:
    text = written(f"#!/bin/sh\n{lines}\n:\n", system, system, NEW)
    assert not re.search(r"\b(q1|a1|f1|n1)\b", text)
    for name in ("Q2", "A2", "F2", *(["N2"] if "n1" in lines else [])):
        assert re.search(rf"\b{name}\b", text), name


@pytest.mark.parametrize(
    ("lines", "kept", "lost"),
    [
        ("#SBATCH -C f1&g1", "#SBATCH --constraint=g1", ["-C f1&g1"]),
        ("#SBATCH -C f1|g1", "#SBATCH --constraint=g1", ["-C f1|g1"]),
        ("#SBATCH -C f1", "", ["-C f1"]),
        ("#SBATCH -w n1,n2", "#SBATCH --nodelist=n2", ["-w n1,n2"]),
        ("#SBATCH -C g1", "#SBATCH --constraint=g1", []),
    ],
)
def test_names_that_the_profile_drops_are_lost(lines: str, kept: str, lost: list[str]) -> None:
    profile = Profile(constraints={"f1": ""}, nodes={"n1": ""})
    script = f"#!/bin/sh\n{lines}\n:\n"
    result = convert(script, read(script, "slurm", profile), "slurm", profile)
    assert [entry.text for entry in result.lost()] == lost
    found = [line for line in result.files[0].text.split("\n") if line.startswith("#SBATCH")]
    assert (found == []) if not kept else (kept in found)


def test_no_key_is_without_an_effect_or_undocumented() -> None:
    keys = {field.name for field in fields(Profile)}
    assert {row[0] for row in EFFECTS} == keys
    manual = Path(__file__).resolve().parents[4] / "docs" / "converting.md"
    if not manual.is_file():
        pytest.skip("the documents are not beside this package")
    text = manual.read_text()
    assert not [key for key in keys if f"`{key}`" not in text]


def test_what_was_assumed_in_reading_is_in_the_report() -> None:
    script = "#!/bin/sh\n#BSUB -n 2\n#BSUB -M 2000\n:\n"

    def told(profile: Profile) -> Entry:
        entries = convert(script, read(script, "lsf", profile), "slurm", profile).entries
        (entry,) = (one for one in entries if one.text == "-M 2000")
        return entry

    assert told(Profile()).fate == "approximate"
    assert "2000 read as 2000 KB" in told(Profile()).why
    assert "ambiguous" not in told(Profile(memory_units={"lsf": "MB"}, memory_per={"lsf": "task"})).why


@pytest.mark.parametrize(
    ("system", "line", "text"),
    [
        ("slurm", "#SBATCH -J @@NAME@@", "-J @@NAME@@"),
        ("slurm", "#SBATCH -p $QUEUE", "-p $QUEUE"),
        ("gridengine", "#$ -N {name}", "-N {name}"),
        ("oar", "#OAR -n {name}", "-n {name}"),
        ("flux", "# flux: -n1 -q $Q", "-q $Q"),
        ("pbspro", "#PBS -q $Q", "-q $Q"),
    ],
)
def test_templates_are_reported_as_such(system: str, line: str, text: str) -> None:
    script = f"#!/bin/sh\n{line}\n:\n"
    reading = read(script, system)
    assert [problem.meant for problem in reading.warnings] == ["a template: fill it in first"]
    for target in {"slurm", "torque"} - {system}:
        (entry,) = (one for one in convert(script, reading, target).entries if one.text == text)
        assert entry.fate == "approximate"
        assert "as it stands" in entry.why


def test_patterns_and_groups_of_hosts_are_no_templates() -> None:
    fine = (("slurm", "#SBATCH -o %x.%j"), ("gridengine", "#$ -q all.q@@big"), ("gridengine", "#$ -q *@@big"))
    for system, line in fine:
        assert not read(f"#!/bin/sh\n{line}\n:\n", system).warnings
