"""Kubernetes Jobs as the API server and the scheduler take them; each case is a sentence of their documentation."""

from __future__ import annotations

import pytest

from jobspec import readers
from jobspec.convert import convert
from jobspec.job import Array, Constraint, Gpus, Gres, Job, Memory, Nodes

JOB = """\
apiVersion: batch/v1
kind: Job
metadata:
  name: {name}
spec:
{spec}
  template:
    spec:
{pod}
      containers:
      - name: main
        image: busybox
{container}
"""


HEAD = "kind: Job\napiVersion: batch/v1\nmetadata: {name: a}\n"


def text(spec="", pod="restartPolicy: Never", container="", name="pi"):
    def indented(part, width):
        return "\n".join(" " * width + line for line in part.split("\n")) if part else " " * width + "# nothing"

    return JOB.format(name=name, spec=indented(spec, 2), pod=indented(pod, 6), container=indented(container, 8))


def read(*args, **kwargs):
    reading = readers.read(text(*args, **kwargs), "kubernetes")
    assert not reading.errors, reading.errors
    return reading


def job(*args, **kwargs) -> Job:
    return read(*args, **kwargs).jobs[0]


def test_a_job_without_anything_is_one_pod():
    reading = read()
    [one] = reading.jobs
    assert (one.name, one.tasks, one.cpus_per_task, one.memory, one.nodes, one.array) == ("pi", 1, 1, None, None, None)
    assert reading.warnings[0].message.startswith("the image says what runs")


@pytest.mark.parametrize(
    ("quantity", "cpus"), [("2", 2), ("500m", 1), ("1500m", 2), ("0.1", 1), ("1e3m", None), ("2k", 2000), ("4.0", 4)]
)
def test_cpus(quantity, cpus):
    made = text(container=f"resources: {{requests: {{cpu: {quantity}}}}}")
    reading = readers.read(made, "kubernetes")
    if cpus is None:
        assert "no Kubernetes quantity" in reading.errors[0].message
        return
    assert reading.jobs[0].cpus_per_task == cpus
    [one] = [one for one in reading.directives if one.fields == ("cpus_per_task",)]
    assert ("rounded up" in one.why) == (quantity in {"500m", "1500m", "0.1"})
    entries = convert(made, reading, "jobspec").entries
    fate = next(entry.fate for entry in entries if entry.text.endswith(f"cpu: {quantity}"))
    assert fate == ("approximate" if one.why else "exact")


@pytest.mark.parametrize(
    ("quantity", "size"),
    [
        ("128974848", 128974848),
        ("129e6", 129000000),
        ("129M", 129000000),
        ("128974848000m", 128974848),
        ("123Mi", 123 * 2**20),
        ("1.5Gi", 3 * 2**29),
        ("1G", 10**9),
        ("400m", 1),
    ],
)
def test_memory(quantity, size):
    # "Resource Management for Pods and Containers", "Memory resource units": the first five are one amount, nearly
    assert job(container=f"resources: {{limits: {{memory: {quantity}}}}}").memory == Memory(size, "node")


def test_requests_count_and_limits_stand_in_for_them():
    one = job(container="resources:\n  requests: {memory: 1Gi}\n  limits: {memory: 2Gi, cpu: 3}")
    assert (one.memory, one.cpus_per_task) == (Memory(2**30, "node"), 3)
    paths = {
        found.text: found.fields
        for found in read(container="resources: {requests: {cpu: 1}, limits: {cpu: 2}}").directives
    }
    assert paths["spec.template.spec.containers[0].resources.limits.cpu: 2"] == ("native",)


def test_the_pod_holds_what_its_containers_hold_together():
    made = text(container="resources: {requests: {cpu: 1, memory: 1Gi}}") + (
        "      - name: side\n        image: b\n        resources: {requests: {cpu: 2500m, memory: 1Gi}}\n"
        "      initContainers:\n      - name: first\n        image: b\n"
        "        resources: {requests: {cpu: 1, memory: 8Gi}}\n"
    )
    [one] = readers.read(made, "kubernetes").jobs
    assert (one.cpus_per_task, one.memory) == (4, Memory(8 * 2**30, "node"))


