"""A thread that runs Flux's reactor on a handle of its own, beside an asyncio loop.

A handle serves one thread. Orders go in by a queue and a pipe. Events come out in batches: the first at once, what
follows closely together, for each wake-up of the loop costs as much as several events.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ensemble.errors import MemberError
from ensemble.fluxqueue import bindings
from ensemble.member import Unreachable

CONNECT = 30.0  # seconds within which a connection must come up
GATHER = 0.01  # seconds between two wake-ups of the loop

Order = Callable[[Any], None]  # takes the handle, in the reactor's thread


class Reactor:
    """One connection. take: gets what was told; lost: why the connection ended; both called in the loop's thread."""

    def __init__(self, uri: str, take: Callable[[Any], None], lost: Callable[[Exception], None]) -> None:
        self._uri, self._take, self._lost = uri, take, lost
        self._loop = asyncio.get_running_loop()
        self._orders: deque[Order] = deque()
        self._told: deque[Any] = deque()
        self._due = False  # whether the loop was, or is to be, asked to fetch what was told
        self._woken = 0.0  # when it was asked last
        self._timer: Any = None
        self._open: set[asyncio.Future[Any]] = set()  # answers that somebody awaits
        self._closing = False
        self._over = False  # nobody answers any more
        self._wake: tuple[int, int] | None = None
        self._thread = threading.Thread(target=self._run, name="flux", daemon=True)
        self._ready: asyncio.Future[None] = self._loop.create_future()

    async def start(self) -> None:
        """Connect. Raises Unreachable, MemberError."""
        self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._thread.start()
        try:
            async with asyncio.timeout(CONNECT):
                await self._ready
        except TimeoutError:
            await self.stop()
            raise Unreachable("flux", f"the instance has not answered within {CONNECT:g} s") from None
        except BaseException:
            await self.stop()
            raise

    async def stop(self, wait: float = 2.0) -> None:
        """Leave the reactor, and let go of the handle."""
        self._closing = True
        if self._thread.is_alive():
            self.order(lambda handle: handle.reactor_stop())
            await asyncio.to_thread(self._thread.join, wait)
        self._over = True
        self._fail(Unreachable("flux", "the connection was closed"))
        if self._wake and not self._thread.is_alive():
            for fd in self._wake:
                os.close(fd)
            self._wake = None

    def order(self, order: Order) -> None:
        """Have something done in the reactor's thread; what it raises there ends the connection."""
        self._orders.append(order)
        if self._wake:
            with suppress(BlockingIOError):  # the pipe is full of wake-up calls already
                os.write(self._wake[1], b"x")

    async def ask(self, question: Callable[[Any, Callable[[Any], None]], None]) -> Any:
        """Call `question(handle, answer)` in the reactor's thread, and wait until it calls `answer` with a value.

        An exception as value is raised here. Raises Unreachable if the connection ends before.
        """
        if self._over:  # not whether the thread lives: it outlives its reactor for a moment
            raise Unreachable("flux", "the connection was lost")
        future: asyncio.Future[Any] = self._loop.create_future()
        self._open.add(future)

        def answer(value: Any) -> None:
            self._later(self._answered, future, value)

        def put(handle: Any) -> None:
            try:
                question(handle, answer)
            except Exception as error:  # noqa: BLE001 - it is raised where it was asked
                answer(error)

        self.order(put)
        try:
            return await future
        finally:
            self._open.discard(future)

    def tell(self, thing: Any) -> None:
        """From the reactor's thread: have `take` called with it, in order."""
        self._told.append(thing)
        if self._due:
            return
        self._due = True
        wait = self._woken + GATHER - time.monotonic()
        if wait <= 0:
            self._rouse()
        else:
            self._timer.reset(wait)

    def _rouse(self, *_: Any) -> None:
        self._due, self._woken = False, time.monotonic()  # first: what is told from now on asks again
        self._later(self._fetch)

    def _fetch(self) -> None:
        while self._told:
            self._take(self._told.popleft())

    def _answered(self, future: asyncio.Future[Any], value: Any) -> None:
        self._fetch()  # what was told before the answer comes before it
        _settle(future, value)

    def _later(self, function: Callable[..., object], *arguments: Any) -> None:
        with suppress(RuntimeError):  # the loop has ended before us
            self._loop.call_soon_threadsafe(function, *arguments)

    def _fail(self, why: Exception) -> None:
        for future in self._open:
            _settle(future, why)

    def _run(self) -> None:
        try:
            handle = bindings.connect(self._uri)
            flux = bindings.load()
            if self._wake is None:
                return
            inlet = self._wake[0]
            watcher = handle.fd_watcher_create(inlet, lambda *_: self._obey(inlet, handle), flux.constants.FLUX_POLLIN)
            watcher.start()
            self._timer = handle.timer_watcher_create(GATHER, self._rouse)
        except (MemberError, OSError) as error:
            failure = error if isinstance(error, MemberError) else Unreachable("flux", str(error))
            self._later(_settle, self._ready, failure)
            return
        self._later(_settle, self._ready, None)
        why = "the connection was lost"
        try:
            handle.reactor_run()  # returns without an error, too, when the broker has gone
        except Exception as error:  # noqa: BLE001 - whatever ends the reactor ends the connection, with its reason
            why = f"{why}: {error}"
        for each in (watcher, self._timer):
            each.stop()
        self._timer = None  # it holds the handle
        self._later(self._end, Unreachable("flux", why))

    def _end(self, why: Exception) -> None:
        self._over = True
        self._fetch()
        self._fail(why)
        if not self._closing:
            self._lost(why)

    def _obey(self, inlet: int, handle: Any) -> None:
        with suppress(BlockingIOError):
            os.read(inlet, 65536)
        while self._orders:
            self._orders.popleft()(handle)


def _settle(future: asyncio.Future[Any], value: Any) -> None:
    if future.done():
        return
    if isinstance(value, BaseException):
        future.set_exception(value)
    else:
        future.set_result(value)
