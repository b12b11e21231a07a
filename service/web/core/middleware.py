"""Middleware for every response: security headers, HEAD requests, limits on bodies and work, compression.

Each request has an id: on its log lines, in its answer, and on those of the tasks that it enqueues.
"""

import asyncio
import re
import secrets
import time
from collections.abc import Callable

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, get_contextvars

from service.papers.domain.references import MOST_BYTES
from service.platform.logs import get_logger
from service.platform.queue import REQUEST_ID
from service.platform.work_budget import WorkBudget, set_budget
from service.web.core.problems import ApiProblem, answer_problem, is_api

log = get_logger(__name__)

# Only our own script runs, nothing loads from other hosts, and no page may be framed.
POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; "
    "img-src 'self'; frame-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# A browser copy of a mail needs inline styles, but neither scripts nor images.
MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
# What a mail in the frame of the development mailbox may do: open its links in a new tab, which is
# not sandboxed. A sandboxed tab cannot show our pages, because of Cross-Origin-Opener-Policy.
MAIL_SANDBOX = "allow-popups allow-popups-to-escape-sandbox"
FRAMED_MAIL_POLICY = MAIL_POLICY.replace(
    "frame-ancestors 'none'", f"frame-ancestors 'self'; sandbox {MAIL_SANDBOX}"
)

# URLs with a signed token, which must not leak by cache, search engine or referrer.
TOKEN_PATHS = (
    "/confirm/", "/unsubscribe/", "/preferences/", "/never/", "/editions/", "/change/", "/address/", "/feed/",
)  # fmt: skip
# The operator's pages, behind a password.
OPERATOR_PATHS = ("/admin", "/metrics", "/api/v1/operator")
# Parts of the API that a subscriber's key opens, sent in a header; one of them for assistants.
SUBSCRIBER_PATHS = ("/api/v1/me", "/mcp")
# Secrets are in all of these, in the mails of the mailbox and in an old link that is renewed, too. They
# are not cached, indexed or named to other sites. Nor are they compressed, since others wrote some of
# the text beside the secrets: the length would tell an attacker how much of a guess is right (the BREACH
# attack). All other pages are the same for everybody, since the site has no cookies.
_PRIVATE_PATHS = (*TOKEN_PATHS, *OPERATOR_PATHS, *SUBSCRIBER_PATHS, "/mailbox", "/link")
# Smaller answers fit in one packet anyway.
_COMPRESSED_BYTES = 1_400
# A page of 50 kB takes less than a millisecond; level 9 saves 1 % more in three times the time.
_COMPRESSION_LEVEL = 5
_PRIVATE = {
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex",
    "Referrer-Policy": "no-referrer",
}
_COMMON = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

# Twenty topics of maximum length are 80 kB, three times that when percent-encoded.
MAX_BODY_BYTES = 400_000
# An id that a proxy gave is kept, so that its log and ours can be joined.
_GIVEN_ID = re.compile(r"[\w-]{8,64}", re.ASCII)

# A file of references, and the frame of its form. Its address ends with this word.
MAX_FILE_BYTES = MOST_BYTES + 100_000
_FILE_PATH = re.compile(r"/preferences/[^/]+/start")
# Some thirty previews, each of which costs five database statements, or seventeen with a `like:`: so many
# times the statements of another request.
_FILE_STATEMENTS = 3

# Providers send their events in batches (SendGrid: up to 768 kB).
MAX_HOOK_BYTES = 1_000_000

# Address and headers. The server refuses more that comes in pieces, but not what comes at once.
MOST_HEAD_BYTES = 16_384
_REFUSE_HEAD = PlainTextResponse("The address or a header is too long; please shorten it.\n", 431)
_REFUSE_API_HEAD = answer_problem(ApiProblem(431))

# From the first byte of a body to its last; a form of ordinary size fits into one packet.
BODY_SECONDS = 30.0
# Pages of the operator, and batches of events, may take as much work as they need.
_UNLIMITED_PATHS = (*OPERATOR_PATHS, "/hooks/")


