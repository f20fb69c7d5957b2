"""Launch lines: how each launcher is read (its manual) and said again; srun's defaults as Slurm 22.05 showed them."""

import pytest

from jobspec.body import rewrite
from jobspec.job import Gpus, Job, Nodes, Where

ASKED = {"tasks": Where(1, 1), "nodes": Where(1, 1)}
JOB = Job(system="slurm", nodes=Nodes(2, 2), tasks=8, where=ASKED)


def to(target: str, line: str, source: str = "slurm", job: Job = JOB) -> tuple[str, str, str]:
    """The line as the target has it, and its fate and why."""
    done = rewrite(f"#!/bin/sh\n{line}\n", source=source, target=target, job=job)
    shell, text, end = done.text.split("\n", 2)
    assert (shell, end.strip("\n")) == ("#!/bin/sh", "")
    entries = [entry for entry in done.entries if entry.line == 2 and entry.text.startswith(line.split()[0])]
    return text, entries[0].fate if entries else "", entries[0].why if entries else ""


@pytest.mark.parametrize(
    ("line", "flux"),
    [
        # inside a job srun takes the job's tasks and nodes; flux run starts one task
        ("srun hostname", "flux run -N 2 -n 8 hostname"),
        ("srun -n1 hostname", "flux run -n 1 hostname"),
        ("srun -N1 -n4 ./a x  y", "flux run -N 1 -n 4 ./a x  y"),
        ("srun --ntasks 3 --cpus-per-task=2 ./a", "flux run -N 2 -n 3 -c 2 ./a"),
        ("srun -n3 --lab -lu ./a", "flux run -N 2 -n 3 -l -u ./a"),
        ("srun -n $N ./a", "flux run -N 2 -n $N ./a"),
        ('srun -n "${N}" -- ./a --flag', 'flux run -N 2 -n "${N}" ./a --flag'),
        ("srun --exact --kill-on-bad-exit=1 -n 1 ./a", "flux run -n 1 -o exit-on-error ./a"),
        ("srun -K -n 1 ./a", "flux run -n 1 -o exit-on-error ./a"),
        ("srun -n 2 --cpu-bind=none ./a", "flux run -N 2 -n 2 -o cpu-affinity=off ./a"),
        ("srun -n 2 --time=1:30:00 ./a", "flux run -N 2 -n 2 -t 5400s ./a"),
        ("srun -n 2 -t 4:00 ./a", "flux run -N 2 -n 2 -t 240s ./a"),
        ("srun --export=ALL,A=1 -n 1 ./a", "flux run -n 1 --env=A=1 ./a"),
        ("srun -n 2 --gpus-per-task=1 ./a", "flux run -N 2 -n 2 -g 1 ./a"),
        ("srun -n 2 --gres=gpu:a100:2 ./a", "flux run -N 2 -n 2 -g 2 ./a"),
        ("A=1 time srun -n 1 ./a &", "A=1 time flux run -n 1 ./a &"),
        ("x=$(srun -n 1 ./a)", "x=$(flux run -n 1 ./a)"),
        ("/usr/bin/srun -n 1 ./a", "flux run -n 1 ./a"),
        ("mpirun -np 4 -x A=1 --mca btl tcp ./a", "flux run -n 4 --env=A=1 --env=OMPI_MCA_btl=tcp ./a"),
        ("mpirun -np 8 --map-by ppr:4:node ./a", "flux run -N 2 -n 8 ./a"),
        ("mpiexec -ppn 4 ./a", "flux run -N 2 -n 8 ./a"),
        ("mpiexec.hydra -genv A 5 -n 4 ./a", "flux run -n 4 --env=A=5 ./a"),
    ],
)
def test_to_flux(line: str, flux: str) -> None:
    text, fate, _ = to("flux", line)
    assert text == flux
    assert fate in ("exact", "")


