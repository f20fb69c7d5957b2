"""Do several things side by side, each in a thread of its own, and never wait longer than for the deadline."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


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

    def work(index: int, job: Callable[[], T]) -> None:
        start = time.monotonic()
        value: T | None = None
        failure: BaseException | None = None
        try:
            value = job()
        except BaseException as error:  # noqa: BLE001 - SystemExit of a plugin ends its thread and nothing else
            failure = error
        done.put((index, Outcome(time.monotonic() - start, value, failure)))

    end = time.monotonic() + timeout
    for index, job in enumerate(jobs):
        threading.Thread(target=work, args=(index, job), daemon=True, name=f"secretary-{index}").start()
    outcomes: list[Outcome[T] | None] = [None] * len(jobs)
    for _ in jobs:
        try:
            index, outcome = done.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            break
        outcomes[index] = outcome
    return outcomes


def first_line(error: BaseException) -> str:
    """An exception as one line: its type and the first line of what it says."""
    return f"{type(error).__name__}: {error}".splitlines()[0][:300].removesuffix(": ")
