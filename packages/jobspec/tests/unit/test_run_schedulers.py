"""The transformers of the other batch systems: their command lines, and runs on programs that answer as theirs do."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from jobspec import document, runner
from jobspec.errors import DocumentError, StepFailed
from jobspec.profile import Profile
from jobspec.testing import check_transformer
from jobspec.transformer import TRANSFORMERS

NAMES = ("slurm", "pbs", "lsf", "gridengine", "oar", "htcondor", "kubernetes", "hyperqueue")
WHOLE = """
version: 1
resources:
  type: slot
  count: 2
  with: [{type: core, count: 3}, {type: gpu, count: 1}, {type: memory, count: 600, unit: MB}]
task: {name: n, command: [echo, "a b", $HOME], transform: [{step: submit, wait: true}]}
attributes: {system: {duration: 5430, cwd: /work, environment: {A: "x y"}}}
"""
ON_NODES = """
version: 1
resources: {type: node, count: 2, with: [{type: slot, count: 2, with: [{type: core, count: 3}]}]}
task:
  name: n
  scripts: [{name: job.sh, content: "#!/bin/sh\\nexit 0\\n"}]
  transform: [{step: write, filename: job.sh}, {step: batch, filename: job.sh}]
attributes: {system: {duration: 5430}}
"""
PROFILE = Profile(parallel_environments={"smp": "threads"}, image="site/image", default_queue="q", default_account="a")


def made(name):
    transformer = TRANSFORMERS.load(name)()
    transformer.profile = PROFILE
    return transformer


def planned(name, text):
    return runner.dry_run(runner.plan(document.load(text), made(name))).steps


def argv(name, text):
    return [list(action.argv) for step in planned(name, text) for action in step.actions if hasattr(action, "argv")]


@pytest.fixture(autouse=True)
def nothing_is_installed(monkeypatch, request):
    if "nothing" not in request.keywords:
        monkeypatch.setenv("PATH", "/nowhere")
        monkeypatch.delenv("HQ_SERVER_DIR", raising=False)


SUBMISSIONS = {
    "slurm": "sbatch --parsable --job-name=n --account=a --partition=q --ntasks=2 --cpus-per-task=3 --gpus-per-task=1"
    " --mem-per-cpu=200M --time=01:31:00 --chdir=/work --export=ALL STAGE/job-",
    "pbs": "qsub -N n -A a -q q -V -l select=1:ncpus=6:mpiprocs=2:ompthreads=3:ngpus=2:mem=1200mb"
    " -l walltime=01:30:30 STAGE/job-",
    "lsf": "bsub -J n -q q -P a -cwd /work -n 2 -gpu num=1/task -W 1:31 -env all"
    " -R span[hosts=1] affinity[core(3)] rusage[mem=600MB/task] STAGE/job-",
    "gridengine": "qsub -terse -b y -shell n -N n -A a -q q -pe threads 6 -l h_rt=1:30:30",
    "oar": "oarsub -n n --project a -q q -l /nodes=1/gpu=2/core=3,walltime=1:30:30 -d /work env 'A=x y' JOBSPEC",
    "htcondor": "condor_submit -terse",
    "kubernetes": "kubectl create --output=name",
    "hyperqueue": "hq submit --output-mode=quiet --name=n --cpus=3 --resource gpus/nvidia=1 --resource mem=600"
    " --time-limit=5430s --time-request=5430s --cwd=/work --array=0-1 --env=A=x y",
}
LOOKS = {
    "slurm": "scontrol --oneliner show job JOBID",
    "pbs": "qstat -x -f JOBID",
    "lsf": "bjobs -noheader -o stat exit_code JOBID",
    "gridengine": "qstat -j JOBID",
    "oar": "oarstat -f -j JOBID",
    "htcondor": "condor_q JOBID -autoformat:t JobStatus ExitBySignal ExitCode ExitSignal HoldReason",
    "kubernetes": "kubectl get JOBID --output=json",
    "hyperqueue": "hq job info JOBID --output-mode=json",
}


@pytest.mark.parametrize("name", NAMES)
def test_command_lines(name):
    submit, look = argv(name, WHOLE)
    assert " ".join(submit).startswith(SUBMISSIONS[name])
    assert " ".join(look) == LOOKS[name]


def test_batch_on_nodes():
    [slurm] = argv("slurm", ON_NODES)
    assert {"--nodes=2", "--ntasks=4", "--cpus-per-task=3"} <= set(slurm)
    assert slurm[-1] == "STAGE/job.sh"
    [pbs] = argv("pbs", ON_NODES)
    assert "select=2:ncpus=6:mpiprocs=2:ompthreads=3" in pbs
    assert "place=scatter" in pbs
    [lsf] = argv("lsf", ON_NODES)
    assert {"4", "span[ptile=2] affinity[core(3)]"} <= set(lsf)
    [oar] = argv("oar", ON_NODES)
    assert "/nodes=2/core=6,walltime=1:30:30" in oar


@pytest.mark.parametrize("name", NAMES)
def test_tasks_on_nodes_are_refused_where_nothing_starts_them(name):
    text = "{version: 1, resources: {type: node, count: 2}, task: {command: ['true']}}"
    if name == "slurm":
        assert argv(name, text)
        return
    with pytest.raises(DocumentError) as caught:
        planned(name, text)
    assert caught.value.place in {"task", "task.transform[0]"}


@pytest.mark.parametrize("name", NAMES)
def test_one_that_is_not_there_says_so(name):
    assert "no " in made(name).why_not()


def test_torque_is_told_apart(monkeypatch, tmp_path):
    (tmp_path / "qsub").write_text(
        "#!/bin/sh\necho 'Version: 6.1.2'\necho 'Commit: 661e092552de43a785c15d39a3634a541d86898e'\n"
    )
    (tmp_path / "qsub").chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    [submit, look] = argv("pbs", WHOLE)
    assert "nodes=1:ppn=6:gpus=2" in submit
    assert look == ["qstat", "-f", "-1", "JOBID"]


@pytest.mark.parametrize("name", ["slurm", "pbs", "lsf"])
def test_dependencies_are_said(name):
    text = "{version: 1, tasks: [{name: a, command: [x]}, {depends_on: a, command: [y]}]}"
    [_, second] = argv(name, text)
    said = {
        "slurm": "--dependency=afterok:JOBID(a) --kill-on-invalid-dep=yes",
        "pbs": "-W depend=afterok:JOBID(a)",
        "lsf": "-w done(JOBID(a)) -ti",
    }
    assert said[name] in " ".join(second)


def test_what_a_system_can_not_say_is_told():
    notes = runner.plan(document.load(WHOLE), made("slurm")).notes
    assert notes == ["walltime_s: 5430 s are 91 minutes: Slurm holds whole minutes, rounded up"]


def test_a_submit_description_of_htcondor():
    [script, description, *_] = planned("htcondor", WHOLE)[0].actions
    lines = dict(line.split(" = ", 1) for line in description.content.splitlines()[:-1])
    assert lines["executable"] == script.path
    assert lines["environment"] == "\"A='x y' JOBSPEC_STAGE=STAGE\""
    assert (lines["request_cpus"], lines["request_memory"], lines["request_gpus"]) == ("6", "1200", "2")
    assert lines["log"].startswith("STAGE/")
    with_break = WHOLE.replace("x y", "x\\ny")
    with pytest.raises(StepFailed, match="line break"):
        planned("htcondor", with_break)


def test_a_manifest_of_kubernetes():
    [manifest, *_] = planned("kubernetes", WHOLE)[0].actions
    import yaml

    config, job = yaml.safe_load_all(manifest.content)
    assert (config["kind"], job["kind"]) == ("ConfigMap", "Job")
    container = job["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "site/image"
    assert {"name": "A", "value": "x y"} in container["env"]
    assert "JOBSPEC_STAGE" not in manifest.content
    assert "echo 'a b' '$HOME'" in next(iter(config["data"].values()))


# One program for all commands: it runs what is submitted at once, and answers in the words of each system.
FAKE = """#!{python}
import json, os, re, shlex, subprocess, sys
from pathlib import Path

