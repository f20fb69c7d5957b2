"""The environment variables of the batch systems, as data: what each means, and how each target has that.

Sources: sbatch(1) and srun(1) 22.05 "OUTPUT ENVIRONMENT VARIABLES", flux-environment(7), the PBS Professional
reference guide ("PBS environment variables"), Torque's qsub(1B), LSF's "Environment variables set for job
execution", Grid Engine's qsub(1), oarsub(1), Cobalt's qsub(1), LoadLeveler's "Using and Administering", HyperQueue's
and HTCondor's manuals, the Kubernetes documentation of indexed Jobs.
"""

from __future__ import annotations

_words = str.split

_SLURM = """
job_id: SLURM_JOB_ID SLURM_JOBID
job_name: SLURM_JOB_NAME
array_job_id: SLURM_ARRAY_JOB_ID
array_index: SLURM_ARRAY_TASK_ID
array_first: SLURM_ARRAY_TASK_MIN
array_last: SLURM_ARRAY_TASK_MAX
array_step: SLURM_ARRAY_TASK_STEP
array_count: SLURM_ARRAY_TASK_COUNT
tasks: SLURM_NTASKS SLURM_NPROCS SLURM_STEP_NUM_TASKS
nodes: SLURM_JOB_NUM_NODES SLURM_NNODES SLURM_JOB_NODES SLURM_STEP_NUM_NODES
node_list: SLURM_JOB_NODELIST SLURM_NODELIST SLURM_STEP_NODELIST
tasks_per_node: SLURM_NTASKS_PER_NODE
tasks_on_nodes: SLURM_TASKS_PER_NODE SLURM_STEP_TASKS_PER_NODE
cpus_per_task: SLURM_CPUS_PER_TASK
cpus_on_node: SLURM_CPUS_ON_NODE
cpus_on_nodes: SLURM_JOB_CPUS_PER_NODE
gpus: SLURM_GPUS
gpus_per_node: SLURM_GPUS_PER_NODE
gpus_per_task: SLURM_GPUS_PER_TASK
gpus_on_node: SLURM_GPUS_ON_NODE
gpu_ids: SLURM_JOB_GPUS SLURM_STEP_GPUS
memory_per_node_mb: SLURM_MEM_PER_NODE
memory_per_cpu_mb: SLURM_MEM_PER_CPU
submit_dir: SLURM_SUBMIT_DIR
submit_host: SLURM_SUBMIT_HOST
queue: SLURM_JOB_PARTITION
account: SLURM_JOB_ACCOUNT
qos: SLURM_JOB_QOS
reservation: SLURM_JOB_RESERVATION
dependency: SLURM_JOB_DEPENDENCY
cluster: SLURM_CLUSTER_NAME
user: SLURM_JOB_USER
user_id: SLURM_JOB_UID
restarts: SLURM_RESTART_COUNT
rank: SLURM_PROCID
local_rank: SLURM_LOCALID
node_index: SLURM_NODEID
node_name: SLURMD_NODENAME
pid: SLURM_TASK_PID
tmp_dir: SLURM_TMPDIR SLURM_JOBTMP SLURMTMPDIR
environment: SLURM_ENVIRONMENT
"""
_PBS_COMMON = """
job_id: PBS_JOBID
job_name: PBS_JOBNAME
node_file: PBS_NODEFILE
submit_dir: PBS_O_WORKDIR
submit_host: PBS_O_HOST
submit_queue: PBS_O_QUEUE
queue: PBS_QUEUE
environment: PBS_ENVIRONMENT
node_index: PBS_NODENUM
rank: PBS_TASKNUM
home: PBS_O_HOME
path: PBS_O_PATH
lang: PBS_O_LANG
user: PBS_O_LOGNAME
shell: PBS_O_SHELL
mail: PBS_O_MAIL
system: PBS_O_SYSTEM
job_cookie: PBS_JOBCOOKIE
"""
_PBSPRO = (
    _PBS_COMMON
    + """
array_index: PBS_ARRAY_INDEX
array_job_id: PBS_ARRAY_ID
job_dir: PBS_JOBDIR
tmp_dir: PBS_TMPDIR TMPDIR
cpus_per_task: NCPUS PBS_NCPUS
account: PBS_ACCOUNT
"""
)
_TORQUE = (
    _PBS_COMMON
    + """
array_index: PBS_ARRAYID
slots: PBS_NP
nodes: PBS_NUM_NODES
slots_per_node: PBS_NUM_PPN
gpu_file: PBS_GPUFILE
cluster: PBS_SERVER PBS_DEFAULT
walltime_s: PBS_WALLTIME
init_dir: PBS_O_INITDIR
node_index: PBS_VNODENUM
"""
)
_TABLES = {
    "slurm": _SLURM,
    "flux": """
job_id: FLUX_JOB_ID FLUX_ENCLOSING_ID
tasks: FLUX_JOB_SIZE
nodes: FLUX_JOB_NNODES
rank: FLUX_TASK_RANK
local_rank: FLUX_TASK_LOCAL_ID
array_index: FLUX_JOB_CC
tmp_dir: FLUX_JOB_TMPDIR
""",
    "pbspro": _PBSPRO,
    "torque": _TORQUE,
    "moab": _TORQUE
    + """
job_id: MOAB_JOBID
job_name: MOAB_JOBNAME
submit_dir: MOAB_SUBMITDIR
array_index: MOAB_JOBARRAYINDEX
array_count: MOAB_JOBARRAYRANGE
nodes: MOAB_NODECOUNT
slots: MOAB_PROCCOUNT
node_list: MOAB_NODELIST
queue: MOAB_CLASS
account: MOAB_ACCOUNT
qos: MOAB_QOS
user: MOAB_USER
""",
    "lsf": """
job_id: LSB_JOBID LSB_BATCH_JID LS_JOBID
job_name: LSB_JOBNAME
array_index: LSB_JOBINDEX
array_last: LSB_JOBINDEX_END
array_step: LSB_JOBINDEX_STEP
slots: LSB_DJOB_NUMPROC LSB_MAX_NUM_PROCESSORS
hosts_by_slot: LSB_HOSTS
hosts_with_slots: LSB_MCPU_HOSTS
node_file: LSB_DJOB_HOSTFILE
host_slots_file: LSB_DJOB_RANKFILE LSB_AFFINITY_HOSTFILE
submit_dir: LS_SUBCWD LSB_SUBCWD
submit_host: LSB_SUB_HOST
queue: LSB_QUEUE
submit_queue: LSB_DEFAULTQUEUE
account: LSB_PROJECT_NAME LSB_DEFAULTPROJECT
work_dir: LSB_OUTDIR
cluster: LSB_CLUSTER_NAME
user: LSB_UNIXGROUP_USER LSB_SUB_USER
node_name: LSB_EXEC_HOST
pid: LS_JOBPID
output_file: LSB_OUTPUTFILE
error_file: LSB_ERRORFILE
rank: LSB_RANK PMIX_RANK
""",
    "cobalt": """
job_id: COBALT_JOBID
node_file: COBALT_NODEFILE
nodes: COBALT_JOBSIZE COBALT_PARTSIZE
node_list: COBALT_PARTNAME
queue: COBALT_QUEUE
account: COBALT_PROJ
job_name: COBALT_JOBNAME
""",
    "oar": """
job_id: OAR_JOB_ID OAR_JOBID
job_name: OAR_JOB_NAME
array_job_id: OAR_ARRAY_ID OAR_ARRAYID
array_index: OAR_ARRAY_INDEX OAR_ARRAYINDEX
node_file: OAR_NODEFILE OAR_NODE_FILE OAR_FILE_NODES OAR_RESOURCE_FILE
submit_dir: OAR_WORKDIR OAR_WORKING_DIRECTORY OAR_O_WORKDIR
account: OAR_PROJECT_NAME
user: OAR_USER
walltime_s: OAR_JOB_WALLTIME_SECONDS
output_file: OAR_STDOUT
error_file: OAR_STDERR
""",
    "gridengine": """
job_id: JOB_ID
job_name: JOB_NAME REQUEST REQNAME
array_index: SGE_TASK_ID TASK_ID
array_first: SGE_TASK_FIRST
array_last: SGE_TASK_LAST
array_step: SGE_TASK_STEPSIZE
slots: NSLOTS
nodes: NHOSTS
host_slots_file: PE_HOSTFILE
queue: QUEUE
submit_dir: SGE_O_WORKDIR
submit_host: SGE_O_HOST
work_dir: SGE_CWD_PATH
home: SGE_O_HOME
path: SGE_O_PATH
user: SGE_O_LOGNAME
shell: SGE_O_SHELL
mail: SGE_O_MAIL
account: SGE_ACCOUNT
cluster: SGE_CELL SGE_CLUSTER_NAME
output_file: SGE_STDOUT_PATH
error_file: SGE_STDERR_PATH
environment: ENVIRONMENT
restarts: RESTARTED
tmp_dir: TMPDIR
""",
    "loadleveler": """
job_id: LOADL_STEP_ID LOADL_JOB_ID
job_name: LOADL_JOB_NAME
submit_dir: LOADL_STEP_INITDIR
node_file: LOADL_HOSTFILE
hosts_by_slot: LOADL_PROCESSOR_LIST
tasks: LOADL_TOTAL_TASKS
queue: LOADL_STEP_CLASS
account: LOADL_STEP_ACCT
user: LOADL_STEP_OWNER
output_file: LOADL_STEP_OUT
error_file: LOADL_STEP_ERR
""",
}


