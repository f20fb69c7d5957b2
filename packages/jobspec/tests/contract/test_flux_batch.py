"""Flux's own parser of batch scripts and its validator of jobspecs against ours: where they are not, skipped."""

from __future__ import annotations

import json
import math
import random
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from jobspec import readers
from jobspec.convert import convert
from jobspec.errors import JobspecError
from jobspec.profile import DEFAULT, Profile
from jobspec.systems import writer
from jobspec.writing import Saying, Script

SCHEMA = Path(__file__).resolve().parents[5] / "shared" / "rfc" / "spec_25" / "schema.json"
SITE = Profile(cores_per_node=32, gpus_per_node=4, memory_per_node=2**37)


@pytest.fixture(scope="module")
def flux_says(tmp_path_factory):
    """What Flux makes of many scripts (or jobspecs, `suffix` .json), all in one process of its own."""
    flux = shutil.which("flux")
    if not flux:
        pytest.skip("Flux is not installed")
    folder = tmp_path_factory.mktemp("flux")

    def says(texts, suffix=".sh"):
        names = [folder / f"{index}{suffix}" for index in range(len(texts))]
        for name, text in zip(names, texts, strict=True):
            name.write_text(text)
        asked = "".join(f"{json.dumps(str(name))}\n" for name in names)
        argv = [flux, "python", str(Path(__file__).with_name("flux_says.py"))]
        run = subprocess.run(argv, input=asked, capture_output=True, text=True, timeout=300, check=True)
        return [json.loads(line) for line in run.stdout.splitlines()]

    return says


def amounts(spec):
    """Nodes, slots, cores, GPUs, seconds and whether nodes are whole, computed from a jobspec of Flux."""
    [top] = spec["resources"]
    nodes = top["count"] if top["type"] == "node" else None
    slot = top["with"][0] if nodes else top
    inside = {one["type"]: one["count"] for one in slot["with"]}
    slots = slot["count"] * (nodes or 1)
    return {
        "nodes": nodes,
        "slots": slots,
        "tasks": spec["tasks"][0]["count"].get("total", slots),
        "cores": slots * inside["core"],
        "gpus": slots * inside.get("gpu", 0),
        "seconds": spec["attributes"]["system"]["duration"],
        "exclusive": top.get("exclusive", False) or slot.get("exclusive", False),
    }


# Words for a random script, good and bad ones.
NUMBERS = ("1", "2", "3", "4", "6", "8", "0", "-1", "x", "1.5", "+2", "1_0", "''")
TIMES = ("30", "1h", "1.5h", "90s", "2d", "500ms", "0", "inf", "1:00", "-5", "abc", "5M", "1e2", "nan", "''")
NAMES = ("foo", "'a b'", '"it\'s"', "a\\ b", "''", "x=y", "a#b", '"a;b"', "a;b", "-q", "é")
RULES = ("A=b", "'-*'", "-*", "HOME", "A='b c'", "'A=$$x'", "'B={{id}}'", "'-FOO*'")
URIS = ("afterok:f1", "afterany:12", "after:f", "singleton", "string:x?scope=user", "'bad one'", "1bad:2", "fluid:x")
WANTED = (
    "a",
    "a,b",
    "host:n1",
    "'-host:n7'",
    "'a|b'",
    "'a b'",
    "'(a and b) or c'",
    "'not a b'",
    "rank:0",
    "'a('",
    "^a",
)
VALUES = {
    "-N": NUMBERS, "-n": NUMBERS, "-c": NUMBERS, "-g": NUMBERS, "--nodes": NUMBERS, "--nslots": NUMBERS,
    "--cores-per-slot": NUMBERS, "--gpus-per-slot": NUMBERS, "-t": TIMES, "--time-limit": TIMES, "-q": NAMES,
    "--bank": NAMES, "--job-name": NAMES, "--output": (*NAMES, "none", "{{id}}.out"), "--error": NAMES,
    "--input": NAMES, "--cwd": NAMES, "--env": RULES, "--env-remove": RULES, "--dependency": URIS,
    "--requires": WANTED, "--require": WANTED, "--signal": ("USR1@60", "SIGTERM", "@3m", "10@30", "FOO", "0", "TERM@x"),
    "--begin-time": ("+1h", "+30", "now", "+x"), "-S": ("user.x=1", "queue=zz", "duration=77", "job.name=n"),
    "-o": ("verbose", "output.mode=append", "x.y={}"), "--conf": ("a.b=1",), "--flags": ("waitable",),
    "--time": TIMES, "--job": NAMES, "--dump": NAMES, "--broker-opts": NAMES,
}  # fmt: skip
WORDS = ("-x", "-u", "-l", "-xu", "--wrap", "--dry-run", "--exclusive=3", "-Z", "word", "--", "-", "-5", '"--foo=a b"')
OPTIONS = sorted(VALUES)


