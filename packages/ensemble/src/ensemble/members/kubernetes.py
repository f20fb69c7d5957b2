"""Kubernetes: one Job (batch/v1) for each attempt, one Indexed Job for many that are alike; followed by list and watch.

Settings (below `member` in the file, beside `name`):

- `image`: the container image of jobs that name none (`attributes: {image: ...}`).
- `kubeconfig`, `context`, `namespace`: where; as kubectl has them. Inside of a pod its service account is used.
- `gpu` (nvidia.com/gpu): the resource that `gpus` means.
- `indexed` (10): from how many jobs on that are alike they become one Indexed Job.
- `stuck` (300): seconds after which a container that can't come up (no such image, bad configuration) is given up.
- `ttl`: seconds after which the cluster removes Jobs that have ended, and their logs. Not set: they stay, and
  `kubectl delete job -l ensemble.run=RUN` removes them.

Attributes of a job: `image`; `pod` and `container`, merged into the pod's spec and the container (volumes, node
selectors, service accounts, ...); `labels` and `annotations` of the pod. Others become annotations `ensemble.NAME`.

A command runs once in one container, so a job has one node and one task (see `minicluster`). `output` is written
on this machine, from the pod's log, when the job has ended. A pod's log has both streams in one, so `err` reads as
`out` does. A job that has no node yet waits, however long: Kubernetes never says that a pod can't be placed at all.

Submitted once: the name of a Job comes from its tokens, so that a second creation meets the first one (409).
Indexed Jobs need a server of 1.29 or later ("Backoff limit per index"); on older ones each attempt has its own Job.
A pod that is deleted and replaced by its Job is told of as `requeue`.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from ensemble.errors import MemberError
from ensemble.events import COURSE
from ensemble.job import Job, Known
from ensemble.member import READ_LIMIT, Emit, Lost, Options, SubmitLimit, Unreachable
from ensemble.members import _kubernetes_client as connection
from ensemble.members import _kubernetes_objects as objects
from ensemble.members._telling import Telling

SETTINGS = ("image", "kubeconfig", "context", "namespace", "gpu", "indexed", "stuck", "ttl")
PER_INDEX = (1, 29)  # the server from which on Indexed Jobs count failures of each index
PAGE = 500  # objects of one answer to a list
WATCH = 300  # seconds after which a watch is begun anew
BACKOFF = (0.5, 1.0, 2.0, 4.0, 8.0)  # seconds before a watch is tried again; then the run is told
ENDING = 4.0  # seconds that cancelled jobs have to go when a member is closed
DEADLINE = 45.0  # seconds for one creation, tries again included


@dataclass(slots=True)
class _Entry:
    """An attempt that has not ended. told: events that were emitted. place: its Job's name and its index there."""

    job: Job
    told: set[str]
    place: tuple[str, int] = ("", 0)
    pod: str = ""
    uid: str = ""
    gone: bool = False  # its pod was deleted, and had not ended
    cancelled: bool = False
    last: float = 0.0
    timer: asyncio.TimerHandle | None = field(default=None, repr=False)


