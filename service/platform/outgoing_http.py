"""Send HTTP requests that no server can prolong, fill up, or turn against our own network.

One deadline holds over name, connection, headers, body and trailers. A body has at most one coding
and a size. A redirect stays on the host, and a connection goes to a private address only where the
operator's own address says so: an IP address, or a name without a dot, which nobody can register.
"""

import ipaddress
import logging
import queue
import re
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpcore2
import httpx2

MAX_REDIRECTS: Final = 5
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
# zlib's way to say: gzip or zlib, whichever the first bytes show.
_GZIP_OR_ZLIB: Final = 47
_CODINGS: Final = frozenset({"gzip", "x-gzip", "deflate"})
_PORTS: Final = {"http": 80, "https": 443}
# A path's longer parts may be keys; `cs.CL` and `daily_papers` are none.
_LONG_PART: Final = 12

# They log each request's whole URL, which may hold keys.
for _name in ("httpx2", "httpcore2"):
    logging.getLogger(_name).setLevel(logging.WARNING)

_SocketOptions = Iterable[
    tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]
]
_Place = tuple[str, int]


class NotAllowed(httpx2.RequestError):
    """Our rules refuse the address or the redirect; the message is for the operator."""


class BodyRefused(httpx2.RequestError):
    """The body is too large, badly compressed, or compressed in a way we do not read."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """The end of a whole request, by `time.monotonic`."""

    at: float

    def remaining(self) -> float:
        """Return the seconds left. Raises `httpx2.ReadTimeout` when there are none."""
        left = self.at - time.monotonic()
        if left <= 0:
            raise httpx2.ReadTimeout("the answer did not end in time")
        return left

    def limit(self, seconds: float | None) -> float:
        """Return the time for one operation on a socket."""
        left = self.remaining()
        return left if seconds is None else min(seconds, left)


@dataclass(frozen=True, slots=True)
class Answer:
    """A response whose body is still unread."""

    response: httpx2.Response
    deadline: Deadline

    def read(self, limit: int, *, is_cut: bool = False) -> bytes:
        """Return the body, decompressed, of at most `limit` bytes; more is cut off or an error."""
        if not is_cut and _length(self.response) > limit:
            raise _too_large(limit)
        unpack = _unpacker(self.response)
        body = bytearray()
        came = 0
        for chunk in self.response.iter_raw():
            self.deadline.remaining()
            came += len(chunk)
            body += unpack(chunk, limit + 1 - len(body))
            if max(len(body), came) > limit:
                if is_cut:
                    return bytes(body[:limit])
                raise _too_large(limit)
        unpack(b"", 0)
        return bytes(body)


@dataclass(frozen=True, slots=True)
class Request:
    """A request as its caller wants it.

    `seconds` limits one operation on the socket, `whole_seconds` everything. `is_same_site` says of
    two hosts that one may redirect to the other. `before` is called with each URL, also of redirects.
    Without `follows` a redirect is an answer like any other.
    """

    url: str
    seconds: float
    whole_seconds: float
    method: str = "GET"
    params: Mapping[str, str] | None = None
    headers: Mapping[str, str] | None = None
    tls: ssl.SSLContext | None = None
    follows: bool = True
    is_same_site: Callable[[str, str], bool] = lambda _own, _other: False
    before: Callable[[str], None] = lambda _: None


@contextmanager
def open_answer(wanted: Request) -> Iterator[Answer]:
    """Send a request, follow its redirects, and yield the last response.

    Raises `NotAllowed`, and httpx2's `HTTPError` and `InvalidURL`.
    """
    own = httpx2.URL(wanted.url)
    wanted.before(wanted.url)
    deadline = Deadline(time.monotonic() + wanted.whole_seconds)
    with _client(wanted, own, deadline) as client:
        request = client.build_request(wanted.method, own, params=wanted.params)
        for _ in range(MAX_REDIRECTS + 1):
            response = client.send(request, stream=True)
            try:
                if response.next_request is None or not wanted.follows:
                    yield Answer(response, deadline)
                    return
                _check_redirect(own, response, wanted.is_same_site)
                request = response.next_request
            finally:
                response.close()
            wanted.before(str(request.url))
        raise httpx2.TooManyRedirects("redirected in circles")


def masked_url(url: str) -> str:
    """Return a URL's scheme and host for messages: its path, query and user may hold keys."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "the address"
    if not host or not parts.scheme:
        return "the address"
    name = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{name}{f':{port}' if port else ''}{'/…' if parts.path[1:] else ''}"


