"""The environment that submitted work gets from the process that submits it."""

from __future__ import annotations

import os
from collections.abc import Mapping

# What a scheduler sets inside a job of its own: in another job it would be wrong, and MPI would believe it.
FOREIGN = (
    *("SLURM_", "SLURMD_", "SBATCH_", "SRUN_", "SALLOC_", "PBS_", "LSB_", "LS_JOBPID", "COBALT_", "OAR_", "HQ_"),
    *("SGE_", "PE_HOSTFILE", "_CONDOR_", "FLUX_JOB_", "FLUX_TASK_"),
    *("PMI_", "PMIX_", "PMI2_", "OMPI_", "PRTE_", "HYDRA_", "MPI_LOCAL", "PALS_"),
)
# Where the schedulers themselves and their own configuration lie.
KEPT = frozenset(
    {
        *("SLURM_CONF", "PBS_CONF_FILE", "PBS_DEFAULT", "HQ_SERVER_DIR"),
        *("SGE_ROOT", "SGE_CELL", "SGE_CLUSTER_NAME", "SGE_QMASTER_PORT", "SGE_EXECD_PORT"),
    }
)


def clean(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """A copy of the environment (this process's own by default) without what belongs to the job around us."""
    source = os.environ if environment is None else environment
    return {name: value for name, value in source.items() if name in KEPT or not name.startswith(FOREIGN)}