class KubernetesMember(Telling[_Entry]):
    name: ClassVar[str] = "kubernetes"
    no_resize: ClassVar[str] = "the nodes of the cluster are not ours to change: use `minicluster`, or its autoscaler"

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._settings = dict(options.settings)
        for key in self._settings:
            if key not in SETTINGS:
                raise MemberError(self.name, f"there is no setting {key!r}; there are: {', '.join(SETTINGS)}")
        self._image = str(self._settings.get("image") or "")
        self._gpu = str(self._settings.get("gpu") or "nvidia.com/gpu")
        self._indexed = self._number("indexed", 10) or 10
        self._stuck = self._number("stuck", 300) or 0
        self._ttl = self._number("ttl", None)
        self._api: Any = None
        self._threads: ThreadPoolExecutor | None = None
        self._watches: list[_Watch] = []
        self._entries: dict[str, _Entry] = {}  # by token
        self._tokens: dict[str, str] = {}  # name -> token
        self._jobs: dict[str, list[str]] = {}  # name of a Job -> its tokens
        self._statuses: dict[str, Mapping[str, Any]] = {}  # name of a Job -> what was last seen of it
        self._doomed: set[str] = set()  # tokens of what was cancelled before it had a pod
        self._pods: dict[str, str] = {}  # token -> name of its pod, also of what ended
        self._tasks: set[asyncio.Task[None]] = set()

    def _number(self, key: str, default: int | None) -> int | None:
        value = self._settings.get(key, default)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
            raise MemberError(self.name, f"{key} is a whole number, not {value!r}")
        return value

    @classmethod
    def unavailable(cls) -> str:
        return connection.missing()

    # Opening and closing

    async def open(self, emit: Emit, lost: Lost) -> None:
        from kubernetes import client

        self._emit_event, self._lost = emit, lost
        self._entries, self._tokens, self._jobs, self._statuses = {}, {}, {}, {}
        self._loop = asyncio.get_running_loop()
        self._api, self._namespace = await asyncio.to_thread(connection.connect, self.name, self._settings)
        self._core, self._batch = client.CoreV1Api(self._api), client.BatchV1Api(self._api)
        self._threads = ThreadPoolExecutor(connection.CONNECTIONS, "kubernetes")
        self._selector = f"{objects.RUN}={objects.label(self.options.run)}"
        try:
            try:
                self._version = await self._run(connection.version, self._api)
            except Exception as error:  # noqa: BLE001 - urllib3's and the client's have no common base
                raise connection.translate(self.name, error, "asking for its version") from None
            for kind, call in (("jobs", self._batch.list_namespaced_job), ("pods", self._core.list_namespaced_pod)):
                self._watches.append(_Watch(self, kind, call))
            await asyncio.gather(*(watch.start() for watch in self._watches))
        except BaseException:
            await self.close(leave=True)
            raise

    async def close(self, *, leave: bool = False) -> None:
        if self._api is None:
            return
        try:
            if not leave:
                with suppress(MemberError):
                    await self.cancel([entry.job.name for entry in self._entries.values()])
                deadline = time.monotonic() + ENDING
                while self._entries and time.monotonic() < deadline:
                    await asyncio.sleep(0.05)
        finally:
            for entry in self._entries.values():
                self._unplan(entry)
            for watch in self._watches:
                watch.stop()
            self._watches = []
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=ENDING)
            if self._threads:
                self._threads.shutdown(wait=False, cancel_futures=True)
                self._threads = None
            self._api.close()
            self._api = None

    # Jobs

    async def submit(self, jobs: Sequence[Job]) -> None:
        fit: list[Job] = []
        for job in jobs:
            if why := objects.misfit(job.spec, self._image):
                self._refuse([_Entry(job, set())], "submit", why)
            else:
                fit.append(job)
        least = max(2, self._indexed) if self._version >= PER_INDEX else len(fit) + 1
        parts = list(objects.alike(fit, least))
        results = await asyncio.gather(*(self._create(part) for part in parts), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _create(self, jobs: Sequence[Job]) -> None:
        body = objects.manifest(self.options.run, jobs, self._image, self._gpu, self._ttl)
        name = body["metadata"]["name"]
        entries = [_Entry(job, set(), (name, index)) for index, job in enumerate(jobs)]
        try:
            async with asyncio.timeout(DEADLINE):
                made = await self._run(self._create_or_find, name, body)
        except Exception as error:  # noqa: BLE001 - urllib3's and the client's have no common base
            status, text = connection.told(error)
            if status == 403 and "exceeded quota" in text:
                raise SubmitLimit(self.name, text) from None
            if status in (400, 403, 404, 409, 413, 422):
                self._refuse(entries, "submit", f"the server says {status}: {text}")
                return
            if isinstance(error, (TypeError, ValueError)) and not isinstance(error, json.JSONDecodeError):
                text = " ".join(str(error).split())[:400]  # the client checks what it sends, too
                self._refuse(entries, "submit", f"it is no valid Job: {text}")
                return
            raise Unreachable(self.name, f"creating {name}: {f'{status}: ' if status else ''}{text}") from None
        self._keep(entries)
        self._job_seen(made)
        # Its pods may have been seen before we knew that they are ours.
        for watch in self._watches:
            for seen in watch.of_job(name):
                self._pod_seen(seen)

    def _create_or_find(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        """Create a Job; where there is one of that name with the same tokens, that is it. Runs in a thread."""
        from kubernetes.client.exceptions import ApiException

        call: Callable[..., Any]
        try:
            answer = self._batch.create_namespaced_job(
                self._namespace, body, _preload_content=False, _request_timeout=connection.WAIT
            )
        except ApiException as error:
            if error.status != 409:
                raise
            call = self._batch.read_namespaced_job
            found = _data(call(name, self._namespace, _preload_content=False, _request_timeout=connection.WAIT))
            if objects.job_tokens(found) != objects.job_tokens(body):
                raise
            return found
        return _data(answer)

    def _refuse(self, entries: Sequence[_Entry], kind: str, why: str) -> None:
        for entry in entries:
            self._emit(entry, "exception", time.time(), type=kind, severity=0, note=why)
            self._emit(entry, "clean", time.time())

    def _keep(self, entries: Sequence[_Entry]) -> None:
        for entry in entries:
            self._entries[entry.job.token] = entry
            self._tokens[entry.job.name] = entry.job.token
            self._jobs.setdefault(entry.place[0], [])

    async def adopt(self, known: Sequence[Known]) -> Collection[str]:
        jobs = await self._list(self._batch.list_namespaced_job, "jobs")
        pods = await self._list(self._core.list_namespaced_pod, "pods")
        places = {
            token: (job["metadata"]["name"], index)
            for job in jobs
            for index, token in enumerate(objects.job_tokens(job))
        }
        self._jobs |= {job["metadata"]["name"]: objects.job_tokens(job) for job in jobs}
        cancelled = self._cancelled()
        absent: set[str] = set()
        for item in known:
            token = item.job.token
            self._tokens[item.job.name] = token
            if item.seen == "clean":
                continue
            told = set(COURSE[: COURSE.index(item.seen) + 1]) if item.seen else set()
            entry = _Entry(item.job, told, places.get(token, ("", 0)), cancelled=token in cancelled)
            if token in places:
                self._keep([entry])
            elif entry.cancelled:
                self._once(entry, "submit", time.time(), id=item.id)
                self._fail(entry, "cancel", "it was cancelled")
            else:
                absent.add(item.job.name)
        for job in jobs:
            self._job_seen(job, last=False)
        for pod in pods:
            self._pod_seen(pod)
        for job in jobs:  # what the pods don't tell of, because they are gone
            self._job_seen(job)
        return absent

    async def cancel(self, names: Sequence[str]) -> None:
        entries = [self._entries[self._tokens[name]] for name in names if self._tokens.get(name) in self._entries]
        self._write_cancelled([entry.job.token for entry in entries if not entry.cancelled])
        by_job: dict[str, list[_Entry]] = {}
        for entry in entries:
            entry.cancelled = True
            by_job.setdefault(entry.place[0], []).append(entry)
        calls = [self._cancel_in(name, mine) for name, mine in by_job.items()]
        results = await asyncio.gather(*calls, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise connection.translate(self.name, result, "cancelling") from None  # type: ignore[arg-type]

    async def _cancel_in(self, name: str, entries: Sequence[_Entry]) -> None:
        """Cancel attempts of one Job: the Job, where none of its others is left, else their pods."""
        mine = {entry.job.token for entry in entries}
        if all(token in mine for token in self._jobs[name] if token in self._entries):
            await self._delete(
                self._batch.delete_namespaced_job, name, propagation_policy="Background", _preload_content=False
            )
        else:
            for entry in entries:
                if entry.pod:
                    await self._delete(self._core.delete_namespaced_pod, entry.pod, _preload_content=False)
                # Else its pod is deleted should it come: see _pod_seen.
        for entry in entries:
            if not entry.pod and entry.job.token in self._entries:
                self._doomed.add(entry.job.token)
                self._fail(entry, "cancel", "it was cancelled before it had a pod")

    async def _delete(self, call: Callable[..., Any], name: str, **options: Any) -> None:
        from kubernetes.client.exceptions import ApiException

        try:
            await self._run(partial(call, name, self._namespace, _request_timeout=connection.WAIT, **options))
        except ApiException as error:
            if error.status != 404:
                raise

    def _cancelled(self) -> set[str]:
        path = self._record()
        return set(path.read_text().split()) if path and path.exists() else set()

    def _write_cancelled(self, tokens: Sequence[str]) -> None:
        """A Job that is deleted leaves no trace in the cluster, so that this is what a later resume knows of it."""
        path = self._record()
        if path and tokens:
            with path.open("a") as file:
                file.write("".join(f"{token}\n" for token in tokens))

    def _record(self) -> Path | None:
        return self.options.folder / "cancelled" if self.options.folder else None

    # What the watches tell

    def on_event(self, kind: str, what: str, item: Mapping[str, Any]) -> None:
        """An object was added, modified or deleted. Called in the loop's thread."""
        if kind == "jobs":
            if what == "DELETED":
                self._job_gone(item["metadata"]["name"])
            else:
                self._job_seen(item)
        else:
            self._pod_seen(item, deleted=what == "DELETED")

    def _job_seen(self, job: Mapping[str, Any], *, last: bool = True) -> None:
        """last: a failed Job whose pods tell nothing ends its attempts."""
        name = job["metadata"]["name"]
        if name not in self._jobs:
            return
        tokens = self._jobs[name] = objects.job_tokens(job)
        self._statuses[name] = _short(job)
        created = objects.seconds(job["metadata"].get("creationTimestamp")) or time.time()
        kind, note = objects.job_failure(job) if last else ("", "")
        status = job.get("status") or {}
        failed = set(_indexes(status.get("failedIndexes") or "")) if len(tokens) > 1 else {0} if kind else set()
        for index, token in enumerate(tokens):
            if entry := self._entries.get(token):
                self._once(entry, "submit", created, id=f"{name}:{index}" if len(tokens) > 1 else name)
                if last and index in failed and (entry.gone or (kind and not entry.pod)):
                    self._fail_gone(entry, kind or "node-lost", note or "its index failed, and its pod is gone")

    def _job_gone(self, name: str) -> None:
        self._statuses.pop(name, None)
        for token in self._jobs.get(name, []):
            if entry := self._entries.get(token):
                if entry.pod and not entry.gone and entry.cancelled:
                    continue  # its pod will go, too
                self._fail_gone(entry, "cancel", f"its Job {name} was deleted")

    def _fail_gone(self, entry: _Entry, kind: str, note: str) -> None:
        self._fail(entry, "cancel" if entry.cancelled else kind, "it was cancelled" if entry.cancelled else note)

    def _pod_seen(self, pod: Mapping[str, Any], *, deleted: bool = False) -> None:
        meta = pod["metadata"]
        tokens = self._jobs.get((meta.get("labels") or {}).get("job-name", ""), [])
        index = objects.pod_index(pod)
        token = tokens[index] if index < len(tokens) else ""
        entry = self._entries.get(token)
        facts = objects.pod_facts(pod)
        if entry is None:
            if token:
                self._pods.setdefault(token, facts.pod)
            if token in self._doomed and not deleted and not meta.get("deletionTimestamp"):
                self._later(self._delete(self._core.delete_namespaced_pod, facts.pod, _preload_content=False))
            return
        if entry.uid and facts.uid != entry.uid:
            if not entry.gone:
                return  # an older pod, or the second one of a Job whose first is still there
            self._requeue(entry)
        entry.uid, entry.pod = facts.uid, facts.pod
        self._pods[token] = facts.pod
        self._tell(entry, facts)
        if token not in self._entries:
            return
        if deleted:
            entry.gone = True
            if entry.cancelled:
                self._fail_gone(entry, "cancel", "")
            elif (name := entry.place[0]) in self._statuses:  # it may have failed before
                self._job_seen(self._statuses[name])
        elif entry.cancelled and not meta.get("deletionTimestamp"):
            self._later(self._delete(self._core.delete_namespaced_pod, facts.pod, _preload_content=False))

    def _requeue(self, entry: _Entry) -> None:
        note = "its pod was deleted, and its Job has made another one"
        self._emit(entry, "requeue", time.time(), type="preempted", note=note)
        entry.told &= {"submit"}
        entry.gone = False

    def _tell(self, entry: _Entry, facts: objects.Facts) -> None:
        """Emit what a pod tells and was not told yet, in order."""
        if facts.scheduled is not None and facts.host:
            self._once(entry, "alloc", facts.scheduled, hosts=[facts.host])
        if facts.started is not None:
            self._once(entry, "start", facts.started)
        if facts.ended is None:
            self._plan(entry, facts)
            return
        if entry.cancelled:
            self._emit(entry, "exception", facts.ended, type="cancel", severity=0, note="it was cancelled")
        elif facts.exception:
            self._emit(entry, "exception", facts.ended, type=facts.exception, severity=0, note=facts.note)
        if facts.status is not None:
            self._once(entry, "finish", facts.ended, status=facts.status)
        self._later(self._finish(entry))
        self._entries.pop(entry.job.token, None)

    async def _finish(self, entry: _Entry) -> None:
        """Write the output where the job wants it, then tell that it is over."""
        try:
            if path := entry.job.spec.output:
                with suppress(OSError, MemberError):
                    data = await self._log(entry.pod, None)
                    await asyncio.to_thread((Path(entry.job.spec.workdir or ".") / path).write_bytes, data)
        finally:
            self._clean(entry)

    def _plan(self, entry: _Entry, facts: objects.Facts) -> None:
        """A container that can't come up is given up after a while."""
        if not facts.stuck:
            self._unplan(entry)
        elif entry.timer is None:
            entry.timer = self._loop.call_later(self._stuck, self._give_up, entry, facts.stuck, facts.note)

    @staticmethod
    def _unplan(entry: _Entry) -> None:
        if entry.timer:
            entry.timer.cancel()
            entry.timer = None

    def _give_up(self, entry: _Entry, kind: str, note: str) -> None:
        if entry.job.token in self._entries:
            name, pod = entry.place[0], entry.pod
            others = any(token in self._entries for token in self._jobs.get(name, []) if token != entry.job.token)
            call, which = (
                (self._core.delete_namespaced_pod, pod) if others else (self._batch.delete_namespaced_job, name)
            )
            self._fail(entry, kind, f"its container does not come up: {note}")
            self._later(self._delete(call, which, propagation_policy="Background", _preload_content=False))

    def _clean(self, entry: _Entry) -> None:
        self._unplan(entry)
        self._entries.pop(entry.job.token, None)
        self._once(entry, "clean", time.time())

    def _later(self, work: Any) -> None:
        async def quietly() -> None:
            with suppress(Exception):  # it is tried again at the next event, or by the next resume
                await work

        task = self._loop.create_task(quietly())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Output

    async def read(self, name: str, stream: str, offset: int, limit: int = READ_LIMIT) -> bytes:
        pod = self._pods.get(self._tokens.get(name, f"{self.options.run}-{name}"), "")
        if not pod or not limit:
            return b""
        if offset >= 0:
            return (await self._log(pod, offset + limit))[offset:]
        # A line has a byte at least: that many lines have what is asked for.
        return (await self._log(pod, None, tail_lines=-offset))[offset:][:limit]

    async def _log(self, pod: str, limit: int | None, **options: Any) -> bytes:
        """The log of a pod; empty where it has none, or is gone. limit: bytes from the start."""
        from kubernetes.client.exceptions import ApiException

        if limit is not None:
            options["limit_bytes"] = limit

        def fetch() -> bytes:
            call = self._core.read_namespaced_pod_log
            answer = call(pod, self._namespace, _preload_content=False, _request_timeout=connection.WAIT, **options)
            return bytes(answer.data)

        try:
            return bytes(await self._run(fetch))
        except ApiException as error:
            if error.status in (400, 404):  # not begun, or gone
                return b""
            raise connection.translate(self.name, error, f"the log of {pod}") from None

    def where(self, name: str) -> str:
        pod = self._pods.get(self._tokens.get(name, ""), "")
        return f"kubectl -n {self._namespace} logs {pod}" if pod else ""

    @property
    def handle(self) -> Any:
        return self._api

    # Calls

    async def _list(self, call: Callable[..., Any], kind: str) -> list[dict[str, Any]]:
        """All objects of this run. Raises Unreachable."""
        self.calls[f"list {kind}"] += 1
        try:
            found, _ = await self._run(fetch_all, call, self._namespace, self._selector)
            return list(found)
        except Exception as error:  # noqa: BLE001 - urllib3's and the client's have no common base
            raise connection.translate(self.name, error, f"asking for its {kind}") from None

    async def _run(self, function: Callable[..., Any], *args: Any) -> Any:
        if self._threads is None:
            raise Unreachable(self.name, "it is not open")
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)

    def on_trouble(self, error: Exception, what: str) -> None:
        """A watch gives up. Called in the loop's thread."""
        self._lost(connection.translate(self.name, error, what))


class _Watch:
    """Follows one kind of object in a thread of its own: list, watch, and both again where the server wants it.

    "Efficient detection of changes" and "410 Gone" (Kubernetes API Concepts) say how. A connection that breaks is
    taken up again from the last version that was seen.
    """

    def __init__(self, member: KubernetesMember, kind: str, call: Callable[..., Any]) -> None:
        self.member, self.kind, self.call = member, kind, call
        self._loop = asyncio.get_running_loop()
        self._ended = threading.Event()
        self._answer: Any = None
        self._version = ""
        self._items: dict[str, Mapping[str, Any]] = {}  # by uid

    async def start(self) -> None:
        """List once, and go on in the background. Raises MemberError."""
        await asyncio.to_thread(self._list_or_raise)
        threading.Thread(target=self._follow, name=f"watch-{self.kind}", daemon=True).start()

    def stop(self) -> None:
        self._ended.set()
        if self._answer is not None:
            with suppress(Exception):
                self._answer.shutdown()

    def of_job(self, name: str) -> list[Mapping[str, Any]]:
        """The pods of a Job that were seen."""
        if self.kind != "pods":
            return []
        items = list(self._items.values())
        return [item for item in items if (item["metadata"].get("labels") or {}).get("job-name") == name]

    def _list_or_raise(self) -> None:
        try:
            self._list()
        except Exception as error:  # noqa: BLE001 - urllib3's and the client's have no common base
            raise connection.translate(self.member.name, error, f"asking for its {self.kind}") from None

    def _list(self) -> None:
        """Take in all that there is; what is not there any more was deleted."""
        self.member.calls[f"list {self.kind}"] += 1
        items, self._version = fetch_all(self.call, self.member._namespace, self.member._selector)
        now = {item["metadata"]["uid"]: item for item in items}
        gone = [old for uid, old in self._items.items() if uid not in now]
        for item in items:
            self._post("MODIFIED", item)
        for old in gone:
            self._post("DELETED", old)

    def _post(self, what: str, item: Mapping[str, Any]) -> None:
        if what == "DELETED":
            self._items.pop(item["metadata"]["uid"], None)
        else:
            self._items[item["metadata"]["uid"]] = _short(item)
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._deliver, what, item)

    def _deliver(self, what: str, item: Mapping[str, Any]) -> None:
        if not self._ended.is_set():
            self.member.on_event(self.kind, what, item)

    def _follow(self) -> None:
        failures = 0
        while not self._ended.is_set():
            try:
                if not self._version:
                    self._list()
                for what, changed in self._changes():
                    failures = 0
                    self._version = changed["metadata"]["resourceVersion"]
                    if what != "BOOKMARK":
                        self._post(what, changed)
            except _GoneError:
                self._version = ""
            except Exception as error:  # noqa: BLE001 - urllib3's and the client's have no common base
                status, _ = connection.told(error)
                if status == 410:
                    self._version = ""
                elif failures >= len(BACKOFF) or status in (401, 403):
                    if not self._ended.is_set():
                        with suppress(RuntimeError):
                            self._loop.call_soon_threadsafe(self.member.on_trouble, error, f"watching its {self.kind}")
                    return
                else:
                    self._ended.wait(BACKOFF[failures])
                    failures += 1

    def _changes(self) -> Iterator[tuple[str, dict[str, Any]]]:
        self.member.calls[f"watch {self.kind}"] += 1
        self._answer = self.call(
            self.member._namespace,
            label_selector=self.member._selector,
            watch=True,
            resource_version=self._version,
            allow_watch_bookmarks=True,
            timeout_seconds=WATCH,
            _preload_content=False,
            _request_timeout=(connection.WAIT[0], WATCH + connection.WAIT[1]),
        )
        with self._answer as answer:
            rest = b""
            for data in answer.stream(None):
                *lines, rest = (rest + data).split(b"\n")
                for line in filter(None, lines):
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        code = event["object"].get("code")
                        raise _GoneError if code == 410 else OSError(event["object"].get("message", ""))
                    yield event["type"], event["object"]


class _GoneError(Exception):
    """The version from which to watch is too old: list again."""


def fetch_all(call: Callable[..., Any], namespace: str, selector: str) -> tuple[list[dict[str, Any]], str]:
    """All objects, page by page, and the version from which to watch. Blocks."""
    items: list[dict[str, Any]] = []
    options: dict[str, Any] = {}
    while True:
        answer = call(
            namespace,
            label_selector=selector,
            limit=PAGE,
            _preload_content=False,
            _request_timeout=connection.WAIT,
            **options,
        )
        data = _data(answer)
        items += data["items"] or []
        options = {"_continue": data["metadata"].get("continue")}
        if not options["_continue"]:
            return items, str(data["metadata"]["resourceVersion"])


def _data(answer: Any) -> dict[str, Any]:
    return dict(json.loads(answer.data))


def _short(item: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of an object that was seen: what `on_event` needs, without the bulk."""
    meta = {key: value for key, value in item["metadata"].items() if key != "managedFields"}
    return {
        "metadata": meta,
        "spec": {"nodeName": (item.get("spec") or {}).get("nodeName")},
        "status": item.get("status"),
    }


def _indexes(text: str) -> Iterator[int]:
    """The numbers of `1,3-5,7`, as a Job's failedIndexes has them."""
    for first, last in re.findall(r"(\d+)(?:-(\d+))?", text):
        yield from range(int(first), int(last or first) + 1)


MEMBER = KubernetesMember
