"""Do several things side by side, in threads, and never wait longer than for the deadline."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
AT_FIRST = 4  # threads: most jobs only read files, and are done sooner than fifty threads would be started
_PAUSE = 0.002  # seconds without a job done, after which each that still waits gets a thread of its own


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """What one of them returned, or the exception that it raised, and the seconds that it took."""

    seconds: float
    value: T | None = None
    error: BaseException | None = None


def side_by_side(jobs: Sequence[Callable[[], T]], timeout: float) -> list[Outcome[T] | None]:
    """The outcomes, in the order of the jobs; None for one that did not end within `timeout` seconds.

    Threads that hang are left behind: they are daemons, so that a file system that doesn't answer can't keep the
    interpreter from ending (an executor of concurrent.futures would wait for them).
    """
    done: queue.SimpleQueue[tuple[int, Outcome[T]]] = queue.SimpleQueue()
    waiting: queue.SimpleQueue[tuple[int, Callable[[], T]]] = queue.SimpleQueue()

    def work() -> None:
        while True:
            try:
                index, job = waiting.get_nowait()
            except queue.Empty:
                return
            start = time.monotonic()
            value: T | None = None
            failure: BaseException | None = None
            try:
                value = job()
            except BaseException as error:  # noqa: BLE001 - SystemExit of a plugin ends its thread and nothing else
                failure = error
            done.put((index, Outcome(time.monotonic() - start, value, failure)))

    def start(threads: int) -> None:
        for _ in range(threads):
            threading.Thread(target=work, daemon=True, name="secretary").start()

    end = time.monotonic() + timeout
    for entry in enumerate(jobs):
        waiting.put(entry)
    start(min(len(jobs), AT_FIRST))
    outcomes: list[Outcome[T] | None] = [None] * len(jobs)
    left = len(jobs)
    while left:
        try:
            index, outcome = done.get(
                timeout=max(0.0, min(_PAUSE if waiting.qsize() else timeout, end - time.monotonic()))
            )
        except queue.Empty:
            if time.monotonic() >= end:
                break
            start(waiting.qsize())  # those that run wait for something: nobody waits behind them
            continue
        outcomes[index] = outcome
        left -= 1
    return outcomes


def first_line(error: BaseException) -> str:
    """An exception as one line: its type and the first line of what it says."""
    return f"{type(error).__name__}: {error}".splitlines()[0][:300].removesuffix(": ")
