"""A handle of Flux, and what belongs to it: requests that wait for answers, and watchers.

A handle serves one thread, and to destroy a future is to use its handle: its watchers, its message handler and its
matchtag are taken out of what the reactor works with. The bindings leave that to Python, and `then` ties a future to
itself, so that it is the garbage collector that destroys it, in whatever thread it happens to run; or it destroys one
that still waits for answers, which ends the process when the next one comes. So a future is held here until its last
answer, and destroyed when that was heard, or when the connection is closed.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from ensemble.fluxqueue import bindings
from ensemble.fluxqueue.answers import go_on

Heard = Callable[..., object]  # takes the future, and the arguments that were given along; true: there is more to come


class Connection:
    """Made, used and closed in one thread. Raises Unreachable, MemberError, and its calls OSError."""

    def __init__(self, uri: str) -> None:
        self._handle = bindings.connect(uri)
        flux = bindings.load()
        self._constants, self._submit = flux.constants, flux.job.submit_async
        self._waiting: set[Any] = set()  # futures
        self._watchers: list[Any] = []

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Destroy all that belongs to the handle, then the handle."""
        for watcher in self._watchers:
            watcher.destroy()
        self._watchers.clear()
        held = getattr(importlib.import_module("flux.future"), "_THEN_HANDLES", {})  # until an answer comes
        while self._waiting:
            future = self._waiting.pop()
            held.pop(future, None)
            _destroy(future)
        self._handle.handle = None

    def run(self) -> None:
        """Serve until `stop`, or until the broker is gone, which is no error. Raises what a callback raised."""
        self._handle.reactor_run()

    def stop(self) -> None:
        self._handle.reactor_stop()

    def attribute(self, name: str) -> str:
        return str(self._handle.attr_get(name))

    def timer(self, callback: Callable[[], object]) -> Callable[[float], None]:
        """What starts it, with the seconds until `callback` is called."""
        watcher = self._handle.timer_watcher_create(0.0, lambda *_: callback())
        self._watchers.append(watcher)
        return lambda seconds: watcher.reset(seconds)

    def readable(self, fd: int, callback: Callable[[], object]) -> None:
        """Call `callback` whenever there is something to read."""
        watcher = self._handle.fd_watcher_create(fd, lambda *_: callback(), self._constants.FLUX_POLLIN)
        self._watchers.append(watcher)
        watcher.start()

    def send(self, topic: str, payload: Mapping[str, Any]) -> None:
        """A request that nobody answers."""
        self._handle.rpc(topic, payload, 0, self._constants.FLUX_RPC_NORESPONSE)

    def rpc(self, topic: str, payload: Mapping[str, Any] | None, heard: Heard) -> None:
        self._wait(self._handle.rpc(topic, payload), heard)

    def stream(self, topic: str, payload: Mapping[str, Any], heard: Heard) -> int:
        """A request with many answers; the last one is an error. Its matchtag is what it is cancelled by."""
        future = self._handle.rpc(topic, payload, 0, self._constants.FLUX_RPC_STREAMING)
        matchtag = int(future.pimpl.get_matchtag())  # not later: the future may be gone then
        self._wait(future, heard)
        return matchtag

    def submit(self, jobspec: str, heard: Heard, *arguments: Any) -> None:
        self._wait(self._submit(self._handle, jobspec), heard, *arguments)

    def _wait(self, future: Any, heard: Heard, *arguments: Any) -> None:
        self._waiting.add(future)  # first: also one that `then` fails for is tied to itself
        future.then(self._answered, heard, *arguments)

    def _answered(self, future: Any, heard: Heard, *arguments: Any) -> None:
        more: object = False
        try:
            more = heard(future, *arguments)
        except Exception as error:  # noqa: BLE001 - the bindings would ask the future, which is gone, for its handle
            type(self._handle).set_exception(error)
            self._handle.reactor_stop_error()
        if more:
            go_on(future)
        else:
            self._waiting.discard(future)
            _destroy(future)


def _destroy(future: Any) -> None:
    future.handle = None  # so the bindings destroy what they wrap
    future.cb_handle = None  # nothing can call it any more: what it was given goes at once, without the collector
