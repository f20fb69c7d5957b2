"""Secretaries that are reached through the Model Context Protocol over HTTP.

The protocol is the `mcp` SDK's client, which follows no redirect to another host; what is here is what it leaves
open: how much a worker may send, and what its answer must be.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from resource_secretary.asking import Answer
from resource_secretary.errors import SecretaryError
from resource_secretary.hub.worker import WorkerFailed
from resource_secretary.sidebyside import first_line

if TYPE_CHECKING:
    import ssl
    from contextlib import AbstractAsyncContextManager

    import httpx2

TOOL = "ask"
LARGEST = 2**20  # bytes that a worker may send in all; an answer is a few thousand


class MissingExtra(SecretaryError):
    """The package that asks workers is not installed."""

    def __init__(self) -> None:
        super().__init__("workers are asked with the package mcp: pip install 'resource-secretary[mcp]'")


def ready() -> None:
    """Import what asking needs, which takes a second or so that no worker is to pay for. Raises MissingExtra."""
    try:
        import httpx2  # noqa: F401
        import mcp.client.streamable_http  # noqa: F401
    except ImportError:
        raise MissingExtra from None
    _certificates()


@dataclass(frozen=True, slots=True)
class HttpWorker:
    """A secretary's endpoint, such as `http://127.0.0.1:8000/mcp`. token: the bearer token that it wants, if any.

    local: it is on this host, so that no proxy of the environment stands between.
    """

    name: str
    url: str
    token: str = field(default="", repr=False)
    local: bool = False

    async def ask(self, request: str, timeout: float) -> Answer:
        """As of `Worker`. Raises WorkerFailed, TimeoutError, MissingExtra."""
        try:
            import httpx2
            from mcp.client.streamable_http import streamable_http_client
        except ImportError:
            raise MissingExtra from None
        headers = {"Accept-Encoding": "identity"}  # so that what comes over the wire is all that there is
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        guard = Guard()
        client = httpx2.AsyncClient(
            headers=headers,
            timeout=httpx2.Timeout(timeout),
            verify=_certificates(),
            trust_env=not self.local,
            event_hooks={"response": [guard.look]},
        )
        async with client:
            return await talk(streamable_http_client(self.url, http_client=client), request, timeout, guard)


class Guard:
    """Looks at what a worker sends. problem: what is wrong with it; said: the first line of a command's stderr."""

    def __init__(self) -> None:
        self.problem: WorkerFailed | None = None
        self.said = ""
        self.left = LARGEST

    async def look(self, response: httpx2.Response) -> None:
        """Before the body of a response is read. Raises WorkerFailed."""
        if response.status_code in (401, 403):
            raise self.fail("refused", f"HTTP {response.status_code}: it does not take the token, or wants one")
        if response.status_code >= 400 and response.request.method == "POST" and self.problem is None:
            # No reason to stop: a server that is older than the SDK says so to the first question.
            self.problem = WorkerFailed("unreachable", f"HTTP {response.status_code}")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise self.fail("malformed", "it sends what is compressed, though none was asked for")
        response.stream = _counted(self, response.stream)

    def took(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise self.fail("malformed", f"it sends more than {LARGEST} bytes")

    def fail(self, kind: Any, reason: str) -> WorkerFailed:
        self.problem = WorkerFailed(kind, reason)
        return self.problem


def _counted(guard: Guard, stream: Any) -> httpx2.AsyncByteStream:
    import httpx2

    class Counted(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for part in stream:
                guard.took(len(part))
                yield part

        async def aclose(self) -> None:
            await stream.aclose()

    return Counted()


@functools.cache
def _certificates() -> ssl.SSLContext:
    """The authorities that are trusted: read once, not for each worker."""
    import httpx2

    return httpx2.create_ssl_context()


async def talk(transport: AbstractAsyncContextManager[Any], request: str, timeout: float, guard: Guard) -> Answer:
    """Put the question and read the answer. Raises WorkerFailed, TimeoutError."""
    from mcp import types
    from mcp.client import Client

    # The session's own `call_tool` would check the answer by the schema that the worker sends, whose patterns
    # may take for ever; what an answer must be is known here.
    question = types.CallToolRequest(params=types.CallToolRequestParams(name=TOOL, arguments={"request": request}))
    result = None
    try:
        async with asyncio.timeout(timeout):
            async with Client(transport) as client:
                result = await client.session.send_request(question, types.CallToolResult)
    except TimeoutError:
        if result is None:  # it was only the end of the session that took too long
            raise
    except Exception as error:  # noqa: BLE001 - of the SDK, of HTTP, of TLS: all the same for the hub
        if result is None:
            raise (guard.problem or _failure(error, guard.said)) from None
    return read_answer(result)


def _failure(error: BaseException, said: str) -> WorkerFailed:
    """What the SDK's error means: it comes in groups, from the tasks of a session."""
    from mcp import MCPError
    from mcp.types import CONNECTION_CLOSED
    from pydantic import ValidationError

    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, WorkerFailed):
        return error
    if isinstance(error, ValidationError):
        return WorkerFailed("malformed", f"it does not keep to the protocol: {first_line(error)}")
    if isinstance(error, MCPError) and error.error.code == CONNECTION_CLOSED:
        return WorkerFailed("unreachable", ": ".join(part for part in (str(error.error.message), said) if part))
    if isinstance(error, MCPError):
        return WorkerFailed("refused", str(error.error.message))
    return WorkerFailed("unreachable", str(error) or type(error).__name__)


def read_answer(result: Any) -> Answer:
    """The answer in the result of a tool. Raises WorkerFailed where it is none."""
    if result.is_error:
        said = " ".join(part.text for part in result.content if part.type == "text")
        raise WorkerFailed("refused", said or "it failed and does not say why")
    if result.structured_content is None:
        raise WorkerFailed("malformed", "its answer has no structure")
    try:
        return msgspec.convert(result.structured_content, Answer)
    except msgspec.ValidationError as error:
        raise WorkerFailed("malformed", f"its answer is none: {error}") from None
