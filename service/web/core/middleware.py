"""Middleware for every response: security headers, HEAD requests, a limit on bodies, compression."""

from fastapi import HTTPException
from starlette.datastructures import MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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
    "/confirm/", "/unsubscribe/", "/preferences/", "/never/", "/editions/", "/change/", "/address/",
)  # fmt: skip
# The operator's pages, behind a password.
OPERATOR_PATHS = ("/admin", "/metrics")
# Answers that contain secrets (signed links, CSRF tokens), beside text that others wrote: compressed,
# their length would tell an attacker how much of a guess is right (the BREACH attack). All others
# are the same for everybody, since the site has no cookies, and so have nothing to give away.
_UNCOMPRESSED_PATHS = (*TOKEN_PATHS, *OPERATOR_PATHS, "/mailbox")
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
# Providers send their events in batches (SendGrid: up to 768 kB).
MAX_HOOK_BYTES = 1_000_000


class ResponseMiddleware:
    """Plain ASGI middleware; FastAPI's `BaseHTTPMiddleware` would copy streams through a queue."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_head = scope["method"] == "HEAD"
        # Link checkers send HEAD; routes only know GET, so the response's body is dropped.
        inner = {**scope, "method": "GET"} if is_head else scope

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                add_headers(MutableHeaders(scope=message), scope["path"])
            elif is_head:
                message = {**message, "body": b""}
            await send(message)

        most = MAX_HOOK_BYTES if scope["path"].startswith("/hooks/") else MAX_BODY_BYTES
        await self._app(inner, _counted(receive, most), send_with_headers)


class PublicGzip(GZipMiddleware):
    """Compress the answers that are the same for everybody."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app, _COMPRESSED_BYTES, _COMPRESSION_LEVEL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_secret = scope.get("path", "").startswith(_UNCOMPRESSED_PATHS)
        await (self.app if is_secret else super().__call__)(scope, receive, send)


def add_headers(headers: MutableHeaders, path: str) -> None:
    """Set the security headers that are missing; on private paths also override existing ones."""
    for name, value in _COMMON.items():
        headers.setdefault(name, value)
    if path.startswith((*TOKEN_PATHS, *OPERATOR_PATHS)):
        headers.update(_PRIVATE)


def _counted(receive: Receive, most: int) -> Receive:
    """Wrap `receive` to raise 413 before a large body fills the memory."""
    total = 0

    async def counted() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > most:
            raise HTTPException(413)
        return message

    return counted
