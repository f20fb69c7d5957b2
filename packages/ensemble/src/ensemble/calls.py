"""Calls custom functions, each in a thread of its own, so that a slow one holds up neither the run nor a stop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy

from ensemble.custom import Functions, Returned
from ensemble.engine import Engine, returned_event
from ensemble.errors import CustomError
from ensemble.events import Event
from ensemble.member import Member
from ensemble.metrics import Metrics
from ensemble.results import Command


class Caller:
    """One at a time, in the order of their commands. What a function is given is a copy: it does not change under it,
    and nothing that it does to it changes the run.
    """

    def __init__(
        self,
        functions: Functions,
        engine: Engine,
        member: Member,
        feed: Callable[[Event], None],
        failed: Callable[[CustomError], None],
    ) -> None:
        self._functions = functions
        self._engine = engine
        self._member = member
        self._feed = feed
        self._failed = failed
        self._metrics: Metrics | None = None  # the last copy
        self._queue: deque[Command] = deque()

    def call(self, command: Command) -> None:
        """Call the function of a command; what it returns is fed to the engine."""
        self._queue.append(command)
        if len(self._queue) == 1:
            self._start(command)

    def _start(self, command: Command) -> None:
        loop = asyncio.get_running_loop()
        self._metrics = self._engine.metrics.copy(self._metrics)
        arguments = {
            "metrics": self._metrics,
            "event": deepcopy(command.event),
            "rule": command.rule,
            "action": command.action,
            "handle": self._member.handle,
        }

        def work() -> None:
            result: Returned | CustomError
            try:
                result = self._functions.call(command.label, arguments)
            except CustomError as error:
                result = error
            with suppress(RuntimeError):  # the loop is gone after a stop: a resumed run calls the function again
                loop.call_soon_threadsafe(self._returned, command, result)

        threading.Thread(target=work, name="custom", daemon=True).start()

    def _returned(self, command: Command, result: Returned | CustomError) -> None:
        if isinstance(result, CustomError):
            self._failed(result)
            self._feed(returned_event(time.time(), command.call, error=str(result)))
        else:
            self._feed(returned_event(time.time(), command.call, result.actions, result.rules))
        self._queue.popleft()
        if self._queue:
            self._start(self._queue[0])
