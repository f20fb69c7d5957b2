"""Run each job in the foreground with the lowest priority: `jobspec run -t example FILE`."""

import shutil
import subprocess

import jobspec.steps as steps
from jobspec.actions import CommandAction
from jobspec.environ import clean
from jobspec.errors import StepFailed
from jobspec.transformer import TransformerBase


class Transformer(TransformerBase):
    name = "example"
    description = "one job after the other, with the lowest priority"

    def why_not(self):
        return "" if shutil.which("nice") else "there is no nice command on the PATH"


class Submit(steps.SubmitStep):
    """Ends when the job has ended, so `wait` and `watch` are always true."""

    def actions(self, run):
        work = self.launch(run)
        return [CommandAction(("nice", "-n", "19", *work.argv), work.cwd, work.environment)]

    def run(self, run):
        [command] = self.actions(run)
        environment = clean() | dict(command.environment)
        if code := subprocess.run(command.argv, cwd=command.cwd or None, env=environment).returncode:
            raise StepFailed(f"{self.spec.name} ended with exit code {code}")
        return ""


Transformer.register_step(steps.WriterStep)
Transformer.register_step(Submit)
Transformer.register_step(steps.EmptyStep, name="stage")  # one host: nothing to copy
