"""The nested form: what is refused, what comes of it, and runs on this host and in Flux."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from jobspec import document, runner
from jobspec.errors import DocumentError
from jobspec.job import Gpus, Memory, Nodes
from jobspec.transformer.flux import Transformer as Flux
from jobspec.transformer.local import Transformer as Local

JOBSPEC = (sys.executable, "-c", "from jobspec.cli import main; main(prog_name='jobspec')")


def run(text):
    output = io.StringIO()
    result = runner.run(runner.plan(document.load(text), Local()), output=output)
    return result, output.getvalue()


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("groups: []", "", "neither a task nor a group"),
        ("name: x\ntasks: [{command: [a], slot: b}]", "tasks[0]", "unknown key 'slot'"),
        ("name: x\ntasks: [{}]", "tasks[0]", "has no command"),
        ("name: x\ntasks: [{command: hostname}]", "tasks[0].command", "must be a list"),
        ("name: x\ntasks: [{name: a, command: [a]}, {name: a, command: [b]}]", "tasks[1].name", "tasks[0] too"),
        ("groups: [{name: a, tasks: [{name: a, command: [a]}]}]", "groups[0].tasks[0].name", "groups[0] too"),
        ("groups: [{tasks: [{command: [a]}]}]", "groups[0]", "has no name"),
        ("groups: [{name: a}]", "groups[0]", "holds neither"),
        ('groups: [{name: "a\\nb"}]', "groups[0].name", "one line"),
        ("tasks: [{resources: big, command: [a]}]", "tasks[0].resources", "no resources are named 'big'"),
        ("resources: {big: {count: 1}}\ntasks: [{command: [a]}]", "resources.big", "has no type"),
        ("resources: {b: {type: node, replicas: 0}}\ntasks: [{command: [a]}]", "resources.b.replicas", "from 1 up"),
        ("resources: {b: {type: rack}}\ntasks: [{command: [a], resources: b}]", "resources.b.type", "unknown type"),
        ("tasks: [{depends_on: b, command: [a]}]", "tasks[0].depends_on", "no task and no group is named 'b'"),
        ("tasks: [{name: a, depends_on: [a], command: [a]}]", "tasks[0].depends_on", "'a' -> 'a'"),
        (
            "tasks: [{command: [a], name: z}, {name: a, depends_on: b, command: [a]}, {name: b, depends_on: [z, c],"
            " command: [a]}, {name: c, depends_on: a, command: [a]}]",
            "tasks[1].depends_on",
            "'a' -> 'b' -> 'c' -> 'a'",
        ),
        (
            "groups: [{name: g, tasks: [{name: t, command: [a]}]}]\ntasks: [{depends_on: t, command: [a]}]",
            "tasks[0].depends_on",
            "'t' runs in the group 'g'",
        ),
        (
            "groups: [{name: g, tasks: [{depends_on: t, command: [a]}]}]\ntasks: [{name: t, command: [a]}]",
            "groups[0].tasks[0].depends_on",
            "outside of this group",
        ),
        ("tasks: [{group: g, command: [a]}]", "tasks[0].group", "no group is named 'g'"),
        ("tasks: [{name: g, local: true, command: [a]}, {group: g}]", "tasks[1].group", "no group is named 'g'"),
        ("groups: [{name: g, tasks: [{group: g}]}]", "groups[0].tasks[0]", "'g' in 'g'"),
        (
            "groups: [{name: g, tasks: [{group: h}]}, {name: h, groups: [{name: i, tasks: [{group: g}]}]}]",
            "groups[1].groups[0].tasks[0]",
            "'g' in 'i' in 'h' in 'g'",
        ),
        (
            "groups: [{name: g, tasks: [{command: [a]}]}]\ntasks: [{group: g}, {group: g}]",
            "tasks[1].group",
            "started at tasks[0] already",
        ),
        ("groups: [{name: g, tasks: [{command: [a]}]}]\ntasks: [{group: g, replicas: 2}]", "tasks[0]", "'replicas'"),
        ("tasks: [{local: true, resources: {type: node}, command: [a]}]", "tasks[0]", "no resources of its own"),
        ("tasks: [{local: maybe, command: [a]}]", "tasks[0].local", "true or false"),
        ("tasks: [{replicas: 10001, command: [a]}]", "tasks[0].replicas", "more than 10000"),
        ("tasks: [{requires: [1, null], command: [a]}]", "tasks[0].requires[1]", "value of a fact"),
        ("tasks: [{attributes: {queue: x}, command: [a]}]", "tasks[0].attributes", "unknown key 'queue'"),
        ("attributes: {watch: 3}\ntasks: [{command: [a]}]", "attributes.watch", "true or false"),
        (
            "tasks: [{attributes: {environment: {'A;b': c}}, command: [a]}]",
            "tasks[0].attributes.environment",
            "no name",
        ),
        (
            "groups: [{name: g, tasks: [{steps: [{step: submit, wait: true}], command: [a]}]}]",
            "groups[0].tasks[0].steps[0]",
            "the last step",
        ),
        (
            "groups: [{name: g, tasks: [{command: [a], resources: {type: node, count: 2}}]}]",
            "groups[0].tasks[0]",
            "asks for 2 nodes",
        ),
        (
            "groups: [{name: g, resources: {type: core, count: 2}, tasks: [{command: [a], resources: {type: core,"
            " count: 3}}]}]",
            "groups[0].tasks[0]",
            "asks for 3 cores, and its group for 2",
        ),
    ],
)
def test_refused_before_anything_runs(text, place, message):
    with pytest.raises(DocumentError) as caught:
        runner.plan(document.load(f"version: 1\n{text}\n"), Local())
    assert caught.value.place == place
    assert message in caught.value.message


def test_deep_groups_are_refused():
    groups = ", ".join(f"{{name: g{n}, tasks: [{{group: g{n + 1}}}]}}" for n in range(50))
    text = f"version: 1\ngroups: [{groups}, {{name: g50, tasks: [{{command: [a]}}]}}]"
    with pytest.raises(DocumentError, match="nested deeper than 10"):
        document.load(text)


WHOLE = """
version: 1
name: pipeline
requires: {arch: any}
resources:
  big:
    type: node
    replicas: 2
    requires: {memory: 1GB}
    with:
      - {type: core, count: 4, schedule: true}
      - {type: gpu, count: 1, attributes: {model: a100}}
      - {type: storage, schedule: false, requires: {storage: {match: [{type: ssd}]}}}
  one: {type: slot, with: [{type: core, count: 2}, {type: memory, count: 3, attributes: {unit: GB}}]}
