"""The server on standard input and output: one JSON-RPC message a line, and nothing else on them.

The SDK's own transport drops a line that is no message, holds lines of any length, and can't end while it reads. This
one answers such a line as JSON-RPC 2.0 says (section 5.1), has a limit, and ends on a signal.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import queue
import select
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from resource_secretary.errors import SecretaryError

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from mcp.shared.message import SessionMessage

    from resource_secretary.serving.server import SecretaryServer

LARGEST_REQUEST = 2**20  # bytes of a message from a client
_LINGER = 5.0  # seconds after the end of the input for answers that are on their way
_FLUSH = 1.0  # seconds for what is left to be written at the end
_MOST_PENDING = 256  # requests without an answer; more are not read until some have theirs
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True, slots=True)
class Wire:
    """The descriptors that the client reads and writes, which nobody else has."""

    input: int
    output: int


def claim() -> Wire:
    """Take stdin and stdout for the protocol, at once and for good.

    Descriptor 1 becomes stderr's and 0 /dev/null, so that what a provider, a library in C or a child prints does not
    get between the messages, and nobody else reads them. Raises SecretaryError where they are closed.
    """
    try:
        wire = Wire(fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, 3), fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, 3))
    except OSError:
        raise SecretaryError("stdin or stdout is closed: a client talks to this command through them") from None
    divert()
    return wire


def divert() -> None:
    """What is printed goes to stderr, and nobody reads stdin."""
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    try:
        os.dup2(2, 1)
    except OSError:  # stderr is closed
        os.dup2(nothing, 1)
    if nothing > 2:
        os.close(nothing)


async def serve(server: SecretaryServer, wire: Wire) -> None:
    """Serve the one client until it ends its input, goes away, or a signal comes. Raises SecretaryError."""
    import anyio
    from mcp.shared.message import SessionMessage

    to_server, from_client = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    to_client, from_server = anyio.create_memory_object_stream[SessionMessage](0)
    transport = _Transport(wire, to_server, to_client.clone())
    loop = asyncio.get_running_loop()
    scope = anyio.CancelScope()
    for number in _SIGNALS:
        loop.add_signal_handler(number, scope.cancel)
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(transport.write, from_server, scope)
            transport.start(loop)
            server.begin()
            with scope:
                await server.run(from_client, to_client, server.create_initialization_options())
            server.close()
            transport.answers.close()
            group.cancel_scope.deadline = anyio.current_time() + _FLUSH
        if transport.problem is not None and not isinstance(transport.problem, BrokenPipeError):
            raise SecretaryError(f"can't write to the client: {transport.problem.strerror}")
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


class _Transport:
    def __init__(
        self,
        wire: Wire,
        to_server: MemoryObjectSendStream[SessionMessage | Exception],
        answers: MemoryObjectSendStream[SessionMessage],
    ) -> None:
        self._wire, self._to_server, self.answers = wire, to_server, answers
        self.problem: OSError | None = None
        self._pending: set[Any] = set()
        self._changed = asyncio.Event()
        self._lines: queue.SimpleQueue[tuple[bytes, asyncio.Future[None]]] = queue.SimpleQueue()

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        for work in (self._read, self._write_lines):
            threading.Thread(target=work, args=(loop,), daemon=True, name="secretary-stdio").start()

    async def write(self, messages: MemoryObjectReceiveStream[SessionMessage], scope: Any) -> None:
        """Write what the server says, in order. A client that has gone ends the server."""
        loop = asyncio.get_running_loop()
        async with messages:
            async for message in messages:
                line = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                written = loop.create_future()
                self._lines.put((f"{line}\n".encode(), written))
                try:
                    await written
                except OSError as error:
                    self.problem = error
                    scope.cancel()
                    return
                self._answered(getattr(message.message, "id", None))

    def _answered(self, number: Any) -> None:
        self._pending.discard(number)
        self._changed.set()

    async def _deliver(self, line: bytes | None) -> None:
        """Give the server a line; None is one that is too long."""
        from mcp.shared.message import SessionMessage
        from mcp_types import JSONRPCError, JSONRPCNotification, JSONRPCRequest

        message = _message(line)
        if isinstance(message, JSONRPCError) and message.id is None:
            await self.answers.send(SessionMessage(message))
            return
        if isinstance(message, JSONRPCRequest) and message.method != "subscriptions/listen":
            while len(self._pending) >= _MOST_PENDING:
                await self._wait()
            self._pending.add(message.id)
        elif isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled":
            self._pending.discard((message.params or {}).get("requestId"))  # nobody answers it
        await self._to_server.send(SessionMessage(message))

    async def _end(self) -> None:
        """The input has ended: what was asked is answered still, and then there is nothing to do."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER):
                while self._pending:
                    await self._wait()
        await self._to_server.aclose()

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        with suppress(Exception):  # the server has ended, and with it what would take the line
            for line in lines(self._wire.input):
                asyncio.run_coroutine_threadsafe(self._deliver(line), loop).result()
            asyncio.run_coroutine_threadsafe(self._end(), loop).result()

    def _write_lines(self, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            line, written = self._lines.get()
            error = _write(self._wire.output, line)
            with suppress(RuntimeError):  # the loop has gone
                loop.call_soon_threadsafe(_settle, written, error)


def _settle(written: asyncio.Future[None], error: OSError | None) -> None:
    if written.done():
        return
    if error is None:
        written.set_result(None)
    else:
        written.set_exception(error)


def _write(descriptor: int, line: bytes) -> OSError | None:
    left = memoryview(line)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:  # some parents give a pipe that does not block
            select.select([], [descriptor], [])
        except OSError as error:
            return error
    return None


def lines(descriptor: int, largest: int = LARGEST_REQUEST) -> Iterator[bytes | None]:
    """The lines of a descriptor that are not empty; None for one of more than `largest` bytes."""
    line, too_long = bytearray(), False
    while chunk := _chunk(descriptor):
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            line += part
            if too_long or len(line) > largest:
                yield None
            elif line.strip():
                yield bytes(line)
            line, too_long = bytearray(), False
        line += rest
        if len(line) > largest:
            line, too_long = bytearray(), True
    if too_long:
        yield None
    elif line.strip():
        yield bytes(line)


def _chunk(descriptor: int) -> bytes:
    while True:
        try:
            return os.read(descriptor, 2**16)
        except BlockingIOError:
            select.select([descriptor], [], [])
        except OSError:  # the terminal has gone
            return b""


def _message(line: bytes | None) -> Any:
    """The message of a line, or the error that answers it."""
    import json

    from mcp_types import (
        INVALID_REQUEST,
        PARSE_ERROR,
        ErrorData,
        JSONRPCError,
        JSONRPCNotification,
        jsonrpc_message_adapter,
    )

    def refusal(code: int, text: str) -> JSONRPCError:
        return JSONRPCError(jsonrpc="2.0", id=None, error=ErrorData(code=code, message=text))

    if line is None:
        return refusal(INVALID_REQUEST, f"a message has at most {LARGEST_REQUEST} bytes")
    try:
        message = jsonrpc_message_adapter.validate_json(line, by_name=False)
    except ValueError:
        message = None
    # A request whose id is null or a list would pass for a notification.
    if message is not None and not (isinstance(message, JSONRPCNotification) and "id" in json.loads(line)):
        return message
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return refusal(PARSE_ERROR, "not JSON")
    if isinstance(document, list):
        return refusal(INVALID_REQUEST, "a batch; the protocol has none: one message a line")
    return refusal(INVALID_REQUEST, "not a message of JSON-RPC 2.0")