def test_gpus():
    one = job(
        pod="restartPolicy: Never\nnodeSelector: {nvidia.com/gpu.product: A100, disk: ssd}",
        container="resources: {limits: {nvidia.com/gpu: 2, rdma/hca: 1, hugepages-2Mi: 4Mi}}",
    )
    assert one.gpus == (Gpus(2, "node", "A100"),)
    assert one.gres == (Gres("rdma/hca", "", 1),)
    assert one.constraint == Constraint("disk=ssd", ("disk=ssd",))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("completions: 5\nparallelism: 2\ncompletionMode: Indexed", Array("0-4", ((0, 4, 1),), 2)),
        ("completions: 5\nparallelism: 5\ncompletionMode: Indexed", Array("0-4", ((0, 4, 1),))),
        ("completions: 5\ncompletionMode: Indexed", Array("0-4", ((0, 4, 1),), 1)),
        ("completions: 3", Array("0-2", ((0, 2, 1),), 1)),
        ("parallelism: 3", Array("0-2", ((0, 2, 1),))),
        ("completions: 1\nparallelism: 1", None),
    ],
)
def test_completions(spec, expected):
    assert job(spec).array == expected


def test_pods_that_reach_one_another_are_nodes():
    spec = "completions: 4\nparallelism: 4\ncompletionMode: Indexed"
    one = job(spec, pod="restartPolicy: Never\nsubdomain: svc", container="resources: {requests: {cpu: 3}}")
    assert (one.nodes, one.tasks, one.cpus_per_task, one.array) == (Nodes(4, 4), 4, 3, None)


def test_time_and_order():
    one = job("activeDeadlineSeconds: 100\nsuspend: true\nbackoffLimit: 0")
    assert (one.walltime_s, one.hold, one.requeue) == (100, True, False)
    assert job("parallelism: 0").hold
    assert job("backoffLimit: 4").requeue is True
    assert job("", "restartPolicy: Never\nactiveDeadlineSeconds: 7").walltime_s == 7
    assert job("activeDeadlineSeconds: 9", "restartPolicy: Never\nactiveDeadlineSeconds: 7").walltime_s == 7


@pytest.mark.parametrize(
    ("container", "script"),
    [
        ("command: [echo, a b, $x]", "#!/bin/sh\nexec echo 'a b' '$x'\n"),
        ("command: [echo]\nargs: [it's]", "#!/bin/sh\nexec echo 'it'\"'\"'s'\n"),
        ("command: [/bin/bash, -c]\nargs: ['echo $$(A) $$$$']", "#!/bin/bash\necho $(A) $$\n"),
        ("command: [sh, -ec, 'echo $(A)$(B)']\nenv: [{name: A, value: x}]", "#!/bin/sh -e\necho x$(B)\n"),
    ],
)
def test_scripts(container, script):
    # "Define a Command and Arguments for a Container": $(VAR) is expanded, $$(VAR) is not, unknown ones stay
    assert read(container=container).script == script


def test_variables_see_those_before_them():
    made = "env:\n- {name: A, value: x}\n- {name: B, value: $(A)y$(C)}\n- {name: A, value: z}"
    reading = read(container=made)
    assert reading.jobs[0].environment.values == (("B", "xy$(C)"), ("A", "z"))
    assert [one.state for one in reading.directives if ".env[" in one.option] == ["overridden", "obeyed", "obeyed"]


def test_places_are_those_in_the_file():
    reading = read("activeDeadlineSeconds: 100", container="resources:\n  requests:\n    cpu: 2\n    memory: 1Gi")
    lines = text("activeDeadlineSeconds: 100", container="resources:\n  requests:\n    cpu: 2\n    memory: 1Gi").split(
        "\n"
    )
    for field, key in (("walltime_s", "activeDeadlineSeconds"), ("cpus_per_task", "cpu"), ("memory", "memory")):
        place = reading.jobs[0].where[field]
        assert lines[place.line - 1][place.column - 1 :].startswith(key)


