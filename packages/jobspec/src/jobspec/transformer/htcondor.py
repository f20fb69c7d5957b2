"""HTCondor: condor_submit(1), condor_q(1), condor_history(1); the vanilla universe."""

from __future__ import annotations

from pathlib import Path

from jobspec.actions import Action, CommandAction, FileAction, Launch
from jobspec.errors import StepFailed
from jobspec.job import Job
from jobspec.stage import write_file
from jobspec.transformer._base import call
from jobspec.transformer._scheduler import Ended, Scheduler, gpus_per_task, name_of, offer_steps

_WORDS = ("JobStatus", "ExitBySignal", "ExitCode", "ExitSignal", "HoldReason")
_REMOVED, _COMPLETED, _HELD = "3", "4", "5"


class Transformer(Scheduler):
    name = "htcondor"
    description = "the HTCondor pool whose condor_submit is on the PATH"
    program, probe = "condor_submit", ("condor_q", "-totals")

    def refuse(self, job: Job) -> str:
        return "the vanilla universe runs a job on one node" if job.nodes and job.nodes.least > 1 else ""

    def submission(self, launch: Launch, script: str, output: str) -> CommandAction:
        return CommandAction(("condor_submit", "-terse", self._description(launch).path))

    def actions(self, launch: Launch, *, follow: bool) -> list[Action]:
        first, *rest = super().actions(launch, follow=follow)
        if isinstance(first, FileAction):
            return [first, self._description(launch), *rest]
        return [self._description(launch), first, *rest]

    def submit(self, launch: Launch) -> str:
        file = self._description(launch)
        write_file(Path(launch.stage), Path(file.path).name, file.content.encode(), executable=False)
        return super().submit(launch)

    def _description(self, launch: Launch) -> FileAction:
        """The submit description file."""
        job, base = launch.job, f"{launch.stage}/{name_of(launch)}"
        own = self.file(launch)
        lines = {
            "universe": "vanilla",
            "executable": own.path if own else launch.argv[0],
            "should_transfer_files": "IF_NEEDED",
            "environment": _environment(launch),
            "request_cpus": str(job.tasks * job.cpus_per_task),
        }
        if job.memory:
            lines["request_memory"] = f"{-(-job.memory.bytes * job.tasks // 1024)}KB"
        if gpus := gpus_per_task(job) * job.tasks:
            lines["request_gpus"] = str(gpus)
        if launch.cwd:
            lines["initialdir"] = launch.cwd
        if job.name:
            lines["batch_name"] = job.name
        if launch.watch:
            lines |= {"output": f"{base}.out", "error": f"{base}.err"}
        if isinstance(job.walltime_s, int):
            lines["periodic_remove"] = f"JobStatus == 2 && time() - EnteredCurrentStatus > {job.walltime_s}"
        for name, value in lines.items():
            if "\n" in value:
                raise StepFailed(f"a submit description can't hold a line break in {name}")
        content = "".join(f"{name} = {value}\n" for name, value in lines.items())
        return FileAction(f"{base}.sub", False, f"{content}queue 1\n")

    def read_id(self, answer: str) -> str:
        return answer.strip().partition(".")[0]

    def look(self, job: str) -> CommandAction:
        return CommandAction(("condor_q", job, "-autoformat:t", *_WORDS))

    def read_look(self, job: str, answer: str) -> Ended | None:
        if not answer.strip():  # it has left the queue
            answer = call(CommandAction(("condor_history", job, "-limit", "1", "-autoformat:t", *_WORDS)))
            if not answer.strip():
                return None  # on its way from the one to the other
        state, by_signal, code, number, why = (*answer.strip("\n").split("\t"), *[""] * 5)[:5]
        if state == _HELD:
            return Ended(1, f"held: {why}")
        if state == _REMOVED:
            return Ended(1, "removed")
        if state != _COMPLETED:
            return None
        return Ended(128 + int(number) if by_signal == "true" and number.isdigit() else int(code or 0))


def _environment(launch: Launch) -> str:
    """The new syntax: all in double quotes, each value in single ones, quotes doubled (condor_submit(1))."""
    values = (f"{name}={_quoted(value)}" for name, value in launch.environment.items())
    return '"' + " ".join(values).replace('"', '""') + '"'


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


offer_steps(Transformer)
