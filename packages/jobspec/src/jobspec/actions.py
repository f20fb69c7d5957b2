"""What a step does, said before it is done: the same values drive the run and `--dry-run`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jobspec.job import Job


@dataclass(frozen=True, slots=True)
class Launch:
    """Work for a scheduler: a program with its arguments, and what it needs.

    `batch` is true where the program is one script that starts the job's tasks itself. `watch` is
    true where the output will be followed. `environment` comes on top of the cleaned one. `after` are the ids of
    jobs that must have succeeded before, for transformers that can tell their scheduler. `script` is what the
    program holds where that is a script of the task, else "".
    """

    argv: tuple[str, ...]
    job: Job
    batch: bool = False
    watch: bool = False
    cwd: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    stage: str = ""
    after: tuple[str, ...] = ()
    script: str = ""


@dataclass(frozen=True, slots=True)
class FileAction:
    """A file that appears in the stage; `source` is where it is copied from, else `content` is what it holds."""

    path: str
    executable: bool
    content: str = ""
    source: str = ""

    def text(self) -> str:
        if self.source:
            return f"copy {shlex.quote(self.source)} to {shlex.quote(self.path)}"
        mode = "0700" if self.executable else "0600"
        body = "".join(f"\n    {line}" for line in self.content.splitlines())
        return f"write {shlex.quote(self.path)} (mode {mode}){body}"

    def as_dict(self) -> dict[str, Any]:
        what = {"source": self.source} if self.source else {"content": self.content}
        return {"kind": "file", "path": self.path, "executable": self.executable, **what}


@dataclass(frozen=True, slots=True)
class CommandAction:
    """A program that is started, never through a shell; `environment` is what is added to the cleaned one."""

    argv: tuple[str, ...]
    cwd: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    times: int = 1

    def text(self) -> str:
        settings = "".join(f"{name}={shlex.quote(value)} " for name, value in self.environment.items())
        where = f"(in {shlex.quote(self.cwd)}) " if self.cwd else ""
        return where + settings + shlex.join(self.argv) + (f"  (x {self.times})" if self.times != 1 else "")

    def as_dict(self) -> dict[str, Any]:
        return {
            "kind": "command",
            "argv": list(self.argv),
            "cwd": self.cwd or None,
            "environment": dict(self.environment),
            "times": self.times,
        }


@dataclass(frozen=True, slots=True)
class SettingAction:
    """A setting of the run that changes; `value` is None where it goes back to its default."""

    key: str
    value: str | bool | None

    def text(self) -> str:
        value = str(self.value).lower() if isinstance(self.value, bool) else self.value
        return f"unset {self.key}" if value is None else f"set {self.key} = {value}"

    def as_dict(self) -> dict[str, Any]:
        return {"kind": "setting", "key": self.key, "value": self.value}


@dataclass(frozen=True, slots=True)
class CheckAction:
    """Something that must hold before the next step; the text never tells a secret."""

    what: str

    def text(self) -> str:
        return f"check that {self.what}"

    def as_dict(self) -> dict[str, Any]:
        return {"kind": "check", "what": self.what}


Action = FileAction | CommandAction | SettingAction | CheckAction
