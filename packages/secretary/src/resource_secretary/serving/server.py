"""The server of the Model Context Protocol: the handlers of the official SDK's low-level server."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

import mcp_types as types
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp.server.session import ServerSession
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ResourcesListChanged, ToolsListChanged
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from resource_secretary import __version__
from resource_secretary.serving.service import MANIFEST, PROVIDER, Service, page
from resource_secretary.serving.workers import Workers

_INSTRUCTIONS = (
    "Tools that tell what this machine or cluster has: hardware, networks, storage, software, containers, MPI and "
    "workload managers. `manifest` says what was detected and which tools belong to it; `ask` whether a job would fit, "
    "now or later, and why not; `offer` what is free. Long lists come in pages: call again with `cursor` = `next`. "
    "A null is unknown, not zero. A tool that fails says what the asked command said."
)
_NOT_FOUND = -32002  # of resources, until the specification of 2026
_SOON = 0.25  # seconds
_MOST_SESSIONS = 64  # that are told of changes

Context = Any  # ServerRequestContext: its type parameters are the SDK's own matter


class SecretaryServer(Server[dict[str, Any]]):
    """The tools and resources of a Service. Made in a running event loop.

    `initialize` is answered at once; what is here is detected after it. The first `tools/list` waits for that, two
    seconds at most, instead of giving a short list that a notification would complete: many clients list once and
    ignore `list_changed`. It is sent where the tools are others later.
    """

    def __init__(self, service: Service) -> None:
        self._bus = InMemorySubscriptionBus()
        super().__init__(
            "resource-secretary",
            version=__version__,
            title="Resource Secretary",
            instructions=_INSTRUCTIONS,
            get_tool_input_schema=lambda name: None,  # no argument is in a header: nothing to list before each call
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            on_list_resources=self._list_resources,
            on_list_resource_templates=self._list_templates,
            on_read_resource=self._read_resource,
            on_subscriptions_listen=ListenHandler(self._bus, max_subscriptions=_MOST_SESSIONS),
        )
        self.service, self.workers = service, Workers()
        self._sessions: deque[ServerSession] = deque(maxlen=_MOST_SESSIONS)
        self._tasks: set[asyncio.Task[None]] = set()
        self.add_notification_handler("notifications/initialized", types.NotificationParams, self._initialized)
        loop = asyncio.get_running_loop()
        service.changed = lambda: loop.call_soon_threadsafe(self._do, self._tell)

    def begin(self) -> None:
        """Detect what is here soon: after the first answer, which would wait for the interpreter's lock otherwise."""
        asyncio.get_running_loop().call_later(_SOON, self._do, self._warm_up)

    def close(self) -> None:
        """Have all commands end, and wait a little for that."""
        self.service.ending.set()
        self.workers.stop()

    def create_initialization_options(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: dict[str, dict[str, Any]] | None = None,
        extensions: dict[str, dict[str, Any]] | None = None,
    ) -> InitializationOptions:
        options = notification_options or NotificationOptions(tools_changed=True, resources_changed=True)
        return super().create_initialization_options(options, experimental_capabilities, extensions)

    async def _list_tools(self, ctx: Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        tools = await self.workers.run(lambda stop: self.service.tools())
        shown, following = _page(tools, params)
        return types.ListToolsResult.model_validate({"tools": shown, "nextCursor": following})

    async def _call_tool(self, ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        name, arguments = params.name, params.arguments or {}
        if not await self.workers.run(lambda stop: self.service.has(name)):
            raise MCPError(types.INVALID_PARAMS, f"no tool named {name[:100]!r}; tools/list has those that there are")
        reply = await self.workers.run(lambda stop: self.service.call(name, arguments, stop))
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=text) for text in reply.texts],
            structured_content=reply.result,
            is_error=reply.result is None,
            _meta=reply.meta,
        )

    async def _list_resources(
        self, ctx: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        resources = await self.workers.run(lambda stop: self.service.resources())
        shown, following = _page(resources, params)
        return types.ListResourcesResult.model_validate({"resources": shown, "nextCursor": following})

    async def _list_templates(
        self, ctx: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        template = types.ResourceTemplate(
            uri_template=f"{PROVIDER}{{name}}",
            name="provider",
            title="One provider",
            description="A provider by name: whether it is active and why not, static metadata, its tools.",
            mime_type="application/json",
        )
        return types.ListResourceTemplatesResult(resource_templates=[template])

    async def _read_resource(self, ctx: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        uri = str(params.uri)
        text = await self.workers.run(lambda stop: self.service.read(uri))
        if text is None:
            modern = ctx.protocol_version in MODERN_PROTOCOL_VERSIONS
            known = f"there are {MANIFEST} and {PROVIDER}NAME"
            code = types.INVALID_PARAMS if modern else _NOT_FOUND
            raise MCPError(code, f"no resource {uri[:200]!r}; {known}", {"uri": uri[:200]})
        contents = types.TextResourceContents(uri=uri, mime_type="application/json", text=text)
        return types.ReadResourceResult(contents=[contents])

    async def _initialized(self, ctx: Context, params: types.NotificationParams) -> None:
        self._sessions.append(ctx.session)

    async def _warm_up(self) -> None:
        await self.workers.run(lambda stop: self.service.warm_up())

    def _do(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = asyncio.get_running_loop().create_task(work())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self) -> None:
        """Tell all clients that tools and resources are others now. One that has gone is told in vain."""
        for event in (ToolsListChanged(), ResourcesListChanged()):
            await self._bus.publish(event)
        for session in list(self._sessions):
            await session.send_tool_list_changed()
            await session.send_resource_list_changed()


def quiet() -> None:
    """What the SDK and the HTTP server have to say goes to stderr, warnings and worse only."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="resource-secretary: %(message)s")
    logging.getLogger("mcp").setLevel(logging.ERROR)


def _page(
    entries: list[dict[str, Any]], params: types.PaginatedRequestParams | None
) -> tuple[list[dict[str, Any]], str | None]:
    try:
        return page(entries, params.cursor if params else None)
    except ValueError as error:
        raise MCPError(types.INVALID_PARAMS, str(error)) from None
