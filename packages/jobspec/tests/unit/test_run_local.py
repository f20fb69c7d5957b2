"""Steps and runs with real processes of this host."""

from __future__ import annotations

import io
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jobspec import document, runner, steps
from jobspec.environ import clean
from jobspec.errors import DocumentError, StepFailed
from jobspec.stage import Stage
from jobspec.transformer.local import Transformer


def spec(body="exit 0", transform="", **attributes):
    lines = "\n".join(f"        {line}" for line in body.splitlines())
    transform = transform or (
        "[{step: write, filename: job.sh, executable: true}, {step: submit, filename: job.sh, wait: true, watch: true}]"
    )
    extra = "".join(f"    {key}: {value}\n" for key, value in attributes.items())
    return (
        "version: 1\ntask:\n  command: ['true']\n  scripts:\n    - name: job.sh\n      content: |\n        #!/bin/sh\n"
        f"{lines}\n  transform: {transform}\n" + (f"attributes:\n  system:\n{extra}" if extra else "")
    )


def run(text, **options):
    output = io.StringIO()
    result = runner.run(runner.plan(document.load(text), Transformer()), output=output, **options)
    return result, output.getvalue()


def test_a_job_runs_and_its_stage_goes(private_tmp):
    result, output = run(spec("echo hello; pwd"))
    assert result
    assert output == f"hello\n{Path.cwd()}\n"
    assert [step.status for step in result.steps] == ["ok", "ok"]
    assert result.steps[1].job.isdigit()
    assert list(private_tmp.iterdir()) == []


def test_the_stage_is_private_and_kept_where_asked():
    result, _ = run(spec("exit 0"), keep=True)
    stage = Path(result.stage)
    assert stat.S_IMODE(stage.stat().st_mode) == 0o700
    assert stat.S_IMODE((stage / "job.sh").stat().st_mode) == 0o700


def test_a_failing_step_ends_the_run(private_tmp):
    transform = (
        "[{step: write, filename: job.sh, executable: true}, {step: submit, filename: job.sh, wait: true},"
        " {step: write, filename: job.sh}]"
    )
    result, _ = run(spec("echo out of luck >&2; exit 7", transform))
    assert not result
    assert [step.status for step in result.steps] == ["ok", "failed"]
    assert "exit code 7" in result.reason
    assert "out of luck" in result.reason
    assert result.reason.startswith("task.transform[1]: ")
    assert list(private_tmp.iterdir()) == []


def test_a_job_that_nobody_waits_for_still_decides(tmp_path):
    transform = "[{step: write, filename: job.sh, executable: true}, {step: submit, filename: job.sh}]"
    assert run(spec("sleep 0.2; echo there > there.txt", transform, cwd=tmp_path))[0]
    assert (tmp_path / "there.txt").exists()
    result, _ = run(spec("sleep 0.1; exit 4", transform))
    assert [step.status for step in result.steps] == ["ok", "ok"]
    assert "exit code 4" in result.reason


def test_jobs_run_at_the_same_time_unless_waited_for(tmp_path):
    transform = "[{step: write, filename: job.sh, executable: true}" + ", {step: submit, filename: job.sh}" * 3 + "]"
    began = time.monotonic()
    assert run(spec("sleep 0.5", transform))[0]
    assert time.monotonic() - began < 1.4


def test_tasks_are_processes_that_know_their_rank():
    text = "resources: {type: slot, count: 3}\n" + spec("echo $JOBSPEC_TASK_RANK/$JOBSPEC_TASK_COUNT")
    result, output = run(text)
    assert result
    assert sorted(output.split()) == ["0/3", "1/3", "2/3"]


def test_the_file_sets_directory_and_environment(tmp_path):
    _, output = run(spec('pwd; echo "$A"', cwd=tmp_path, environment="{A: '$HOME; b'}"))
    assert output == f"{tmp_path}\n$HOME; b\n"


def test_arguments_are_no_shell_line():
    text = "version: 1\ntask: {command: [echo, '$HOME; echo b', '*'], transform: [{step: submit, watch: true}]}"
    assert run(text)[1] == "$HOME; echo b *\n"


def test_the_duration_is_a_limit():
    began = time.monotonic()
    result, _ = run(spec("sleep 30 & sleep 30", duration="1"))
    assert "time limit of 0:00:01" in result.reason
    assert time.monotonic() - began < 10


def test_what_belongs_to_the_job_around_us_is_not_passed_on(monkeypatch):
    for name in ("SLURM_JOB_ID", "SBATCH_X", "PBS_JOBID", "PMIX_RANK", "PMI_RANK", "SLURM_CONF", "MINE"):
        monkeypatch.setenv(name, "1")
    _, output = run(spec("env"))
    names = {line.partition("=")[0] for line in output.splitlines()}
    assert not {name for name in names if name.startswith(("SLURM_", "SBATCH_", "PBS_", "PMI"))} - {"SLURM_CONF"}
    assert {"SLURM_CONF", "MINE", "JOBSPEC_STAGE"} <= names
    assert clean({"PMIX_A": "1", "B": "2"}) == {"B": "2"}


def test_set_chooses_the_stage(tmp_path):
    stage = tmp_path / "mine"
    transform = (
        f"[{{step: set, key: stage, value: {stage}}}, {{step: set, key: sharedfs, value: true}},"
        " {step: stage, filename: any}, {step: write, filename: sub/job.sh, executable: true},"
        " {step: submit, filename: sub/job.sh, wait: true}, {step: unset, key: stage}]"
    )
    result, _ = run(spec("exit 0", transform).replace("name: job.sh", "name: sub/job.sh"))
    assert result
    assert [step.status for step in result.steps].count("skipped") == 1
    assert stat.S_IMODE(stage.stat().st_mode) == 0o700
    assert (stage / "sub" / "job.sh").is_file()