name, words = Path(sys.argv[0]).name, sys.argv[1:]
state = Path(os.environ["FAKE_STATE"])


def after(*options):
    return next((words[i + 1] for i, word in enumerate(words[:-1]) if word in options), None)


def start(argv, output, environ=None):
    number = len(list(state.iterdir())) + 1
    with open(output or os.devnull, "ab") as out:
        code = subprocess.run(argv, stdout=out, stderr=out, env={{**os.environ, **(environ or {{}})}}).returncode
    (state / str(number)).write_text(str(code))
    return number


def code(job):
    return int((state / job).read_text())


if name == "qsub":
    if "--version" in words:
        print("pbs_version = 23.06.06")
    else:
        os.environ["PBS_O_WORKDIR"] = os.getcwd()
        print(f"{{start(words[-1:], after('-o'))}}.server")
elif name == "qstat":
    if words != ["-B"]:
        job = words[-1]
        print(f"Job Id: {{job}}\\n    Job_Name = x\\n    job_state = F\\n    Exit_status = {{code(job.split('.')[0])}}")
elif name == "bsub":
    print(f"Job <{{start(words[-1:], after('-oo'))}}> is submitted to default queue <normal>.")
elif name == "bjobs":
    print("EXIT      %d" % code(words[-1]) if code(words[-1]) else "DONE      -")
