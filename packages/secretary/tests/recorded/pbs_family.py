"""PBS, Torque, Grid Engine, LSF, Moab and Cobalt, as they were recorded; tests/data/README-pbs-family.md says where."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from resource_secretary.run import Ran
from resource_secretary.testing import RecordedSystem

DATA = Path(__file__).parents[1] / "data"
Commands = dict[tuple[str, ...], Ran | str]

LSF_JOB = (
    "jobid jobindex stat user queue job_name slots nreq_slot exec_host submit_time start_time runtimelimit pend_reason"
)
LSF_HOST = "HOST_NAME STATUS MAX NJOBS RUN SSUSP USUSP RSV"
QHOST = (
    "gpu,gpus,ngpus,gpu_card,gpucard,cuda,h_vmem,s_vmem,virtual_free,mem_free,h_rss,m_mem_free,"
    "mem_total,slots,num_proc,m_core,m_thread"
)
COBALT_JOB = "JobID:JobName:User:WallTime:Nodes:Procs:State:Queue:Location:SubmitTime:StartTime"
USAGE = Ran((), 2, "", "qstat: invalid option -- 'F'\nusage:\nqstat [-f] [-J] [-p] [-t] [-x]")


def text(path: str) -> str:
    return (DATA / path).read_text()


def machine(commands: Commands, files: Mapping[str, str] | None = None, **environ: str) -> RecordedSystem:
    return RecordedSystem(commands=commands, files=files, environ=environ)


def pbs_commands(folder: str, jobs: str = "") -> Commands:
    return {
        ("qstat", "--version"): text(f"{folder}/version.txt"),
        ("qstat", "-B", "-f"): text(f"{folder}/server.txt"),
        ("qstat", "-f", "-F", "json"): jobs or text(f"{folder}/jobs.json"),
        ("qstat", "-x", "-f", "-F", "json", "4"): jobs or text(f"{folder}/jobs.json"),
        ("qstat", "-Q", "-f", "-F", "json"): text("pbs-2022.1/queues.json"),
        ("pbsnodes", "-a", "-F", "json"): text(f"{folder}/nodes.json"),
    }


def pbs() -> RecordedSystem:
    return machine(pbs_commands("pbs-2022.1"), {"/etc/pbs.conf": "PBS_SERVER=desched1\n"})


def pbs_19() -> RecordedSystem:
    return machine(pbs_commands("pbs-19"), {"/etc/pbs.conf": "PBS_SERVER=scheduler\n"})


def pbs_11() -> RecordedSystem:
    """One that knows no JSON yet."""
    commands: Commands = {
        ("qstat", "--version"): text("pbs-11.3/version.txt"),
        ("qstat", "-B", "-f"): text("pbs-19/server.txt"),
        ("qstat", "-f", "-F", "json"): USAGE,
        ("qstat", "-f"): text("pbs-11.3/jobs.txt"),
        ("qstat", "-Q", "-f", "-F", "json"): USAGE,
        ("qstat", "-Q", "-f"): text("torque-6.1.2/queues.txt"),
        ("pbsnodes", "-a", "-F", "json"): Ran((), 1, "", "usage:\tpbsnodes [-{c|d|o|r}][-s server] host"),
        ("pbsnodes", "-a"): text("pbs-11.3/nodes.txt"),
        ("pbs_rstat",): "",
    }
    return machine(commands)


def torque_commands(folder: str = "torque-6.1.2") -> Commands:
    return {
        ("qstat", "--version"): Ran((), 0, "", text("torque-6.1.2/version.stderr.txt")),
        ("qstat", "-B", "-f"): text("torque-6.1.2/server.txt"),
        ("qstat", "-Q", "-f"): text("torque-6.1.2/queues.txt"),
        ("qstat", "-t", "-x"): text("torque-6.1.2/jobs.xml"),
        ("qstat", "-x", "152"): text("torque-6.1.2/jobs.xml"),
        ("pbsnodes", "-x"): text(f"{folder}/nodes.xml"),
        ("momctl",): "",
    }


def torque() -> RecordedSystem:
    return machine(torque_commands())


def moab_commands(folder: str = "moab-9.1") -> Commands:
    return {
        ("showq", "--xml"): text(f"{folder}/showq.xml"),
        ("showq", "--version"): text("moab-7/version.txt"),
        ("mdiag", "-n", "--xml"): text("moab-7/nodes.xml"),
        ("showstart", "20@259200"): text("moab-7/showstart.txt"),
    }


def moab() -> RecordedSystem:
    return machine(moab_commands())


def moab_over_torque() -> RecordedSystem:
    return machine(torque_commands() | moab_commands())


def gridengine_commands() -> Commands:
    folder = "gridengine-8.1.9"
    return {
        ("qconf", "-sql", "-help"): text(f"{folder}/queue-names.txt")
        + text(f"{folder}/qstat-help.txt").replace("qstat", "qconf"),
        ("qconf", "-spl"): text(f"{folder}/pes.txt"),
        ("qconf", "-sq", "*"): text(f"{folder}/queue-settings.txt"),
        ("qconf", "-sc"): text(f"{folder}/complexes.txt"),
        ("qconf", "-se", "localhost"): text(f"{folder}/host.txt"),
        **{("qconf", "-sp", name): text(f"{folder}/pe-{name}.txt") for name in ("mpi", "smp", "two")},
        ("qstat", "-g", "c", "-xml"): text(f"{folder}/queues.xml"),
        ("qstat", "-xml", "-r", "-s", "prs", "-u", "*"): text(f"{folder}/jobs.xml"),
        ("qstat", "-xml", "-j", "4"): text(f"{folder}/job.xml"),
        ("qstat", "-xml", "-j", "999"): text(f"{folder}/job-unknown.xml"),
        ("qhost", "-F", QHOST, "-q", "-xml"): text(f"{folder}/qhost.xml"),
    }


def gridengine() -> RecordedSystem:
    files = {"/opt/sge/default/common/act_qmaster": "localhost\n"}
    return machine(gridengine_commands(), files, SGE_ROOT="/opt/sge", SGE_CELL="default")


def lsf_commands() -> Commands:
    return {
        ("lsid",): text("lsf-10.1/lsid.txt"),
        ("bparams",): text("lsf-10.1/bparams.txt"),
        ("bqueues", "-l"): text("lsf-10.1/queues.txt"),
        ("bhosts", "-o", LSF_HOST, "-json"): text("lsf-10.1/hosts.json"),
        ("bhosts", "-w", "-gpu"): text("lsf-10.1/gpus.txt"),
        ("lshosts", "-w"): text("lsf-10.1/lshosts.txt"),
        ("lsload", "-w"): text("lsf-10.1/lsload.txt"),
        ("bjobs", "-u", "all", "-o", LSF_JOB, "-json"): text("lsf-10.1/jobs.json"),
        ("bjobs", "-a", "-o", LSF_JOB, "-json", "22005"): text("lsf-10.1/jobs.json"),
    }


def lsf() -> RecordedSystem:
    return machine(lsf_commands())


def lsf_9() -> RecordedSystem:
    """One that knows no JSON and tells no GPUs."""
    usage = Ran((), 255, "", text("lsf-9.1/usage.stderr.txt"))
    commands: Commands = {
        ("lsid",): text("lsf-9.1/lsid.txt"),
        ("bparams",): text("lsf-10.1/bparams.txt"),
        ("bqueues", "-l"): text("lsf-10.1/queues.txt"),
        ("bhosts", "-o", LSF_HOST, "-json"): usage,
        ("bhosts", "-w"): text("lsf-9.1/hosts.txt"),
        ("bhosts", "-w", "-gpu"): usage,
        ("lshosts", "-w"): text("lsf-9.1/lshosts.txt"),
        ("lsload", "-w"): text("lsf-9.1/lsload.txt"),
        ("bjobs", "-u", "all", "-o", LSF_JOB, "-json"): usage,
        ("bjobs", "-u", "all", "-w"): text("lsf-9.1/jobs.txt"),
    }
    return machine(commands)


def cobalt_commands() -> Commands:
    return {
        ("qstat", "--version"): text("cobalt-1/version.txt"),
        ("qstat", "-Q", "-l"): text("cobalt-1/queues.txt"),
        ("qstat", "--header", COBALT_JOB, "-l"): text("cobalt-1/jobs.txt"),
        ("nodelist",): text("cobalt-1/nodelist-cray.txt"),
        ("cqadm",): "",
    }


def cobalt() -> RecordedSystem:
    return machine(cobalt_commands(), {"/etc/cobalt.conf": "[cqm]\n"})


MACHINES: dict[str, Callable[[], RecordedSystem]] = {
    "pbs": pbs,
    "torque": torque,
    "moab": moab,
    "gridengine": gridengine,
    "lsf": lsf,
    "cobalt": cobalt,
}
