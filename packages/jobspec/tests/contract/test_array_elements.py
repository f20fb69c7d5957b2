"""Array jobs as their schedulers run them: for each element of what was written its variables are set as the target's
manual says, the script is started, and all bodies together must see exactly the indexes of the source."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest
import yaml

from jobspec.convert import convert
from jobspec.profile import Profile
from jobspec.readers import read
from jobspec.systems import SYSTEMS

SETS = {
    "0": [0],
    "1-1": [1],
    "3,7": [3, 7],
    "7,3,7": [3, 7],
    "0-9:3%2": [0, 3, 6, 9],
    "1-3,5,8-20:4": [1, 2, 3, 5, 8, 12, 16, 20],
    "0,5-7": [0, 5, 6, 7],
    "1-2000": list(range(1, 2001)),
    "900-1100,3000-3010:5": [*range(900, 1101), 3000, 3005, 3010],
}
CAPPED = {"1-2000", "900-1100,3000-3010:5"}


def ranges(text):
    """A, A-B, A-B:S, comma separated, and %N: the words of Slurm, of LSF's brackets, of HyperQueue, of Torque."""
    found = []
    for part in text.partition("%")[0].split(","):
        match = re.fullmatch(r"([0-9]+)(?:-([0-9]+)(?::([0-9]+))?)?", part)
        assert match, text
        found += range(int(match[1]), int(match[2] or match[1]) + 1, int(match[3] or 1))
    return found


def only(pattern, text):
    found = re.findall(pattern, text, re.MULTILINE)
    assert len(found) <= 1, found
    return found[0] if found else None


# For each target: from the files the elements: the script of each, and shell that sets what it finds.


def slurm(files):
    for file in files:
        indexes = ranges(only(r"^#SBATCH --array=(\S+)$", file))
        assert len(set(indexes)) == len(indexes)
        yield from ((file, f"export SLURM_ARRAY_TASK_ID={index}") for index in indexes)


def flux(files):
    (file,) = files
    loop = only(r"^# An array: (for i in .*; do) flux batch --env=FLUX_JOB_CC=\$i SCRIPT; done$", file)
    said = subprocess.run(["sh", "-c", f"{loop} echo $i; done"], capture_output=True, text=True, check=True)
    yield from ((file, f"export FLUX_JOB_CC={index}") for index in said.stdout.split())


def pbspro(files):
    for file in files:
        asked = only(r"^#PBS -J (\S+)$", file)
        if asked is None:  # a plain job
            yield file, "export " + only(r"^#PBS -v (PBS_ARRAY_INDEX=[0-9]+)$", file)
            continue
        # -J takes one range X-Y[:Z], X below Y
        first, last = re.fullmatch(r"([0-9]+)-([0-9]+)(?::[0-9]+)?(?:%[0-9]+)?", asked).groups()
        assert int(first) < int(last)
        yield from ((file, f"export PBS_ARRAY_INDEX={index}") for index in sorted(set(ranges(asked))))


def torque(files):
    for file in files:
        asked = only(r"^#PBS -t (\S+)$", file)
        assert ":" not in asked  # its ranges have no step
        yield from ((file, f"export PBS_ARRAYID={index}") for index in sorted(set(ranges(asked))))


def lsf(files):
    for file in files:
        indexes = ranges(only(r'^#BSUB -J "[^"\[]*\[(.*)\](?:%[0-9]+)?"$', file))
        assert min(indexes) > 0
        yield from ((file, f"export LSB_JOBINDEX={index}") for index in sorted(set(indexes)))


def gridengine(files):
    for file in files:
        asked = only(r"^#\$ -t ([0-9]+(?:-[0-9]+(?::[0-9]+)?)?)$", file)
        indexes = ranges(asked)
        assert min(indexes) > 0
        yield from ((file, f"export SGE_TASK_ID={index}") for index in indexes)


def oar(files):
    (file,) = files
    count = int(only(r"^#OAR --array ([0-9]+)$", file))
    yield from ((file, f"export OAR_ARRAY_INDEX={index}") for index in range(1, count + 1))


def htcondor(files):
    submit, script = files
    assert only(r'^environment = "(.*)"$', submit) == "JOBSPEC_ARRAY_INDEX=$(Item)"
    items = only(r"^queue Item in \((.*)\)$", submit).split()
    yield from ((script, f"export JOBSPEC_ARRAY_INDEX={item}") for item in items)


def pods(template, config, index):
    """A pod: its script, and what the control plane and the words in front of the script set."""
    command = template["spec"]["containers"][0]["command"]
    line = f"export JOB_COMPLETION_INDEX={index}"
    if command[:2] == ["/bin/sh", "-c"]:
        line += "; " + command[2].removesuffix('; exec "$0" "$@"')
    return config["data"]["script"], line


def kubernetes(files):
    config, job = yaml.safe_load_all(files[0])
    assert job["spec"]["completionMode"] == "Indexed"
    for index in range(job["spec"]["completions"]):
        yield pods(job["spec"]["template"], config, str(index))


