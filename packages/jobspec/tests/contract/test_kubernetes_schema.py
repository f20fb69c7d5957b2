"""What is written for Kubernetes against the schemas of its API and JobSet's CRD, with unknown fields refused."""

from __future__ import annotations

import base64
import json
from functools import cache
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from kubernetes_validate import utils
from referencing import Registry, Resource

from jobspec import readers
from jobspec.convert import convert
from jobspec.job import (
    Array,
    Begin,
    Constraint,
    Dependency,
    Environment,
    Gpus,
    Gres,
    Job,
    Mail,
    Memory,
    Native,
    Nodes,
    Signal,
)
from jobspec.kubernetes import write, write_jobset
from jobspec.profile import Profile
from jobspec.writing import FIELDS, Saying, Script

CRD = Path(__file__).parents[1] / "data" / "jobset-v1alpha2.json"
CURRENT = kubernetes_validate.latest_version()
SCRIPT = Script("#!/bin/bash", "hostname $$ $(date)\n")
WRITERS = {"kubernetes": write, "jobset": write_jobset}
SITE = Profile(
    image="r.io/a:1",
    queues={"batch": "lq"},
    qos={"high": "urgent"},
    constraints={"skylake": "cpu=skylake"},
    gpu_types={"a100": "NVIDIA-A100-SXM4-40GB"},
)
FULL = Job(
    system="slurm", name="A_Job", account="proj", qos="high", queue="batch", reservation="r", comment="why: not",
    nodes=Nodes(2, 4), tasks=8, tasks_per_node=4, cpus_per_task=2, threads_per_core=1,
    gpus=(Gpus(2, "node", "a100"),), gres=(Gres("rdma/hca", "", 1), Gres("nic", "", 1)),
    memory=Memory(3 * 2**29, "cpu"),
    disk_per_node=10**9, licenses=(("x", 1),), exclusive=True, burst_buffer=("#BB",), walltime_s=90, walltime_min_s=60,
    begin=Begin("now"), deadline="d", array=Array("1-9:2", ((1, 9, 2),), 2), dependency=Dependency("after:1"),
    priority="3", hold=True, requeue=True, constraint=Constraint("skylake", ("skylake",)), hosts="n[1-3]",
    exclude_hosts="n9", placement="p", workdir="/w", input="i", output="o", error="e", join=True, open_mode="append",
    environment=Environment("A=b", all=True, values=(("A", "$(B) $$ yes"),)), shell="/bin/bash",
    mail=Mail("u", ("END",)), signal=Signal("TERM", 60), native=(Native("x", "y"),),
)  # fmt: skip


@cache
def validators(kind):
    folder = f"kubernetes-json-schema/v{CURRENT}-local-strict"
    schema = utils.schema_contents(f"{folder}/{kind}.json", CURRENT)
    resources = [Resource.from_contents(utils.schema_contents(f"{folder}/_definitions.json", CURRENT))]
    registry = Resource.from_contents(schema) @ Registry()
    for one in resources:
        registry = one @ registry
    return jsonschema.Draft202012Validator(schema, registry=registry)