def any_script(chance):
    prefix, tag = chance.choice(["# ", "#", "", "-- ", "#\t"]), chance.choice(["flux:", "FLUX:"])
    lines = [chance.choice(["-N2 -n4", "-n4", "-N3", "-n8 -c2", "-N4 -n10"])] if chance.random() < 0.8 else []
    for _ in range(chance.randint(0, 4)):
        lines.append(" ".join(any_option(chance) for _ in range(chance.randint(1, 2))))
    chance.shuffle(lines)
    text = ["#!/bin/sh"] if chance.random() < 0.97 else []
    for line in lines:
        if chance.random() < 0.05:
            text.append(chance.choice([f"{prefix.strip()} comment", "", "echo x", "# -- Flux: -N3"]))
        text.append(f"{prefix if chance.random() < 0.98 else '##'}{tag}{chance.choice([' ', '  ', ''])}{line}")
        if chance.random() < 0.05:
            text[-1] += chance.choice([" # a comment", ' --setattr=user.z="""a\'b c"""', " 'open", ' """'])
        if chance.random() < 0.05:
            quotes = chance.choice(['"""', "'''"])
            inside = [f"--setattr=user.m={quotes}", "a = 1", "  b'\\x \"", quotes]
            text += [f"{prefix}{tag} {one}" for one in inside]
    return "\n".join([*text, "hostname", *([f"{prefix}{tag} -N1"] if chance.random() < 0.02 else []), ""])


def any_option(chance):
    if chance.random() < 0.15:
        return chance.choice(WORDS)
    name = chance.choice(OPTIONS)
    value = chance.choice(VALUES[name][:6] if chance.random() < 0.7 else VALUES[name])
    joints = ["=", " "] if name.startswith("--") else ["", " ", "="]
    return f"{name}{chance.choice(joints)}{value}"


def test_random_scripts_are_read_as_flux_reads_them(flux_says):
    chance = random.Random(20)
    scripts = [any_script(chance) for _ in range(400)]
    tally = Counter()
    for text, said in zip(scripts, flux_says(scripts), strict=True):
        reading = readers.read(text, "flux")
        assert reading.accepted == said["accepted"], (text, reading.errors, said.get("why"))
        tally[reading.accepted] += 1
        if reading.accepted:
            assert ours(reading.jobs[0]) == theirs(said["jobspec"]), text
    assert min(tally.values()) > 100, tally


def ours(job):
    return {
        "nodes": job.nodes.least if job.nodes else None,
        "tasks": job.tasks,
        "cores": job.cpus_per_task,
        "gpus": sum(one.count for one in job.gpus),
        "exclusive": job.exclusive,
        "seconds": 0 if job.walltime_s in (None, "unlimited") else job.walltime_s,
        "queue": job.queue,
        "bank": job.account,
        "error": job.error,
        "input": job.input,
        "cwd": job.workdir,
        "signal": job.signal.before_s if job.signal else None,
        "dependencies": len(job.dependency.text.split(",")) if job.dependency else 0,
    }


def theirs(spec):
    found, system = amounts(spec), spec["attributes"]["system"]
    shell = system["shell"]["options"]
    cwd = system["cwd"]
    waits = [one for one in system.get("dependencies", []) if one["scheme"] != "begin-time"]
    return {
        "nodes": found["nodes"],
        "tasks": found["tasks"],
        "cores": found["cores"] // found["slots"],
        "gpus": found["gpus"] // found["slots"],
        "exclusive": found["exclusive"],
        "seconds": math.ceil(round(found["seconds"], 3)),
        "queue": system.get("queue"),
        "bank": system.get("bank"),
        "error": shell.get("output", {}).get("stderr", {}).get("path"),
        "input": shell.get("input", {}).get("stdin", {}).get("path"),
        "cwd": None if cwd == str(Path.cwd()) else cwd,
        "signal": math.ceil(shell["signal"]["timeleft"]) if "signal" in shell else None,
        "dependencies": len(waits),
    }


@pytest.fixture(scope="module")
def accepted(corpus):
    """(text, reading) of each script of the corpus that its own system accepts."""
    found = [(text, readers.read(text)) for _, text in corpus]
    return [(text, reading) for text, reading in found if reading.accepted]


