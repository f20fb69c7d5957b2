"""The environment that submitted work gets from the process that submits it."""

from __future__ import annotations

import os
from collections.abc import Mapping

# What a scheduler sets inside a job of its own: in another job it would be wrong, and MPI would believe it.
FOREIGN = ("SLURM_", "SBATCH_", "SRUN_", "PBS_", "PMI_", "PMIX_", "PMI2_", "OMPI_", "PRTE_", "LSB_", "COBALT_", "OAR_")
# Where the schedulers' own configuration lies.
KEPT = frozenset({"SLURM_CONF", "PBS_CONF_FILE"})


def clean(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """A copy of the environment (this process's own by default) without what belongs to the job around us."""
    source = os.environ if environment is None else environment
    return {name: value for name, value in source.items() if name in KEPT or not name.startswith(FOREIGN)}
