"""The environment that commands get, and where this process runs: on a host, inside a job, in a container."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from resource_secretary.run import printable

# What the enclosing job or the user's habits put there and would change what a command answers, or make it
# believe that it is a rank of a parallel program.
_REMOVED = (
    *("SLURM_", "SLURMD_", "SBATCH_", "SALLOC_", "SRUN_", "SINFO_", "SQUEUE_", "SCONTROL_", "SACCT_", "SCANCEL_"),
    *("PBS_", "LSB_", "LS_JOB", "COBALT_", "OAR_", "SGE_", "HQ_", "_CONDOR_", "MOAB_"),
    *("FLUX_JOB_", "FLUX_TASK_", "FLUX_KVS_NAMESPACE"),
    *("PMIX_", "PMI_", "PMI2_", "OMPI_", "PRTE_", "HYDRA_", "MPI_LOCAL", "MPIEXEC_", "I_MPI_", "MV2_"),
)
# Grid Engine gives its jobs names without a prefix of its own.
_REMOVED_NAMES = frozenset({"JOB_ID", "JOB_NAME", "JOB_SCRIPT", "NSLOTS", "NHOSTS", "NQUEUES", "PE_HOSTFILE", "QUEUE"})
# Where the server is, which only the environment may know.
_KEPT = frozenset(
    {
        *("SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWT", "PBS_CONF_FILE", "PBS_DEFAULT", "PBS_SERVER", "PBS_EXEC"),
        *("PBS_HOME", "SGE_ROOT", "SGE_CELL", "SGE_CLUSTER_NAME", "SGE_QMASTER_PORT", "SGE_EXECD_PORT"),
        *("HQ_SERVER_DIR", "OAR_CONF", "LSB_CONFDIR", "LSB_SHAREDIR", "COBALT_CONFIG_FILES"),
    }
)
# Where no broker runs, each command of Flux looks for its socket five times more, in half a second.
_DEFAULTS = {"FLUX_LOCAL_CONNECTOR_RETRY_COUNT": "1"}

_JOBS = {
    "SLURM_JOB_ID": "Slurm",
    "FLUX_JOB_ID": "Flux",
    "PBS_JOBID": "PBS",
    "LSB_JOBID": "LSF",
    "COBALT_JOBID": "Cobalt",
    "OAR_JOB_ID": "OAR",
    "_CONDOR_SCRATCH_DIR": "HTCondor",
    "HQ_JOB_ID": "HyperQueue",
    "PE_HOSTFILE": "Grid Engine",
}
_SUBMITTING = ("sbatch", "qsub", "bsub", "condor_submit", "oarsub", "msub")
_CONTAINER_FILES = ("/.dockerenv", "/run/.containerenv", "/.singularity.d")
_CONTAINER_VARIABLES = ("APPTAINER_CONTAINER", "SINGULARITY_CONTAINER", "KUBERNETES_SERVICE_HOST", "container")


def for_commands(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of a command: no enclosing job but for where its server is, the C locale, and little patience."""
    kept = {
        name: value
        for name, value in environ.items()
        if name in _KEPT or not (name.startswith(_REMOVED) or name in _REMOVED_NAMES)
    }
    kept.pop("LANGUAGE", None)  # gettext's, and it wins over the locale's messages
    return _DEFAULTS | kept | {"LC_ALL": "C"}


def where(
    hostname: str, environ: Mapping[str, str], exists: Callable[[str], bool], which: Callable[[str], object]
) -> str:
    """Where facts are seen: `HOST`, `HOST, login node`, `HOST, inside Slurm job 42`, `HOST, in a container`.

    A login node is a host from which jobs can be submitted and that no job has given to this process.
    """
    jobs = [f"inside {manager} job {environ[name]}" for name, manager in _JOBS.items() if environ.get(name)]
    if not jobs and any(which(name) for name in _SUBMITTING):
        jobs = ["login node"]
    parts = [hostname, *jobs]
    if any(environ.get(name) for name in _CONTAINER_VARIABLES) or any(exists(path) for path in _CONTAINER_FILES):
        parts.append("in a container")
    return printable(", ".join(parts))
