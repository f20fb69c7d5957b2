"""The commands of the batch systems, which mean nothing to another one, and what tells a script's language."""

from __future__ import annotations

from jobspec.body.shim import Family

_words = str.split

_PBS = "qsub qstat qdel qalter qhold qrls qrun qsig qmove qselect pbsnodes pbsdsh tracejob pbs_rstat qmgr pbs_attach"
COMMANDS: dict[str, frozenset[str]] = {
    "slurm": frozenset(
        _words(
            "sbatch salloc squeue scontrol sacct sacctmgr scancel sinfo sstat sprio sshare sattach sbcast seff smap"
            " strigger scrontab sreport sdiag"
        )
    ),
    "flux": frozenset({"flux"}),
    "pbspro": frozenset(_PBS.split()),
    "torque": frozenset([*_PBS.split(), "showq", "checkjob", "showstart", "pbs_mom"]),
    "moab": frozenset(
        [*_PBS.split(), *_words("msub showq checkjob canceljob showstart mjobctl mshow checknode mdiag")]
    ),
    "lsf": frozenset(
        _words(
            "bsub bjobs bkill bqueues bhosts bpeek bmod bstop bresume bhist bacct lsload lshosts blaunch lsrun lsgrun"
            " jslist jskill bjdepinfo bresize bswitch brequeue"
        )
    ),
    "cobalt": frozenset(
        _words(
            "qsub qstat qdel qalter qhold qrls qmove cqwait cobalt-mpirun cobalt-subrun nodelist nodeadm partlist"
            " get-bootable-blocks boot-block"
        )
    ),
    "oar": frozenset(_words("oarsub oarstat oardel oarhold oarresume oarsh oarcp oarnodes oarprint oarmonitor")),
    "gridengine": frozenset(_words("qsub qstat qdel qalter qhold qrls qmod qrsh qsh qlogin qhost qacct qconf qselect")),
    "loadleveler": frozenset(_words("llsubmit llq llcancel llstatus llclass llhold llmodify llsummary")),
    "hyperqueue": frozenset({"hq"}),
    "htcondor": frozenset(_words("condor_submit condor_q condor_rm condor_status condor_history condor_chirp")),
    "kubernetes": frozenset(),
    "jobset": frozenset(),
    "jobspec": frozenset(),
}
# These start other jobs: what comes after the job depends on them.
SUBMIT = frozenset(_words("sbatch qsub msub bsub oarsub llsubmit condor_submit"))
# Systems whose commands of one name take the same options.
ALIKE = frozenset({"pbspro", "torque", "moab"})
# Behind these a launcher's name is only a word.
ONLY_NAMES = frozenset(
    _words(
        "echo printf which type module ml alias unalias man hash whereis command export set unset load cd ls cp mv rm"
        " ln mkdir cat grep egrep sed awk test [ [[ for in case local declare typeset readonly return exit source"
        " . basename dirname pkill killall pgrep kill touch find tar which:"
    )
)
_CSH = frozenset({"csh", "tcsh"})
_SH = frozenset({"sh", "bash", "dash", "ash", "ksh", "ksh93", "mksh", "zsh", "busybox"})


def family(body: str, shell: str | None) -> Family:
    """The family of the script's language: from its first line, else from the shell that the job names, else sh."""
    first = body[: min(len(body), 300)].partition("\n")[0]
    if first.startswith("#!"):
        parts = first[2:].split()
        if parts and parts[0].rpartition("/")[2] == "env":
            parts = [part for part in parts[1:] if not part.startswith("-") and "=" not in part]
        name = parts[0].rpartition("/")[2] if parts else "sh"
    elif shell:
        name = shell.rpartition("/")[2]
    else:
        return "sh"
    if name in _CSH:
        return "csh"
    return "sh" if name in _SH else "other"
