"""A real HTTP server on loopback that responds like rss.arxiv.org and huggingface.co."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Final, Self
from urllib.parse import parse_qs, unquote, urlsplit

from service.sample import wire
from service.sample.daily_papers import entries
from service.sample.papers import nearest_weekday

_LOOPBACK: Final = "127.0.0.1"
_JSON: Final = "application/json; charset=utf-8"
_PAGE_LIMIT: Final = 100
# The longest time that `close` waits for the listening thread.
_POLL_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class _Response:
    body: bytes
    content_type: str
    status: HTTPStatus = HTTPStatus.OK

    @property
    def etag(self) -> str:
        return f'"{sha256(self.body).hexdigest()}"'


class SampleServer:
    """A server of sample days, started at once; use it as a context manager or call `close`.

    `today` is the day it shows, or a function that is called for each request, where time passes.
    `/rss/<q>`, `/atom/<q>` and `/list/<category>/new` have only that day, as arXiv has only today,
    and at a weekend Friday; `/api/daily_papers?date=` has every day up to it, with the upvotes of
    that day.
    """

    def __init__(self, today: date | Callable[[], date], *, port: int = 0) -> None:
        get_today = today if callable(today) else lambda: today
        self._server = _Server(get_today, port)
        serve, name = self._server.serve_forever, "sample-server"
        self._thread = Thread(target=serve, args=(_POLL_SECONDS,), name=name, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The base address, without a slash at its end."""
        return f"http://{_LOOPBACK}:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop listening and wait for the thread."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Idle keep-alive connections would otherwise hold up `server_close`.
    block_on_close = False

    def __init__(self, get_today: Callable[[], date], port: int) -> None:
        self.get_today = get_today
        super().__init__((_LOOPBACK, port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    # Head and body are two writes; without this the second waits for the client's delayed ACK.
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        """Respond, with 304 where the client has the current ETag. The base class sets the name."""
        response = _respond(self.path, self.server.get_today())
        etag = self.headers["If-None-Match"]
        is_known = response.status is HTTPStatus.OK and etag == response.etag
        body = b"" if is_known else response.body
        self.send_response(HTTPStatus.NOT_MODIFIED if is_known else response.status)
        self.send_header("ETag", response.etag)
        self.send_header("Cache-Control", f"max-age={_seconds_to_midnight(datetime.now(UTC))}")
        if not is_known:
            self.send_header("Content-Type", response.content_type)
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Log nothing: the demonstration prints its own lines."""


def _respond(target: str, on: date) -> _Response:
    parts = urlsplit(target)
    if parts.path == "/api/daily_papers":
        return _daily_papers(parse_qs(parts.query), on)
    kind, _, query = parts.path.removeprefix("/").partition("/")
    if kind == "list":
        return _listing(unquote(query.removesuffix("/new")), nearest_weekday(on))
    if kind not in _FEEDS or not query:
        return _Response(b"Not Found", "text/plain; charset=utf-8", HTTPStatus.NOT_FOUND)
    return _feed(kind, unquote(query), nearest_weekday(on))


_FEEDS: Final = {
    "rss": (wire.rss_feed, wire.render_rss),
    "atom": (wire.atom_feed, wire.render_atom),
}


def _feed(kind: str, query: str, on: date) -> _Response:
    make_feed, render = _FEEDS[kind]
    content_type = f"application/{kind}+xml"
    try:
        return _Response(make_feed(query, on), content_type)
    except wire.BadQuery as error:
        body = render(wire.Heading((query,), on, error=str(error)), [])
        return _Response(body, content_type, HTTPStatus.BAD_REQUEST)


def _listing(category: str, on: date) -> _Response:
    try:
        return _Response(wire.listing(category, on), "text/html; charset=utf-8")
    except wire.BadQuery as error:
        return _Response(str(error).encode(), "text/plain; charset=utf-8", HTTPStatus.NOT_FOUND)


def _daily_papers(query: dict[str, list[str]], today: date) -> _Response:
    """Return one page of a day; like the real API it refuses malformed and future dates."""
    try:
        on = date.fromisoformat(query.get("date", [today.isoformat()])[0])
        limit = min(_PAGE_LIMIT, int(query.get("limit", ["50"])[0]))
        page = int(query.get("p", ["0"])[0])
    except ValueError:
        return _refusal("Invalid query parameter")
    # Its day is that of UTC, which is hours ahead of New York's.
    if on > today + timedelta(days=1):
        return _refusal("date must not be in the future")
    return _Response(_dump(entries(on, today)[page * limit :][:limit]), _JSON)


def _refusal(reason: str) -> _Response:
    return _Response(_dump({"error": reason}), _JSON, HTTPStatus.BAD_REQUEST)


def _dump(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _seconds_to_midnight(now: datetime) -> int:
    """Return the `max-age` of arXiv's feeds, which end at midnight in New York."""
    tomorrow = now.astimezone(wire.NEW_YORK).date() + timedelta(days=1)
    return int((datetime.combine(tomorrow, time(), tzinfo=wire.NEW_YORK) - now).total_seconds())