def closed(schema):
    """A schema of a CRD with unknown fields refused, as the API server prunes or refuses them."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        made.setdefault("additionalProperties", False)
    return made


@cache
def jobset_validator():
    schema = closed(json.loads(CRD.read_text())["schema"])
    schema["properties"]["metadata"] = {"type": "object"}  # the API server's own, checked with the Job's
    return jsonschema.Draft202012Validator(schema)


def check(text):
    """The documents of a file, each valid."""
    documents = list(yaml.safe_load_all(text))
    for one in documents:
        if one["kind"] == "JobSet":
            jobset_validator().validate(one)
            for replicated in one["spec"]["replicatedJobs"]:
                job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": one["metadata"], **replicated["template"]}
                validators("job-batch-v1").validate(job)
        else:
            kind, version = one["kind"].lower(), one["apiVersion"].replace("/", "-")
            validators(f"{kind}-{version}").validate(one)
    return documents


def made(job, system="kubernetes", profile=SITE, script=SCRIPT, components=()):
    say = Saying(job, system, profile, components=components)
    [file] = WRITERS[system].write(say, script)
    say.finish()
    return check(file.text), say


def test_an_unknown_field_is_noticed():
    documents, _ = made(Job())
    documents[-1]["spec"]["paralelism"] = 1
    with pytest.raises(jsonschema.ValidationError):
        check(yaml.safe_dump(documents[-1]))
    [_, jobset], _ = made(Job(), "jobset")
    jobset["spec"]["network"]["dns"] = True
    with pytest.raises(jsonschema.ValidationError):
        check(yaml.safe_dump(jobset))


def test_the_validator_itself_agrees():
    for one in made(FULL)[0]:
        kubernetes_validate.validate(one, CURRENT, strict=True)


@pytest.mark.parametrize("system", WRITERS)
def test_every_field_is_accounted_for(system):
    for job in (FULL, Job(system="slurm", array=FULL.array, gpus=FULL.gpus)):
        _, say = made(job, system)
        for field in FIELDS:
            if say.asked(field):
                assert field in say.fates, field
                assert "has nothing like it" not in say.fates[field][1], field


@pytest.mark.parametrize("system", WRITERS)
def test_the_corpus(corpus, system):
    scripts = [text for name, text in corpus if name == "slurm"]
    done = 0
    for text in scripts[::6]:
        reading = readers.read(text, "slurm")
        if reading.accepted:
            written = convert(text, reading, system).files[0].text
            check(written)
            if system == "kubernetes":
                again = readers.read(written)
                assert not again.errors, written
                assert again.jobs[0].cpus_per_task * again.jobs[0].tasks >= reading.jobs[0].cpus_per_task
            done += 1
    assert done > 100


def test_amounts_of_a_pod():
    documents, say = made(FULL)
    job = documents[-1]
    spec, pod = job["spec"], job["spec"]["template"]["spec"]
    container = pod["containers"][0]
    held = {"cpu": "8", "memory": "12Gi", "ephemeral-storage": "1000000000", "nvidia.com/gpu": "2", "rdma/hca": "1"}
    # The node is the job's alone: it may use all of its CPUs.
    limits = {name: amount for name, amount in held.items() if name != "cpu"}
    assert container["resources"] == {"requests": held, "limits": limits}
    assert (spec["parallelism"], spec["completions"], spec["completionMode"]) == (2, 2, "Indexed")
    assert (spec["suspend"], spec["activeDeadlineSeconds"], spec["backoffLimit"]) == (True, 90, 0)
    assert spec["podFailurePolicy"]["rules"][0]["action"] == "Ignore"
    assert pod["nodeSelector"] == {"cpu": "skylake", "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-40GB"}
    assert pod["priorityClassName"] == "urgent"
    assert pod["subdomain"] == documents[1]["metadata"]["name"] == job["metadata"]["name"] == "a-job"
    assert documents[1]["spec"]["selector"] == {"batch.kubernetes.io/job-name": "a-job"}
    assert container["env"] == [{"name": "A", "value": "$$(B) $$$$ yes"}]
    assert container["workingDir"] == "/w"
    assert container["command"] == ["/bin/bash", "/jobspec/script"]
    assert job["metadata"]["labels"] == {"kueue.x-k8s.io/queue-name": "lq", "jobspec/account": "proj"}
    fates = {field: fate for field, (fate, _) in say.fates.items()}
    assert fates["array"] == "dropped"  # elements of two pods
    assert fates["memory"] == fates["queue"] == fates["hold"] == fates["requeue"] == fates["comment"] == "exact"
    assert fates["nodes"] == fates["walltime_s"] == fates["exclusive"] == fates["name"] == "approximate"
    assert {field for field, fate in fates.items() if fate == "dropped"} == {
        "reservation", "gres", "licenses", "burst_buffer", "walltime_min_s", "begin", "deadline", "array", "dependency",
        "priority", "placement", "input", "open_mode", "mail", "native",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        (Memory(2**30, "node"), "1Gi"),
        (Memory(2**30, "task"), "4Gi"),
        (Memory(2**30, "slot"), "4Gi"),
        (Memory(2**30, "cpu"), "8Gi"),
        (Memory(2**30, "gpu"), "2Gi"),
        (Memory(2**31, "job"), "1Gi"),
        (Memory(2**31 + 1, "job"), "1073741825"),
        (Memory(0, "node"), None),
        (None, None),
    ],
)
def test_memory(memory, expected):
    job = Job(nodes=Nodes(2, 2), tasks=8, cpus_per_task=2, gpus=(Gpus(2, "node"),), memory=memory)
    [*_, manifest], say = made(job)
    requests = manifest["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]
    assert requests.get("memory") == expected
    if memory:
        lost = {0: "dropped", 2**31 + 1: "approximate"}.get(memory.bytes, "exact")
        assert say.fates["memory"][0] == lost


@pytest.mark.parametrize(
    ("kind", "mapped", "resource", "labels"),
    [
        ("", None, "nvidia.com/gpu", {}),
        ("v100", None, "nvidia.com/gpu", {}),
        ("mi250x", None, "amd.com/gpu", {}),
        ("v100", "Tesla-V100", "nvidia.com/gpu", {"nvidia.com/gpu.product": "Tesla-V100"}),
        ("v100", "nvidia.com/mig-1g.5gb", "nvidia.com/mig-1g.5gb", {}),
    ],
)
def test_types_of_gpus(kind, mapped, resource, labels):
    profile = Profile(gpu_types={kind: mapped} if mapped else {})
    [*_, manifest], say = made(Job(gpus=(Gpus(3, "job", kind),)), profile=profile)
    pod = manifest["spec"]["template"]["spec"]
    assert pod["containers"][0]["resources"]["limits"][resource] == "3"
    assert pod.get("nodeSelector", {}) == labels
    assert say.fates["gpus"][0] == ("approximate" if kind and not mapped else "exact")


def test_an_array():
    [*_, manifest], say = made(Job(array=Array("1-9:2,20", ((1, 9, 2), (20, 20, 1)), 2), walltime_s=60, requeue=False))
    spec = manifest["spec"]
    assert (spec["parallelism"], spec["completions"], spec["completionMode"]) == (2, 6, "Indexed")
    assert spec["backoffLimitPerIndex"] == 0
    assert "activeDeadlineSeconds" not in spec
    assert spec["template"]["spec"]["activeDeadlineSeconds"] == 60
    command = spec["template"]["spec"]["containers"][0]["command"]
    assert command[-1] == "/jobspec/script"
    assert command[2].startswith(
        "JOB_COMPLETION_INDEX=$((JOB_COMPLETION_INDEX < 5 ? JOB_COMPLETION_INDEX * 2 + 1 : 20))"
    )
    assert say.fates["array"][0] == say.fates["walltime_s"][0] == "exact"
    assert made(Job(array=Array("", ((0, 10**6, 1),))))[1].fates["array"][0] == "dropped"


def test_elements_of_several_nodes_are_replicas_of_a_jobset():
    job = Job(nodes=Nodes(3, 3), tasks=3, array=Array("5-6", ((5, 6, 1),)))
    [_, jobset], say = made(job, "jobset")
    [one] = jobset["spec"]["replicatedJobs"]
    spec = one["template"]["spec"]
    assert (one["replicas"], spec["parallelism"], spec["completions"]) == (2, 3, 3)
    assert "$((JOBSET_REPLICA + 5))" in spec["template"]["spec"]["containers"][0]["command"][2]
    assert say.fates["array"][0] == "exact"


def test_components_are_replicated_jobs():
    jobs = (Job(name="x", cpus_per_task=4), Job(name="x", nodes=Nodes(2, 2), tasks=2, gpus=(Gpus(1, "node"),)))
    [_, jobset], _ = made(jobs[0], "jobset", components=jobs)
    first, second = jobset["spec"]["replicatedJobs"]
    assert (first["name"], second["name"]) == ("c0", "c1")
    assert second["template"]["spec"]["completions"] == 2
    assert jobset["spec"]["network"] == {"enableDNSHostnames": True}


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("#!/usr/bin/env python3\nprint('a: b')\n", ["/jobspec/script"]),
        ("echo\n", ["/bin/sh", "/jobspec/script"]),
        ("#!/bin/sh\r\n\ttab \x01\x85\u2028 \n  \n trailing \n", ["/jobspec/script"]),
        ("#!/bin/sh\n\udcff\udc80 binary\n", ["/jobspec/script"]),
        ("#!/bin/sh\nno end", ["/jobspec/script"]),
        ("#!/bin/sh\n" + "x" * 5000 + "\n", ["/jobspec/script"]),
    ],
)
@pytest.mark.parametrize("system", WRITERS)
def test_the_script_byte_for_byte(text, command, system):
    shebang, _, rest = text.partition("\n") if text.startswith("#!") else ("", "", text)
    documents, _ = made(Job(name="n"), system, script=Script(shebang, rest))
    config = documents[0]
    if "binaryData" in config:
        data = base64.b64decode(config["binaryData"]["script"])
    else:
        data = config["data"]["script"].encode()
    assert data == text.encode(errors="surrogateescape")
    if system == "kubernetes":
        assert documents[-1]["spec"]["template"]["spec"]["containers"][0]["command"] == command
        [file] = write.write(Saying(Job(name="n"), system, SITE), Script(shebang, rest))
        assert readers.read(file.text, system).script == text


name = st.text(max_size=80) | st.sampled_from(["\udcff", "a\0b", "a\nb"])


@given(name, name, name, st.sampled_from(sorted(WRITERS)))
@settings(max_examples=40, deadline=None)
def test_any_text(text, other, third, system):
    job = Job(
        system="slurm",
        name=text or None,
        comment=other,
        queue=third or None,
        account=other or None,
        workdir=text,
        constraint=Constraint(text, (text, f"{other}={third}")),
        hosts=third or None,
        shell=other,
        environment=Environment("", all=False, values=((text or "A", other), ("B", third))),
        gpus=(Gpus(1, "node", other),),
    )
    documents, _ = made(job, system, Profile())
    assert len(documents[-1]["metadata"]["name"]) <= 63


def test_without_an_image_one_is_assumed_and_said():
    text = "#!/bin/bash\n#SBATCH -J a\nhostname\n"
    result = convert(text, readers.read(text), "kubernetes", annotate=True)
    assert any("image" in one.why for one in result.entries)
    assert result.files[0].text.startswith("# The script runs in debian:stable-slim")
    assert "# jobspec: line 2: " in result.files[0].text
    check(result.files[0].text)


def test_slurm_and_back_keeps_the_indexes():
    text = "#!/bin/bash\n#SBATCH -J a --array=3,7-9%2 -c 4 --mem=1G -t 10\nhostname\n"
    file = convert(text, readers.read(text), "kubernetes", SITE).files[0].text
    [job] = readers.read(file).jobs
    assert (job.array.text, job.array.ranges, job.array.throttle) == ("3,7-9", ((3, 3, 1), (7, 9, 1)), 2)
    assert (job.name, job.cpus_per_task, job.memory, job.walltime_s) == ("a", 4, Memory(2**30, "node"), 600)
    assert readers.read(file).script == "#!/bin/bash\nhostname\n"