class ResponseMiddleware:
    """Plain ASGI middleware; FastAPI's `BaseHTTPMiddleware` would copy streams through a queue."""

    def __init__(self, app: ASGIApp, make_budget: Callable[[], WorkBudget]) -> None:
        self._app = app
        self._make_budget = make_budget

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # The context is this request's own, since uvicorn runs each in a task. It is left as it is
        # at the end, so that uvicorn's line about an error has the id as well.
        bind_contextvars(**{REQUEST_ID: _request_id(scope)})
        is_limited = not scope["path"].startswith(_UNLIMITED_PATHS)
        set_budget(self._budget_for(scope["path"]) if is_limited else None)
        started, status = time.perf_counter(), 500
        is_head = scope["method"] == "HEAD"
        # Link checkers send HEAD; routes only know GET, so the response's body is dropped.
        inner = {**scope, "method": "GET"} if is_head else scope

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                add_headers(MutableHeaders(scope=message), scope["path"])
            elif is_head:
                message = {**message, "body": b""}
            await send(message)

        app = _refusal(scope) or self._app
        most = _most_bytes(scope["path"])
        try:
            await app(inner, _limited(receive, scope, most), send_with_headers)
        finally:
            log.info(
                "request",
                method=scope["method"],
                path=_shown_path(inner),
                status=status,
                milliseconds=round((time.perf_counter() - started) * 1000, 1),
            )

    def _budget_for(self, path: str) -> WorkBudget:
        budget = self._make_budget()
        if _FILE_PATH.fullmatch(path):
            budget.statements *= _FILE_STATEMENTS
        return budget


def _refusal(scope: Scope) -> ASGIApp | None:
    if _head_bytes(scope) <= MOST_HEAD_BYTES:
        return None
    return _REFUSE_API_HEAD if is_api(scope["path"]) else _REFUSE_HEAD


def _head_bytes(scope: Scope) -> int:
    fields = sum(len(name) + len(value) for name, value in scope["headers"])
    return fields + len(scope["path"]) + len(scope["query_string"])


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _GIVEN_ID.fullmatch(given) else secrets.token_hex(8)


def _shown_path(scope: Scope) -> str:
    """Return the path as a log may show it: without a link's token, and without the query."""
    path: str = scope["path"]
    token = scope.get("path_params", {}).get("token")
    return (path.replace(token, "***") if token else path)[:200]


class PublicGzip(GZipMiddleware):
    """Compress the answers that are the same for everybody."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app, _COMPRESSED_BYTES, _COMPRESSION_LEVEL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_secret = scope.get("path", "").startswith(_PRIVATE_PATHS)
        await (self.app if is_secret else super().__call__)(scope, receive, send)


def _most_bytes(path: str) -> int:
    """Return how large the body of a request to this path may be."""
    if path.startswith("/hooks/"):
        return MAX_HOOK_BYTES
    return MAX_FILE_BYTES if _FILE_PATH.fullmatch(path) else MAX_BODY_BYTES


def add_headers(headers: MutableHeaders, path: str) -> None:
    """Set the request's id and the security headers that are missing; override them on private paths."""
    headers["X-Request-ID"] = str(get_contextvars().get(REQUEST_ID, ""))
    for name, value in _COMMON.items():
        headers.setdefault(name, value)
    if path.startswith(_PRIVATE_PATHS):
        headers.update(_PRIVATE)
        if is_api(path):
            headers["Cache-Control"] = "private, no-store"


def _limited(receive: Receive, scope: Scope, most: int) -> Receive:
    """Wrap `receive`: 413 before a large body is read or fills the memory, 408 for a slow one."""
    declared = Headers(scope=scope).get("content-length", "")
    total = int(declared) if declared.isascii() and declared.isdigit() else 0
    received, is_whole = 0, False
    deadline = asyncio.get_running_loop().time() + BODY_SECONDS

    async def limited() -> Message:
        nonlocal received, is_whole
        if max(total, received) > most:
            raise HTTPException(413)
        if is_whole:  # what comes now is the end of the connection
            return await receive()
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError as error:
            raise HTTPException(408, headers={"Connection": "close"}) from error
        received += len(message.get("body", b""))
        is_whole = not message.get("more_body", False)
        if received > most:
            raise HTTPException(413)
        return message

    return limited
