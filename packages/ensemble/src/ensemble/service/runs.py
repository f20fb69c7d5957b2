"""The ensembles of a server: one engine, journal and runtime each, in a directory of its own below `runs`."""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from resources.errors import BrokenPlugin
from resources.plugins import Registry

from ensemble import __version__
from ensemble.document import Document
from ensemble.errors import CustomError, EnsembleError, FileError, Problem, RunDirError, ServiceError
from ensemble.events import Event
from ensemble.journal import Journal, started_meta
from ensemble.load import parse
from ensemble.member import Options
from ensemble.places import read_yaml
from ensemble.plugins import Plugin, registry
from ensemble.reporting.json import end_of
from ensemble.requests import ask
from ensemble.results import Command
from ensemble.rundir import RunDir
from ensemble.runtime import Runtime, replay
from ensemble.service.cluster import Cluster
from ensemble.service.remote import RemoteMember
from ensemble.service.v1 import ensemble_pb2 as pb

AGAIN_AFTER, AGAIN_AT_MOST = 5.0, 300.0  # seconds before a run that failed for its member is tried again
T = TypeVar("T")


class NoPlugins(Registry[T]):
    """Finds plugins, and loads none: what a client sends must not decide which code runs here."""

    def load(self, name: str) -> T:
        raise BrokenPlugin(
            name, f"plugin {name!r} is not used by this server: whoever runs it can allow plugins with --allow-plugins"
        )


def plugins_for_clients(*, allowed: bool) -> Registry[Plugin]:
    """The plugins that files of clients may use."""
    return registry() if allowed else NoPlugins("ensemble_", "MEMBER", builtins=("ensemble.members",))


def read_document(text: str, name: str, plugins: Registry[Plugin]) -> Document:
    """The document of a client, who is not trusted with code of its own. Raises FileError."""
    data, places = read_yaml(text, name)
    problems: list[Problem] = []
    if isinstance(data, Mapping):
        if data.get("custom"):
            why = "custom code is never run by a service: take it out, or install it there as a plugin"
            problems.append(places.problem(("custom",), why, at_key=True))
        member = data.get("member")
        if isinstance(member, Mapping) and set(member) - {"name"}:
            why = "settings of a member are for its agent: ensemble-server join --settings FILE"
            problems.append(places.problem(("member",), why, at_key=True))
    if problems:
        raise FileError(tuple(problems))
    return parse(text, name, plugins)


class Silent:
    """A reporter that keeps the last word only; the rest is in the journal. `why`: what a run waits for, if it does."""

    def __init__(self) -> None:
        self.why = ""

    def event(self, event: Event) -> None: ...
    def command(self, command: Command) -> None: ...
    def custom_failed(self, error: CustomError) -> None: ...

    def say(self, kind: str, text: str) -> None:
        self.why = "" if kind == "found" else text if kind == "lost" else self.why


class ServiceRun:
    """One ensemble. `meta` is that of its journal."""

    def __init__(self, folder: Path, cluster: Cluster, meta: Mapping[str, str], plugins: Registry[Plugin]) -> None:
        self.folder = folder
        self.cluster = cluster
        self.meta = dict(meta)
        self.why = ""
        self._plugins = plugins
        self._report = Silent()
        self._member: RemoteMember | None = None
        self._begun = False
        self._task: asyncio.Task[None] | None = None
        if self.meta["ended"]:
            self._forget(self.meta)

    @property
    def ended(self) -> bool:
        return bool(self.meta["ended"])

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep_going())

    async def stop(self) -> None:
        """Leave everything to the queue; a later server goes on with it."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def cancel(self, names: list[str], *, abandon: bool = False) -> None:
        """Record what is asked; one that has not begun, or is abandoned, ends here and now. Raises OSError."""
        if names or (self._begun and not abandon):
            await asyncio.to_thread(ask, self.folder, {"cancel": names} if names else {"stop": "cancelled"})
            return
        await self.stop()
        if self.ended:
            return
        journal = Journal.open(self.folder)
        try:
            by = "abandon" if abandon else "request"
            result = {"type": "end", "met": False, "ended_by": by, "counts": {}, "failed": 0}
            self._end(journal, result)
        finally:
            journal.close()

    def message(self) -> pb.Run:
        state = "running"
        why = self.why or (self._member.limit if self._member else "") or self._report.why
        if self.ended:
            state, why = "ended", ""
        elif self.why:
            state = "failed"
        elif self.cluster.link is None:
            state, why = "waiting", f"cluster {self.cluster.name} is not connected"
        result = json.loads(self.meta.get("result") or "{}")
        member = self._member
        return pb.Run(
            run=self.meta["run"],
            name=self.meta["file"],
            cluster=self.cluster.name,
            weight=int(self.meta["weight"]),
            state=state,
            why=why,
            submitted=float(self.meta["started"]),
            ended=float(self.meta["ended"] or 0),
            met=bool(result.get("met")) and (result.get("ended_by") or "") in ("", "terminate"),
            held=member.held if member else 0,
            in_queue=member.in_queue if member else 0,
        )

    async def _keep_going(self) -> None:
        """Run it to its end, again and again where its member can't be used: somebody may repair that."""
        pause = AGAIN_AFTER
        while True:
            try:
                await self._run()
                return
            except EnsembleError as error:
                self.why = str(error)
            except Exception as error:  # noqa: BLE001 - one run's trouble is not that of the others
                import traceback

                traceback.print_exception(error, file=sys.stderr)
                self.why = f"{type(error).__name__}: {error}"
            sys.stderr.write(f"run {self.meta['run']}: {self.why}; trying again in {pause:g} s\n")
            await asyncio.sleep(pause)
            self.why = ""
            pause = min(pause * 2, AGAIN_AT_MOST)

    async def _run(self) -> None:
        document = await asyncio.to_thread(read_document, self.meta["text"], self.meta["file"], self._plugins)
        journal = Journal.open(self.folder)
        options = Options(self.meta["run"], self.folder / "member")
        member = self._member = RemoteMember(options, self.cluster, int(self.meta["weight"]), self._report.say)
        try:
            engine = replay(document, journal)
            self._begun = engine.started
            member.settled = not engine.jobs
            journal.note(started_meta())
            runtime = Runtime(document, member, self._plugins, engine=engine, journal=journal, signals=False)
            await self.cluster.connected()
            self._begun = True
            result = await runtime.run(self._report)
            self._end(journal, {"type": "end", **end_of(result, runtime.engine, member)})
        finally:
            del self.cluster.members[member.options.run]
            self._member = None
            self.cluster.wake()
            journal.close()

    def _end(self, journal: Journal, result: Mapping[str, Any]) -> None:
        ending = {"ended": repr(time.time()), "result": json.dumps(result)}
        journal.note(ending)
        self._forget(ending)

    def _forget(self, ending: Mapping[str, str]) -> None:
        """Of one that has ended little is kept in memory; the rest is in its directory."""
        result = json.loads(ending.get("result") or "{}")
        short = {"met": result.get("met"), "ended_by": result.get("ended_by")}
        self.meta |= {"ended": ending["ended"], "result": json.dumps(short), "text": ""}


