"""Around every answer: the headers that keep a page harmless, HEAD, and a limit on what comes in."""

from fastapi import HTTPException
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# No script but our own file runs, nothing loads from elsewhere, nobody frames us.
POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; "
    "img-src 'self'; frame-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# A mail in the browser brings its own inline styles, and still no script and no pictures.
MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
# The same inside the frame of the development mailbox, shut in by `sandbox`.
FRAMED_MAIL_POLICY = MAIL_POLICY.replace(
    "frame-ancestors 'none'", "frame-ancestors 'self'; sandbox allow-popups"
)

# These addresses hold a signed token, which must not leak by cache, search engine or referrer.
TOKEN_PATHS = (
    "/confirm/", "/unsubscribe/", "/preferences/", "/never/", "/editions/", "/change/",
)  # fmt: skip
# These hold the operator's accounts, behind a password.
OPERATOR_PATHS = ("/admin", "/metrics")
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

# Twenty topics at their longest are 80 kB, three times that once percent-encoded.
MAX_BODY_BYTES = 400_000
# Providers send their events in batches (SendGrid: up to 768 kB).
MAX_HOOK_BYTES = 1_000_000


class AroundEveryAnswer:
    """ASGI middleware; FastAPI's own kind would read streams through a queue for no gain."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_head = scope["method"] == "HEAD"
        # Link checkers ask with HEAD; routes only know GET, and the answer's body is left out.
        inner = {**scope, "method": "GET"} if is_head else scope

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                add_headers(MutableHeaders(scope=message), scope["path"])
            elif is_head:
                message = {**message, "body": b""}
            await send(message)

        most = MAX_HOOK_BYTES if scope["path"].startswith("/hooks/") else MAX_BODY_BYTES
        await self._app(inner, _counted(receive, most), send_with_headers)


def add_headers(headers: MutableHeaders, path: str) -> None:
    """Add what is not set yet; on the addresses of tokens, overrule what is."""
    for name, value in _COMMON.items():
        headers.setdefault(name, value)
    if path.startswith((*TOKEN_PATHS, *OPERATOR_PATHS)):
        headers.update(_PRIVATE)


def _counted(receive: Receive, most: int) -> Receive:
    """`receive` that answers 413 before a body fills the memory."""
    total = 0

    async def counted() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > most:
            raise HTTPException(413)
        return message

    return counted