def jobset(files):
    config, jobs = yaml.safe_load_all(files[0])
    (job,) = jobs["spec"]["replicatedJobs"]
    assert job["replicas"] == 1
    for index in range(job["template"]["spec"]["completions"]):
        yield pods(job["template"]["spec"]["template"], config, str(index))


def hyperqueue(files):
    (file,) = files
    indexes = ranges(only(r"^#HQ --array=(\S+)$", file))
    yield from ((file, f"export HQ_TASK_ID={index}") for index in indexes)


TARGETS = {
    "slurm": slurm, "flux": flux, "pbspro": pbspro, "torque": torque, "lsf": lsf, "gridengine": gridengine, "oar": oar,
    "htcondor": htcondor, "kubernetes": kubernetes, "jobset": jobset, "hyperqueue": hyperqueue,
}  # fmt: skip
# For each source: how its directive asks for an array (None where it can't), and its variable.
SOURCES = {
    "slurm": ("#SBATCH --array={}", "SLURM_ARRAY_TASK_ID"),
    "pbspro": ("#PBS -J {}", "PBS_ARRAY_INDEX"),
    "torque": ("#PBS -t {}", "PBS_ARRAYID"),
    "moab": ("#MSUB -t a.[{}]", "MOAB_JOBARRAYINDEX"),
    "lsf": ('#BSUB -J "a[{}]"', "LSB_JOBINDEX"),
    "gridengine": ("#$ -t {}", "SGE_TASK_ID"),
    "oar": ("#OAR --array {}", "OAR_ARRAY_INDEX"),
}


def asked_for(source, text):
    """The set in the words of the source; None where its own manual has no way to say it."""
    listed, _, throttle = text.partition("%")
    indexes = SETS[text]
    if source == "slurm":
        return text
    if source == "lsf":
        return None if indexes[0] == 0 or throttle else listed
    if source in ("torque", "moab"):
        dense = len(indexes) > 300 or ":" not in listed
        return text if dense else ",".join(map(str, indexes)) + (f"%{throttle}" if throttle else "")
    if source == "oar":
        return str(len(indexes)) if indexes == list(range(1, len(indexes) + 1)) else None
    if "," in listed or (source == "gridengine" and (throttle or not indexes[0])):
        return None
    return None if source == "pbspro" and len(indexes) == 1 else text


def run(elements, folder):
    """What the bodies print, in the order of the elements; one shell starts them all, each in a process of its own."""
    names = {}
    for script, _ in elements:
        names.setdefault(script, f"{folder}/{len(names)}.sh")
    for script, name in names.items():
        with open(name, "w") as file:
            file.write(script)
    lines = []
    for script, setting in elements:
        start = "csh -f" if script.startswith("#!/bin/csh") else "."
        lines.append(f"({setting}; {start} {names[script]})\n")
    environment = {"PATH": os.environ["PATH"]}
    done = subprocess.run(["sh"], input="".join(lines), env=environment, capture_output=True, text=True, check=False)
    assert not done.stderr, done.stderr
    return [int(line) for line in done.stdout.split()]


def some(elements):
    """The elements themselves where they are few; else those at the ends of each script and some between them."""
    if len(elements) < 50:
        return elements
    ends = {at for at in range(len(elements)) if at in (0, len(elements) - 1)}
    ends |= {at + side for at in range(1, len(elements)) if elements[at][0] != elements[at - 1][0] for side in (-1, 0)}
    return [elements[at] for at in sorted(ends | set(range(0, len(elements), 457)))]


def seen(said, indexes):
    """All of them, once each; of many a sample, with both ends."""
    assert len(set(said)) == len(said)
    if len(indexes) < 50:
        assert sorted(said) == indexes
    else:
        assert set(said) <= set(indexes)
        assert (min(said), max(said)) == (indexes[0], indexes[-1])


CASES = [
    (source, target, text)
    for source in SOURCES
    for target in TARGETS
    for text in SETS
    if asked_for(source, text) is not None and not (source == target and text in CAPPED)
]


@pytest.mark.parametrize(("source", "target"), sorted({(source, target) for source, target, _ in CASES}))
def test_the_body_sees_each_index_of_the_source_once(source, target, tmp_path):
    for text in [text for one, other, text in CASES if (one, other) == (source, target)]:
        profile = Profile(array_cap=1001 if text in CAPPED else None)
        directive, variable = SOURCES[source]
        body = f'#!/bin/sh\n{directive.format(asked_for(source, text))}\necho "${{{variable}:-none}}"\n'
        reading = read(body, source, profile)
        assert reading.accepted, (text, reading.errors)
        result = convert(body, reading, target, profile, file="a.sh")
        elements = list(TARGETS[target]([file.text for file in result.files]))
        assert len(elements) == len(SETS[text]), text
        seen(run(some(elements), tmp_path), SETS[text])


