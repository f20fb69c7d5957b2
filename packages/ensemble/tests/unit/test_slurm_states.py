"""Slurm's words: every state, reason and refusal has one meaning."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensemble.errors import SpecError
from ensemble.events import CAUSES, outcome
from ensemble.job import Job, Spec
from ensemble.slurmqueue import commands, options
from ensemble.slurmqueue.states import NEVER, STATES, never, refusal, state_of

# squeue(1), JOB STATE CODES, and what each of them is here: the phase, and the outcome where it is an end by itself.
CODES = {
    "BF": ("BOOT_FAIL", "failed", "exception", "infrastructure"),
    "CA": ("CANCELLED", "failed", "cancelled", "user"),
    "CD": ("COMPLETED", "done", "", ""),
    "CF": ("CONFIGURING", "placed", "", ""),
    "CG": ("COMPLETING", "ending", "", ""),
    "DL": ("DEADLINE", "failed", "timeout", "application"),
    "F": ("FAILED", "done", "", ""),
    "NF": ("NODE_FAIL", "failed", "exception", "infrastructure"),
    "OOM": ("OUT_OF_MEMORY", "failed", "failed", "application"),
    "PD": ("PENDING", "waits", "", ""),
    "PR": ("PREEMPTED", "failed", "exception", "infrastructure"),
    "R": ("RUNNING", "runs", "", ""),
    "RD": ("RESV_DEL_HOLD", "held", "exception", "request"),
    "RF": ("REQUEUE_FED", "waits", "", ""),
    "RH": ("REQUEUE_HOLD", "held", "exception", "infrastructure"),
    "RQ": ("REQUEUED", "waits", "", ""),
    "RS": ("RESIZING", "runs", "", ""),
    "RV": ("REVOKED", "elsewhere", "", ""),
    "SI": ("SIGNALING", "runs", "", ""),
    "SE": ("SPECIAL_EXIT", "held", "exception", "infrastructure"),
    "SO": ("STAGE_OUT", "ending", "", ""),
    "ST": ("STOPPED", "runs", "", ""),
    "S": ("SUSPENDED", "runs", "", ""),
    "TO": ("TIMEOUT", "failed", "timeout", "application"),
}


@pytest.mark.parametrize("code", CODES)
def test_every_state_has_one_class(code: str) -> None:
    name, phase, ends, blame = CODES[code]
    state = state_of(name)
    assert state is not None
    assert state == state_of(code) == STATES[name]
    assert (state.code, state.phase) == (code, phase)
    assert bool(state.cause) == (phase in ("failed", "held"))
    if state.cause:
        assert (outcome(None, state.cause), CAUSES[state.cause].blame) == (ends, blame)


def test_the_table_is_whole_and_each_code_is_there_once() -> None:
    assert {state.code for state in STATES.values()} >= set(CODES)
    assert len({state.code for state in STATES.values()}) == len(STATES)
    assert {state.cause for state in STATES.values()} | set(NEVER.values()) <= {"", *CAUSES}


def test_states_as_sacct_writes_them() -> None:
    assert state_of("CANCELLED by 1000") == state_of("CANCELLED+") == STATES["CANCELLED"]
    assert state_of("") is None
    assert state_of("BROKEN") is None


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("Priority", ""),
        ("Resources", ""),
        ("JobHeldUser", ""),
        ("AssocMaxJobsLimit", ""),
        ("QOSMaxJobsPerUserLimit", ""),
        ("QOSMaxCpuPerUserLimit", ""),
        ("ReqNodeNotAvail, UnavailableNodes:n1", ""),
        ("DependencyNeverSatisfied", "dependency"),
        ("PartitionTimeLimit", "alloc"),
        ("BadConstraints", "alloc"),
        ("QOSMaxCpuPerJobLimit", "alloc"),
        ("AssocMaxWallDurationPerJobLimit", "alloc"),
        ("InvalidAccount", "submit"),
        ("launch failed requeued held", "boot"),
    ],
)
def test_reasons_that_never_pass(reason: str, cause: str) -> None:
    assert never(reason) == cause


FAILED = "sbatch: error: Batch job submission failed: "


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (
            "sbatch: error: AssocMaxSubmitJobLimit\n" + FAILED + "Job violates accounting/QOS policy (job submit",
            "limit",
        ),
        ("sbatch: error: QOSMaxSubmitJobPerUserLimit\n" + FAILED + "Job violates accounting/QOS policy", "limit"),
        ("sbatch: error: QOSGrpSubmitJobsLimit\n" + FAILED + "Job violates accounting/QOS policy", "limit"),
        ("sbatch: error: QOSMaxCpuPerJobLimit\n" + FAILED + "Job violates accounting/QOS policy", "alloc"),
        (FAILED + "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)", "policy"),
        ("sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying", "limit"),
        ("sbatch: error: Slurm job queue full, sleeping and retrying", "limit"),
        (FAILED + "Socket timed out on send/recv operation", "unreachable"),
        (FAILED + "Unable to contact slurm controller (connect failure)", "unreachable"),
        (FAILED + "Zero Bytes were transmitted or received", "unreachable"),
        (FAILED + "Requested node configuration is not available", "alloc"),
        (FAILED + "Memory specification can not be satisfied", "alloc"),
        (FAILED + "Invalid generic resource (gres) specification", "alloc"),
        (FAILED + "Invalid partition name specified", "submit"),
        (FAILED + "Invalid account or account/partition combination specified", "submit"),
        (FAILED + "Something that nobody has seen before", "submit"),
    ],
)
def test_refusals(said: str, kind: str) -> None:
    assert refusal(said) == kind


@given(st.sets(st.integers(0, 2000), min_size=1), st.integers(1, 10**9))
def test_ids_are_compressed_and_expanded(indices: set[int], base: int) -> None:
    ids = {f"{base}_{index}" for index in indices} | {"7"}
    words = commands.compress(sorted(ids), most=50)
    assert {one for word in words for one in commands.expand(word)} == ids


def test_array_ids_as_squeue_writes_them() -> None:
    assert list(commands.expand("7_[1-3,5,8-12:2%4]")) == ["7_1", "7_2", "7_3", "7_5", "7_8", "7_10", "7_12"]
    assert list(commands.expand("7_3")) == ["7_3"]


ROW = "8|FAILED|None|n1|5|9|1|1024|cu"  # cut in its last word
HEAD = "JOBID|STATE|REASON|NODELIST|START_TIME|END_TIME|RESTART_COUNT|EXIT_CODE|NAME|\n"


def test_a_reply_of_squeue() -> None:
    rows = commands.squeue_rows(HEAD + "7_[0-1]|PENDING|Priority||N/A|N/A|0|0|a|b|\n8|FAILED|None|n1|5|9|1|1024|c|\n")
    assert rows is not None
    assert [(row.id, row.name) for row in rows] == [("7_0", "a|b"), ("7_1", "a|b"), ("8", "c")]
    assert rows[2] == commands.Row("8", "FAILED", "None", "n1", 5.0, 9.0, 1, 4 << 8, "c")
    assert commands.squeue_rows(HEAD) == []


@pytest.mark.parametrize("text", ["", "\n", "slurm_load_jobs error", HEAD + "8|FAILED|None|n1\n", HEAD + ROW])
def test_what_is_no_reply_is_not_an_empty_one(text: str) -> None:
    assert commands.squeue_rows(text) is None


def test_a_reply_of_sacct() -> None:
    head = "JobID|State|ExitCode|Start|End|NodeList|JobName\n"
    text = head + "7_1|CANCELLED by 0|0:15|5|9|n1|a\n8|FAILED|4:0|Unknown|9|None assigned|b\n"
    rows = commands.sacct_rows(text)
    assert rows is not None
    assert [(row.state, row.status, row.hosts, row.start) for row in rows] == [
        ("CANCELLED by 0", 15, "n1", 5.0),
        ("FAILED", 4 << 8, "", 0.0),
    ]
    assert commands.sacct_rows("") is None


def arguments(**fields: object) -> set[str]:
    avoid = tuple(fields.pop("avoid", ()))  # type: ignore[call-overload]
    job = Job("a.0", "r-a.0", Spec("a", ("true",), **fields), avoid)  # type: ignore[arg-type]
    return set(options.arguments(job, {"partition": "main"}))


def test_needs_become_options() -> None:
    assert arguments() == {*("--partition=main", "--nodes=1", "--ntasks-per-node=1", "--ntasks=1", "--cpus-per-task=1")}
    found = arguments(nodes=0, tasks=4, cores=3, gpus=2, memory=10 << 20, duration=61, avoid=["n1", "n2"])
    assert found == {
        *("--partition=main", "--ntasks=4", "--cpus-per-task=3", "--gpus-per-task=2", "--mem-per-cpu=3414K"),
        *("--time=2", "--exclude=n1,n2"),
    }
    assert {"--nodes=2", "--ntasks-per-node=3", "--ntasks=6"} <= arguments(nodes=2, tasks=6)


def test_attributes_are_options_and_nothing_else() -> None:
    found = arguments(attributes={"qos": "--wrap=evil", "constraint": ["a", "b"], "exclusive": True, "requeue": False})
    assert {"--qos=--wrap=evil", "--constraint=a,b", "--exclusive", "--no-requeue"} <= found
    for wrong in ({"wibble": 1}, {"mem": "1G"}, {"array": "0-9"}, {"qos": "a\nb"}, {"qos": {}}, {"wrap": "id"}):
        with pytest.raises(SpecError):
            arguments(attributes=wrong)


def test_an_sbatch_that_its_run_left_behind_is_found(tmp_path: Path) -> None:
    program = tmp_path / "sbatch"
    program.write_text("#!/bin/sh\nread line\n")
    program.chmod(0o755)
    name = f"left-{tmp_path.name}"
    assert not commands.orphan(name)
    with subprocess.Popen([program, f"--job-name={name}"], stdin=subprocess.PIPE) as left:
        while not commands.orphan(name):
            assert left.poll() is None
    assert not commands.orphan(name)
