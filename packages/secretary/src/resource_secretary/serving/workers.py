"""Calls in threads beside the event loop: so many at once, each can be cancelled, none keeps us from ending."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")
MOST = 16  # calls at once; more wait


class Workers:
    """Daemon threads, so that a file system that doesn't answer keeps nobody from ending (a pool would wait)."""

    def __init__(self, most: int = MOST) -> None:
        self._free = asyncio.Semaphore(most)
        self._running: dict[threading.Thread, threading.Event] = {}

    async def run(self, question: Callable[[threading.Event], T]) -> T:
        """What `question` returns or raises. It gets an event that is set where its answer is not wanted any more."""
        async with self._free:
            loop = asyncio.get_running_loop()
            answer: asyncio.Future[T] = loop.create_future()
            stop = threading.Event()

            def settle(value: Any, error: BaseException | None) -> None:
                if answer.done():
                    return
                if error is None:
                    answer.set_result(value)
                else:
                    answer.set_exception(error)

            def work() -> None:
                value, failure = None, None
                try:
                    value = question(stop)
                except BaseException as error:  # noqa: BLE001 - SystemExit of a plugin ends its question and nothing else
                    failure = error if isinstance(error, Exception) else RuntimeError(repr(error))
                finally:
                    self._running.pop(thread, None)
                    with suppress(RuntimeError):  # the loop has gone
                        loop.call_soon_threadsafe(settle, value, failure)

            thread = threading.Thread(target=work, daemon=True, name="secretary-call")
            self._running[thread] = stop
            thread.start()
            try:
                return await answer
            finally:
                stop.set()

    def stop(self, patience: float = 0.5) -> None:
        """Have all calls end, and wait for that a little: their commands are killed."""
        running = dict(self._running)
        for stop in running.values():
            stop.set()
        end = time.monotonic() + patience
        for thread in running:
            thread.join(max(0.0, end - time.monotonic()))