@pytest.mark.parametrize(
    ("target", "profile", "step"), [("flux", DEFAULT, 1), ("flux-jobspec", DEFAULT, 7), ("flux", SITE, 7)]
)
def test_every_script_of_the_corpus_becomes_one_that_flux_accepts(accepted, flux_says, target, profile, step):
    made, sources = [], []
    for text, reading in accepted[::step]:
        try:
            [file] = convert(text, reading, target, profile).files
        except JobspecError as error:
            pytest.fail(f"{error}: {text}")
        made.append(file.text)
        sources.append((text, reading))
    tally = Counter()
    for (text, reading), script, said in zip(
        sources, made, flux_says(made, ".json" if target != "flux" else ".sh"), strict=True
    ):
        assert said["accepted"], (said["why"], script)
        if len(reading.jobs) > 1:
            continue
        for name, wanted, found in compared(reading.jobs[0], amounts(said["jobspec"])):
            tally[name, "same" if wanted == found else "more"] += 1
            if wanted != found:
                # Fewer and larger slots only where smaller ones would need more GPUs than a node has.
                assert (found or 0) >= (wanted or 0) or (name == "slots" and reading.jobs[0].gpus), (name, text)
                assert differs(name, reading.jobs[0], target, profile), (name, text, script)
    print(target, len(made), dict(tally))
    for name in ("nodes", "slots", "cores", "gpus", "seconds"):
        assert tally[name, "same"] > (0.9 if profile is DEFAULT else 0.75) * len(made), tally


def compared(job, found):
    nodes = job.nodes.least if job.nodes else None
    gpus = {"job": 0, "node": 0, "task": 0}
    for one in job.gpus:
        gpus[one.per] += one.count
    wanted = {
        "nodes": nodes,
        "slots": job.tasks,
        "cores": job.tasks * -(-job.cpus_per_task // (job.threads_per_core or 1)),
        "gpus": max(gpus["job"], gpus["node"] * (nodes or 1), gpus["task"] * job.tasks),
        "seconds": job.walltime_s if isinstance(job.walltime_s, int) else 0,
    }
    return [(name, value, found[name]) for name, value in wanted.items()]


def differs(name, job, target, profile):
    """Whether the account says that the count differs, or the number of nodes follows from the tasks on each."""
    say = Saying(job, target, profile)
    writer(target).write(say, Script("#!/bin/sh", ""))
    fields = {"nodes": "nodes", "slots": "tasks", "cores": "cpus_per_task", "gpus": "gpus", "seconds": "walltime_s"}
    if name == "nodes" and (job.tasks_per_node or job.exclusive):
        return True
    told = {"tasks", fields[name]} if name == "cores" else {fields[name]}
    return any(say.fates.get(field, ("",))[0] == "approximate" for field in told)


@pytest.mark.skipif(not SCHEMA.exists(), reason="the schema of RFC 25 is not beside the repository")
def test_jobspecs_of_the_corpus_are_valid_by_the_schema(accepted):
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft7Validator(json.loads(SCHEMA.read_text()))
    for text, reading in accepted[::5]:
        [file] = convert(text, reading, "flux-jobspec", SITE).files
        assert not list(validator.iter_errors(json.loads(file.text))), text


def test_a_converted_script_runs_either_way(in_flux, tmp_path):
    options = "".join(f"#SBATCH {one}\n" for one in ("-J name", f"-o {tmp_path}/out-%x", "-a 7"))
    source = f"#!/bin/sh\n{options}echo $FLUX_JOB_CC $(flux getattr size)\n"
    reading = readers.read(source, "slurm")
    script, spec = tmp_path / "a.flux", tmp_path / "a.json"
    script.write_text(convert(source, reading, "flux").files[0].text)
    made = json.loads(convert(source, reading, "flux-jobspec").files[0].text)
    made["attributes"]["system"]["environment"]["FLUX_JOB_CC"] = "7"
    flux = str(Path(shutil.which("flux")).parent)
    made["attributes"]["system"]["environment"]["PATH"] += f":{flux}"
    spec.write_text(json.dumps(made))
    for submit in (["flux", "batch", "--env=FLUX_JOB_CC=7", script], ["flux", "job", "submit", spec]):
        submitted = in_flux(*submit)
        assert submitted.returncode == 0, submitted.stderr
        assert in_flux("flux", "job", "attach", submitted.stdout.strip()).returncode == 0
        assert (tmp_path / "out-name").read_text().count("7 1\n") == 1
        (tmp_path / "out-name").unlink()
