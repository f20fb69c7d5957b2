"""Questions to a Flux instance, one thread and no reactor of our own; any of its ranks can be asked.

Flux's own `Future.get` and `wait_for` set SIGINT aside while they wait and forget it when they fail, so that
these wait themselves, a little at a time.
"""

from __future__ import annotations

import errno
import json
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from fluxburst.errors import HandleError

PATIENCE = 30.0  # seconds; a lead that is busy with ten thousand jobs answers within two or three
_STEP = 0.25  # seconds, in which an interrupt from the keyboard waits
_AT_ONCE = 256  # questions that are under way together
_INSTALL = "install flux-python in the version of the Flux on this system, and ply (pip install 'flux-burst[flux]')"


class Connection:
    """A handle on the instance that `uri` names, or FLUX_URI, or the system's. patience: seconds for an answer.

    Raises HandleError where there is none to be had; its methods raise OSError, TimeoutError among them.
    """

    def __init__(self, uri: str = "", patience: float = PATIENCE) -> None:
        try:
            import flux
            import flux.constants
            from flux.core.inner import ffi
        except (ImportError, OSError) as error:
            raise HandleError(f"Flux's Python bindings can't be imported ({error}): {_INSTALL}") from error
        self._ffi, self._streaming = ffi, flux.constants.FLUX_RPC_STREAMING
        self._patience = patience
        try:
            self._flux: Any = flux.Flux(*((uri,) if uri else ()))
        except OSError as error:
            raise HandleError(f"no Flux instance answers: {error.strerror or error}") from error

    def ask(self, topic: str, payload: object = None, rank: int = 0) -> str:
        """The answer of one rank, as JSON text."""
        return self._answer(self._send(topic, payload, rank), time.monotonic() + self._patience)

    def ask_all(self, questions: Iterable[tuple[str, object, int]]) -> Iterator[str | OSError]:
        """The answer or the error of each (topic, payload, rank), in their order, many at a time."""
        rest = iter(questions)
        while batch := [self._send(*question) for question in islice(rest, _AT_ONCE)]:
            until = time.monotonic() + self._patience
            for future in batch:
                try:
                    yield self._answer(future, until)
                except OSError as error:
                    yield error

    def stream(self, topic: str, payload: object) -> Iterator[str]:
        """All answers to a question that ends by itself."""
        future = self._send(topic, payload, 0, self._streaming)
        while True:
            try:
                yield self._answer(future, time.monotonic() + self._patience)
            except OSError as error:
                if error.errno == errno.ENODATA:
                    return
                raise
            future.pimpl.reset()

    def follow(self, topic: str, payload: object, barrier: str) -> Stream:
        """A stream of answers. barrier: what to ask the same service, which then has sent all that came before."""
        return Stream(self, self._send(topic, payload, 0, self._streaming), barrier)

    def attribute(self, name: str) -> str | None:
        """A broker attribute (flux-broker-attributes(7)), None where it is not set."""
        try:
            value = json.loads(self.ask("attr.get", {"name": name}))["value"]
        except FileNotFoundError:
            return None
        return None if value is None else str(value)

    def _send(self, topic: str, payload: object, rank: int, flags: int = 0) -> Any:
        return self._flux.rpc(topic, payload, rank, flags)

    def _answer(self, future: Any, until: float) -> str:
        while not future.is_ready():
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no answer in {self._patience:g} s")
            self._wait(future, min(left, _STEP))
        return self._text(future)

    def _wait(self, future: Any, seconds: float) -> None:
        try:
            future.pimpl.wait_for(seconds)
        except TimeoutError:
            return

    def _text(self, future: Any) -> str:
        text = self._ffi.new("char *[1]")
        future.pimpl.flux_rpc_get(text)
        return self._ffi.string(text[0]).decode() if text[0] != self._ffi.NULL else ""


class Stream:
    """Answers that go on coming."""

    def __init__(self, connection: Connection, future: Any, barrier: str) -> None:
        self._connection, self._future, self._barrier = connection, future, barrier

    def arrived(self) -> Iterator[str]:
        """All that the service had sent when it was asked now, as JSON texts. Raises OSError."""
        self._connection.ask(self._barrier, {"seq": 0})
        while True:
            # What has arrived waits in the handle: no time is needed, and zero would not even look.
            self._connection._wait(self._future, 1e-6)
            if not self._future.is_ready():
                return
            yield self._connection._text(self._future)
            self._future.pimpl.reset()
