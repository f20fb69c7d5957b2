"""A thread that runs Flux's reactor on a connection of its own, beside an asyncio loop.

Orders go in by a queue and a pipe. Events come out in batches: the first at once, what follows closely together, for
each wake-up of the loop costs as much as several events. What goes out holds nothing of the connection.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from ensemble.errors import MemberError
from ensemble.fluxqueue.connection import Connection
from ensemble.member import Unreachable

CONNECT = 30.0  # seconds within which a connection must come up
GATHER = 0.01  # seconds between two wake-ups of the loop

Order = Callable[[Connection], None]  # is called in the reactor's thread


class Reactor:
    """One connection. take: gets what was told; lost: why the connection ended; both called in the loop's thread."""

    def __init__(self, uri: str, take: Callable[[Any], None], lost: Callable[[Exception], None]) -> None:
        self._uri, self._take, self._lost = uri, take, lost
        self._loop = asyncio.get_running_loop()
        self._orders: deque[Order] = deque()
        self._told: deque[Any] = deque()
        self._due = False  # whether the loop was, or is to be, asked to fetch what was told
        self._woken = 0.0  # when it was asked last
        self._timer: Callable[[float], None] | None = None
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
        """Leave the reactor, and close the connection."""
        self._closing = True
        if self._thread.is_alive():
            self.order(lambda connection: connection.stop())
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

    async def ask(self, question: Callable[[Connection, Callable[[Any], None]], None]) -> Any:
        """Call `question(connection, answer)` in the reactor's thread, and wait until it calls `answer` with a value.

        An exception as value is raised here. Raises Unreachable if the connection ends before.
        """
        if self._over:  # not whether the thread lives: it outlives its reactor for a moment
            raise Unreachable("flux", "the connection was lost")
        future: asyncio.Future[Any] = self._loop.create_future()
        self._open.add(future)

        def answer(value: Any) -> None:
            self._later(self._answered, future, _bare(value) if isinstance(value, BaseException) else value)

        def put(connection: Connection) -> None:
            try:
                question(connection, answer)
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
        if wait <= 0 or self._timer is None:
            self._rouse()
        else:
            self._timer(wait)

    def _rouse(self) -> None:
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
        if self._wake is None:
            return
        try:
            connection = Connection(self._uri)
        except MemberError as error:
            self._later(_settle, self._ready, _bare(error))
            return
        with connection:
            try:
                connection.readable(self._wake[0], partial(self._obey, self._wake[0], connection))
                self._timer = connection.timer(self._rouse)
            except OSError as error:
                self._later(_settle, self._ready, Unreachable("flux", str(error)))
                return
            self._later(_settle, self._ready, None)
            why = "the connection was lost"
            try:
                connection.run()
            except Exception as error:  # noqa: BLE001 - whatever ends the reactor ends the connection, with its reason
                why = f"{why}: {error}"
            self._timer = None
            self._later(self._end, Unreachable("flux", why))

    def _end(self, why: Exception) -> None:
        self._over = True
        self._fetch()
        self._fail(why)
        if not self._closing:
            self._lost(why)

    def _obey(self, inlet: int, connection: Connection) -> None:
        with suppress(BlockingIOError):
            os.read(inlet, 65536)
        while self._orders:
            self._orders.popleft()(connection)


def _bare(error: BaseException) -> BaseException:
    """For another thread: without the frames that it was raised in.

    They hold futures, and references that the bindings took on the handle, whose count is not safe between threads.
    """
    if not isinstance(error, OSError | MemberError):  # a mistake of ours: where it was made is all there is to go by
        error.add_note("".join(traceback.format_tb(error.__traceback__)))
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def _settle(future: asyncio.Future[Any], value: Any) -> None:
    if future.done():
        return
    if isinstance(value, BaseException):
        future.set_exception(value)
    else:
        future.set_result(value)
