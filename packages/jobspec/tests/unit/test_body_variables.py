"""Variables of the source system: provided at the top, or reported; the manuals are named in jobspec.body.variables."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from jobspec.body import Rewritten, rewrite
from jobspec.body.targets import TARGETS
from jobspec.body.variables import MEANING
from jobspec.job import Array, Job, Native, Nodes, Where

JOB = Job(
    system="slurm",
    name="my job",
    account="acc",
    nodes=Nodes(2, 2),
    tasks=4,
    tasks_per_node=2,
    array=Array("0-3,7", ((0, 3, 1), (7, 7, 1))),
    workdir="/w",
    where={"tasks": Where(1, 1)},
)
FAKES = {
    "flux": """case "$*" in "job id"*) echo 12345;; *nnodes*) echo 2;; *ncores*) echo 8;; *ngpus*) echo 4;;
    getattr*) echo 'n[1-2]';; hostlist*) echo n1 n2;; esac""",
    "scontrol": "echo n1; echo n2",
}


def do(line: str, source: str = "slurm", target: str = "flux", job: Job = JOB, shell: str = "#!/bin/bash") -> Rewritten:
    return rewrite(f"{shell}\n{line}\n", source=source, target=target, job=job)


@pytest.mark.parametrize(
    "line",
    [
        "echo $SLURM_JOB_ID",
        'echo "${SLURM_JOB_ID:-x}"',
        "echo ${#SLURM_JOB_ID}",
        "x=$((SLURM_JOB_ID % 1000))",
        'x="$((SLURM_JOB_ID + 1))"',
        "printenv SLURM_JOB_ID",
        "[[ -v SLURM_JOB_ID ]]",
        "export SLURM_JOB_ID",
        "cat <<EOF\n$SLURM_JOB_ID\nEOF",
        "SLURM_JOB_ID=${SLURM_JOB_ID:-1}",
        "[ -n x ] && SLURM_JOB_ID=1\necho $SLURM_JOB_ID",
        "if [ -z $A ]; then\n  SLURM_JOB_ID=1\nfi\necho $SLURM_JOB_ID",
    ],
)
def test_a_variable_that_is_read_is_provided_once(line: str) -> None:
    done = do(line)
    assert [one for one in done.shim if "export SLURM_JOB_ID=" in one] == list(done.shim)
    assert len(done.shim) == 1
    assert [(entry.text, entry.fate) for entry in done.entries] == [("SLURM_JOB_ID", "exact")]
    assert done.text == f"#!/bin/bash\n{line}\n"


@pytest.mark.parametrize(
    "line",
    [
        "awk '{print $SLURM_JOB_ID}'",
        "ssh n 'echo ${SLURM_JOB_ID}'",
        "python -c 'os.environ[\"SLURM_JOB_ID\"]'",
    ],
)
def test_in_single_quotes_it_is_provided_with_a_doubt(line: str) -> None:
    done = do(line)
    assert len(done.shim) == 1
    assert done.entries[0].fate == "approximate"


@pytest.mark.parametrize(
    "line",
    [
        "# $SLURM_JOB_ID",
        "echo 'the SLURM_JOB_ID'",
        "unset SLURM_JOB_ID",
        "SLURM_JOB_ID=3\necho $SLURM_JOB_ID",
        "export SLURM_JOB_ID=3\necho $SLURM_JOB_ID",
        "echo $MY_SLURM_JOB_ID",
        "echo $slurm",
    ],
)
def test_what_is_not_read_from_the_system_is_nothing(line: str) -> None:
    assert do(line) == Rewritten(f"#!/bin/bash\n{line}\n")


def test_what_the_target_can_not_tell_is_dropped_with_its_line() -> None:
    done = rewrite(
        "a\nb $SLURM_CLUSTER_NAME $SLURM_NO_SUCH\n", source="slurm", target="flux", job=JOB, numbers=[1, 7, 8]
    )
    assert done.shim == ()
    assert [(one.line, one.column, one.text, one.fate) for one in done.entries] == [
        (7, 4, "SLURM_CLUSTER_NAME", "dropped"),
        (7, 24, "SLURM_NO_SUCH", "dropped"),
    ]
    assert all(one.why and one.kind == "body" for one in done.entries)


def test_a_list_of_names_by_prefix_is_told() -> None:
    assert [one.fate for one in do('echo "${!SLURM_@}"').entries] == ["approximate"]


def test_the_same_variable_of_a_near_system_needs_nothing() -> None:
    done = do("cd $PBS_O_WORKDIR; cat $PBS_NODEFILE", "torque", "pbspro")
    assert (done.shim, done.entries) == ((), ())


@pytest.mark.parametrize("target", [*TARGETS, "flux-jobspec"])
@pytest.mark.parametrize("source", MEANING)
def test_every_variable_lands_once(source: str, target: str) -> None:
    table, there = MEANING[source], MEANING.get(target.removesuffix("-jobspec"), {})
    done = do("\n".join(f'echo "${name}"' for name in table), source, target)
    told = [entry.text for entry in done.entries]
    same = [name for name in table if there.get(name) == table[name]]
    assert sorted([*told, *same]) == sorted(table)
    given = {line.partition("export ")[2].partition("=")[0] for line in done.shim if "export " in line}
    assert given == {entry.text for entry in done.entries if entry.fate != "dropped"}


def run(tmp_path: Path, shell: str, lines: tuple[str, ...], variables: dict[str, str]) -> dict[str, str]:
    """What the lines at the top leave in the environment of a shell."""
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    for name, text in FAKES.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "slots").write_text("n1\nn1\nn2\nn2\n")
    (tmp_path / "hosts").write_text("n1\nn2\n")
    (tmp_path / "ad").write_text("ClusterId = 77\nProcId = 4\n")
    script = tmp_path / "script"
    script.write_text("\n".join([*lines, "printenv", ""]))
    path = f"{tmp_path}:/usr/local/bin:/usr/bin:/bin"
    environment = {
        "PATH": path,
        "HOME": "/h",
        "USER": "u",
        **{k: v.replace("@", str(tmp_path)) for k, v in variables.items()},
    }
    call = [shell, "-f", str(script)] if shell == "tcsh" else [shell, str(script)]
    done = subprocess.run(call, env=environment, capture_output=True, text=True, timeout=20, cwd=tmp_path)
    assert done.stderr == ""
    return dict(line.split("=", 1) for line in done.stdout.split("\n") if "=" in line)


# What each target sets in the job that is the element of index 7 of "0-3,7".
# Where the target numbers elements in another way its writer has set its variable right (contract/test_array_elements).
ELEMENT = {
    "slurm": {"SLURM_ARRAY_TASK_ID": "7"},
    "flux": {"FLUX_JOB_CC": "7"},
    "pbspro": {"PBS_ARRAY_INDEX": "7"},
    "torque": {"PBS_ARRAYID": "7"},
    "lsf": {"LSB_JOBINDEX": "7"},
    "gridengine": {"SGE_TASK_ID": "7"},
    "oar": {"OAR_ARRAY_INDEX": "7"},
    "kubernetes": {"JOB_COMPLETION_INDEX": "7"},
    "jobset": {"JOB_COMPLETION_INDEX": "7"},
    "htcondor": {"JOBSPEC_ARRAY_INDEX": "7"},
    "hyperqueue": {"HQ_TASK_ID": "7"},
}


@pytest.mark.parametrize("shell", ["sh", "bash", "tcsh", "zsh"])
@pytest.mark.parametrize("target", ELEMENT)
def test_the_index_of_an_element_is_that_of_the_source(tmp_path: Path, target: str, shell: str) -> None:
    source, name = ("slurm", "SLURM_ARRAY_TASK_ID") if target != "slurm" else ("torque", "PBS_ARRAYID")
    done = do(f'echo "${name}"', source, target, shell=f"#!/bin/{shell}")
    assert run(tmp_path, shell, done.shim, ELEMENT[target])[name] == "7"


def test_without_an_array_the_index_stays_unset(tmp_path: Path) -> None:
    done = do("echo ${SLURM_ARRAY_TASK_ID-none}", job=Job())
    assert "SLURM_ARRAY_TASK_ID" not in run(tmp_path, "sh", done.shim, {})


@pytest.mark.parametrize(
    ("target", "variables"),
    [
        ("slurm", {"SLURM_JOB_NODELIST": "n[1-2]", "SLURM_TASKS_PER_NODE": "2(x2)"}),
        ("flux", {}),
        ("lsf", {"LSB_DJOB_HOSTFILE": "@/slots"}),
        ("oar", {"OAR_NODEFILE": "@/slots"}),
        ("cobalt", {"COBALT_NODEFILE": "@/hosts"}),
        ("gridengine", {"PE_HOSTFILE": "@/hosts"}),
    ],
)
def test_the_file_of_nodes_has_a_line_for_each_slot(tmp_path: Path, target: str, variables: dict[str, str]) -> None:
    done = do("cat $PBS_NODEFILE", "torque", target)
    lines = (*done.shim, "echo LINES=$(cat $PBS_NODEFILE)")
    assert run(tmp_path, "sh", lines, variables)["LINES"] == "n1 n1 n2 n2"


def test_uneven_tasks_are_counted_as_slurm_says(tmp_path: Path) -> None:
    done = do("cat $PBS_NODEFILE", "torque", "slurm")
    variables = {"SLURM_JOB_NODELIST": "n[1-2]", "SLURM_TASKS_PER_NODE": "3,1"}
    lines = (*done.shim, "echo LINES=$(cat $PBS_NODEFILE)")
    assert run(tmp_path, "bash", lines, variables)["LINES"] == "n1 n1 n1 n2"


@pytest.mark.parametrize("source", MEANING)
def test_csh_and_sh_are_told_the_same(tmp_path: Path, source: str) -> None:
    """Everything but files, which csh is not given."""
    target = "flux" if source != "flux" else "slurm"
    variables = {"FLUX_JOB_CC": "7", "SLURM_JOB_ID": "9", "SHELL": "/bin/x", "HOSTNAME": "h"}
    table = {
        name: meaning for name, meaning in MEANING[source].items() if not meaning.endswith("_file") and meaning != "pid"
    }
    text = "\n".join(f'echo "${name}"' for name in table)
    one = run(tmp_path, "sh", do(text, source, target).shim, variables)
    two = run(tmp_path, "tcsh", do(text, source, target, shell="#!/bin/csh").shim, variables)
    assert {name: one.get(name) for name in table} == {name: two.get(name) for name in table}


def test_names_can_not_break_out_of_their_quotes(tmp_path: Path) -> None:
    for name in ('a"; touch bad; "', "$(touch bad)", "`touch bad`", "a\nb", "a\\"):
        done = do("echo $SLURM_JOB_NAME", job=Job(name=name))
        assert done.shim == ()
        assert done.entries[0].fate == "dropped"


def test_a_script_of_python_is_only_reported() -> None:
    body = 'import os\n# SLURM_JOB_NAME\nx = os.environ["SLURM_JOB_ID"]\ncall(["srun", "-n", "1"])\n'
    done = do(body, shell="#!/usr/bin/env python3")
    assert done.shim == ()
    assert [(one.line, one.fate) for one in done.entries] == [(4, "dropped"), (5, "dropped")]


@pytest.mark.parametrize(
    ("source", "target", "line"),
    [
        ("slurm", "pbspro", 'cd "${PBS_O_WORKDIR:-.}"'),
        ("lsf", "torque", 'cd "${PBS_O_WORKDIR:-.}"'),
        ("flux", "gridengine", 'cd "${SGE_O_WORKDIR:-.}"'),
        ("torque", "slurm", 'cd "${HOME:-.}"'),
    ],
)
def test_it_starts_where_the_source_would_have(source: str, target: str, line: str) -> None:
    done = rewrite("hostname\n", source=source, target=target, job=Job())
    assert done.shim == (line,)
    assert [one.fate for one in done.entries] == ["exact"]
    assert rewrite("hostname\n", source=source, target=target, job=Job(workdir="/w")).shim == ()


def test_a_script_that_goes_to_its_directory_itself_is_not_sent_home() -> None:
    done = rewrite("cd $PBS_O_WORKDIR\n", source="torque", target="slurm", job=Job())
    assert done.shim == ('export PBS_O_WORKDIR="${SLURM_SUBMIT_DIR-}"',)


def test_ranks_of_tasks_are_those_of_the_task() -> None:
    done = do("srun -n 2 sh -c 'echo $SLURM_PROCID'")
    assert 'export SLURM_PROCID="$FLUX_TASK_RANK"; exec "$0" "$@"' in done.text
    assert 'export SLURM_PROCID="0"' in done.shim


def test_commands_of_the_old_system_are_reported() -> None:
    done = do("x=$(squeue -h -j 1)\nsbatch next.sh\n# scancel 1\necho sacct\n")
    assert [(one.line, one.text, one.fate, one.shaping) for one in done.entries] == [
        (2, "squeue -h -j 1", "dropped", False),
        (3, "sbatch next.sh", "dropped", True),
    ]


def test_directives_in_a_here_document_are_reported() -> None:
    done = do("cat > x <<EOF\n#SBATCH -n 4\nsrun ./a\nEOF\n")
    assert [(one.line, one.text, one.fate) for one in done.entries] == [
        (3, "#SBATCH -n 4", "dropped"),
        (4, "srun ./a", "dropped"),
    ]


def test_modules_of_the_profile() -> None:
    modules = {"gcc/9": "gcc/12", "old": ""}
    body = "module load gcc/9 old gcc/90\nml gcc/9 -old\nmodule avail gcc/9\n# module load gcc/9\nmodule swap gcc/9 x\n"
    done = rewrite(body, source="slurm", target="slurm", job=JOB, modules=modules)
    assert (
        done.text
        == "module load gcc/12  gcc/90\nml gcc/12 \nmodule avail gcc/9\n# module load gcc/9\nmodule swap gcc/12 x\n"
    )
    assert [(one.line, one.fate) for one in done.entries] == [
        (1, "approximate"),
        (1, "dropped"),
        (2, "approximate"),
        (2, "dropped"),
        (5, "approximate"),
    ]


def test_the_same_system_changes_nothing() -> None:
    body = "srun ./a $SLURM_JOB_ID\n"
    assert rewrite(body, source="slurm", target="slurm", job=JOB) == Rewritten(body)


NOT_OF_AN_ARRAY = [
    # source, its variable, target, what the target sets, what the body must find (None: nothing)
    ("slurm", "SLURM_ARRAY_TASK_ID", "gridengine", {"SGE_TASK_ID": "undefined"}, None),
    ("slurm", "SLURM_ARRAY_TASK_ID", "gridengine", {"SGE_TASK_ID": "5"}, "5"),
    ("slurm", "SLURM_ARRAY_TASK_ID", "lsf", {"LSB_JOBINDEX": "0"}, None),
    ("slurm", "SLURM_ARRAY_TASK_ID", "lsf", {"LSB_JOBINDEX": "5"}, "5"),
    ("slurm", "SLURM_ARRAY_TASK_ID", "oar", {"OAR_ARRAY_INDEX": "1"}, None),
    ("slurm", "SLURM_ARRAY_TASK_ID", "cobalt", {}, None),
    ("gridengine", "SGE_TASK_ID", "slurm", {}, "undefined"),
    ("gridengine", "SGE_TASK_ID", "slurm", {"SLURM_ARRAY_TASK_ID": "5"}, "5"),
    ("gridengine", "SGE_TASK_ID", "lsf", {"LSB_JOBINDEX": "0"}, "undefined"),
    ("lsf", "LSB_JOBINDEX", "flux", {}, "0"),
    ("oar", "OAR_ARRAY_INDEX", "cobalt", {}, "1"),
]


@pytest.mark.parametrize(("source", "name", "target", "there", "found"), NOT_OF_AN_ARRAY)
def test_the_index_of_a_job_that_asks_for_no_array(
    tmp_path: Path, source: str, name: str, target: str, there: dict[str, str], found: str | None
) -> None:
    done = do(f'echo "${name}"', source, target, replace(JOB, array=None))
    assert run(tmp_path, "sh", done.shim, there).get(name) == found


def test_csh_finds_no_index_where_there_is_no_array(tmp_path: Path) -> None:
    done = do("if ( $?SLURM_ARRAY_TASK_ID ) echo array", job=replace(JOB, array=None), shell="#!/bin/csh")
    assert "SLURM_ARRAY_TASK_ID" not in run(tmp_path, "tcsh", done.shim, {})


def test_pbs_pro_gives_the_threads_of_a_chunk() -> None:
    job = Job(native=(Native("l select", "ompthreads=4"),), workdir="/w")
    assert "export OMP_NUM_THREADS=4" in do("./a.out", "pbspro", "slurm", job).shim
    assert "setenv OMP_NUM_THREADS 4" in do("./a.out", "pbspro", "slurm", job, "#!/bin/csh").shim
    assert do("./a.out", "pbspro", "torque", JOB).shim == ()


@pytest.mark.parametrize("target", ["flux", "pbspro", "torque", "lsf", "oar", "gridengine", "cobalt"])
def test_scontrol_show_hostnames_is_answered(tmp_path: Path, target: str) -> None:
    line = 'scontrol show hostnames "$SLURM_JOB_NODELIST"; scontrol show hostname; scontrol show job 1'
    done = do(line, target=target)
    assert [entry.fate for entry in done.entries if "hostname" in entry.text] == ["exact", "exact"]
    assert [entry.fate for entry in done.entries if "job 1" in entry.text] == ["dropped"]
    calls = "set -eu", "a=$(scontrol show hostnames n1,n2)", "b=`scontrol show hostname`", "export a b"
    refused = "scontrol show job 1 2>/dev/null && exit 1 || true"
    there = {name: str(tmp_path / "slots") for name in ("PBS_NODEFILE", "OAR_NODEFILE", "PE_HOSTFILE")}
    there |= {"COBALT_NODEFILE": str(tmp_path / "hosts"), "LSB_MCPU_HOSTS": "n1 2 n2 2"}
    if target == "gridengine":
        there["PE_HOSTFILE"] = str(tmp_path / "hosts")
    said = run(tmp_path, "sh", (*done.shim, *calls, refused, 'export both="$(echo $a / $b)"'), there)
    assert said["both"] == "n1 n2 / n1 n2"


def test_where_no_node_is_named_scontrol_is_dropped() -> None:
    done = do("scontrol show hostnames", target="kubernetes")
    assert [entry.fate for entry in done.entries] == ["dropped"]
    assert do("scontrol show hostnames", target="flux", shell="#!/bin/csh").shim == ()
