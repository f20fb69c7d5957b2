"""Slurm: sbatch(1), srun(1), scontrol(1)."""

from __future__ import annotations

from jobspec.actions import CommandAction, Launch
from jobspec.errors import StepFailed
from jobspec.job import Job
from jobspec.transformer._base import call
from jobspec.transformer._scheduler import Ended, offer_shared_steps
from jobspec.transformer._written import Written

# squeue(1), "JOB STATE CODES": those in which a job does not stay.
_LIVING = frozenset(
    {
        *("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING"),
        *("REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD", "STAGE_OUT", "SPECIAL_EXIT"),
    }
)


class Transformer(Written):
    name = system = "slurm"
    description = "the Slurm cluster whose sbatch is on the PATH"
    program, probe = "sbatch", ("scontrol", "ping")
    chains = constraints = launcher = True
    gone = ("Invalid job id",)

    def submission(self, launch: Launch, script: str, output: str) -> CommandAction:
        # What comes after a job that has failed would stay in the queue for ever.
        after = [f"--dependency=afterok:{':'.join(launch.after)}", "--kill-on-invalid-dep=yes"] if launch.after else []
        argv = ("sbatch", "--parsable", *self.options(launch, output), *after, script)
        return CommandAction(argv, environment=launch.environment)

    def read_id(self, answer: str) -> str:
        return answer.strip().partition(";")[0]  # behind it the cluster's name

    def launch_line(self, launch: Launch) -> tuple[str, ...]:
        return ("srun", *_step_options(launch.job), *launch.argv)

    def look(self, job: str) -> CommandAction:
        return CommandAction(("scontrol", "--oneliner", "show", "job", job))

    def read_look(self, job: str, answer: str) -> Ended | None:
        words = dict(word.partition("=")[::2] for word in answer.split() if "=" in word)
        if (words.get("JobState"), words.get("Reason")) == ("FAILED", "JobLaunchFailure"):
            # Its exit code is an error number of Slurm's own.
            where = words.get("WorkDir", "its working directory")
            return Ended(1, f"Slurm can't launch it on {words.get('NodeList', 'its node')}: is {where} there?")
        return _ended(job, words.get("JobState", ""), words.get("ExitCode", ""))

    def forgotten(self, job: str) -> Ended:
        # The controller forgets a job after MinJobAge; the accounting, where there is one, does not.
        try:
            said = call(CommandAction(("sacct", "-X", "-n", "-P", "-o", "State,ExitCode", "-j", job)))
        except StepFailed:
            said = ""
        state, _, code = said.partition("\n")[0].partition("|")
        ended = _ended(job, state.split()[0], code) if state else None
        return ended or super().forgotten(job)


def _ended(job: str, state: str, exit_code: str) -> Ended | None:
    if state in _LIVING:
        return None
    code, _, number = exit_code.partition(":")
    if state in ("COMPLETED", "FAILED") and code.isdigit():
        return Ended(int(code) or (128 + int(number) if number.isdigit() and int(number) else 0))
    if not state:
        raise StepFailed(f"scontrol does not say how job {job} is", job)
    return Ended(1, state.lower().replace("_", " "))


def _step_options(job: Job) -> list[str]:
    nodes = [f"--nodes={job.nodes.least}"] if job.nodes else []
    options = [*nodes, f"--ntasks={job.tasks}", f"--cpus-per-task={job.cpus_per_task}"]
    return [*options, "--exact"]  # else a step takes all that the job has, and the next one waits


offer_shared_steps(Transformer)
