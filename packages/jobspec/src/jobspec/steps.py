"""The steps that transformers share, and the base of one's own.

A step is made from its entry in the file, which checks its options; `check` sees what the steps
before it put into the stage; `actions` says what it will do; `run` does it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from jobspec.actions import Action, FileAction, Launch, SettingAction
from jobspec.errors import DocumentError, StepFailed
from jobspec.interrupt import whole
from jobspec.spec import StepSpec, Task
from jobspec.stage import check_name
from jobspec.values import flag_of, text_of

if TYPE_CHECKING:
    from jobspec.runner import Run

TEXT, FLAG, ANY = "text", "flag", "any"
# What `set` knows, and what each value must be; a path must be absolute.
SETTINGS: Mapping[str, str] = {"stage": TEXT, "sharedfs": FLAG}


class StepBase:
    """One step of a task.

    name: what the file calls it, unless it is registered under another name.
    options: the keys that it takes beside `step`, each `TEXT`, `FLAG` or `ANY`; required: those it can't do without.
    """

    name: ClassVar[str] = ""
    options: ClassVar[Mapping[str, str]] = {}
    required: ClassVar[tuple[str, ...]] = ()
    skipped: ClassVar[bool] = False

    def __init__(self, spec: StepSpec, task: Task) -> None:
        """Raises DocumentError with the place of an option that is unknown, missing, or of a wrong type."""
        self.spec, self.task = spec, task
        self.check_options()

    def check_options(self) -> None:
        spec = self.spec
        for key in self.required:
            if key not in spec.options:
                raise DocumentError(f"the step {spec.name} needs {key}", spec.place)
        for key, value in spec.options.items():
            place = f"{spec.place}.{key}"
            if key not in self.options:
                known = ", ".join(self.options) or "none"
                raise DocumentError(f"the step {spec.name} has no option {key[:60]!r}; it has: {known}", place)
            if self.options[key] == TEXT:
                text_of(value, place)
            elif self.options[key] == FLAG:
                flag_of(value, place)

    def option(self, key: str, default: Any = None) -> Any:
        """The value of an option, or the default."""
        return self.spec.options.get(key, default)

    def check(self, staged: dict[str, bool]) -> None:
        """Raise DocumentError where the step can't succeed.

        staged: name -> executable, for the files that earlier steps put into the stage; a step adds its own.
        """

    def actions(self, run: Run) -> list[Action]:
        """What `run` will do, in order."""
        return []

    def run(self, run: Run) -> str:
        """Do it; the id of the job that it started, or "". Raises StepFailed."""
        raise NotImplementedError

    def filename(self) -> str:
        return check_name(self.option("filename"), f"{self.spec.place}.filename")


class EmptyStep(StepBase):
    """A step that the transformer accepts, with any options, and has no need of."""

    name = "empty"
    skipped = True

    def check_options(self) -> None:
        """Whatever another transformer may need here is fine."""

    def run(self, run: Run) -> str:
        return ""


class WriterStep(StepBase):
    """Write a script of the task into the stage."""

    name = "write"
    options: ClassVar[Mapping[str, str]] = {"filename": TEXT, "executable": FLAG}
    required = ("filename",)

    def check(self, staged: dict[str, bool]) -> None:
        name = self.filename()
        if name not in self.task.scripts:
            known = ", ".join(self.task.scripts) or "none"
            place = f"{self.spec.place}.filename"
            raise DocumentError(f"no script is named {name!r}; {self.task.place}.scripts has: {known}", place)
        executable = self.option("executable", False)
        if executable and not self.task.scripts[name].startswith("#!"):
            raise DocumentError(
                f"the script {name!r} is to be executable, and does not start with '#!'", self.spec.place
            )
        staged[name] = executable

    def actions(self, run: Run) -> list[Action]:
        name = self.filename()
        return [FileAction(run.path(name), self.option("executable", False), content=self.task.scripts[name])]

    def run(self, run: Run) -> str:
        name = self.filename()
        run.stage.write(name, self.task.scripts[name].encode(), executable=self.option("executable", False))
        return ""


class CopyStep(StepBase):
    """Copy a file of this machine into the stage, under its own name or `filename`."""

    name = "copy"
    options: ClassVar[Mapping[str, str]] = {"source": TEXT, "filename": TEXT, "executable": FLAG}
    required = ("source",)

    def filename(self) -> str:
        name = self.option("filename", Path(self.option("source")).name)
        return check_name(name, f"{self.spec.place}.{'filename' if self.option('filename') else 'source'}")

    def check(self, staged: dict[str, bool]) -> None:
        source = Path(self.option("source"))
        if not source.is_file():
            raise DocumentError(f"no file {str(source)!r}", f"{self.spec.place}.source")
        staged[self.filename()] = self.option("executable", False)

    def actions(self, run: Run) -> list[Action]:
        source = str(Path(self.option("source")).absolute())
        return [FileAction(run.path(self.filename()), self.option("executable", False), source=source)]

    def run(self, run: Run) -> str:
        try:
            content = Path(self.option("source")).read_bytes()
        except OSError as error:
            raise StepFailed(f"can't read {self.option('source')}: {error.strerror}") from None
        run.stage.write(self.filename(), content, executable=self.option("executable", False))
        return ""


class SetStep(StepBase):
    """Change a setting for the steps that follow; with the value null it goes back to its default."""

    name = "set"
    options: ClassVar[Mapping[str, str]] = {"key": TEXT, "value": ANY}
    required: ClassVar[tuple[str, ...]] = ("key", "value")

    def check(self, staged: dict[str, bool]) -> None:
        key = self.option("key")
        if key not in SETTINGS:
            raise DocumentError(f"no setting {key[:60]!r}; there are: {', '.join(SETTINGS)}", f"{self.spec.place}.key")
        if "value" in self.required:
            place, value = f"{self.spec.place}.value", self.option("value")
            if value is None:
                pass
            elif SETTINGS[key] == FLAG:
                flag_of(value, place)
            elif not text_of(value, place).startswith("/"):
                raise DocumentError(f"must be an absolute path, not {value[:60]!r}", place)
        if key == "stage":
            staged.clear()  # what was written lies in the other stage

    def actions(self, run: Run) -> list[Action]:
        return [SettingAction(self.option("key"), self.option("value"))]

    def run(self, run: Run) -> str:
        run.set(self.option("key"), self.option("value"))
        return ""


class UnsetStep(SetStep):
    """Put a setting back to its default."""

    name = "unset"
    options: ClassVar[Mapping[str, str]] = {"key": TEXT}
    required = ("key",)


class SubmitStep(StepBase):
    """Start the tasks: a file of the stage where `filename` is given, else the task's command.

    `wait` waits until the job has ended, and fails with it; `watch` shows its output meanwhile.
    """

    name = "submit"
    options: ClassVar[Mapping[str, str]] = {"filename": TEXT, "wait": FLAG, "watch": FLAG}
    batch: ClassVar[bool] = False

    def check(self, staged: dict[str, bool]) -> None:
        if "filename" not in self.spec.options:
            if not self.task.command:
                raise DocumentError(
                    "there is nothing to submit: no filename here, no command in the task", self.spec.place
                )
            return
        name, place = self.filename(), f"{self.spec.place}.filename"
        if name not in staged:
            raise DocumentError(f"no step before puts {name!r} into the stage", place)
        if not staged[name] and not self.batch:
            raise DocumentError(f"{name!r} is not executable: say 'executable: true' where it is made", place)

    def launch(self, run: Run) -> Launch:
        """The work, as the transformer gets it."""
        if "filename" not in self.spec.options:
            return run.launch(self.task.command, self.task, batch=self.batch, watch=self.watch)
        name = self.filename()
        made = run.launch((run.path(name),), self.task, batch=self.batch, watch=self.watch)
        return replace(made, script=self.task.scripts.get(name, ""))

    @property
    def watch(self) -> bool:
        """Whether the output will be followed, by this step or at the end of the run."""
        return bool(self.option("watch", self.task.attributes.watch))

    def actions(self, run: Run) -> list[Action]:
        follow = self.option("wait", False) or self.watch
        return run.transformer.actions(self.launch(run), follow=follow)

    def run(self, run: Run) -> str:
        launch = self.launch(run)
        with whole():
            job = run.transformer.submit(launch)
            run.started(self.task, job)
        if self.option("wait", False) or self.option("watch", False):
            run.wait(job, watch=self.option("watch", False))
        return job


class BatchStep(SubmitStep):
    """Start one script that runs the job's tasks itself."""

    name = "batch"
    required: ClassVar[tuple[str, ...]] = ("filename",)
    batch = True
