"""A real HTTP server on loopback that plays a source, a hook's caller's peer, or a broken one."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

Response = tuple[int, Mapping[str, str], bytes]


@dataclass(frozen=True, slots=True)
class Request:
    """One received request; `headers` is case-insensitive."""

    method: str
    path: str
    query: str
    headers: Message
    body: bytes


Route = Response | Callable[[Request], Response]


class LoopbackHttp:
    """Serves `routes` and records `requests`.

    A key is a path, or a path with its query where answers differ by query (looked up first). A
    value is (status, headers, body) or a function of the request; status 0 closes the connection
    without an answer. Anything else is a 404.
    """

    def __init__(self) -> None:
        self.routes: dict[str, Route] = {}
        self.requests: list[Request] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _make_handler(self))
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Without a closing slash."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)

    def answer(self, request: Request) -> Response:
        self.requests.append(request)
        whole = f"{request.path}?{request.query}"
        route = self.routes.get(whole) or self.routes.get(request.path)
        if route is None:
            return 404, {"Content-Type": "text/plain"}, b"no such route\n"
        return route(request) if callable(route) else route


def _make_handler(http: LoopbackHttp) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # A client that keeps its connection open must not keep the server from stopping.
        timeout = 5

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = Request(self.command, parts.path, parts.query, self.headers, body)
            status, headers, content = http.answer(request)
            if not status:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if "Content-Length" not in headers:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_POST = do_HEAD = do_PUT = do_DELETE = _serve  # noqa: N815  # http.server's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # inherited name
            """Print nothing, since the requests are stored."""

    return Handler