groups:
  - name: second
    depends_on: first
    resources: one
    attributes: {duration: 10m, environment: {A: group}}
    tasks: [{name: inside, command: [a], replicas: 2, attributes: {environment: {B: own}}}]
tasks:
  - {name: third, depends_on: [second, first], command: [c], resources: big}
  - {name: first, command: [a], attributes: {cwd: /tmp}}
attributes: {duration: 1h, environment: {A: top}}
"""


def test_the_whole_form():
    made = document.load(WHOLE)
    assert made.name == "pipeline"
    first, second, third = made.tasks
    assert [task.name for task in made.tasks] == ["first", "second", "third"]
    assert (second.depends_on, third.depends_on) == (("first",), ("second", "first"))
    assert (first.attributes.duration_s, first.attributes.cwd, first.attributes.environment) == (
        3600,
        "/tmp",
        {"A": "top"},
    )
    assert second.attributes.duration_s == 600
    one, two = second.members
    assert (one.replica, two.replica, one.attributes.duration_s) == (0, 1, None)
    assert two.attributes.environment == {"A": "group", "B": "own", "JOBSPEC_REPLICA": "1"}
    assert [str(fact) for fact in third.requires] == ["arch=any", "memory=1GB", "storage.type=ssd"]
    plan = runner.plan(made, Flux())
    job = plan.job(third)
    # `schedule: true` makes each core a slot: what is beside it on the node is not asked for by a task.
    assert (job.nodes, job.tasks, job.cpus_per_task) == (Nodes(2, 2), 8, 1)
    assert (plan.job(second).cpus_per_task, plan.job(second).memory) == (2, Memory(3 * 2**30, "task"))
    assert plan.job(two).name == "inside-1"


def test_gpu_models():
    text = "version: 1\ntasks: [{name: t, local: false, command: [a], resources: {type: node, with: [{type: gpu,"
    text += " count: 2, attributes: {model: a100}}]}}]"
    plan = runner.plan(document.load(text), Flux())
    assert plan.job(plan.document.tasks[0]).gpus == (Gpus(2, "task", "a100"),)
    assert plan.notes == ["Flux gives any GPU, not only a100"]


GROUP = """
version: 1
resources: {two: {type: slot, replicas: 2}}
groups:
  - name: g
    resources: two
    attributes: {watch: true, environment: {A: "x; y"}}
    tasks:
      - {name: b, depends_on: a, command: [sh, -c, 'echo b $JOBSPEC_TASK_RANK/$JOBSPEC_TASK_COUNT'], resources: two}
      - {name: a, command: [sh, -c, 'sleep 0.2; echo "a $0 $1 $A"', "$HOME", "it's; ls"]}
      - {depends_on: [b, inner], local: true, command: [sh, -c, 'echo last in $PWD'], attributes: {cwd: /}}
    groups:
      - {name: inner, depends_on: a, tasks: [{command: [sh, -c, 'sleep 0.2; echo inner $A']}]}
