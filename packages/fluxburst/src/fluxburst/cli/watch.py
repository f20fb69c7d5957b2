"""`flux-burst run` where it goes on: the controller in a thread of its own, and here what it tells, and signals.

A signal has to end it within a second, also while a provider does not answer. So a pass that is under way then gets
a moment to finish, and is left where it is after that, as if the controller were killed: the next one goes on from
the ledger.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import Any

from fluxburst.cli.common import Place
from fluxburst.cli.lines import JsonLines, Lines
from fluxburst.client import FluxBurst
from fluxburst.texts import count

MOMENT = 0.6  # seconds that a pass gets to finish


def watch_until(client: FluxBurst, place: Place, *, until_idle: bool, as_json: bool) -> None:
    """Go on until a signal, or until idle where that is asked; ends the command with its exit code."""
    worker = _Worker(client, until_idle=until_idle)
    with _signals() as got:
        worker.start()
        with _shown(as_json) as shown:
            while not got and worker.is_alive():
                shown.take(*worker.next(0.1))
            worker.stop()
            worker.join(MOMENT)
            while not worker.told.empty():
                shown.take(*worker.next(0))
            finished = not worker.is_alive()
            if worker.error is None:
                shown.end(_last_words(client, place, worker, finished), worker.why)
        sys.stdout.flush()
        if not finished:
            os._exit(128 + got[0])  # it hangs in a call: nothing more of ours is to be done
    client.close()
    if worker.error is not None:
        raise worker.error
    if worker.why == "stopped" and got:
        sys.exit(128 + got[0])
    if worker.why == "hopeless":
        sys.exit(1)


def _shown(as_json: bool) -> Lines:
    if as_json:
        return JsonLines()
    if sys.stdout.isatty():
        from fluxburst.cli.live import Live

        return Live()
    return Lines()


def _last_words(client: FluxBurst, place: Place, worker: _Worker, finished: bool) -> str:
    if worker.why == "idle":
        return "done: no burstable job waits, and no burst is left"
    if worker.why == "hopeless":
        return "done: no burst is left, and the burstable jobs that wait can't run as things are"
    left = worker.bursts
    text = "stopped" if finished else "stopped in the middle of a pass"
    if not left:
        return f"{text}; no burst is left"
    return (
        f"{text}; {count(left, 'burst')} left to run, each until its lease ends."
        f" To go on: flux-burst run {place.option()}; to end: flux-burst destroy --all {place.option()}"
    )


class _Worker(threading.Thread):
    """The controller. told: what it has said and was not taken yet; why, error: how it ended."""

    def __init__(self, client: FluxBurst, *, until_idle: bool) -> None:
        super().__init__(daemon=True)
        from fluxburst.controller import Controller

        self._client = client
        self._controller = Controller(client.controller, until_idle=until_idle)
        self.told: SimpleQueue[tuple[list[dict[str, Any]], dict[str, Any]]] = SimpleQueue()
        self.why, self.bursts = "stopped", len(client.controller.ledger.rows())
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self.why = self._controller.run(self._tell)
        except Exception as error:  # noqa: BLE001 - it is raised where the command can say it
            self.error = error

    def _tell(self, messages: list[dict[str, Any]], state: dict[str, Any]) -> None:
        self.bursts = len(state.get("bursts", ()))
        self.told.put((messages, state))

    def stop(self) -> None:
        self._controller.stop.set()

    def next(self, seconds: float) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        try:
            return self.told.get(timeout=seconds) if seconds else self.told.get_nowait()
        except Empty:
            return [], {}


@contextmanager
def _signals() -> Iterator[list[int]]:
    """The signals that have come and ask for an end."""
    got: list[int] = []
    wanted = (signal.SIGINT, signal.SIGTERM)
    before = {one: signal.signal(one, lambda number, _: got.append(number)) for one in wanted}
    try:
        yield got
    finally:
        if not got:  # else it ends in a moment, and one signal more is not to end it in the middle of that
            for one, handler in before.items():
                signal.signal(one, handler)