@pytest.mark.parametrize(
    ("made", "message", "line"),
    [
        (text(pod=""), "restartPolicy: must be Never or OnFailure in a Job; Always is the default", 7),
        (text(pod="restartPolicy: Always"), "not Always", 9),
        (text(name="My_Job"), "DNS-1123", 4),
        (text(name="x" * 64), "at most 63", 4),
        (text().replace("        image: busybox\n", ""), "needs an image", 10),
        (text("paralelism: 2"), "spec.paralelism: unknown field", 6),
        (text(container="resources: {requests: {cpu: 2 cores}}"), "no Kubernetes quantity", 12),
        (text(container="resources: {requests: {cpu: 2}, limits: {cpu: 1}}"), "more than the limit", 12),
        (text(container="resources: {requests: {nvidia.com/gpu: 1}}"), "same as the limit", 12),
        (text(container="resources: {limits: {nvidia.com/gpu: 0.5}}"), "whole number of a resource", 12),
        (text(container="resources: {limits: {gpu: 1}}"), "no resource of containers", 12),
        (text("completionMode: Indexed"), "an Indexed Job needs it", 6),
        (text("completionMode: Some"), "NonIndexed or Indexed", 6),
        (text("parallelism: -1"), "from 0 to", 6),
        (text("parallelism: '1'"), "whole number", 6),
        (text("suspend: 'yes'"), "true or false", 6),
        (text("backoffLimitPerIndex: 1"), "only an Indexed Job", 6),
        (text(container="env: [{name: A, value: 1}]"), "must be text", 12),
        (text(container="env: [{name: A=B}]"), "no name of a variable", 12),
        (text(pod="restartPolicy: Never\nnodeSelector: {a: 'b c'}"), "no label", 9),
        (text().replace("batch/v1", "batch/v2"), "batch/v1", 1),
        (text().replace("kind: Job", "kind: CronJob"), "no Job in it, but CronJob", 1),
        (text() + "---\n" + text(), "a second Job", 15),
        ("", "no Job in it", 1),
        ("[]", "is a mapping", 1),
        (HEAD + "spec: {template: {spec: {restartPolicy: Never}}}", "a pod needs a container", 4),
        (HEAD, "a Job needs one", 1),
        ("kind: Job\napiVersion: batch/v1\nspec: {}", "needs a name", 1),
        ("a: [", "no YAML", 1),
        ("a: &a [*a]", "anchors", 1),
    ],
)  # fmt: skip
def test_what_the_api_server_refuses(made, message, line):
    reading = readers.read(made, "kubernetes")
    [error] = reading.errors
    assert message in error.message
    assert not reading.jobs
    if line > 1 or "batch/v2" in made:
        assert abs(error.line - line) <= 2, error  # the key, or what should hold it


@pytest.mark.parametrize(
    "made",
    [
        text(name="{{ .Release.Name }}"),
        text(name="'{{ name }}'"),
        text(container="resources: {requests: {cpu: '{cpus}'}}"),
        text(container="resources: {requests: {cpu: $CPUS}}"),
    ],
)
def test_templates(made):
    [error] = readers.read(made, "kubernetes").errors
    assert error.meant == "a template: fill it in first"


def test_near_misses_say_what_was_meant():
    [error] = readers.read(text("paralelism: 2"), "kubernetes").errors
    assert error.meant == "did you mean parallelism?"


def test_what_only_kubernetes_has_is_in_the_report():
    made = text(pod="restartPolicy: Never\ntolerations: [{operator: Exists}]", container="imagePullPolicy: Always")
    reading = readers.read(made, "kubernetes")
    entries = {one.text: one.fate for one in convert(made, reading, "jobspec").entries}
    assert entries["spec.template.spec.tolerations"] == "dropped"
    assert entries["spec.template.spec.containers[0].imagePullPolicy: Always"] == "dropped"
    assert {one.fate for one in convert(made, reading, "kubernetes").entries} == {"exact", "ignored"}