tasks: [{depends_on: g, command: [echo, after], attributes: {watch: true}}]
"""


def test_a_group_runs_its_tasks_in_order(private_tmp):
    result, output = run(GROUP)
    assert result, result.reason
    lines = output.splitlines()
    assert lines[0] == "a $HOME it's; ls x; y"
    assert sorted(lines[1:4]) == ["b 0/2", "b 1/2", "inner x; y"]
    assert lines[4:] == ["last in /", "after"]
    assert list(private_tmp.iterdir()) == []


def test_a_failing_member_ends_its_group_and_what_comes_after():
    text = (
        "version: 1\ngroups: [{name: g, attributes: {watch: true}, tasks: [{name: a, command: [sh, -c, 'exit 5']},"
        " {name: b, depends_on: a, command: [echo, never]}]}]\ntasks: [{depends_on: g, command: [echo, never]}]"
    )
    result, output = run(text)
    assert output == "jobspec: a ended with exit code 5\n"
    assert [step.status for step in result.steps] == ["ok", "failed"]
    assert "exit code 5" in result.reason


def test_tasks_side_by_side_run_at_once_and_dependents_wait(tmp_path):
    text = f"""
version: 1
tasks:
  - {{name: c, depends_on: [a, b], command: [sh, -c, 'test -e {tmp_path}/a1 -a -e {tmp_path}/b1']}}
  - {{name: a, command: [sh, -c, 'touch {tmp_path}/a0; sleep 0.3; test -e {tmp_path}/b0 && touch {tmp_path}/a1']}}
  - {{name: b, command: [sh, -c, 'touch {tmp_path}/b0; sleep 0.3; test -e {tmp_path}/a0 && touch {tmp_path}/b1']}}
"""
    assert run(text)[0]
    assert (tmp_path / "b1").exists()


def test_replicas_and_steps(tmp_path):
    text = f"""
version: 1
tasks:
  - name: many
    replicas: 3
    scripts: [{{name: job.sh, content: "#!/bin/sh\\necho replica $JOBSPEC_REPLICA >> {tmp_path}/out\\n"}}]
    steps:
      - {{step: write, filename: job.sh, executable: true}}
      - {{step: submit, filename: job.sh}}
"""
    result, _ = run(text)
    assert [step.step for step in result.steps] == ["write", "submit", "submit", "submit"]
    assert sorted((tmp_path / "out").read_text().splitlines()) == ["replica 0", "replica 1", "replica 2"]


def test_steps_of_members_come_before_their_group():
    text = """
version: 1
groups:
  - name: g
    attributes: {watch: true}
    tasks:
      - scripts: [{name: tool.sh, content: "#!/bin/sh\\necho tool\\n"}]
        steps: [{step: write, filename: tool.sh, executable: true}, {step: submit, filename: tool.sh}]