class Runs:
    """All of them, by id; those that an earlier server has left unfinished go on."""

    def __init__(self, folder: Path, plugins: Registry[Plugin]) -> None:
        self.clusters: dict[str, Cluster] = {}
        self.runs: dict[str, ServiceRun] = {}
        self._folder = folder
        self._plugins = plugins
        self._requests: dict[str, str] = {}  # id of a request -> run
        self._submitting = asyncio.Lock()

    def resume(self) -> int:
        """Take up what is there; how many go on. What can't be read is told, and left alone."""
        for name, known in self._read_clusters().items():
            self.clusters[name] = Cluster(name, *(str(known.get(key, "")) for key in ("identity", "member", "host")))
        found = []
        for folder in (self._folder / "runs").iterdir():
            try:
                with RunDir(folder) as kept:
                    meta = dict(kept.meta)
                    float(meta["started"]), int(meta["weight"]), meta["text"], meta["cluster"]
            except (RunDirError, KeyError, ValueError) as error:
                sys.stderr.write(f"{folder} is left alone: {error}\n")
                continue
            found.append((float(meta["started"]), folder, meta))
        count = 0
        for _, folder, meta in sorted(found, key=lambda one: one[0]):
            run = self._add(folder, meta)
            if not run.ended:
                count += 1
                run.start()
        return count

    def cluster(self, name: str) -> Cluster:
        return self.clusters.setdefault(name, Cluster(name))

    async def submit(self, text: str, name: str, cluster: str, weight: int, request: str) -> str:
        """Check and start an ensemble; its id. Raises FileError, OSError and JournalError."""
        async with self._submitting:
            if request and (known := self._requests.get(request)):
                return known
            document = await asyncio.to_thread(read_document, text, name, self._plugins)
            identity = uuid.uuid4().hex[:12]
            meta = {
                "run": identity,
                "version": __version__,
                "file": document.file,
                "text": document.text,
                "member": cluster,
                "settings": "{}",
                "cores": "null",
                "cwd": "/",
                "started": repr(time.time()),
                "ended": "",
                "cluster": cluster,
                "weight": str(weight),
                "request": request,
            }
            folder = self._folder / "runs" / identity
            Journal.create(folder, meta, durable=True).close()
            self._add(folder, meta).start()
            return identity

    def remember_clusters(self) -> None:
        """Which agent each cluster's jobs are known to outlives the server. Raises OSError."""
        data = {c.name: {"identity": c.identity, "member": c.member, "host": c.host} for c in self.clusters.values()}
        new = self._folder / "clusters.json.new"
        new.write_text(json.dumps(data, indent=2))
        new.rename(self._folder / "clusters.json")

    async def stop(self) -> None:
        await asyncio.gather(*(run.stop() for run in self.runs.values()))

    def _add(self, folder: Path, meta: Mapping[str, str]) -> ServiceRun:
        run = self.runs[meta["run"]] = ServiceRun(folder, self.cluster(meta["cluster"]), meta, self._plugins)
        if meta.get("request"):
            self._requests[meta["request"]] = meta["run"]
        return run

    def _read_clusters(self) -> dict[str, dict[str, Any]]:
        path = self._folder / "clusters.json"
        try:
            data = json.loads(path.read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise ServiceError(
                f"{path} can't be read ({error}): put back a copy, or remove it and start only agents that were known"
            ) from None
        return {str(k): v for k, v in data.items() if isinstance(v, dict)} if isinstance(data, dict) else {}