@pytest.mark.skipif(not shutil.which("csh"), reason="csh is not installed")
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("text", ["0-9:3%2", "0,5-7", "900-1100,3000-3010:5"])
def test_scripts_of_csh_see_them_as_well(target, text, tmp_path):
    profile = Profile(array_cap=1001)
    body = f"#!/bin/csh -f\n#SBATCH --array={text}\necho $SLURM_ARRAY_TASK_ID\n"
    result = convert(body, read(body, "slurm", profile), target, profile, file="a.sh")
    elements = list(TARGETS[target]([file.text for file in result.files]))
    assert len(elements) == len(SETS[text])
    seen(run(some(elements), tmp_path), SETS[text])


@pytest.mark.parametrize("target", ["slurm", "pbspro", "torque", "lsf", "gridengine", "oar"])
def test_where_no_shell_could_set_the_index_right_it_is_said(target):
    body = "#!/usr/bin/env python3\n#SBATCH --array=0-2000:7\nprint(1)\n"
    profile = Profile(array_cap=1001)
    result = convert(body, read(body, "slurm", profile), target, profile, file="a.sh")
    assert [entry.text for entry in result.lost()] == ["--array=0-2000:7"]
    for file in result.files:
        kept = [line for line in file.text.split("\n") if not line.startswith(SYSTEMS[target].prefixes)]
        assert kept == ["#!/usr/bin/env python3", "print(1)", ""]


@pytest.mark.parametrize(
    ("source", "path", "target", "wanted"),
    [
        # all elements of these have one id, and those of the others each its own
        ("lsf", "#BSUB -J a[1-3]\n#BSUB -o x.%J.%I", "slurm", "#SBATCH --output=x.%A.%a"),
        ("gridengine", "#$ -t 1-3\n#$ -o x.$JOB_ID.$TASK_ID", "slurm", "#SBATCH --output=x.%A.%a"),
        ("slurm", "#SBATCH -a 1-3\n#SBATCH -o x.%A.%a", "lsf", "#BSUB -oo x.%J.%I"),
        ("slurm", "#SBATCH -a 1-3\n#SBATCH -o x.%j", "lsf", "#BSUB -oo x.%J_%I"),
        ("slurm", "#SBATCH -a 1-3\n#SBATCH -o x.%j", "gridengine", "#$ -o x.$JOB_ID_$TASK_ID"),
        ("slurm", "#SBATCH -a 1-3\n#SBATCH -o x.%j", "htcondor", "output = x.$(Cluster)_$(Item)"),
        ("slurm", "#SBATCH -o x.%j", "lsf", "#BSUB -oo x.%J"),
    ],
)
def test_each_element_keeps_a_file_of_its_own(source, path, target, wanted):
    body = f"#!/bin/sh\n{path}\n:\n"
    result = convert(body, read(body, source), target, file="a.sh")
    assert wanted in result.files[0].text.split("\n")


@pytest.mark.parametrize(
    ("source", "directive", "name", "target", "variables", "first", "second"),
    [
        ("slurm", "#SBATCH -a 1-3", "SLURM_JOB_ID", "lsf", "LSB_JOBID=7 LSB_JOBINDEX={}", "70000001", "70000002"),
        ("slurm", "#SBATCH -a 1-3", "SLURM_JOB_ID", "gridengine", "JOB_ID=7 SGE_TASK_ID={}", "70000001", "70000002"),
        ("slurm", "#SBATCH -a 0-3", "SLURM_JOB_ID", "lsf", "LSB_JOBID=7 LSB_JOBINDEX={}", "70000000", "70000001"),
        (
            "slurm",
            "#SBATCH -a 1-3",
            "SLURM_JOB_ID",
            "torque",
            "PBS_JOBID=7[1].s PBS_ARRAYID={}",
            "70000001",
            "70000002",
        ),
        ("lsf", "#BSUB -J a[1-3]", "LSB_JOBID", "slurm", "SLURM_ARRAY_JOB_ID=7 SLURM_JOB_ID=7{}", "7", "7"),
        ("gridengine", "#$ -t 1-3", "JOB_ID", "oar", "OAR_ARRAY_ID=7 OAR_JOB_ID=7{}", "7", "7"),
    ],
)
def test_elements_have_ids_of_their_own_where_they_had(source, directive, name, target, variables, first, second):
    body = f"#!/bin/sh\n{directive}\necho ${name}\n"
    result = convert(body, read(body, source), target, file="a.sh")
    for number, wanted in ((1, first), (2, second)):
        environment = dict(one.split("=") for one in variables.format(number).split())
        environment |= {"PATH": os.environ["PATH"]}
        done = subprocess.run(["sh"], input=result.files[0].text, env=environment, capture_output=True, text=True)
        assert done.stdout.split()[-1:] == [wanted], done.stderr


def test_names_of_files_with_numbers_that_the_target_shifted_are_told():
    body = "#!/bin/sh\n#SBATCH -a 0-3\n#SBATCH -o x.%a\n:\n"
    entries = convert(body, read(body), "lsf", file="a.sh").entries
    assert [entry.fate for entry in entries if entry.text == "-o x.%a"] == ["approximate"]
