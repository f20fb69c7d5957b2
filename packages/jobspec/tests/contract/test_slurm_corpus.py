"""Our reader and writer against what a real sbatch and slurmctld said of the same scripts: every script, every value."""

from __future__ import annotations

from dataclasses import fields

import pytest

from jobspec.convert import convert
from jobspec.explain import as_dict
from jobspec.job import Job
from jobspec.profile import Profile
from jobspec.readers import read
from jobspec.request import request

MB = 2**20
SCALES = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def indexes(text):
    found = set()
    for part in text.split(","):
        span, _, step = part.partition(":")
        first, _, last = span.partition("-")
        found.update(range(int(first), int(last or first) + 1, int(step or 1)))
    return found


def resources(text):
    """What Slurm prints of generic resources: (name, type, count) each."""
    found = []
    for entry in (text or "").split(","):
        *words, last = entry.removeprefix("gres:").split(":")
        number = last.rstrip("KMGT")
        if words and number.isdecimal():
            count = int(number) * SCALES.get(last[len(number) :], 1)
        else:
            words, count = [*words, last], 1
        if entry and count:
            found.append((words[0], words[1] if len(words) > 1 else None, count))
    return sorted(found, key=str)


def ours(job):
    """The values of `explain` under the names of the recording."""

    def memory(per):
        return job["memory"]["bytes"] // MB if job["memory"] and job["memory"]["per"] == per else None

    def per(scope):
        found = [("gpu", one["type"], one["count"]) for one in job["gpus"] if one["per"] == scope]
        if scope == "node":
            found += [(one["name"], one["type"], one["count"]) for one in job["gres"]]
        return sorted(found, key=str)

    native = {one["option"]: one["value"] or "" for one in job["native"]}
    placed = dict(word.removeprefix("--").partition("=")[::2] for word in (job["placement"] or "").split())
    signal, workdir, array = job["signal"], job["workdir"], job["array"]
    exclusive = native.get("exclusive") or ("exclusive" if job["exclusive"] else None)
    return {
        "job_name": None if job["name"] == "0" else job["name"],  # the recording has no name "0"
        "num_tasks": job["tasks"],
        "cpus_per_task": job["cpus_per_task"],
        "nodes_min": job["nodes"] and job["nodes"]["min"],
        "nodes_max": job["nodes"] and job["nodes"]["max"],
        "ntasks_per_node": job["tasks_per_node"],
        "ntasks_per_socket": int(placed["ntasks-per-socket"]) if "ntasks-per-socket" in placed else None,
        "ntasks_per_core": int(placed["ntasks-per-core"]) if "ntasks-per-core" in placed else None,
        "CpusPerTres": f"gres:gpu:{placed['cpus-per-gpu']}" if "cpus-per-gpu" in placed else None,
        "min_cpus_node": max(int(placed.get("mincpus", 1)), job["cpus_per_task"] * (job["tasks_per_node"] or 1)),
        "mem_per_node_mb": memory("node"),
        "mem_per_cpu_mb": memory("cpu"),
        "MemPerTres": memory("gpu"),
        "tmp_mb": job["disk_per_node"] and job["disk_per_node"] // MB,
        "time_limit_s": job["walltime_s"],
        "TresPerNode": per("node"),
        "TresPerJob": per("job"),
        "TresPerTask": per("task"),
        "array": indexes(array) if array and array != "0" else set(),  # nor an array "0"
        "array_throttle": job["array_throttle"],
        "partition": job["queue"],
        "account": job["account"],
        "qos": job["qos"],
        "reservation": job["reservation"],
        "features": job["constraint"],
        "exclusive": "oversubscribe" if "oversubscribe" in native else exclusive,
        "export": job["environment"],
        "exc_nodes": job["exclude_hosts"],
        "req_nodes": job["hosts"],
        "workdir": workdir and (workdir if workdir.startswith("/") else f"/tmp/{workdir}"),
        "stdout_pattern": job["output"],
        "stderr_pattern": job["error"],
        "open_mode": job["open_mode"] and job["open_mode"][0],
        "mail_type": ",".join(job["mail"]["types"]) or None if job["mail"] else None,
        "dependency": job["dependency"],
        "comment": job["comment"],
        "licenses": ",".join(f"{one['name']}:{one['count']}".removesuffix(":1") for one in job["licenses"]) or None,
        "signal": signal and f"{'B:' if signal['shell'] else ''}{signal['name']}@{signal['before_s']}",
        "hint": native.get("hint"),
        "requeue": None if job["requeue"] is False else 1,
        "get_user_env": "0L" if "get-user-env" in native else None,
    }


