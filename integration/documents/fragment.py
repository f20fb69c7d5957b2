"""Checks of blocks that are a part of something: `<!-- check: fragment NAME ARGUMENT... -->`, the block on stdin.

Run by the Python of the page's environment. Exits 1 with what is wrong.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import dedent, indent

import yaml

from documents.bursting import catalogue, policy, settings

ROOT = Path(__file__).resolve().parents[2]
STARTED = "- {{trigger: start, action: {{name: submit, label: {0}}}}}\n"  # a rule


def lines_in(text: str, file: str) -> str:
    """lines-in FILE: each command of the block is a line of a file of the repository."""
    there = {line.strip() for line in (ROOT / file).read_text().splitlines()}
    absent = [line for line in text.splitlines() if line.removeprefix("$ ").strip() not in there]
    return f"not in {file}: {absent}" if absent else ""


def part_of(text: str, file: str) -> str:
    """part-of FILE: the block is a part of a file of the repository, to the letter."""
    return "" if text.strip("\n") in (ROOT / file).read_text() else f"this is not a part of {file}"


def rules(text: str, *groups: str) -> str:
    """rules GROUP...: the block is rules of an ensemble with these groups of jobs and the variable `round`."""
    jobs = "".join(f"- {{name: {name}, command: 'true', count: 10}}\n" for name in groups)
    starts = "".join(STARTED.format(name) for name in groups)
    return _ensemble([f"variables: {{round: 0}}\njobs:\n{jobs}rules:\n{starts}{dedent(text)}"])


def job(text: str, *names: str) -> str:
    """job NAME...: each line of the block is keys of a group of jobs, whose command uses these parameters."""
    command = " ".join(["name: a, command: 'true", *(f"{{{name}}}" for name in names)]) + "'"
    files = []
    for line in filter(str.strip, text.splitlines()):
        keys = line.removeprefix("{") if line.startswith("{") else f"{line.partition(' #')[0]}}}"
        files.append(f"jobs:\n- {{{command}, {keys}\nrules:\n{STARTED.format('a')}")
    return _ensemble(files)


def custom(text: str, name: str) -> str:
    """custom NAME: the block is the custom functions of an ensemble, which runs them here once one job has ended."""
    jobs = "- {name: sleep, command: 'true'}\n- {name: echo, command: 'true'}\n"
    call = f"- {{trigger: job-success, name: sleep, action: {{name: custom, label: {name}}}}}\n"
    file = f"jobs:\n{jobs}rules:\n{STARTED.format('sleep')}{call}custom: |\n{indent(text, '  ')}"
    return _ensemble([file], "run", "--member", "local")


def mcp_servers(text: str) -> str:
    """mcp-servers: each server of an agent's configuration answers; what ssh would start is started here."""
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "page", "version": "1"}}
    line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello})
    for name, server in json.loads(text)["mcpServers"].items():
        argv = [server["command"], *server["args"]]
        argv = argv[2:] if argv[0] == "ssh" else argv
        done = subprocess.run(argv, input=line + "\n", capture_output=True, text=True, timeout=60)
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        if not any(answer.get("result", {}).get("serverInfo") for answer in answers):
            return f"{name} does not answer: {done.stdout}{done.stderr}"
    return ""


def as_json(text: str) -> str:
    """json: the block is JSON."""
    json.loads(text)
    return ""


def as_yaml(text: str) -> str:
    """yaml: the block is YAML."""
    yaml.safe_load(text)
    return ""


def as_toml(text: str) -> str:
    """toml: the block is TOML."""
    tomllib.loads(text)
    return ""


def _ensemble(files: Sequence[str], *argv: str) -> str:
    """What `ensemble validate` (or another command) says to files."""
    for text in files:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "fragment.yaml")
            file.write_text(text)
            command = ["ensemble", *(argv or ("validate",)), str(file)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)
            if done.returncode:
                return f"{done.stdout}{done.stderr}\n{text}"
    return ""


CHECKS: dict[str, Callable[..., str]] = {
    "lines-in": lines_in,
    "part-of": part_of,
    "rules": rules,
    "job": job,
    "custom": custom,
    "mcp-servers": mcp_servers,
    "json": as_json,
    "yaml": as_yaml,
    "toml": as_toml,
    "settings": settings,
    "catalogue": catalogue,
    "policy": policy,
}


def main() -> int:
    name, *arguments = sys.argv[1:] or [""]
    if name not in CHECKS:
        print(f"fragment: no check {name!r}; there are {', '.join(CHECKS)}", file=sys.stderr)
        return 2
    try:
        wrong = CHECKS[name](sys.stdin.read(), *arguments)
    except (ValueError, OSError, yaml.YAMLError) as error:
        wrong = f"{type(error).__name__}: {error}"
    if wrong:
        print(wrong, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
