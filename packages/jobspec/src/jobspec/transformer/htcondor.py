"""HTCondor: condor_submit(1), condor_q(1), condor_history(1); the vanilla universe."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from jobspec.actions import Action, CommandAction, FileAction, Launch
from jobspec.errors import StepFailed
from jobspec.job import Environment, Job
from jobspec.stage import write_file
from jobspec.transformer._base import call
from jobspec.transformer._scheduler import Ended, name_of, offer_shared_steps
from jobspec.transformer._written import Written, said

_WORDS = ("JobStatus", "ExitBySignal", "ExitCode", "ExitSignal", "HoldReason")
_REMOVED, _COMPLETED, _HELD = "3", "4", "5"


class Transformer(Written):
    name = system = "htcondor"
    description = "the HTCondor pool whose condor_submit is on the PATH"
    program, probe = "condor_submit", ("condor_q", "-totals")

    def refuse(self, job: Job) -> str:
        return "a job runs on one machine" if job.nodes and job.nodes.least > 1 else super().refuse(job)

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
        base = f"{launch.stage}/{name_of(launch)}"
        own = self.file(launch)
        values = tuple(launch.environment.items())
        if bad := next((name for name, value in values if "\n" in value), ""):
            raise StepFailed(f"a submit description can't hold a line break, as {bad} has one")
        job = replace(
            self.placed(launch.job),
            workdir=launch.cwd or None,
            output=f"{base}.out" if launch.watch else None,
            join=launch.watch,
            environment=Environment("", all=False, values=values),
        )
        ours = {"executable": own.path if own else launch.argv[0], "log": f"{base}.log"}
        lines = [line for line in said(job, self)[0].splitlines() if line.partition(" = ")[0] not in ours]
        content = "".join(f"{line}\n" for line in (*(f"{key} = {value}" for key, value in ours.items()), *lines))
        return FileAction(f"{base}.sub", False, content)

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


offer_shared_steps(Transformer)