def test_copy(tmp_path):
    source = tmp_path / "tool.sh"
    source.write_text("#!/bin/sh\necho copied\n")
    transform = (
        f"[{{step: copy, source: {source}, executable: true}}, {{step: submit, filename: tool.sh, watch: true}}]"
    )
    assert run(spec("exit 0", transform))[1] == "copied\n"


@pytest.mark.parametrize(
    ("transform", "place", "message"),
    [
        ("[{step: fly}]", "task.transform[0].step", "local has no step 'fly'"),
        ("[{step: auth}]", "task.transform[0]", "needs check"),
        ("[{step: write}]", "task.transform[0]", "needs filename"),
        ("[{step: write, filename: x}]", "task.transform[0].filename", "no script is named 'x'"),
        ("[{step: write, filename: job.sh, mode: 7}]", "task.transform[0].mode", "no option 'mode'"),
        ("[{step: write, filename: job.sh, executable: yes}]", "task.transform[0].executable", "true or false"),
        ("[{step: write, filename: ../job.sh}]", "task.transform[0].filename", "does not stay in the stage"),
        ("[{step: write, filename: /job.sh}]", "task.transform[0].filename", "does not stay in the stage"),
        ("[{step: submit, filename: job.sh}]", "task.transform[0].filename", "no step before"),
        (
            "[{step: write, filename: job.sh}, {step: submit, filename: job.sh}]",
            "task.transform[1].filename",
            "not executable",
        ),
        ("[{step: set, key: colour, value: red}]", "task.transform[0].key", "no setting"),
        ("[{step: set, key: stage, value: here}]", "task.transform[0].value", "absolute"),
        ("[{step: set, key: sharedfs, value: maybe}]", "task.transform[0].value", "true or false"),
        ("[{step: batch}]", "task.transform[0]", "needs filename"),
        ("[{step: copy, source: /no/such}]", "task.transform[0].source", "no file"),
    ],
)
def test_everything_is_checked_before_anything_runs(transform, place, message, private_tmp):
    with pytest.raises(DocumentError) as caught:
        runner.plan(document.load(spec("exit 0", transform)), Transformer())
    assert caught.value.place == place
    assert message in caught.value.message
    assert list(private_tmp.iterdir()) == []


def test_a_script_that_can_never_start_is_refused():
    step = "{step: write, filename: a, executable: true}"
    text = f"{{version: 1, task: {{scripts: [{{name: a, content: hi}}], transform: [{step}]}}}}"
    with pytest.raises(DocumentError, match="does not start with '#!'"):
        runner.plan(document.load(text), Transformer())


def test_too_many_tasks_for_one_host():
    text = "{version: 1, resources: {type: slot, count: 100000}, task: {command: ['true']}}"
    with pytest.raises(DocumentError, match="more than the 256"):
        runner.plan(document.load(text), Transformer())


def test_no_such_program():
    result, _ = run("{version: 1, task: {command: [/no/such/program]}}")
    assert "can't start /no/such/program: No such file" in result.reason


@pytest.mark.parametrize("kind", ["link", "folder link", "open"])
def test_a_stage_that_leads_elsewhere_is_refused(tmp_path, kind):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder = tmp_path / "stage"
    if kind == "link":
        folder.symlink_to(elsewhere)
    else:
        folder.mkdir(mode=0o700)
    if kind == "open":
        folder.chmod(0o777)
    if kind != "folder link":
        with pytest.raises(StepFailed, match="your own"):
            Stage(str(folder))
        return
    (folder / "sub").symlink_to(elsewhere)
    with pytest.raises(StepFailed, match="can't write"):
        Stage(str(folder)).write("sub/file", b"x", executable=False)
    assert list(elsewhere.iterdir()) == []


def test_a_link_in_the_stage_is_replaced_and_not_followed(tmp_path):
    target = tmp_path / "target"
    target.write_text("precious")
    folder = tmp_path / "stage"
    folder.mkdir(mode=0o700)
    (folder / "job.sh").symlink_to(target)
    Stage(str(folder)).write("job.sh", b"new", executable=False)
    assert target.read_text() == "precious"
    assert (folder / "job.sh").read_text() == "new"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_ends_its_jobs_and_removes_its_stage(tmp_path, number):
    file, mark = tmp_path / "job.yaml", tmp_path / "pid"
    file.write_text(spec(f"echo $$ > {mark}.new; mv {mark}.new {mark}; sleep 60"))
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    command = [sys.executable, "-c", "from jobspec.cli import main; main()", "run", "-t", "local", str(file)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 10
    while not mark.exists() and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(number)
    assert process.wait(10) == 128 + number
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), 0)
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_dry_run_does_nothing(private_tmp):
    made = runner.plan(document.load(spec("exit 0")), Transformer())
    result = runner.dry_run(made)
    assert [step.status for step in result.steps] == ["planned", "planned"]
    assert "STAGE/job.sh (mode 0700)" in result.steps[0].text()
    assert result.steps[1].actions[0].as_dict()["argv"] == ["STAGE/job.sh"]
    assert list(private_tmp.iterdir()) == []


def test_own_steps_get_the_run():
    class Shout(steps.StepBase):
        name = "shout"
        options = {"word": steps.TEXT}
        required = ("word",)

        def run(self, run):
            run.output.write(self.option("word").upper())
            return ""

    class Mine(Transformer):
        name = "mine"

    Mine.register_step(Shout)
    output = io.StringIO()
    text = "{version: 1, task: {transform: [{step: shout, word: hello}]}}"
    assert runner.run(runner.plan(document.load(text), Mine()), output=output)
    assert output.getvalue() == "HELLO"
