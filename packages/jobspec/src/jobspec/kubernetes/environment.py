"""What a container gets: its variables, its working directory, and the command that starts the script."""

from __future__ import annotations

from typing import Any

from jobspec.job import Job
from jobspec.kubernetes.amounts import differs
from jobspec.kubernetes.names import escape, is_variable
from jobspec.writing import Saying, Script

FOLDER, FILE = "/jobspec", "script"
PATH = f"{FOLDER}/{FILE}"
INDEX = "JOB_COMPLETION_INDEX"  # what the control plane sets in each pod of an Indexed Job


def command(say: Saying, script: Script, expression: str, variable: str = INDEX) -> list[str]:
    """The words that start the script; with an expression its value is the index that the script sees."""
    words = [PATH] if script.shebang else ["/bin/sh", PATH]
    shell = say.job.shell
    if shell:
        if shell.startswith("/") and shell.isprintable() and not {*" ,:@"} & {*shell}:
            words = [shell, PATH]
            say.exact("shell")
        else:
            say.drop("shell", "a container starts a program by its absolute path")
    if expression and expression != INDEX:
        # Not in the script, which may be in any language.
        words = ["/bin/sh", "-c", f'{INDEX}=$(({expression})); export {INDEX}; exec "$0" "$@"', *words]
    return words


def variables(say: Saying, job: Job) -> list[dict[str, Any]]:
    """The entries of a container's `env`."""
    environment = job.environment
    if environment is None:
        return []
    entries, lost = [], []
    for name, value in environment.values:
        if is_variable(name) and is_utf8(value):
            entries.append({"name": name, "value": escape(value)})
        else:
            lost.append(name)
    missing = "a container has the variables of its image, not those of who submits"
    if lost:
        say.drop("environment", f"no variables of a container: {' '.join(lost)[:100]}")
    elif not (environment.all or environment.names):
        say.exact("environment")
    elif entries:
        differs(say, "environment", missing)
    else:
        say.drop("environment", missing)
    return entries


def working_directory(say: Saying, job: Job) -> dict[str, str]:
    path = job.workdir
    if path is None:
        return {}
    if not path.startswith("/") or not path.isprintable() or "$" in path or "%" in path or "{{" in path:
        say.drop("workdir", "the working directory of a container is an absolute path without patterns")
        return {}
    differs(say, "workdir", "the same path in the container; what lies there must be mounted")
    return {"workingDir": path}


def is_utf8(text: str) -> bool:
    """Whether a manifest can hold it as text."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text
