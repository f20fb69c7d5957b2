"""A Flux Operator MiniCluster: jobs go to another member (its Flux), growing and shrinking through the Kubernetes API.

Settings (below `member` in the file, beside `name`):

- `minicluster`: the name of the MiniCluster (flux-framework.org/v1alpha2); needed.
- `jobs` (flux): the member that runs the jobs, by name, or a mapping of `name` and that member's own settings. The
  ensemble runs inside of the MiniCluster, so its Flux is the one that `flux` finds.
- `kubeconfig`, `context`, `namespace`: where, as for `kubernetes`. Inside of a pod its service account is used, which
  must be allowed to get and patch miniclusters.
- `wait` (300): seconds for the operator to make a change true.

`grow` and `shrink` set spec.size, within 1 and spec.maxSize (the size that it was made with, where that is not set),
and wait until status.size says so. Pods that shrinking takes away take the jobs on them along: Flux tells of those as
exceptions, and they are retried as infrastructure's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from ensemble.errors import MemberError
from ensemble.job import Job, Known
from ensemble.member import READ_LIMIT, Emit, Lost, Member, Options
from ensemble.members import _kubernetes_client as connection

GROUP, VERSION, PLURAL = "flux-framework.org", "v1alpha2", "miniclusters"
SETTINGS = ("minicluster", "jobs", "kubeconfig", "context", "namespace", "wait")
LOOK = 0.5  # seconds between two looks at the status


class MiniClusterMember(Member):
    name: ClassVar[str] = "minicluster"

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._settings = dict(options.settings)
        for key in self._settings:
            if key not in SETTINGS:
                raise self._error(f"there is no setting {key!r}; there are: {', '.join(SETTINGS)}")
        self._minicluster = str(self._settings.get("minicluster") or "")
        if not self._minicluster:
            raise self._error("which one? Set `minicluster` below `member`")
        self._wait = self._settings.get("wait", 300)
        if not isinstance(self._wait, int) or isinstance(self._wait, bool) or self._wait < 1:
            raise self._error(f"wait is a number of seconds from 1, not {self._wait!r}")
        self._jobs = self._inner()
        self.calls = self._jobs.calls
        self._api: Any = None
        self._size: int | None = None

    def _inner(self) -> Member:
        """The member that runs the jobs. Raises MemberError, and PluginError where there is none of that name."""
        from ensemble.plugins import registry

        asked = self._settings.get("jobs", "flux")
        settings: Mapping[str, Any] = {} if isinstance(asked, str) else asked
        if not isinstance(settings, Mapping):
            raise self._error(f"jobs is the name of a member or a mapping with it, not {asked!r}")
        name = asked if isinstance(asked, str) else str(settings.get("name", "flux"))
        kind = registry().load(name).member
        if kind is None or kind is MiniClusterMember:
            raise self._error(f"{name!r} can't run its jobs")
        if why := kind.unavailable():
            raise self._error(f"its member {name} can't be used: {why}")
        inner = {key: value for key, value in settings.items() if key != "name"}
        return kind(replace(self.options, settings=inner))

    @classmethod
    def unavailable(cls) -> str:
        return connection.missing()

    async def open(self, emit: Emit, lost: Lost) -> None:
        from kubernetes import client

        self._api, self._namespace = await asyncio.to_thread(connection.connect, self.name, self._settings)
        self._objects = client.CustomObjectsApi(self._api)
        try:
            self._size = _size(await self._get())
            await self._jobs.open(emit, lost)
        except BaseException:
            self._api.close()
            raise

    async def close(self, *, leave: bool = False) -> None:
        try:
            await self._jobs.close(leave=leave)
        finally:
            if self._api is not None:
                self._api.close()
                self._api = None

    async def resize(self, nodes: int) -> None:
        found = await self._get()
        spec = found.get("spec") or {}
        largest = spec.get("maxSize") or (found.get("status") or {}).get("maximumSize") or 0
        if nodes < 1 or (largest and nodes > largest):
            limit = f"1 to {largest}" if largest else "1 or more"
            raise self._error(f"{self._minicluster} can have {limit} nodes, not {nodes}")
        if spec.get("size") != nodes:
            # Fails (409) if somebody else has changed it since; then it is looked at anew by whoever asked.
            version = {"resourceVersion": found["metadata"]["resourceVersion"]}
            await self._call(
                self._objects.patch_namespaced_custom_object, {"metadata": version, "spec": {"size": nodes}}
            )
        deadline = time.monotonic() + self._wait
        while (now := ((await self._get()).get("status") or {}).get("size")) != nodes:
            if time.monotonic() > deadline:
                raise self._error(f"{self._minicluster} has {now} of {nodes} nodes after {self._wait} s")
            await asyncio.sleep(LOOK)
        self._size = nodes

    async def _get(self) -> dict[str, Any]:
        return dict(await self._call(self._objects.get_namespaced_custom_object))

    async def _call(self, call: Callable[..., Any], *body: Any) -> Any:
        place = (GROUP, VERSION, self._namespace, PLURAL, self._minicluster)
        try:
            return await asyncio.to_thread(call, *place, *body, _request_timeout=connection.WAIT)
        except Exception as error:  # noqa: BLE001 - urllib3's and the client's have no common base
            raise connection.translate(self.name, error, f"MiniCluster {self._minicluster}") from None

    @property
    def size(self) -> int | None:
        return self._size

    # The rest is the other member's.

    async def submit(self, jobs: Sequence[Job]) -> None:
        await self._jobs.submit(jobs)

    async def adopt(self, known: Sequence[Known]) -> Collection[str]:
        return await self._jobs.adopt(known)

    async def cancel(self, names: Sequence[str]) -> None:
        await self._jobs.cancel(names)

    async def read(self, name: str, stream: str, offset: int, limit: int = READ_LIMIT) -> bytes:
        return await self._jobs.read(name, stream, offset, limit)

    @property
    def handle(self) -> Any:
        return self._jobs.handle

    @property
    def output(self) -> str:
        return self._jobs.output

    def where(self, name: str) -> str:
        return self._jobs.where(name)

    def _error(self, message: str) -> MemberError:
        return MemberError(self.name, message)


def _size(found: Mapping[str, Any]) -> int | None:
    status, spec = found.get("status") or {}, found.get("spec") or {}
    size = status.get("size") or spec.get("size")
    return int(size) if size else None


MEMBER = MiniClusterMember