def without_keys(text: str, url: str) -> str:
    """Return a server's words without what may be keys of the URL that it repeats."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return text
    keys = {value for _, value in parse_qsl(parts.query)}
    keys |= {part for part in parts.path.split("/") if len(part) > _LONG_PART}
    keys |= {parts.query, parts.username or "", parts.password or ""}
    keys |= {unquote(key) for key in keys}
    for key in sorted(filter(None, keys), key=len, reverse=True):
        text = re.sub(re.escape(key), "***", text)
    return text


def _client(wanted: Request, own: httpx2.URL, deadline: Deadline) -> httpx2.Client:
    proxies = {} if proxy_bypass(own.host) else getproxies()
    proxies = {name: url for name, url in proxies.items() if name in {"http", "https", "all"}}
    places = {_place(own), *(_place(httpx2.URL(url)) for url in proxies.values())}
    network = _Network(deadline, frozenset(places))
    tls = wanted.tls or httpx2.create_ssl_context()
    return httpx2.Client(
        headers={"Accept-Encoding": "gzip, deflate"} | dict(wanted.headers or {}),
        timeout=wanted.seconds,
        transport=_Transport(network, tls),
        mounts={f"{name}://": _Transport(network, tls, url) for name, url in proxies.items()},
    )


def _place(url: httpx2.URL) -> _Place:
    return url.host, url.port or _PORTS.get(url.scheme, 0)


def _check_redirect(
    own: httpx2.URL, response: httpx2.Response, is_same_site: Callable[[str, str], bool]
) -> None:
    if response.next_request is None:
        return
    target = response.next_request.url
    where = masked_url(str(target))
    if target.scheme not in _PORTS or (response.url.scheme, target.scheme) == ("https", "http"):
        raise NotAllowed(f"its redirect to {where} is not followed: not https")
    hosts = own.host.removeprefix("www."), target.host.removeprefix("www.")
    if hosts[0] != hosts[1] and not is_same_site(own.host, target.host):
        raise NotAllowed(f"its redirect to {where} is not followed; if you trust that, set it")
    if _place(target)[1] not in {_place(own)[1], *_PORTS.values()}:
        raise NotAllowed(f"its redirect to {where} is not followed: another port")


class _Transport(httpx2.HTTPTransport):
    """httpx2's transport over our network; its constructor takes no network."""

    def __init__(self, network: "_Network", tls: ssl.SSLContext, proxy: str | None = None) -> None:
        super().__init__(verify=tls, proxy=proxy)
        self._pool._network_backend = network  # noqa: SLF001  # documented in httpcore2, hidden by httpx2


class _Network(httpcore2.NetworkBackend):
    """Connects to permitted addresses only, and hands out sockets that end at the deadline."""

    def __init__(self, deadline: Deadline, own: frozenset[_Place]) -> None:
        self._deadline = deadline
        self._own = own
        self._sockets = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: _SocketOptions | None = None,
    ) -> httpcore2.NetworkStream:
        """Connect to the first address that answers. Name and check are one: no second answer."""
        addresses = _resolve(host, port, self._deadline)
        if not self._is_own(host, port):
            addresses = [address for address in addresses if _is_public(address)]
        if not addresses:
            raise NotAllowed(f"{host} is at a private address; set that address if you trust it")
        for address in addresses[:-1]:
            try:
                return self._connect(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
        return self._connect(addresses[-1], port, timeout, local_address, socket_options)

    def _is_own(self, host: str, port: int) -> bool:
        """Return whether the operator's setting names this very place, and no name of strangers."""
        is_fixed = "." not in host.strip(".") or _is_literal(host)
        return is_fixed and (host, port) in self._own

    def _connect(
        self,
        address: str,
        port: int,
        timeout: float | None,
        local_address: str | None,
        socket_options: _SocketOptions | None,
    ) -> httpcore2.NetworkStream:
        seconds = self._deadline.limit(timeout)
        stream = self._sockets.connect_tcp(address, port, seconds, local_address, socket_options)
        return _Stream(stream, self._deadline)


class _Stream(httpcore2.NetworkStream):
    """A connection that ends at the deadline, whatever the server sends meanwhile."""

    def __init__(self, stream: httpcore2.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.limit(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.limit(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        # Python limits a handshake as a whole, not each of its reads.
        seconds = self._deadline.limit(timeout)
        return _Stream(
            self._stream.start_tls(ssl_context, server_hostname, seconds), self._deadline
        )

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)


def _resolve(host: str, port: int, deadline: Deadline) -> list[str]:
    """Return a name's addresses. A thread asks, because the system's resolver takes no deadline."""
    found: queue.SimpleQueue[list[str] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.put(list(dict.fromkeys(str(answer[4][0]) for answer in answers)))
        except (OSError, UnicodeError) as error:
            found.put(error)

    threading.Thread(target=ask, daemon=True, name="resolve").start()
    try:
        answer = found.get(timeout=deadline.remaining())
    except queue.Empty:
        raise httpx2.ConnectTimeout("its name was not resolved in time") from None
    if isinstance(answer, Exception):
        raise httpx2.ConnectError(str(answer)) from answer
    return answer


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _is_public(address: str) -> bool:
    """Return whether an address, and the IPv4 address inside it, is of the public internet."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return _is_public(str(inner))
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _length(response: httpx2.Response) -> int:
    text = response.headers.get("Content-Length", "")
    return int(text[:18]) if text.isascii() and text.isdigit() else 0


def _too_large(limit: int) -> BodyRefused:
    return BodyRefused(f"the answer is larger than {limit} bytes")


def _unpacker(response: httpx2.Response) -> Callable[[bytes, int], bytes]:
    """Return a function that decompresses a piece to at most so many bytes; b"" ends the body."""
    codings = response.headers.get("Content-Encoding", "").strip().lower()
    if codings in {"", "identity"}:
        return lambda piece, _most: piece
    if codings not in _CODINGS:
        raise BodyRefused(f"the answer is compressed in a way we do not read: {codings[:40]}")
    packed = zlib.decompressobj(_GZIP_OR_ZLIB)

    def unpack(piece: bytes, most: int) -> bytes:
        try:
            found = packed.decompress(piece, most) if piece else b""
        except zlib.error as error:
            raise BodyRefused("the answer is badly compressed") from error
        # Several members would each be a body of their own, and a body that is cut off is none.
        if packed.unused_data or (not piece and not packed.eof):
            raise BodyRefused("the answer is badly compressed")
        return found

    return unpack