elif name == "oarsub":
    print("[ADMISSION RULE] Set default walltime to 7200.")
    print(f"OAR_JOB_ID={{start(shlex.split(words[-1]), after('-O'))}}")
elif name == "oarstat":
    if words != ["--version"]:
        number = code(words[-1])
        kind = "Error" if number else "Terminated"
        print(f"Job_Id: {{words[-1]}}\\n    state = {{kind}}\\n    exit_code = {{number * 256}} ({{number}},0,0)")
elif name == "condor_submit":
    lines = dict(line.split(" = ", 1) for line in Path(words[-1]).read_text().splitlines() if " = " in line)
    environ = dict(re.findall(r"(\\w+)='([^']*)'", lines["environment"]))
    number = start([lines["executable"]], lines.get("output"), environ)
    print(f"{{number}}.0 - {{number}}.0")
elif name == "condor_history":
    print(f"4\\tfalse\\t{{code(words[0])}}\\tundefined\\tundefined")
elif name == "kubectl" and words[0] == "create":
    import yaml
    config, job = yaml.safe_load_all(Path(words[-1].partition("=")[2]).read_text())
    script = state.parent / "script.sh"
    script.write_text(next(iter(config["data"].values())))
    script.chmod(0o700)
    print(f"configmap/x-script created\\njob.batch/{{start([str(script)], state.parent / 'log')}}")
elif name == "kubectl" and words[0] == "get":
    bad = code(words[1].split("/")[1])
    kind = "Failed" if bad else "Complete"
    message = "Job has reached the specified backoff limit"
    print(json.dumps({{"status": {{"conditions": [{{"type": kind, "status": "True", "message": message}}]}}}}))
elif name == "kubectl" and words[0] == "logs":
    print((state.parent / "log").read_text(), end="")
elif name == "hq" and words[0] == "submit":
    out = next((word.partition("=")[2] for word in words if word.startswith("--stdout=")), "")
    environ = dict(word.removeprefix("--env=").split("=", 1) for word in words if word.startswith("--env="))
    print(start(words[words.index("--") + 1:], out.replace("%{{TASK_ID}}", "0") or None, environ))
elif name == "hq" and words[0] == "job":
    bad = bool(code(words[2]))
    stats = {{"running": 0, "waiting": 0, "finished": int(not bad), "failed": int(bad), "canceled": 0}}
    print(json.dumps([{{"info": {{"id": int(words[2]), "task_stats": stats}}}}]))
"""
COMMANDS = {
    "pbs": ("qsub", "qstat"),
    "lsf": ("bsub", "bjobs", "lsid"),
    "oar": ("oarsub", "oarstat"),
    "htcondor": ("condor_submit", "condor_q", "condor_history"),
    "kubernetes": ("kubectl",),
    "hyperqueue": ("hq",),
}


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Put the commands of a system on the PATH."""

    def install(name):
        folder = tmp_path / "bin"
        folder.mkdir()
        for command in COMMANDS[name]:
            (folder / command).write_text(FAKE.format(python=sys.executable))
            (folder / command).chmod(0o700)
        (tmp_path / "state").mkdir()
        monkeypatch.setenv("FAKE_STATE", str(tmp_path / "state"))
        monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")
        monkeypatch.chdir(tmp_path)

    return install


@pytest.mark.parametrize("name", COMMANDS)
def test_the_contract(fake, name):
    fake(name)
    check_transformer(TRANSFORMERS.load(name))


@pytest.mark.parametrize("name", COMMANDS)
def test_output_and_variables(fake, name):
    fake(name)
    text = (
        '{version: 1, task: {command: [sh, -c, \'echo "$A"; echo "$0"\', "it\'s; $HOME"], transform: [{step: submit,'
        " watch: true}]}, attributes: {system: {environment: {A: 'x y'}}}}"
    )
    output = io.StringIO()
    result = runner.run(runner.plan(document.load(text), made(name)), output=output)
    assert result, result.reason
    expected = "it's; $HOME\n" if name == "kubernetes" else "x y\nit's; $HOME\n"  # no pod here to set variables
    assert output.getvalue().endswith(expected)
    assert not Path(result.stage or "/none").exists()


