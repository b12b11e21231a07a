"""`python -m service.web.mcp.stdio [EMAIL]`: the tools for an assistant on the operator's machine.

The messages come by stdin and go by stdout; `paperboy mcp` runs it. The digests are those of EMAIL.
"""

import asyncio
import sys

from fastapi import Request
from mcp.server.stdio import stdio_server

from service.platform.database.engine import transaction
from service.platform.signing.address_hash import email_key
from service.platform.signing.tokens import Purpose, Token, make_token
from service.subscribers.store.subscribers import find_by_email
from service.web.asgi import app_from_environment
from service.web.core.context import AppContext
from service.web.core.problems import ApiProblem
from service.web.mcp.server import make_server


def main(words: list[str]) -> None:
    """Serve until stdin ends."""
    context: AppContext = app_from_environment().state.context
    email = words[0] if words else ""
    asyncio.run(_serve(context, email))


async def _serve(context: AppContext, email: str) -> None:
    server = make_server(context, lambda request: _find_link(context, email, request))
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


def _find_link(context: AppContext, email: str, _request: Request | None) -> Token:
    if not email:
        raise ApiProblem(401, "Name the reader: paperboy mcp --reader EMAIL.")
    with transaction(context.sessions) as session:
        subscriber = find_by_email(session, email_key(email))
        if subscriber is None:
            raise ApiProblem(404, "No reader has this address.")
        return make_token(Purpose.PREFERENCES, subscriber, context.clock())


if __name__ == "__main__":
    main(sys.argv[1:])
