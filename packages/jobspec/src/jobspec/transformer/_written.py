"""Systems whose writer says a job in directives: the same words are the options of their submission."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import ClassVar

from jobspec.actions import Launch
from jobspec.errors import JobspecError
from jobspec.job import Environment, Job, Nodes
from jobspec.report import EXACT
from jobspec.systems import SYSTEMS, writer
from jobspec.transformer._scheduler import Scheduler
from jobspec.writing import Saying, Script

_NOTHING = Script("#!/bin/sh", ":\n")


class Written(Scheduler):
    """A batch system with a writer.

    system: its name in `jobspec.systems`. Without a launcher a job that names no nodes is for one, where its
    tasks are processes.
    """

    system: ClassVar[str] = ""

    def dialect(self) -> str:
        """The name of the writer."""
        return self.system

    def options(self, launch: Launch, output: str) -> list[str]:
        """The options that say a job: what it asks for, where it starts, where its output goes."""
        job = replace(
            self._placed(launch.job),
            workdir=launch.cwd or None,
            output=output or None,
            join=bool(output),
            environment=Environment("ALL", all=True),
        )
        return _words(self.dialect(), _said(job, self)[0])

    def refuse(self, job: Job) -> str:
        try:
            _said(self._placed(job), self)
        except JobspecError as error:
            return str(error)
        return ""

    def notes(self, job: Job) -> list[str]:
        say = _said(self._placed(job), self)[1]
        lost = {field: why for field, (fate, why) in say.fates.items() if fate != EXACT and say.asked(field)}
        return [f"{field}: {why}" for field, why in lost.items()]

    def _placed(self, job: Job) -> Job:
        return job if self.launcher or job.nodes else replace(job, nodes=Nodes(1, 1))


def _said(job: Job, transformer: Written) -> tuple[str, Saying]:
    dialect = transformer.dialect()
    say = Saying(job, dialect, transformer.profile)
    text = writer(dialect).write(say, _NOTHING)[0].text
    say.finish()
    return text, say


def _words(dialect: str, text: str) -> list[str]:
    """The options of the directive lines of a script, as words of a command line."""
    words: list[str] = []
    for line in text.split("\n"):
        for prefix in SYSTEMS[dialect].prefixes:
            if line.startswith(prefix):
                words += shlex.split(line[len(prefix) :])
    return words
