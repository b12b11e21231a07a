"""`POST /mcp`: the tools by streamable HTTP, each request for itself, answered as JSON."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from service.platform.signing.tokens import Token
from service.web.api.auth import open_digest_link
from service.web.core.context import AppContext
from service.web.core.middleware import MAX_BODY_BYTES
from service.web.mcp.server import make_server

PATH = "/mcp"
_ELSEWHERE = PlainTextResponse("Pages of other sites may not call this.\n", 403)


class McpEndpoint:
    """The endpoint of one application. It answers while `running` is entered."""

    def __init__(self, context: AppContext) -> None:
        self._origin = context.settings.base_url
        self._manager = StreamableHTTPSessionManager(
            make_server(context, lambda request: _find_link(context, request)),
            json_response=True,
            stateless=True,
            max_request_body_size=MAX_BODY_BYTES,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Accept requests; end those that are open at the end."""
        async with self._manager.run():
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Asked for by the protocol, so that no page elsewhere reaches a site on this machine.
        origin = Headers(scope=scope).get("origin")
        if origin not in {None, self._origin}:
            await _ELSEWHERE(scope, receive, send)
            return
        await self._manager.handle_request(scope, receive, send)

    def make_route(self) -> Route:
        """Return the route. A GET would hold a connection open for messages that we never send."""
        return Route(PATH, endpoint=self, methods=["POST"])


def _find_link(context: AppContext, request: Request | None) -> Token:
    header = request.headers.get("authorization", "") if request else ""
    scheme, _, text = header.partition(" ")
    return open_digest_link(context, text.strip() if scheme.lower() == "bearer" else "")