def theirs(values):
    found = dict(values)
    for key in ("TresPerNode", "TresPerJob", "TresPerTask"):
        found[key] = resources(values.get(key))
    if "MemPerTres" in values:
        found["MemPerTres"] = int(values["MemPerTres"].rpartition(":")[2])
        del found["mem_per_node_mb"]  # which Slurm shows as 0 then
    text = values.get("array", "")
    cut = text.endswith("...")  # Slurm shows no more of long ones
    found["array"] = indexes(text.removesuffix("...").rpartition(",")[0] if cut else text) if text else set()
    return found


# num_cpus follows from tasks and CPUs per task; ntasks_sent is said by num_tasks
ELSEWHERE = {"num_cpus", "ntasks_sent"}


def different(job, values):
    mine, recorded = ours(job), theirs(values)
    assert set(recorded) - ELSEWHERE <= set(mine)
    if values.get("array", "").endswith("..."):
        mine["array"] &= recorded["array"]
    return {key: (value, recorded.get(key)) for key, value in mine.items() if value != recorded.get(key)}


def test_every_script_is_read_as_sbatch_read_it(slurm_corpus):
    wrong = []
    for text, said in slurm_corpus:
        found = as_dict("-", read(text, "slurm"))
        if found["accepted"] != said["accepted"]:
            wrong.append((said["id"], found["errors"], said.get("stderr")))
        elif found["accepted"] and (differences := different(found["job"], said["values"])):
            wrong.append((said["id"], differences))
        elif not found["accepted"]:
            assert found["job"] is None
    assert not wrong, wrong[:9]
    assert len(slurm_corpus) == 831


def test_every_accepted_script_comes_back_the_same(slurm_corpus):
    for text, said in slurm_corpus:
        if said["accepted"]:
            first = read(text, "slurm")
            conversion = convert(text, first, "slurm")
            [file] = conversion.files
            assert same(first.jobs, read(file.text, "slurm").jobs) == []
            assert {entry.fate for entry in conversion.entries} <= {"exact", "ignored"}


def same(before, after):
    assert len(before) == len(after)
    names = [field.name for field in fields(Job) if field.name != "where"]
    return [
        (name, getattr(old, name), getattr(new, name))
        for old, new in zip(before, after, strict=True)
        for name in names
        if getattr(old, name) != getattr(new, name)
    ]


def test_every_directive_is_reported_once(slurm_corpus):
    for text, _ in slurm_corpus:
        reading = read(text, "slurm")
        if reading.errors:
            continue
        places = [(one.line, one.column) for one in reading.directives]
        assert len(places) == len(set(places))
        told = {line for line, _ in places}
        for number, line in enumerate(text.split("\n"), 1):
            if line.lstrip().startswith("#SBATCH") and line.lstrip()[7:].split("#")[0].strip():
                assert number in told, line
        assert all(one.fields for one in reading.directives if one.state == "obeyed")


@pytest.mark.parametrize("gpus_as", ["gpus", "gres"])
def test_a_site_that_knows_gres_only(slurm_corpus, gpus_as):
    profile = Profile(gpus_as=gpus_as)
    for text, said in slurm_corpus:
        if said["accepted"]:
            written = convert(text, read(text, "slurm"), "slurm", profile).files[0].text
            head = written[: written.index("\nhostname")]
            assert gpus_as == "gpus" or "--gpus" not in head or "--gpus-per-socket" in head
            assert "ntasks-per-gpu" not in head or "ntasks-per-gpu" in text


def test_every_accepted_script_has_a_request(slurm_corpus):
    for text, said in slurm_corpus:
        if said["accepted"]:
            need, _ = request(read(text, "slurm").jobs[0])
            assert "cores" in need.kinds
