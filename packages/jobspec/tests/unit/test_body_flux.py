"""Bodies that went from another system to Flux and to Slurm, run by a real Flux."""

import subprocess
from pathlib import Path

from jobspec.body import rewrite
from jobspec.job import Job, Nodes, Where

SLURM = """#!/bin/bash
echo "nodes=$SLURM_JOB_NUM_NODES tasks=$SLURM_NTASKS name=$SLURM_JOB_NAME cpus=$SLURM_CPUS_ON_NODE"
echo "same=$([ "$SLURM_JOB_ID" = "$(flux job id $FLUX_ENCLOSING_ID)" ] && echo yes) dir=$SLURM_SUBMIT_DIR"
echo "list=$([ "$SLURM_JOB_NODELIST" = "$(flux getattr hostlist)" ] && echo yes)"
srun -l bash -c 'echo "rank $SLURM_PROCID of $SLURM_NTASKS"' | sort
srun -n1 echo one
mpirun -np 2 -genv A 5 sh -c 'echo A=$A'
"""
TORQUE = """#!/bin/sh
cd $PBS_O_WORKDIR
echo "lines=$(wc -l < $PBS_NODEFILE) job=${PBS_JOBID:+set}"
mpiexec -n 2 -machinefile $PBS_NODEFILE echo hi
"""


def run(uri: str, folder: Path, body: str, source: str, job: Job) -> list[str]:
    done = rewrite(body, source=source, target="flux", job=job)
    shebang, _, rest = done.text.partition("\n")
    script = folder / "script"
    script.write_text("\n".join([shebang, "#flux: -N2 -n2", *done.shim, rest]))
    output = folder / "output"
    call = ["flux", "proxy", uri, "flux", "batch", "--flags=waitable", f"--output={output}", str(script)]
    ident = subprocess.run(call, cwd=folder, capture_output=True, text=True, timeout=60, check=True).stdout.strip()
    waiting = ["flux", "proxy", uri, "flux", "job", "wait", ident]
    subprocess.run(waiting, capture_output=True, timeout=60, check=True)
    return output.read_text().splitlines()


def test_a_body_of_slurm_runs_in_flux(flux_uri: str, tmp_path: Path) -> None:
    job = Job(name="real", nodes=Nodes(2, 2), tasks=2, where={"tasks": Where(1, 1)})
    lines = run(flux_uri, tmp_path, SLURM, "slurm", job)
    assert lines[0].startswith("nodes=2 tasks=2 name=real cpus=")
    assert lines[1:] == [
        f"same=yes dir={tmp_path}",
        "list=yes",
        "0: rank 0 of 2",
        "1: rank 1 of 2",
        "one",
        "A=5",
        "A=5",
    ]


def test_a_body_of_torque_runs_in_flux(flux_uri: str, tmp_path: Path) -> None:
    lines = run(flux_uri, tmp_path, TORQUE, "torque", Job(nodes=Nodes(2, 2), tasks=2, tasks_per_node=1, workdir="."))
    assert lines == ["lines=2 job=set", "hi", "hi"]
