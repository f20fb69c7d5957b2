"""Our reader against what a real sbatch and slurmctld said of the same scripts."""

from __future__ import annotations

from collections import Counter

from jobspec import slurm
from jobspec.errors import ScriptError
from jobspec.request import request

MB = 2**20


def test_agreement(slurm_corpus):
    tally, wrong = Counter(), []
    for text, said in slurm_corpus:
        try:
            job = slurm.read(text)
        except ScriptError as error:
            tally["refused rightly" if not said["accepted"] else "refused wrongly"] += 1
            if said["accepted"]:
                wrong.append((said["id"], str(error)))
            continue
        if not said["accepted"]:
            tally["accepted wrongly"] += 1
            continue
        different = differences(job, said["values"])
        tally["same" if not different else "different"] += 1
        if different:
            wrong.append((said["id"], different))
    print(dict(tally), wrong)
    assert tally["refused wrongly"] == 0, wrong
    # Two scripts whose #PBS lines sbatch obeys; six that only its database or its controller refuses.
    assert tally["different"] <= 2, wrong
    assert tally["accepted wrongly"] <= 6
    assert tally["same"] >= 785


def differences(job, values):
    def size(per):
        return job.memory.bytes // MB if job.memory and job.memory.per == per and job.memory.bytes else None

    pairs = {
        "num_tasks": job.tasks,
        "cpus_per_task": job.cpus_per_task,
        "nodes_min": job.nodes.least if job.nodes else None,
        "nodes_max": job.nodes.most if job.nodes else None,
        "mem_per_node_mb": size("node"),
        "mem_per_cpu_mb": size("cpu"),
        "time_limit_s": job.walltime_s,
        "ntasks_per_node": job.tasks_per_node,
    }
    # Slurm shows a limit of 0 MB for "all of the node", and derives tasks per node from GPUs.
    return {
        key: (ours, values.get(key))
        for key, ours in pairs.items()
        if ours != (values.get(key) or None) and (key != "ntasks_per_node" or ours is not None)
    }


def test_every_accepted_script_has_a_request(slurm_corpus):
    for text, said in slurm_corpus:
        if said["accepted"]:
            need, _ = request(slurm.read(text))
            assert "cores" in need.kinds
