"""A job as Flux's jobspec, version 1 (RFC 25), written as JSON text.

The environment is most of a jobspec and the same for many jobs: it is encoded once.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ensemble.job import Job, Spec

# What belongs to the orchestrator's own job or instance, and would mislead another one.
OWN = re.compile(r"FLUX_(URI|JOB_|TASK_|KVS_NAMESPACE|PROXY_REMOTE|PARENT|LOCAL_RANKS|ENCLOSING_ID)|PMI_|PMIX_")

# What flux-burst goes by stands below attributes.system, where `flux submit --setattr` puts it, too.
BURST = ("burstable", "burst")


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """What of the orchestrator's environment its jobs inherit."""
    return {key: value for key, value in environ.items() if not OWN.match(key)}


def path_of(spec: Spec, path: str, cwd: str) -> str:
    """A path of a spec as the job sees it: relative ones are below its working directory."""
    return os.path.normpath(Path(cwd) / spec.workdir / path)


def output_paths(spec: Spec, cwd: str) -> tuple[str, str]:
    """The files of stdout and stderr; empty where the output stays in Flux."""
    if not spec.output:
        return "", ""
    out = path_of(spec, spec.output, cwd)
    return out, f"{out.removesuffix('.out')}.err"


def resources(spec: Spec) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """The `resources` of a jobspec and the `count` of its tasks. Raises ValueError."""
    each: list[dict[str, Any]] = [{"type": "core", "count": spec.cores}]
    if spec.gpus:
        each.append({"type": "gpu", "count": spec.gpus})
    slot = {"type": "slot", "count": spec.tasks, "label": "task", "with": each}
    if not spec.nodes:
        return [slot], {"per_slot": 1}
    if spec.nodes > spec.tasks:
        raise ValueError(f"{spec.tasks} tasks can't be spread over {spec.nodes} nodes: each node needs one")
    slot["count"] = -(-spec.tasks // spec.nodes)
    count = {"total": spec.tasks} if spec.tasks % spec.nodes else {"per_slot": 1}
    return [{"type": "node", "count": spec.nodes, "with": [slot]}], count


class Writer:
    """Writes the jobspecs of one run.

    hosts: those of the instance: Flux refuses a constraint that names others.
    by_token: the name that `flux jobs` shows is the token, by which job-list can be asked; else it is the group.
    """

    def __init__(
        self, run: str, cwd: str, environ: Mapping[str, str], hosts: Collection[str] = (), by_token: bool = False
    ) -> None:
        self.run, self.cwd, self.hosts, self.by_token = run, cwd, frozenset(hosts), by_token
        self._environ = inherited(environ)
        self._encoded: tuple[Mapping[str, str], str] = ({}, json.dumps(self._environ))
        self._shared: tuple[Spec, str, str] | None = None

    def environment(self, more: Mapping[str, str]) -> str:
        """The whole environment of a job as JSON."""
        if self._encoded[0] != more:
            self._encoded = (dict(more), json.dumps({**self._environ, **more}))
        return self._encoded[1]

    def text(self, job: Job) -> str:
        """The jobspec. Memory, no resource of flux-core, is noted in attributes.user.ensemble. Raises ValueError."""
        spec = job.spec
        if self._shared is None or (self._shared[0] is not spec and self._shared[0] != spec):
            self._shared = (spec, *self._common(spec))
        _, head, system = self._shared
        # Of nodes that come and go a name is given to one machine after the other: there is nothing to avoid, and
        # flux-burst makes no nodes for jobs that are tied to hosts.
        avoid = [host for host in dict.fromkeys(job.avoid) if host in self.hosts]
        if avoid and not spec.attributes.get("burstable"):
            system = f'{system}, "constraints": {json.dumps({"not": [{"hostlist": [",".join(avoid)]}]})}'  # RFC 31
        if self.by_token:
            system = f'{system}, "job": {{"name": {json.dumps(job.token)}}}'
        return (
            f'{head}, "job": {json.dumps(job.name)}, "token": {json.dumps(job.token)}}}}}, '
            f'"system": {system}, "environment": {self.environment(spec.environment)}}}}}}}'
        )

    def _common(self, spec: Spec) -> tuple[str, str]:
        """What all jobs of a spec share, as JSON cut short: all up to attributes.user.ensemble; attributes.system."""
        layout, count = resources(spec)
        cwd = path_of(spec, "", self.cwd)
        # Flux's shell runs a job in /tmp where its directory is missing: it must fail instead. A directory that is
        # here is taken to be on the nodes, too; one that is not here may be theirs alone, so they must tell.
        command = [*spec.argv] if not spec.workdir or Path(cwd).is_dir() else ["env", f"--chdir={cwd}", *spec.argv]
        system: dict[str, Any] = {
            "cwd": cwd,
            "duration": spec.duration,
            **{key: spec.attributes[key] for key in BURST if key in spec.attributes},
        }
        if not self.by_token:
            system["job"] = {"name": spec.group}
        out, err = output_paths(spec, self.cwd)
        options: dict[str, Any] = {}
        if spec.stdin:
            options["input"] = {"stdin": {"type": "file", "path": path_of(spec, spec.stdin, self.cwd)}}
        if out:
            options["output"] = {
                "stdout": {"type": "file", "path": out},
                "stderr": {"type": "file", "path": err},
            }
        if options:
            system["shell"] = {"options": options}
        head = json.dumps(
            {"version": 1, "resources": layout, "tasks": [{"command": command, "slot": "task", "count": count}]}
        )
        user: dict[str, Any] = {
            key: value for key, value in spec.attributes.items() if key not in ("group", "ensemble")
        }
        user |= {"group": spec.group, "ensemble": {"run": self.run}}
        if spec.memory:
            user["ensemble"]["memory"] = spec.memory
        return f'{head[:-1]}, "attributes": {{"user": {json.dumps(user)[:-2]}', json.dumps(system)[:-1]