@pytest.mark.parametrize("name", COMMANDS)
def test_groups(fake, name):
    fake(name)
    text = (
        "{version: 1, groups: [{name: g, resources: {type: core, replicas: 2}, attributes: {watch: true}, tasks:"
        " [{name: b, depends_on: a, command: [echo, b]}, {name: a, command: [echo, a], replicas: 2}]}]}"
    )
    output = io.StringIO()
    result = runner.run(runner.plan(document.load(text), made(name)), output=output)
    assert result, result.reason
    assert output.getvalue() == "a\na\nb\n"


ANSWERS = [
    ("slurm", "JobState=RUNNING ExitCode=0:0", None),
    ("slurm", "JobState=COMPLETED ExitCode=0:0", (0, "")),
    ("slurm", "JobState=FAILED ExitCode=3:0", (3, "")),
    ("slurm", "JobState=FAILED ExitCode=0:9", (137, "")),
    ("slurm", "JobState=TIMEOUT ExitCode=0:15", (1, "timeout")),
    ("slurm", "JobState=OUT_OF_MEMORY ExitCode=0:125", (1, "out of memory")),
    ("pbs", "    job_state = R\n", None),
    ("pbs", "    job_state = E\n    Exit_status = 0\n", None),
    ("pbs", "    job_state = F\n    Exit_status = 0\n", (0, "")),
    ("pbs", "    job_state = C\n    exit_status = 5\n", (5, "")),
    ("pbs", "    job_state = F\n    Exit_status = 271\n", (143, "")),
    ("pbs", "    job_state = F\n    Exit_status = -1\n", (1, "PBS could not run it (exit status -1)")),
    ("pbs", "    job_state = F\n", (1, "deleted before it started")),
    ("lsf", "PEND -\n", None),
    ("lsf", "SSUSP -\n", None),
    ("lsf", "DONE -\n", (0, "")),
    ("lsf", "EXIT 130\n", (130, "")),
    ("lsf", "EXIT -\n", (1, "killed before it started")),
    ("oar", "    state = Running\n    exit_code = \n", None),
    ("oar", "    state = Terminated\n    exit_code = 0 (0,0,0)\n", (0, "")),
    ("oar", "    state = Error\n    exit_code = 256 (1,0,0)\n", (1, "")),
    ("oar", "    state = Terminated\n    exit_code = 9 (0,9,0)\n", (137, "")),
    ("oar", "    state = Error\n", (1, "OAR says Error")),
    ("gridengine", "job_number: 3\nerror reason    1:     no chdir\n", (1, "Grid Engine can't start it: no chdir")),
    ("gridengine", "job_number: 3\n", None),
    ("htcondor", "2\tundefined\tundefined\tundefined\tundefined\n", None),
    ("htcondor", "5\tundefined\tundefined\tundefined\tno disk\n", (1, "held: no disk")),
    ("htcondor", "4\tfalse\t3\tundefined\tundefined\n", (3, "")),
    ("htcondor", "4\ttrue\tundefined\t9\tundefined\n", (137, "")),
    ("kubernetes", '{"status": {}}', None),
    ("kubernetes", '{"status": {"conditions": [{"type": "Complete", "status": "True"}]}}', (0, "")),
    ("kubernetes", '{"status": {"conditions": [{"type": "Failed", "status": "True", "reason": "Late"}]}}', (1, "Late")),
    ("hyperqueue", json.dumps([{"info": {"task_stats": {"running": 1, "failed": 0}}}]), None),
    ("hyperqueue", json.dumps([{"info": {"task_stats": {"canceled": 1}}}]), (1, "canceled")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "answer", "expected"), ANSWERS)
def test_what_answers_mean(name, answer, expected):
    ended = made(name).read_look("3", answer)
    assert (ended and (ended.code, ended.why)) == expected


