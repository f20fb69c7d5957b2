"""Secretaries that are reached through a command that speaks the protocol on its stdin and stdout, such as
`ssh login1 resource-secretary serve`. No shell; the command has a deadline, a cap on its output, and no token of ours.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from resource_secretary.asking import Answer
from resource_secretary.hub.remote import LARGEST, Guard, MissingExtra, talk
from resource_secretary.run import printable
from resource_secretary.serving.token import VARIABLE

_GRACE = 1.0  # seconds for a command to end once its stdin is closed
_STDERR = 4096  # bytes of it that are looked at


@dataclass(frozen=True, slots=True)
class CommandWorker:
    """A secretary's command, as words; the first is found on PATH."""

    name: str
    argv: tuple[str, ...]

    async def ask(self, request: str, timeout: float) -> Answer:
        """As of `Worker`. Raises WorkerFailed, TimeoutError, MissingExtra."""
        guard = Guard()
        return await talk(_started(self.argv, guard), request, timeout, guard)


@asynccontextmanager
async def _started(argv: tuple[str, ...], guard: Guard) -> AsyncIterator[tuple[Any, Any]]:
    """The streams of a command that was started; at the end it and its process group are gone."""
    try:
        import anyio
        from mcp.shared.message import SessionMessage
        from mcp.types import jsonrpc_message_adapter
        from pydantic import ValidationError
    except ImportError:
        raise MissingExtra from None
    pipe = asyncio.subprocess.PIPE
    environ = {name: value for name, value in os.environ.items() if name != VARIABLE}
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=pipe, stdout=pipe, stderr=pipe, limit=LARGEST, start_new_session=True, env=environ
    )
    stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
    if stdin is None or stdout is None or stderr is None:
        raise RuntimeError("a process without pipes")
    to_session, from_command = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    to_command, from_session = anyio.create_memory_object_stream[SessionMessage](0)

    async def receive() -> None:
        async with to_session:
            with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
                while line := await stdout.readline():
                    guard.took(len(line))
                    await to_session.send(SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False)))

    async def deliver() -> None:
        with suppress(ConnectionError):
            async for message in from_session:
                stdin.write(message.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n")
                await stdin.drain()

    async def listen() -> None:
        said = (await stderr.read(_STDERR)).decode(errors="replace").strip()
        guard.said = printable(said.partition("\n")[0].strip())[:200]
        while await stderr.read(_STDERR):
            pass

    async def close(patience: float) -> None:
        for stream in (to_session, from_command, to_command, from_session):
            stream.close()
        for task in talking:
            task.cancel()
        for outcome in await asyncio.gather(*talking, return_exceptions=True):
            if isinstance(outcome, ValidationError) and guard.problem is None:
                guard.fail("malformed", "it sends what is no message of JSON-RPC")
            elif isinstance(outcome, ValueError) and guard.problem is None:
                guard.fail("malformed", f"it sends a line of more than {LARGEST} bytes")
        await _end(process, patience)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)

    talking = [asyncio.create_task(receive()), asyncio.create_task(deliver())]
    listening = asyncio.create_task(listen())
    patience = 0.0
    try:
        yield from_command, to_command
        patience = _GRACE
    finally:
        await asyncio.shield(close(patience))


async def _end(process: asyncio.subprocess.Process, patience: float) -> None:
    """End a command and whatever is left of its process group: by the end of its input, after some seconds by force."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), patience)
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    if process.stdout is not None:
        with suppress(TimeoutError, ValueError):
            async with asyncio.timeout(_GRACE):
                while await process.stdout.read(LARGEST):  # until then the loop keeps the pipe
                    pass
                await process.wait()