def _table(text: str) -> dict[str, str]:
    rows = (line.partition(":") for line in text.split("\n") if line)
    return {name: meaning for meaning, _, names in rows for name in names.split()}


MEANING: dict[str, dict[str, str]] = {system: _table(text) for system, text in _TABLES.items()}
# What the names start with that only this system sets; other names count only where they stand in its table.
PREFIXES: dict[str, tuple[str, ...]] = {
    "slurm": ("SLURM", "SBATCH_"),
    "flux": ("FLUX_",),
    "pbspro": ("PBS_",),
    "torque": ("PBS_",),
    "moab": ("PBS_", "MOAB_"),
    "lsf": ("LSB_", "LS_SUBCWD", "LS_JOB", "LSF_"),
    "cobalt": ("COBALT_",),
    "oar": ("OAR_", "OARDO"),
    "gridengine": ("SGE_",),
    "loadleveler": ("LOADL_",),
}
# Names that the user sets to steer srun; nothing reads them elsewhere (srun(1), "INPUT ENVIRONMENT VARIABLES").
STEERING = frozenset(
    _words(
        "SLURM_CPU_BIND SLURM_DISTRIBUTION SLURM_EXPORT_ENV SLURM_GPU_BIND SLURM_HINT SLURM_KILL_BAD_EXIT SLURM_LABELIO"
        " SLURM_MEM_BIND SLURM_MPI_TYPE SLURM_NETWORK SLURM_OVERCOMMIT SLURM_OVERLAP SLURM_UNBUFFEREDIO SLURM_WAIT"
        " SLURM_EXACT SLURM_STEP_GRES SRUN_CPUS_PER_TASK SLURM_THREADS_PER_CORE"
    )
)
# A line of the node file of these sources is a node; of the others a slot or task.
LINE_IS_NODE = frozenset({"cobalt"})
