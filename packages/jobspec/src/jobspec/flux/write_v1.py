"""Flux jobspecs of version 1 in JSON: RFC 25, as `flux batch --dry-run` writes them for a script."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from jobspec.flux import command, constraints
from jobspec.flux.layout import KIN, Layout
from jobspec.flux.lists import attribute_path, configuration, json_or_text
from jobspec.flux.values import seconds, signal_number
from jobspec.flux.words import options
from jobspec.flux.write import with_shebang
from jobspec.systems import SYSTEMS
from jobspec.writing import File, Saying, Script

_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
_REGULAR = 0o100000  # RFC 37: the mode of a file has its type in it
_NEEDS_SUBMITTER = {
    "env-file": "a file that only the submitter has",
    "resources-shape": "resources in another form",
    "resources-json": "a file that only the submitter has",
    "rlimit": "flux batch takes limits from the shell that submits",
    "flags": "it is said when the jobspec is submitted",
    "quiet": "it is for flux batch",
    "add-brokers": "it is for tests",
}
_FILES = {"input": ("input", "stdin"), "output": ("output", "stdout"), "error": ("output", "stderr")}


def write(say: Saying, script: Script) -> list[File]:
    """One jobspec; of an array, the one that is to be submitted for each index, with FLUX_JOB_CC set."""
    plan, asked = options(say)
    words = command.from_script(script.shebang, script.body, say.job) if say.same else None
    spec = _Jobspec(say, plan, words)
    if words is None:
        wrap = ("wrap", None) in asked
        script = with_shebang(say, script, wrap=wrap)
        text = script.text()
        spec.file("script", "#!/bin/sh\n" + text if wrap else text, 0o700)
    for option, value in asked:
        spec.take(option, value)
    text = json.dumps(spec.finished(), ensure_ascii=False)
    return [File(SYSTEMS["flux-jobspec"].suffix, text + "\n", head=None)]


class _Jobspec:
    """A jobspec that is being made; words: the command where it is no script."""

    def __init__(self, say: Saying, plan: Layout, words: list[str] | None) -> None:
        self.say = say
        self.plan = plan
        self.words = words
        self.broker: list[str] = []
        self.arguments: list[str] = []
        self.requires: list[str] = []
        self.environment: dict[str, str] = {}
        self.shell: dict[str, Any] = {}
        self.files: dict[str, Any] = {}
        self.system: dict[str, Any] = {"duration": 0, "environment": self.environment}
        self.user: dict[str, Any] = {}
        if words is None:
            name = say.file.rpartition("/")[2] or "batch"
            self.system["job"] = {"name": name}
            self.stream("output", "flux-{{id}}.out")
            self.shell |= {"per-resource": {"type": "node"}, "mpi": "none", "exit-timeout": "none"}
        wanted = say.job.environment
        if not say.same and (say.job.system not in KIN or wanted is None or wanted.all):
            # Flux gives a job nothing but what the jobspec has, and finds no broker without a PATH.
            self.environment["PATH"] = _PATH
            say.remark(
                f"the environment of the job is PATH={_PATH} and what the source sets: add the submitter's to it"
            )
        if wanted and wanted.all:
            say.approximate("environment", "a jobspec holds its environment: the submitter's is to be added")

    def take(self, option: str, value: str | None) -> None:
        """What an option of `flux batch` does to a jobspec."""
        text = value or ""
        if option == "job-name":
            self.system["job"] = {"name": text}
        elif option == "time-limit":
            self.system["duration"] = seconds(text, 60.0)
        elif option in {"queue", "bank", "cwd"}:
            self.system[option] = text
        elif option in _FILES:
            self.stream(option, text)
        elif option == "requires":
            self.requires.append(text)
        elif option == "dependency":
            self.system.setdefault("dependencies", []).append(dependency(text))
        elif option == "begin-time":
            self._begin()
        elif option == "urgency":
            field = "hold" if text == "0" else "priority"
            self._lost(field, f"a jobspec has no urgency: submit it by flux job submit --urgency={text}")
        elif option == "signal":
            name, _, before = text.partition("@")
            self.shell["signal"] = {"signum": signal_number(name), "timeleft": seconds(before)}
        elif option in {"env", "env-remove"}:
            self._variable(option, text)
        else:
            self._native(option, value)

    def _begin(self) -> None:
        """A jobspec has seconds since 1970: RFC 26 and flux-batch(1), "begin-time"."""
        begin = self.say.job.begin
        if begin is None or begin.at is None:
            self._lost("begin", "a jobspec has a time, which depends on when it is submitted: add the dependency then")
            return
        since = datetime.fromisoformat(begin.at).timestamp()
        self.system.setdefault("dependencies", []).append({"scheme": "begin-time", "value": str(since)})
        self.say.approximate("begin", f"{since:.0f} seconds since 1970, by the time zone of this machine")

    def _native(self, option: str, value: str | None) -> None:
        text = value or ""
        if option == "setopt":
            key, assigned, held = text.partition("=")
            put(self.shell, key, json_or_text(held) if assigned else 1)
        elif option == "setattr":
            key, assigned, held = text.partition("=")
            self._attribute(attribute_path(key), json_or_text(held) if assigned else 1)
        elif option == "label-io":
            for stream in ("stdout", "stderr"):
                if stream in self.shell.get("output", {}):
                    put(self.shell, f"output.{stream}.label", True)
        elif option == "unbuffered":
            for stream in ("stdout", "stderr"):
                put(self.shell, f"output.{stream}.buffer.type", "none")
            put(self.shell, "output.batch-timeout", 0.05)
            put(self.shell, "input.batch-timeout", 0.0)
        elif option == "broker-opts":
            self.broker += text.split(",")
        elif option == "dump":
            self.broker.append(f"-Scontent.dump={text or 'flux-{{jobid}}-dump.tgz'}")
        elif option == "conf":
            self._configuration(text)
        elif option == "add-file":
            self._added(text)
        elif option != "wrap":
            self._lost("native", f"--{option}: {_NEEDS_SUBMITTER.get(option, 'it does nothing in a jobspec')}")

    def _lost(self, field: str, why: str) -> None:
        self.say.drop(field, why)

    def _attribute(self, path: str, value: Any) -> None:
        if path.startswith("^"):
            self._lost("native", "--setattr: a file that only the submitter has")
        else:
            top, _, key = path.partition(".")
            put(self.user if top == "user" else self.system, key, value)

    def _variable(self, option: str, rule: str) -> None:
        name, assigned, value = rule.partition("=")
        if option == "env-remove" or rule in {"-*", "-/.*/"}:
            return  # nothing of the submitter's is in a jobspec anyhow
        if assigned and "{{" in value:
            self.shell.setdefault("env-expand", {})[name] = value
        elif assigned and "$" not in value.replace("$$", ""):
            self.environment[name] = value.replace("$$", "$")
        else:
            field = "environment" if self.say.job.environment else "native"
            self.say.approximate(field, f"{rule[:60]}: the submitter's own environment has it; add it to the jobspec")

    def _configuration(self, text: str) -> None:
        key, assigned, value = text.partition("=")
        held = self.files.get("conf.json", {}).get("data", {})
        if "\n" in text:
            read = configuration(text)
            if isinstance(read, dict):
                held = {**held, **read}
        elif assigned:
            put(held, key, json_or_text(value))
        else:
            self._lost("native", "--conf: a file that only the submitter has")
            return
        self.files["conf.json"] = {"mode": _REGULAR | 0o600, "data": held}

    def _added(self, text: str) -> None:
        name, _, data = text.partition("=")
        plain, _, mode = name.partition(":")
        if "\n" not in data:
            self._lost("native", "--add-file: a file that only the submitter has")
        else:
            self.file(plain if mode else name, data, int(mode, 8) if mode.isdigit() else 0o600)

    def file(self, name: str, text: str, mode: int) -> None:
        """Put a file into the jobspec (RFC 37)."""
        self.files[name] = {"mode": _REGULAR | mode, "data": text, "encoding": "utf-8"}

    def stream(self, option: str, path: str) -> None:
        """Send a stream to a file, or nowhere but to Flux's own storage."""
        group, stream = _FILES[option]
        if path in {"none", "kvs"}:
            self.shell.get(group, {}).pop(stream, None)
            if not self.shell.get(group, True):
                del self.shell[group]
        else:
            put(self.shell, f"{group}.{stream}", {"type": "file", "path": path})

    def finished(self) -> dict[str, Any]:
        """The whole jobspec."""
        if self.requires:
            self.system["constraints"] = constraints.parse(" ".join(self.requires))
        if self.shell:
            put(self.system, "shell.options", self.shell)
        if self.files:
            self.system["files"] = self.files
        words = self.words
        if words is None:
            configured = ["-c{{tmpdir}}/conf.json"] if "conf.json" in self.files else []
            words = ["flux", "broker", *self.broker, *configured, command.SCRIPT]
        attributes = {"system": self.system, **({"user": self.user} if self.user else {})}
        resources, count = self._resources()
        tasks = [{"command": words, "slot": "task", "count": count}]
        return {"resources": [resources], "tasks": tasks, "attributes": attributes, "version": 1}

    def _resources(self) -> tuple[dict[str, Any], dict[str, int]]:
        plan = self.plan
        inside = [{"type": "core", "count": plan.cores}]
        if plan.gpus:
            inside.append({"type": "gpu", "count": plan.gpus})
        slot: dict[str, Any] = {"type": "slot", "count": plan.on_each, "with": inside, "label": "task"}
        count = {"per_slot": 1} if plan.total == plan.slots else {"total": plan.slots}
        if plan.nodes is None:
            return slot, count
        if plan.exclusive:
            # The schema of RFC 25 has `exclusive` for slots only, its text for nodes; flux-core takes either.
            slot["exclusive"] = True
        return {"type": "node", "count": plan.nodes, "with": [slot]}, count


def put(tree: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted name; what is in its way is replaced."""
    *path, last = key.split(".")
    for name in path:
        inner = tree.get(name)
        if not isinstance(inner, dict):
            inner = tree[name] = {}
        tree = inner
    if isinstance(value, dict) and isinstance(tree.get(last), dict):
        tree[last].update(value)
    else:
        tree[last] = value


def dependency(uri: str) -> dict[str, Any]:
    """The RFC 26 object of a URI."""
    scheme, _, rest = uri.partition(":")
    value, _, query = rest.partition("?")
    return {"scheme": scheme, "value": value, **dict(parse_qsl(query))}