@pytest.mark.parametrize(
    ("source", "line", "slurm"),
    [
        ("cobalt", "aprun -n 8 -N 4 -d 2 -cc depth ./a", "srun -n 8 --ntasks-per-node=4 -c 2 --cpu-bind=depth ./a"),
        ("cobalt", "aprun -n8 -e A=1 ./a", "srun -n 8 --export=ALL,A=1 ./a"),
        ("lsf", "jsrun -n 4 -r 2 -a 1 -c 7 -g 1 ./a", "srun -n 4 --ntasks-per-node=2 -c 7 --gpus-per-task=1 ./a"),
        ("lsf", "jsrun --nrs=4 --tasks_per_rs=2 --cpu_per_rs 4 ./a", "srun -n 8 -c 2 ./a"),
        ("cobalt", "aprun -n 8 -e A=1 -e B=2 ./a", "srun -n 8 --export=ALL,A=1,B=2 ./a"),
        ("lsf", "lrun -T4 ./a", "srun -N 2 -n 8 --ntasks-per-node=4 ./a"),
        ("loadleveler", "poe -procs 8 ./a", "srun -n 8 ./a"),
        ("loadleveler", "runjob --np 8 -p 4 : ./a -x", "srun -n 8 --ntasks-per-node=4 ./a -x"),
        ("flux", "flux run -N2 -n 8 -c2 -g1 ./a", "srun -N 2 -n 8 -c 2 --gpus-per-task=1 ./a"),
        ("flux", "flux run ./a", "srun -n 1 ./a"),
    ],
)
def test_to_slurm(source: str, line: str, slurm: str) -> None:
    assert to("slurm", line, source)[0] == slurm


@pytest.mark.parametrize(
    ("target", "line", "text"),
    [
        ("pbspro", "srun ./a", "mpiexec -n 8 ./a"),
        ("torque", "srun -n 4 ./a", "mpiexec -n 4 ./a"),
        ("gridengine", "srun -n 4 ./a", "mpirun -np 4 ./a"),
        ("lsf", "srun -n 4 ./a", "mpirun -np 4 ./a"),
        ("oar", "srun -n 4 ./a", 'mpirun -machinefile "$OAR_NODEFILE" -np 4 ./a'),
        ("pbspro", "srun -D /x -n 4 ./a", "mpiexec -n 4 -wdir /x ./a"),
    ],
)
def test_to_mpi(target: str, line: str, text: str) -> None:
    assert to(target, line)[:2] == (text, "exact")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("srun --multi-prog conf", "--multi-prog"),
        ("srun -n 1 ./a : -n 2 ./b", "several programs"),
        ("srun $SRUN_OPTS ./a", "may hold options"),
        ("srun $X -n 4 ./a", "may hold options"),
        ("srun --no-such-option ./a", "--no-such-option"),
        ("srun -n", "no value"),
        ("srun -n 4", "no program"),
        ("srun", "no program"),
        ("LAUNCH='srun -n 4'", ""),
        ("RUN=srun", ""),
        ("xargs srun -n 1 ./a", ""),
    ],
)
def test_what_is_not_understood_is_left_and_reported(line: str, why: str) -> None:
    done = rewrite(f"#!/bin/sh\n{line}\n", source="slurm", target="flux", job=JOB)
    assert done.text == f"#!/bin/sh\n{line}\n"
    (entry,) = done.entries
    assert (entry.line, entry.fate, entry.shaping) == (2, "dropped", True)
    assert "not understood" in entry.why
    assert why in entry.why


@pytest.mark.parametrize("line", ["# srun -n 4", "echo srun", "which srun", "module load srun", 'echo "srun -n 4"'])
def test_a_mere_mention_is_nothing(line: str) -> None:
    assert rewrite(f"#!/bin/sh\n{line}\n", source="slurm", target="flux", job=JOB).entries == ()


@pytest.mark.parametrize("target", ["slurm", "pbspro", "torque", "lsf", "gridengine"])
def test_mpirun_stays_where_it_finds_its_nodes(target: str) -> None:
    done = rewrite("mpirun -np 4 --no-such ./a\n", source="cobalt", target=target, job=Job(workdir="/x"))
    assert (done.text, done.entries) == ("mpirun -np 4 --no-such ./a\n", ())


def test_mpirun_with_a_file_of_hosts_is_in_doubt() -> None:
    text, fate, why = to("slurm", "mpirun -np 4 -hostfile $PBS_NODEFILE ./a", "torque")
    assert (text, fate) == ("mpirun -np 4 -hostfile $PBS_NODEFILE ./a", "approximate")
    assert "-hostfile $PBS_NODEFILE" in why