"""
    result, output = run(text)
    assert [step.step for step in result.steps] == ["write", "batch"]
    assert output == "tool\n"


def test_many_tasks_of_a_group_do_not_all_run_at_once():
    text = "version: 1\ngroups: [{name: g, tasks: [{command: ['true'], replicas: 70}]}]"
    result = runner.dry_run(runner.plan(document.load(text), Local()))
    script = result.steps[0].actions[0].content
    assert script.index('wait "$p1"') < script.index("p65=")
    assert script.count("wait ") == 70


def test_flux_says_dependencies_to_the_scheduler():
    result = runner.dry_run(runner.plan(document.load(WHOLE), Flux()))
    submits = [action.argv for step in result.steps for action in step.actions if hasattr(action, "argv")]
    assert "--dependency=afterok:JOBID(first)" in submits[1]
    assert {"--dependency=afterok:JOBID(second)", "--dependency=afterok:JOBID(first)"} <= set(submits[2])


def test_in_flux(in_flux, tmp_path):
    file = tmp_path / "job.yaml"
    file.write_text(GROUP.replace("$JOBSPEC_TASK_RANK/$JOBSPEC_TASK_COUNT", "$FLUX_TASK_RANK/2"))
    done = in_flux(*JOBSPEC, "run", file)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if not line.startswith("=>")]
    assert lines[0] == "a $HOME it's; ls x; y"
    assert sorted(lines[1:4]) == ["b 0/2", "b 1/2", "inner x; y"]
    assert lines[4:] == ["last in /", "after"]


def test_templates_of_flux_are_arguments_like_any_other(in_flux, tmp_path):
    words = ["{{id}}", "{{{name}}}", "a'{{b}}'", '"{{', "{}"]
    file = tmp_path / "job.yaml"
    file.write_text(
        "version: 1\ntask:\n  transform: [{step: submit, watch: true}]\n  command:\n"
        + "".join(f"    - '{word}'\n" for word in ["printf", "%s\\n", *(word.replace("'", "''") for word in words)])
    )
    done = in_flux(*JOBSPEC, "run", file)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[: len(words)] == words


def test_a_failed_dependency_in_flux(in_flux, tmp_path):
    file = tmp_path / "job.yaml"
    file.write_text(
        "version: 1\ntasks: [{name: a, command: ['false']}, {name: b, depends_on: a, command: [echo, never],"
        " attributes: {watch: true}}]"
    )
    done = in_flux(*JOBSPEC, "run", file)
    assert done.returncode == 1
    assert "never" not in done.stdout


def test_the_script_of_a_group_is_plain_shell():
    result = runner.dry_run(runner.plan(document.load(GROUP), Flux()))
    script = result.steps[0].actions[0].content
    assert subprocess.run(["sh", "-n"], input=script, text=True, check=False).returncode == 0


def test_what_a_job_came_after_has_ended_with_it(in_flux, tmp_path):
    """No stage is left for jobs that must have ended, since one that depends on them has."""
    file = tmp_path / "job.yaml"
    file.write_text(
        "version: 1\ntasks: [{name: a, command: ['true']}, {name: b, depends_on: a, command: [echo, b],"
        " attributes: {watch: true}}, {depends_on: b, command: [echo, c], attributes: {watch: true}}]"
    )
    done = in_flux(*JOBSPEC, "run", file)
    assert done.returncode == 0
    assert done.stderr == ""
    assert [line for line in done.stdout.splitlines() if not line.startswith("=>")] == ["b", "c"]


def test_the_example(jobspec, examples):
    result = jobspec("run", "-t", "local", examples / "groups-jobspec.yaml")
    assert result.exit_code == 0, result.stderr
    lines = [line for line in result.stdout.splitlines() if not line.startswith("=>")]
    assert (sorted(lines[:2]), lines[2:]) == (["run 0", "run 1"], ["collected", "done"])


def test_the_form_of_the_docs():
    page = Path(__file__).parents[4] / "docs" / "jobspec.md"
    text = next(part for part in page.read_text().split("```yaml\n")[1:] if "groups:" in part).split("```")[0]
    made = runner.plan(document.load(text), Flux())
    assert [unit.task.name for unit in made.units] == ["prepare", "simulate", ""]
    group = made.units[1].task
    assert (made.job(group).nodes, made.job(group).tasks) == (Nodes(2, 2), 4)