@pytest.mark.parametrize(
    ("name", "answer", "job"),
    [
        ("slurm", "12;cluster\n", "12"),
        ("pbs", "12[].server\n", "12[].server"),
        ("lsf", "Job <12> is submitted to default queue <normal>.\n", "12"),
        ("lsf", "Request aborted by esub.\n", ""),
        ("gridengine", 'Your job 3 ("x") has been submitted\n', "3"),
        ("gridengine", "3\n", "3"),
        ("gridengine", "3.1-5:2\n", "3"),
        ("oar", "# comment\nOAR_JOB_ID=3\n", "3"),
        ("htcondor", "12.0 - 12.0\n", "12"),
        ("kubernetes", "configmap/x\njob.batch/y\n", "job.batch/y"),
        ("hyperqueue", "7\n", "7"),
    ],
)
def test_ids(name, answer, job):
    assert made(name).read_id(answer) == job


def test_grid_engine_accounts(monkeypatch):
    from jobspec.transformer.gridengine import _accounted

    said = "=====\njobnumber    3\nfailed       %s\nexit_status  %s\nru_wallclock 1\n"
    assert _accounted("3", said % ("0", "7")).code == 7
    assert _accounted("3", said % ("100 : assumedly after job", "137 (Killed)")).code == 137
    assert _accounted("3", said % ("1   : assumedly before job", "0")).why.startswith("failed 1")


def test_hyperqueue_by_its_python_package(tmp_path, monkeypatch):
    hyperqueue = pytest.importorskip("hyperqueue", reason="HyperQueue is not installed")
    from hyperqueue.cluster import WorkerConfig

    with hyperqueue.LocalCluster(str(tmp_path / "hq"), WorkerConfig(cores=2)):
        monkeypatch.setenv("HQ_SERVER_DIR", str(tmp_path / "hq"))
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("PATH", "/bin:/usr/bin")
        check_transformer(TRANSFORMERS.load("hyperqueue"))
        text = (
            "{version: 1, resources: {type: slot, count: 2}, task: {command: [sh, -c, 'echo rank $JOBSPEC_TASK_RANK'],"
            " transform: [{step: submit, watch: true}]}}"
        )
        output = io.StringIO()
        assert runner.run(runner.plan(document.load(text), made("hyperqueue")), output=output)
        assert output.getvalue() == "rank 0\nrank 1\n"


@pytest.mark.parametrize(("body", "code"), [("exit 0", 0), ("[ $JOBSPEC_TASK_RANK -ne 1 ] || exit 6", 6)])
def test_the_script_that_starts_processes(body, code):
    text = (
        "{version: 1, resources: {type: slot, count: 3}, task: {command: [sh, -c, "
        f"'echo $JOBSPEC_TASK_RANK/$JOBSPEC_TASK_COUNT; {body}']}}}}"
    )
    [file, _] = planned("lsf", text)[0].actions
    done = subprocess.run(
        ["/bin/sh", "-c", file.content], env={"PATH": "/bin:/usr/bin"}, capture_output=True, text=True, check=False
    )
    assert sorted(done.stdout.split()) == ["0/3", "1/3", "2/3"]
    assert done.returncode == code


def test_slurm_says_why_a_job_was_not_launched():
    # A real scontrol 22.05 of a job whose working directory is not on the node, cut.
    answer = "JobId=1 JobState=FAILED Reason=JobLaunchFailure ExitCode=0:53 NodeList=n1 WorkDir=/nosuch StdErr=/x\n"
    ended = made("slurm").read_look("1", answer)
    assert ended.code == 1
    assert ended.why == "Slurm can't launch it on n1: is /nosuch there?"
    assert made("slurm").read_look("1", answer.replace("FAILED", "PENDING")) is None


class Silent:
    """Answers of a scheduler that is away for a while."""

    def __init__(self, times):
        self.times = times

    def __call__(self, command, timeout=None):
        self.times -= 1
        if self.times >= 0:
            raise StepFailed("scontrol show: Unable to contact slurm controller")
        return "JobState=COMPLETED ExitCode=0:0"


def test_a_scheduler_that_restarts_is_waited_for(monkeypatch):
    monkeypatch.setattr("jobspec.transformer._scheduler.FIRST_PAUSE", 0.001)
    monkeypatch.setattr("jobspec.transformer._scheduler.call", Silent(5))
    assert made("slurm").wait("7", None) == 0
    monkeypatch.setattr("jobspec.transformer._scheduler.PATIENCE", 0.01)
    monkeypatch.setattr("jobspec.transformer._scheduler.call", Silent(1000))
    with pytest.raises(StepFailed, match="job 7 is not waited for any more, and may go on: scontrol show") as error:
        made("slurm").wait("7", None)
    assert error.value.job == "7"
