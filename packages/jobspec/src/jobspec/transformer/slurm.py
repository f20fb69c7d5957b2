"""Slurm: sbatch(1), srun(1), scontrol(1)."""

from __future__ import annotations

from resources.units import seconds_text

from jobspec.actions import CommandAction, Launch
from jobspec.errors import JobEnded, StepFailed
from jobspec.job import Job
from jobspec.profile import Profile
from jobspec.transformer._base import call
from jobspec.transformer._scheduler import Ended, Scheduler, offer_steps

# squeue(1), "JOB STATE CODES": those in which a job does not stay.
_LIVING = frozenset(
    {
        *("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING"),
        *("REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD", "STAGE_OUT", "SPECIAL_EXIT"),
    }
)


class Transformer(Scheduler):
    name = "slurm"
    description = "the Slurm cluster whose sbatch is on the PATH"
    program, probe = "sbatch", ("scontrol", "ping")
    chains = constraints = groups = launcher = True

    def submission(self, launch: Launch, script: str, output: str) -> CommandAction:
        options = [*_options(launch.job), *_site(self.profile)]
        if launch.after:
            # Without the second one it would stay in the queue for ever after a failure.
            options += [f"--dependency=afterok:{':'.join(launch.after)}", "--kill-on-invalid-dep=yes"]
        if launch.cwd:
            options.append(f"--chdir={launch.cwd}")
        if output:
            options.append(f"--output={output.replace('%', '%%')}")
        return CommandAction(("sbatch", "--parsable", *options, script), environment=launch.environment)

    def read_id(self, answer: str) -> str:
        return answer.strip().partition(";")[0]  # behind it the cluster's name

    def launch_line(self, launch: Launch) -> tuple[str, ...]:
        return ("srun", *_step_options(launch.job), *launch.argv)

    def look(self, job: str) -> CommandAction:
        return CommandAction(("scontrol", "--oneliner", "show", "job", job))

    def read_look(self, job: str, answer: str) -> Ended | None:
        words = dict(word.partition("=")[::2] for word in answer.split() if "=" in word)
        return _ended(job, words.get("JobState", ""), words.get("ExitCode", ""))

    def unknown(self, job: str, error: StepFailed) -> Ended | None:
        if "Invalid job id" not in str(error):
            raise error
        # The controller forgets a job after MinJobAge; the accounting, where there is one, does not.
        try:
            said = call(CommandAction(("sacct", "-X", "-n", "-P", "-o", "State,ExitCode", "-j", job)))
        except StepFailed:
            said = ""
        state, _, code = said.partition("\n")[0].partition("|")
        if not state:
            raise JobEnded(f"job {job} has ended, and Slurm does not know any more how", job)
        return _ended(job, state.split()[0], code)


def _ended(job: str, state: str, exit_code: str) -> Ended | None:
    if state in _LIVING:
        return None
    code, _, number = exit_code.partition(":")
    if state in ("COMPLETED", "FAILED") and code.isdigit():
        return Ended(int(code) or (128 + int(number) if number.isdigit() and int(number) else 0))
    if not state:
        raise StepFailed(f"scontrol does not say how job {job} is", job)
    return Ended(1, state.lower().replace("_", " "))


def _options(job: Job) -> list[str]:
    options = []
    if job.name:
        options.append(f"--job-name={job.name}")
    if job.nodes:
        options.append(f"--nodes={job.nodes.least}")
    options += [f"--ntasks={job.tasks}", f"--cpus-per-task={job.cpus_per_task}"]
    options += [f"--gpus-per-task={gpus.type}:{gpus.count}".replace("=:", "=") for gpus in job.gpus]
    if job.memory:
        options.append(f"--mem-per-cpu={-(-job.memory.bytes // job.cpus_per_task // 1024)}K")
    if isinstance(job.walltime_s, int):
        options.append(f"--time={seconds_text(job.walltime_s)}")
    if job.exclusive:
        options.append("--exclusive")
    if job.constraint:
        options.append(f"--constraint={job.constraint.text}")
    return options


def _site(profile: Profile) -> list[str]:
    queue, account = profile.default_queue, profile.default_account
    return [*([f"--partition={queue}"] if queue else []), *([f"--account={account}"] if account else [])]


def _step_options(job: Job) -> list[str]:
    nodes = [f"--nodes={job.nodes.least}"] if job.nodes else []
    options = [*nodes, f"--ntasks={job.tasks}", f"--cpus-per-task={job.cpus_per_task}"]
    return [*options, "--exact"]  # else a step takes all that the job has, and the next one waits


offer_steps(Transformer)
