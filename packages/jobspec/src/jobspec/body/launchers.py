"""The options of the launchers, as data.

Sources: srun(1) 22.05, flux-run(1) 0.88, mpirun(1) of Open MPI 4.1 and mpiexec(1) of MPICH 4 (Hydra), aprun(1) of
CLE 6, jsrun(1) of IBM JSM with LLNL's lrun, TACC's ibrun, poe(1) of IBM's Parallel Environment, runjob of Blue Gene/Q.

A row is `meaning: names`. A name that ends with = takes a value, with =? an optional one (behind = only), with == two.
Meanings that no launch has: `ok` changes nothing that the job does, `stop` is not understood, `lost` differs in the
target and is told by name; `env` is NAME=VALUE, `env2` a name and a value, `mca` Open MPI's parameter and value.
"""

from __future__ import annotations

_SRUN = """
tasks: -n= --ntasks=
nodes: -N= --nodes=
per_node: --ntasks-per-node= --tasks-per-node=
cpus: -c= --cpus-per-task=
gpus_per_task: --gpus-per-task=
gpus: -G= --gpus=
gpus_per_node: --gpus-per-node=
gres: --gres=
label: -l --label
unbuffered: -u --unbuffered
output: -o= --output=
error: -e= --error=
input: -i= --input=
chdir: -D= --chdir=
name: -J= --job-name=
time: -t= --time=
export: --export=
binding: --cpu-bind= --cpu_bind=
hosts: -w= --nodelist=
kill: -K=? --kill-on-bad-exit=?
pty: --pty
ok: --exact -Q --quiet -v --verbose -W= --wait= -X --disable-status -k=? --no-kill=? --exclusive=? --comment=
ok: --quit-on-interrupt --slurmd-debug= --msg-timeout= --send-libs=? --use-min-nodes
lost: --overlap -s --oversubscribe -O --overcommit --mpi= -m= --distribution= --hint= --mem-bind= --mem_bind= --mem=
lost: --mem-per-cpu= --mem-per-gpu= --gpu-bind= --gpu-freq= --accel-bind= --cpu-freq= --cpus-per-gpu= -x= --exclude=
lost: -r= --relative= --threads-per-core= --ntasks-per-core= --ntasks-per-socket= --ntasks-per-gpu= -B=
lost: --extra-node-info= --cores-per-socket= --sockets-per-node= --gpus-per-socket= --gres-flags= --propagate=?
lost: -A= --account= -p= --partition= -q= --qos= --reservation= -C= --constraint= -L= --licenses= -b= --begin=
lost: -d= --dependency= -M= --clusters= --deadline= --profile= --acctg-freq= --bb= --bbf= --bcast=? --compress=?
lost: --bcast-exclude= --container= --network= --open-mode= --signal= --x11=? --task-prolog= --task-epilog= --prolog=
lost: --epilog= -E --preserve-env -T= --threads= -I=? --immediate=? --mail-type= --mail-user= --mincpus= --nice=?
lost: --contiguous -S= --core-spec= --thread-spec= --switches= --spread-job --tmp= --time-min= --power= --prefer=
lost: --priority= --reboot --resv-ports=? --uid= --gid= --wckey= --mcs-label= -F= --nodefile= --delay-boot=
stop: --multi-prog --het-group= -h --help --usage -V --version --test-only --jobid= -Z --no-allocate -H --hold
"""
_FLUX = """
tasks: -n= --ntasks=
nodes: -N= --nodes=
cpus: -c= --cores-per-task=
gpus_per_task: -g= --gpus-per-task=
per_node: --tasks-per-node=
gpus_per_node: --gpus-per-node=
label: -l --label-io
unbuffered: -u --unbuffered
output: --output=
error: --error=
input: --input=
chdir: --cwd=
name: --job-name=
env: --env=
flux_time: -t= --time-limit=
flux_option: -o= --setopt=
ok: -x --exclusive --quiet -v --verbose --flags= --urgency= --wait-event=
lost: -q= --queue= -B= --bank= -S= --setattr= --env-remove= --env-file= --rlimit= --signal= --taskmap= --requires=
lost: --begin-time= --dependency= --cores= --tasks-per-core= --add-file=
stop: --help --dry-run --resources-shape= --resources-json= --cc= --bcc= --list-plugins
"""
_MPI = """
tasks: -n= -np= -c=
per_node: -N= -npernode= -ppn= -perhost= -ntasks-per-node=
cpus: -cpus-per-proc= -cpus-per-rank=
map: -map-by=
binding: -bind-to= -bind-to-none/none -bind-to-core/core -bind-to-socket/socket
output: -output-filename=
chdir: -wdir= -wd=
env: -x=
env2: -genv== -env==
mca: -mca== -gmca==
label: -l -prepend-rank -tag-output
hostfile: -hostfile= -machinefile= -f= -default-hostfile= -machine=
hosts_listed: -host= -hosts= -H=
ok: -v -verbose -q -quiet -report-bindings -display-map -display-allocation -display-devel-map -print-rank-map
ok: -genvall -envall -allow-run-as-root -nolocal -noprefix -print-all-exitcodes -d
lost: -oversubscribe -nooversubscribe -rank-by= -rmk= -bootstrap= -launcher= -launcher-exec= -iface= -prefix= -path=
lost: -stdin= -s= -mpi= -am= -tune= -order-nodes= -bynode -byslot -bycore -bysocket -loadbalance -npersocket=
lost: -pernode -genvlist= -envlist= -rsh= -r= -psm2 -psm -ib -rdma -dapl -ucx -env_inherit -hca= -tv -debug -timeout=
lost: -personality= -use-hwthread-cpus -disable-hostname-propagation -envnone -genvnone -launch-agent=
stop: -configfile= -app= -help -h -version -V -info
"""
_APRUN = """
tasks: -n= --pes=
per_node: -N= --pes-per-node=
cpus: -d= --cpus-per-pe=
binding: -cc= --cpu-binding=
env: -e= --environment-override=
chdir: --wdir=
ok: -q --quiet -b --bypass-app-transfer -T --sync-output -a= --architecture= -t= --cpu-time-limit=
lost: -j= --cpus-per-cu= -S= --pes-per-numa-node= -sn= -sl= -ss --strict-memory-containment -r= --specialized-cpus=
lost: -m= --memory-per-pe= -L= --node-list= -F= --access-mode= -p= --protection-domain= -C --reconnect -R= --relaunch=
lost: -D= -P= -mpi= -cp= --cpu-binding-file=
stop: --help --version -B --batch-args
"""
_JSRUN = """
sets: -n= --nrs=
tasks: -p= --np=
tasks_per_set: -a= --tasks_per_rs=
cpus_per_set: -c= --cpu_per_rs=
gpus_per_set: -g= --gpu_per_rs=
sets_per_node: -r= --rs_per_host=
binding: -b= --bind=
env: -E= --env=
chdir: -h= --chdir=
output: -o= --stdio_stdout=
error: -k= --stdio_stderr=
input: -t= --stdio_input=
ok: -d= --launch_distribution= -l= --latency_priority= -X= --exit_on_error= --progress= -V --quiet
lost: -m= --memory_per_rs= -M= --smpiargs= -K= --rs_per_socket= -S= --save_resources= -F= --env_eval=
lost: -D= -P= --pre_post_exec=
lost: -Z= --allocate_only= -i --immediate -e= --stdio_mode= -L= --use_spindle=
stop: -f= --appfile= -U= --use_resources= -J= --use_reservation= -A= --erf_input= --help -? --version
"""
_LRUN = """
tasks: -p= -n= --np=
nodes: -N=
per_node: -T=
gpus_per_task: -g=
cpus: -c=
ok: --nolbind --verbose -v
lost: -M= --smpiargs= --mpibind= --pack -W=
stop: -h --help
"""
_IBRUN = """
tasks: -n= -np=
lost: -o=
stop: -d --help
"""
_POE = """
tasks: -procs=
nodes: -nodes=
per_node: -tasks_per_node=
label: -labelio=
ok: -infolevel= -ilevel= -stdoutmode= -hfile= -hostfile= -rmpool= -resd= -retry= -euilib= -euidevice= -msg_api=
lost: -shared_memory= -single_thread= -wait_mode= -cpu_use= -adapter_use= -pgmmodel= -cmdfile= -task_affinity=
"""
_RUNJOB = """
tasks: --np= -n=
per_node: --ranks-per-node= -p=
env: --envs=
chdir: --cwd=
ok: --verbose= --block= --label
lost: --mapping= --exp-env= --exp-env-all --corner= --shape= --strace= --raise --args= --exe=
stop: --help -h
"""


