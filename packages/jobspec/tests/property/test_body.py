"""Bodies: every use lands exactly once, nothing else changes, and hostile text neither fails nor hangs."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobspec.body import rewrite
from jobspec.body.launchers import HOME, LAUNCHERS, MPI
from jobspec.body.targets import TARGETS
from jobspec.body.variables import MEANING, PREFIXES, STEERING
from jobspec.job import Job, Nodes, Where

JOB = Job(name="j", nodes=Nodes(2, 2), tasks=4, where={"tasks": Where(1, 1)})
SOURCES = sorted(MEANING)
ALL_TARGETS = [*sorted(TARGETS), "flux-jobspec"]
PIECES = [
    "srun -n 2 ./a",
    "mpirun -np 2 ./a",
    "aprun -n 2 ./a",
    "jsrun -n 2 ./a",
    "flux run -n 2 ./a",
    "srun $OPTIONS ./a",
    "echo $SLURM_JOB_ID ${PBS_JOBID}",
    "cat $PBS_NODEFILE $LSB_DJOB_HOSTFILE",
    "x=$(squeue -h)",
    "qsub next",
    "echo 'it is'",
    'echo "a $(date) b"',
    "# don't",
    "if true; then",
    "fi",
    "cat <<EOF",
    "EOF",
    "x=`srun -n 1 hostname`",
    "for i in 1 2; do srun -n 1 ./a $i & done",
    "module load gcc",
    "a \\",
    "",
    "'",
    '"',
    "(",
    ")",
    "${SLURM_ARRAY_TASK_ID:-0}",
    "\r",
    "\udcff\0",
]
bodies = st.lists(st.sampled_from(PIECES), max_size=12).map("\n".join)
hostile = st.text(st.sampled_from("srun mpi$(){}`'\"\\\n<>&|;#=SLURM_JOB_ID-E0 \0\udcff"), max_size=200)


@given(body=bodies, source=st.sampled_from(SOURCES), target=st.sampled_from(ALL_TARGETS))
@settings(max_examples=150, deadline=None)
def test_only_reported_lines_change_and_none_moves(body: str, source: str, target: str) -> None:
    done = rewrite(body, source=source, target=target, job=JOB)
    before, after = body.split("\n"), done.text.split("\n")
    assert len(before) == len(after)
    reported = {entry.line for entry in done.entries}
    changed = [number for number, (one, two) in enumerate(zip(before, after, strict=True), 1) if one != two]
    # a launch line that goes on over several lines is reported by its first
    assert all(any(line in reported for line in range(number, 0, -1)) for number in changed)
    assert all("why" in entry.as_dict() and (entry.fate == "exact" or entry.why) for entry in done.entries)
    if source == target:
        assert (done.text, done.shim, done.entries) == (body, (), ())


@given(body=bodies, source=st.sampled_from(SOURCES), target=st.sampled_from(["flux", "slurm", "pbspro"]))
@settings(max_examples=80, deadline=None)
def test_what_was_rewritten_needs_no_second_time(body: str, source: str, target: str) -> None:
    once = rewrite(body, source=source, target=target, job=JOB)
    assert rewrite(once.text, source=source, target=target, job=JOB).text == once.text


@given(
    body=st.one_of(hostile, st.text(max_size=200)), source=st.sampled_from(SOURCES), target=st.sampled_from(ALL_TARGETS)
)
@settings(max_examples=200, deadline=None)
def test_no_text_fails(body: str, source: str, target: str) -> None:
    done = rewrite(body, source=source, target=target, job=JOB)
    assert done.text.count("\n") == body.count("\n")


M = 1 << 17
LARGE = {
    "long line": "x" * M + " srun -n 1 ./a",
    "backquotes": "srun `" * (M // 6),
    "quotes": "srun '" * (M // 6),
    "nesting": "$(" * (M // 2) + "srun",
    "strings": '"$(' * (M // 3) + "srun",
    "here-documents": "cat " + "<<E " * (M // 4) + "\nsrun ./a",
    "unended": "cat <<E\n" * (M // 8),
    "commands": "srun -n 1 ./a;" * (M // 14),
    "options": "srun -n " * (M // 8),
    "names": "".join(f"SLURM_{n}=1 $SLURM_{n} " for n in range(M // 24)),
    "zeros": "\0" * M + "srun",
    "a huge one": "x 'y\n" * (M * 20) + "srun ./a $SLURM_JOB_ID",
}


@pytest.mark.parametrize("kind", LARGE)
def test_large_bodies_do_not_hang(kind: str) -> None:
    started = time.monotonic()
    rewrite(LARGE[kind], source="slurm", target="flux", job=JOB)
    assert time.monotonic() - started < 20


def uses() -> Iterator[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """What real scripts use: the system, variables and launchers; each mixture once."""
    path = Path(__file__).resolve().parents[5] / "shared/corpus/directives.jsonl"
    if not path.is_file():
        return
    seen = set()
    for line in path.read_text().splitlines():
        script = json.loads(line)
        system = "torque" if script["system"] == "pbs" else script["system"]
        use = (system, tuple(sorted(script["variables"])), tuple(sorted(script["launchers"])))
        if use not in seen and (use[1] or use[2]):
            seen.add(use)
            yield use


def test_every_use_of_the_corpus_lands() -> None:
    found = list(uses())
    if not found:
        pytest.skip("the corpus is not beside this repository")
    for source, variables, launchers in found:
        lines = [f"echo ${name}" for name in variables] + [f"{name} -n 2 ./a" for name in launchers]
        body = "#!/bin/bash\n" + "\n".join(lines) + "\n"
        of_source = [
            name
            for name in variables
            if name in MEANING[source] or name.startswith(PREFIXES[source]) or name in STEERING
        ]
        for target in ALL_TARGETS:
            done = rewrite(body, source=source, target=target, job=JOB)
            told = [entry.text for entry in done.entries]
            for name in of_source:
                there = MEANING.get(target.removesuffix("-jobspec"), {}).get(name)
                same = source == target or (there is not None and there == MEANING[source].get(name))
                foreign = source != "slurm" and name in STEERING
                assert told.count(name) == (0 if same or foreign else 1), (source, target, name)
                shim = [one for one in done.shim if f"export {name}=" in one]
                dropped = any(entry.text == name and entry.fate == "dropped" for entry in done.entries)
                # a job that asks for no array may have no index
                none = MEANING[source].get(name) == "array_index" and JOB.array is None and not shim
                assert len(shim) == (0 if same or foreign or dropped or none else 1)
            for name in launchers:
                stays = name in MPI and "flux" not in target
                home = (
                    source == target
                    or target.removesuffix("-jobspec") in HOME.get(name, ())
                    or (name == "flux run" and source != "flux")
                )
                line = [entry for entry in done.entries if entry.text.startswith(name + " -n")]
                rewritten = f"\n{name} -n 2 ./a\n" not in done.text
                assert bool(line) != (stays or home) or (stays and len(line) == 1), (source, target, name)
                assert not rewritten or len(line) == 1


def test_all_launchers_are_known_by_name() -> None:
    names = "srun mpirun mpiexec mpiexec.hydra orterun aprun jsrun lrun ibrun prun poe runjob"
    assert set(names.split()) <= set(LAUNCHERS)