def test_lost_options_are_named() -> None:
    _, fate, why = to("flux", "srun --mpi=pmi2 --overlap -n 1 ./a")
    assert fate == "approximate"
    assert "--mpi pmi2" in why
    assert "--overlap" in why


def test_srun_without_c_gets_the_cpus_of_the_job() -> None:
    """srun(1) 22.05: the job's -c is not inherited, and a step without one has all CPUs; flux run binds to its own."""
    job = Job(nodes=Nodes(2, 2), tasks=8, cpus_per_task=4, where=ASKED)
    text, fate, why = to("flux", "srun ./a", job=job)
    assert (text, fate) == ("flux run -N 2 -n 8 -c 4 ./a", "approximate")
    assert "-c" in why
    assert to("flux", "srun -c1 ./a", job=job)[0] == "flux run -N 2 -n 8 ./a"


def test_srun_has_the_gpus_of_the_job() -> None:
    job = Job(nodes=Nodes(2, 2), tasks=8, gpus=(Gpus(4, "node"),), where=ASKED)
    assert to("flux", "srun ./a", job=job)[0] == "flux run -N 2 -n 8 -g 1 ./a"
    shared = Job(nodes=Nodes(2, 2), tasks=8, gpus=(Gpus(1, "node"),), where=ASKED)
    text, fate, _ = to("flux", "srun ./a", job=shared)
    assert (text, fate) == ("flux run -N 2 -n 8 -o cpu-affinity=on -o gpu-affinity=off ./a", "approximate")


def test_tasks_per_node_of_srun_counts_only_where_the_job_has_no_tasks() -> None:
    """Slurm 22.05: with SLURM_NTASKS set, srun warns that it can't honor --ntasks-per-node and runs them all."""
    assert to("flux", "srun --ntasks-per-node=1 ./a")[0] == "flux run -N 2 -n 8 ./a"
    alone = Job(nodes=Nodes(2, 2), tasks=2, where={"nodes": Where(1, 1)})
    assert to("flux", "srun --ntasks-per-node=3 ./a", job=alone)[0] == "flux run -N 2 -n 6 ./a"
    assert to("flux", "srun -N1 ./a", job=alone)[0] == "flux run -n 1 ./a"


def test_what_tasks_of_a_resource_set_share_is_told() -> None:
    _, fate, why = to("slurm", "jsrun -n 2 -a 2 -c 3 -g 1 ./a", "lsf")
    assert fate == "approximate"
    assert "2 tasks share 3 CPUs" in why
    assert "2 tasks share 1 GPUs" in why


def test_lines_stay_where_they_are() -> None:
    body = "#!/bin/sh\nsrun -n 4 \\\n  -c 2 \\\n  ./a \\\n  x\necho end\n"
    done = rewrite(body, source="slurm", target="flux", job=JOB)
    assert done.text.split("\n")[-2] == "echo end"
    assert done.text.count("\n") == body.count("\n")
    assert done.text.split("\n")[1].startswith("flux run -N 2 -n 4 -c 2 \\")
    assert done.text.endswith("  ./a \\\n  x\necho end\n")


def test_carriage_returns_and_odd_bytes_stay() -> None:
    body = b"#!/bin/sh\r\nsrun -n 1 ./a\xff\xe9 x\r\n\0\xc3\n".decode("utf-8", "surrogateescape")
    done = rewrite(body, source="slurm", target="flux", job=JOB)
    assert done.text == body.replace("srun -n 1 ", "flux run -n 1 ")


def test_srun_cpus_per_task_of_the_script() -> None:
    body = "export SRUN_CPUS_PER_TASK=4\nsrun -n 1 ./a\n"
    done = rewrite(body, source="slurm", target="flux", job=JOB)
    assert done.text.endswith('flux run -n 1 -c "$SRUN_CPUS_PER_TASK" ./a\n')


def test_a_launcher_that_may_be_absent_is_told_of():
    script = "#!/bin/bash\nsrun ./a\n"
    for target, fate in (("kubernetes", "approximate"), ("jobspec", "approximate"), ("pbspro", "exact")):
        [entry] = [
            one for one in rewrite(script, source="slurm", target=target, job=Job("slurm", tasks=2)).entries
            if one.text.startswith("srun")
        ]  # fmt: skip
        assert entry.fate == fate, entry
