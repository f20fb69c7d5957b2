"""A group is a batch job: its script starts the tasks that it holds, each after what it depends on."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from jobspec.actions import Action, CommandAction, FileAction, Launch
from jobspec.interrupt import whole
from jobspec.spec import StepSpec, Task
from jobspec.steps import BatchStep, SubmitStep

if TYPE_CHECKING:
    from jobspec.runner import Run

MOST_AT_ONCE = 64  # commands that a script has running; what comes then waits for the oldest
_HEAD = """#!/bin/sh
# {what}: each task after what it depends on; the first that fails lets nothing more start.
failed=0
ended() {{ # NAME CODE
  [ "$2" -eq 0 ] && return
  echo "jobspec: $1 ended with exit code $2" >&2
  [ "$failed" -ne 0 ] || failed=$2
}}
"""


@dataclass(frozen=True, slots=True)
class Part:
    """A member of a group: a task with the step that says what it starts, or a group with its own parts."""

    task: Task
    start: SubmitStep | None
    parts: tuple[Part, ...]


class GroupStep(BatchStep):
    """Write the script of a group, and start it."""

    name = "batch"
    required: ClassVar[tuple[str, ...]] = ()

    def __init__(self, spec: StepSpec, task: Task, parts: Sequence[Part]) -> None:
        super().__init__(spec, task)
        self.parts = parts

    def script(self, run: Run) -> str:
        """The whole script."""
        return script(self.task, self.parts, run)

    def file(self) -> str:
        return f"{self.task.place.replace('[', '-').replace(']', '').replace('.', '-')}.sh"

    def launch(self, run: Run) -> Launch:
        made = run.launch((run.path(self.file()),), self.task, batch=True, watch=self.watch)
        return replace(made, script=self.script(run))

    def actions(self, run: Run) -> list[Action]:
        return [FileAction(run.path(self.file()), True, content=self.script(run)), *super().actions(run)]

    def run(self, run: Run) -> str:
        run.stage.write(self.file(), self.script(run).encode(), executable=True)
        return super().run(run)


class HereStep(SubmitStep):
    """Run a local task on this host, to its end."""

    name = "submit"

    def actions(self, run: Run) -> list[Action]:
        return run.here.actions(self.launch(run), follow=True)

    def run(self, run: Run) -> str:
        launch = self.launch(run)
        with whole():
            job = run.here.submit(launch)
            run.started(self.task, job, run.here)
        run.wait(job, watch=self.watch)
        return ""


def script(group: Task, parts: Sequence[Part], run: Run) -> str:
    """The shell script that runs a group. Every word of a command is quoted."""
    lines = [_HEAD.format(what=f"group {group.name}")]
    numbers: dict[str, list[int]] = {}  # the variables p1, p2, ... that hold the process ids of what has a name
    waiting: dict[int, str] = {}  # those that were not waited for yet, and what they run
    count = 0
    for part in parts:
        for name in part.task.depends_on:
            lines += [_wait(number, waiting.pop(number)) for number in numbers[name] if number in waiting]
        for block in _blocks(part, group, run):
            if len(waiting) >= MOST_AT_ONCE:
                oldest = next(iter(waiting))
                lines.append(_wait(oldest, waiting.pop(oldest)))
            count += 1
            lines.append(f'p{count}=\nif [ "$failed" -eq 0 ]; then\n(\n{block}\n) </dev/null &\np{count}=$!\nfi')
            numbers.setdefault(part.task.name, []).append(count)
            waiting[count] = _label(part.task)
    lines += [_wait(number, name) for number, name in waiting.items()]
    return "\n".join([*lines, 'exit "$failed"\n'])


def _label(task: Task) -> str:
    return (task.name or task.place) + ("" if task.replica is None else f" ({task.replica})")


def _wait(number: int, name: str) -> str:
    return f'[ -z "$p{number}" ] || {{ wait "$p{number}"; ended {shlex.quote(name)} $?; }}'


def _blocks(part: Part, group: Task, run: Run) -> Iterator[str]:
    """What runs in the background for a part, each as the inside of a subshell."""
    task = part.task
    if part.start is None:
        launch = replace(run.launch((), task, batch=True, watch=True), after=())
        yield _prepared(CommandAction(()), task, group) + run.transformer.nest(launch, script(task, part.parts, run))
        return
    launch = replace(part.start.launch(run), after=())
    here = (CommandAction(launch.argv),)
    for command in here if task.local else run.transformer.within(launch):
        yield _prepared(command, task, group) + f"exec {shlex.join(command.argv)}"


def _prepared(command: CommandAction, task: Task, group: Task) -> str:
    """The directory and the variables that a task has and its group has not."""
    lines = [f"cd {shlex.quote(task.attributes.cwd)} || exit"] if task.attributes.cwd != group.attributes.cwd else []
    known = group.attributes.environment
    changed = {name: value for name, value in task.attributes.environment.items() if known.get(name) != value}
    for name, value in {**changed, **command.environment}.items():
        lines.append(f"{name}={shlex.quote(value)}; export {name}")
    return "".join(f"{line}\n" for line in lines)