def _table(text: str, *, single: bool = False) -> dict[str, tuple[str, str]]:
    """Name -> (meaning, what it takes); single: names of one dash may also have two."""
    table: dict[str, tuple[str, str]] = {}
    for line in text.split("\n"):
        meaning, _, names = line.partition(":")
        for entry in names.split():
            name = entry.rstrip("=?")
            takes = entry[len(name) :]
            name, _, fixed = name.partition("/")
            table[name] = (meaning, f"/{fixed}" if fixed else takes)
            if single:
                table["-" + name] = table[name]
    return table


_HYDRA = _table(_MPI, single=True)
OPTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "srun": _table(_SRUN),
    "flux run": _table(_FLUX),
    "aprun": _table(_APRUN),
    "jsrun": _table(_JSRUN),
    "lrun": _table(_LRUN),
    "ibrun": _table(_IBRUN),
    "poe": _table(_POE, single=True),
    "runjob": _table(_RUNJOB),
    **dict.fromkeys(("mpirun", "mpiexec", "mpiexec.hydra", "orterun", "prun", "mpirun_rsh"), _HYDRA),
}
MPI = frozenset({"mpirun", "mpiexec", "mpiexec.hydra", "orterun", "prun", "mpirun_rsh"})
LAUNCHERS = tuple(name for name in OPTIONS if name != "flux run")
# Letters of one dash can be written together, and with their value, as getopt_long has it; names can be cut short.
GETOPT = frozenset({"srun", "flux run", "jsrun", "lrun"})
# The letter and its value may stand together, but no letters.
STUCK = frozenset({"aprun", "ibrun", "runjob"})
# Where a launcher is at home; there it stays as it is.
HOME: dict[str, frozenset[str]] = {
    "srun": frozenset({"slurm"}),
    "flux run": frozenset({"flux"}),
    "jsrun": frozenset({"lsf"}),
    "lrun": frozenset({"lsf"}),
    "aprun": frozenset({"cobalt"}),
    "poe": frozenset({"loadleveler"}),
    "ibrun": frozenset(),
    "runjob": frozenset({"cobalt"}),
}
# What a target starts tasks with.
TARGET = {
    "flux": "flux run",
    "slurm": "srun",
    "pbspro": "mpiexec",
    "torque": "mpiexec",
    "cobalt": "mpiexec",
    "lsf": "mpirun",
    "gridengine": "mpirun",
    "oar": "mpirun",
    "htcondor": "mpirun",
    "kubernetes": "mpirun",
    "jobset": "mpirun",
    "hyperqueue": "mpirun",
    "jobspec": "mpirun",
}
# Targets where MPI's own launcher finds by itself where to start, and how many.
KNOWS_MPI = frozenset({"slurm", "pbspro", "torque", "lsf", "gridengine"})
# How each launcher says a meaning; what it can't say is dropped.
SAYS: dict[str, dict[str, str]] = {
    "flux run": {
        "nodes": "-N {}",
        "tasks": "-n {}",
        "cpus": "-c {}",
        "gpus_per_task": "-g {}",
        "label": "-l",
        "unbuffered": "-u",
        "output": "--output={}",
        "error": "--error={}",
        "input": "--input={}",
        "chdir": "--cwd={}",
        "name": "--job-name={}",
        "env": "--env={}",
        "hosts": "--requires=hosts:{}",
        "binding": "-o cpu-affinity={}",
        "kill": "-o exit-on-error",
        "pty": "-o pty",
        "time": "-t {}s",
    },
    "srun": {
        "nodes": "-N {}",
        "tasks": "-n {}",
        "per_node": "--ntasks-per-node={}",
        "cpus": "-c {}",
        "gpus_per_task": "--gpus-per-task={}",
        "gpus_per_node": "--gpus-per-node={}",
        "label": "-l",
        "unbuffered": "-u",
        "output": "--output={}",
        "error": "--error={}",
        "input": "--input={}",
        "chdir": "--chdir={}",
        "name": "--job-name={}",
        "env": "--export=ALL,{}",
        "binding": "--cpu-bind={}",
    },
    "mpiexec": {"tasks": "-n {}", "chdir": "-wdir {}"},
    "mpirun": {"tasks": "-np {}", "chdir": "-wdir {}"},
}
