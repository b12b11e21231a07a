"""Hostile servers: none holds a fetch past its deadline, fills memory, or sends it elsewhere."""

import gzip
import logging
import socket
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.servers.loopback_http import LoopbackHttp
from support.servers.raw_server import RawServer, raw_server
from support.smtp.scripted_smtp import make_certificate, server_context
from support.sources.open_gate import OpenGate

from service.papers.sources.base import FetchState, SourceUnavailable, SourceUnreadable
from service.papers.sources.http_fetch import Caller, Fetcher

# One read may take a second, the whole answer two. The servers drip for fifteen.
LONGEST_SECONDS = 10
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def fetcher() -> Fetcher:
    return Fetcher(Caller(timeout_seconds=1), OpenGate(), max_bytes=10_000, timeouts=2)


def fetch(fetcher: Fetcher, url: str) -> bytes | None:
    return fetcher.fetch(url, accept="*/*", state=FetchState()).payload


def unavailable(fetcher: Fetcher, url: str) -> SourceUnavailable:
    with pytest.raises(SourceUnavailable) as caught:
        fetch(fetcher, url)
    return caught.value


def unreadable(fetcher: Fetcher, url: str) -> str:
    with pytest.raises(SourceUnreadable) as caught:
        fetch(fetcher, url)
    return str(caught.value)


DRIPS = {
    "status line": (b"HTTP/1.1 200 ", b"O"),
    "informational answers": (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "a header": (OK + b"X-Long: ", b"a"),
    "headers": (OK, b"A: b\r\n"),
    "body with a length": (OK + b"Content-Length: 9000\r\n\r\n", b"a"),
    "body without a length": (OK + b"Connection: close\r\n\r\n", b"a"),
    "chunks": (CHUNKED, b"1\r\na\r\n"),
    "chunk size": (CHUNKED + b"1", b"0"),
    "chunk extension": (CHUNKED + b"1;a=", b"a"),
    "trailers": (CHUNKED + b"1\r\na\r\n0\r\n", b"A: b\r\n"),
    "body of an error": (b"HTTP/1.1 500 No\r\nContent-Length: 4000\r\n\r\n", b"a"),
    "nothing at all": (b"", b""),
}


@pytest.mark.parametrize("name", DRIPS)
def test_a_server_that_drips_is_given_up_at_the_deadline(fetcher: Fetcher, name: str) -> None:
    start, piece = DRIPS[name]
    ended: list[float] = []

    def play(server: RawServer, connection: socket.socket) -> None:
        connection.sendall(start)
        try:
            server.drip(connection, piece)
            connection.settimeout(LONGEST_SECONDS)
            connection.recv(1)
        finally:
            ended.append(time.monotonic())

    with raw_server(play) as server:
        began = time.monotonic()
        error = unavailable(fetcher, server.url)
        assert time.monotonic() - began < LONGEST_SECONDS
        assert not error.permanent


def packed(body: bytes, times: int = 1) -> bytes:
    for _ in range(times):
        body = gzip.compress(body)
    return body


@pytest.mark.parametrize(
    ("coding", "body", "reason"),
    [
        ("gzip", packed(bytes(200_000_000)), "larger than 10000 bytes"),
        ("deflate", zlib.compress(bytes(50_000_000)), "larger than 10000 bytes"),
        ("gzip, gzip", packed(b"body", 2), "compressed in a way we do not read: gzip, gzip"),
        ("br", b"\x0b\x02\x80body\x03", "compressed in a way we do not read: br"),
        ("zstd", b"(\xb5/\xfd\x04\x00", "compressed in a way we do not read: zstd"),
        ("gzip", packed(b"body")[:-6], "badly compressed"),
        ("gzip", packed(b"one") + packed(b"two"), "badly compressed"),
    ],
    ids=["bomb", "deflate bomb", "nested", "brotli", "zstd", "cut off", "several members"],
)
def test_one_coding_is_decompressed_up_to_the_limit(
    fetcher: Fetcher, loopback_http: LoopbackHttp, coding: str, body: bytes, reason: str
) -> None:
    loopback_http.routes["/feed"] = (200, {"Content-Encoding": coding}, body)
    assert reason in unreadable(fetcher, f"{loopback_http.url}/feed")


def test_a_refusal_in_a_coding_we_do_not_read_is_still_a_refusal(
    fetcher: Fetcher, loopback_http: LoopbackHttp
) -> None:
    headers = {"Content-Encoding": "br", "Retry-After": "120"}
    loopback_http.routes["/feed"] = (503, headers, b"x")
    error = unavailable(fetcher, f"{loopback_http.url}/feed")
    assert (error.permanent, error.retry_after_seconds) == (False, 120)


def test_two_headers_of_codings_are_two_codings(fetcher: Fetcher) -> None:
    body = packed(b"body", 2)

    def play(_: RawServer, connection: socket.socket) -> None:
        head = b"Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n"
        connection.sendall(OK + head + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)

    with raw_server(play) as server:
        assert "do not read: gzip, gzip" in unreadable(fetcher, server.url)


def test_a_stated_length_over_the_limit_is_refused_before_the_body(fetcher: Fetcher) -> None:
    def play(_: RawServer, connection: socket.socket) -> None:
        connection.sendall(OK + b"Content-Length: 10001\r\n\r\n")
        # No byte of the body comes: the refusal must not wait for it.
        connection.recv(1)

    with raw_server(play) as server:
        assert "larger than 10000 bytes" in unreadable(fetcher, server.url)


def test_an_endless_body_without_length_is_refused_at_the_limit(fetcher: Fetcher) -> None:
    def play(_: RawServer, connection: socket.socket) -> None:
        connection.sendall(CHUNKED)
        while True:
            connection.sendall(b"2000\r\n" + bytes(0x2000) + b"\r\n")

    with raw_server(play) as server:
        assert "larger than 10000 bytes" in unreadable(fetcher, server.url)


@pytest.fixture
def other() -> Iterator[RawServer]:
    """Return a server that no setting names."""
    with raw_server(lambda _, connection: connection.sendall(OK + b"\r\nsecret")) as server:
        yield server


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "[::ffff:127.0.0.1]"])
def test_a_redirect_to_another_server_of_this_network_is_not_followed(
    fetcher: Fetcher, loopback_http: LoopbackHttp, other: RawServer, host: str
) -> None:
    loopback_http.routes["/a"] = (302, {"Location": f"http://{host}:{other.port}/admin"}, b"")
    assert unavailable(fetcher, f"{loopback_http.url}/a").permanent
    assert other.heads == []


@pytest.mark.parametrize(
    "target", ["https://example.org/feed", "file:///etc/passwd", "ftp://127.0.0.1/", "//evil.test/"]
)
def test_a_redirect_to_a_foreign_host_is_named_and_not_followed(
    fetcher: Fetcher, loopback_http: LoopbackHttp, target: str
) -> None:
    loopback_http.routes["/a"] = (302, {"Location": target}, b"")
    error = unavailable(fetcher, f"{loopback_http.url}/a")
    assert error.permanent
    assert "redirect" in str(error)


def test_a_redirect_from_https_to_http_is_not_followed(
    loopback_http: LoopbackHttp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    fetcher = Fetcher(Caller(timeout_seconds=1), OpenGate())

    def play(connection: socket.socket) -> None:
        answer = f"HTTP/1.1 302 Found\r\nLocation: {loopback_http.url}/a\r\n"
        connection.sendall(f"{answer}Content-Length: 0\r\n\r\n".encode())

    server = RawServer(play, server_context(certificate))
    try:
        error = unavailable(fetcher, f"{server.url}/feed")
    finally:
        server.stop()
    assert error.permanent
    assert "not followed: not https" in str(error)
    assert len(server.heads) == 1
    assert loopback_http.requests == []


NAMES = {
    "loopback": "127.0.0.1",
    "private": "10.0.0.7",
    "link-local": "169.254.169.254",
    "shared": "100.64.0.1",
    "any": "0.0.0.0",  # noqa: S104  # an answer of a name server, not an address to bind
    "multicast": "224.0.0.1",
    "loopback in IPv6": "::1",
    "mapped": "::ffff:127.0.0.1",
    "unique local": "fd00::1",
    "6to4": "2002:7f00:1::",
    "NAT64": "64:ff9b::7f00:1",
}


@pytest.mark.parametrize("kind", NAMES)
def test_a_public_name_that_leads_into_this_network_is_refused(
    fetcher: Fetcher, other: RawServer, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A name's owner may change its address at any time, so only the connection's own counts."""
    asked = resolve_as(monkeypatch, NAMES[kind])
    error = unavailable(fetcher, f"http://journal.example.org:{other.port}/feed")
    assert error.permanent
    assert "journal.example.org is at a private address" in str(error)
    # One answer is both checked and used: a second one could differ.
    assert asked == ["journal.example.org"]
    assert other.heads == []


def resolve_as(monkeypatch: pytest.MonkeyPatch, address: str) -> list[str]:
    """Play a name server that knows one address; return the names it is asked for."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def answer(host: str, port: int, *args: int, **kwargs: int) -> list[tuple[object, ...]]:
        asked.append(host)
        return list(real(address, port, *args, **kwargs))

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return asked


def test_a_name_of_the_operators_own_network_may_lead_into_it(
    fetcher: Fetcher, loopback_http: LoopbackHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    loopback_http.routes["/feed"] = (200, {}, b"body")
    assert fetch(fetcher, f"http://localhost:{loopback_http.port}/feed") == b"body"
    resolve_as(monkeypatch, "127.0.0.1")
    # Compose's and a hosts file's names have no dot, and no stranger can register one.
    assert fetch(fetcher, f"http://feedserver:{loopback_http.port}/feed") == b"body"


def test_a_name_server_that_never_answers_is_given_up(
    fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(*_: object, **__: object) -> list[object]:
        time.sleep(LONGEST_SECONDS + 2)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    began = time.monotonic()
    assert not unavailable(fetcher, "http://journal.example.org/feed").permanent
    assert time.monotonic() - began < LONGEST_SECONDS


SECRETS = ("s3cretuser", "s3cretword", "s3cretkey", "s3cretpathtoken1")


@pytest.mark.parametrize(
    "answer",
    [
        (404, {}, b"no such key: s3cretkey in /s3cretpathtoken1/rss?key=s3cretkey"),
        (302, {"Location": "https://example.org/s3cretpathtoken1?key=s3cretkey"}, b""),
        (302, {"Location": "/s3cretpathtoken1?key=s3cretkey"}, b""),
        (200, {"Content-Encoding": "br"}, b"x"),
        (200, {"Content-Length": "99999999"}, b""),
    ],
    ids=["refused", "elsewhere", "in circles", "coding", "length"],
)
def test_no_message_and_no_log_line_shows_an_addresss_keys(
    fetcher: Fetcher,
    loopback_http: LoopbackHttp,
    caplog: pytest.LogCaptureFixture,
    answer: tuple[int, dict[str, str], bytes],
) -> None:
    caplog.set_level(logging.DEBUG)
    loopback_http.routes["/s3cretpathtoken1"] = answer
    loopback_http.routes["/s3cretpathtoken1/rss"] = answer
    site = loopback_http.url.removeprefix("http://")
    url = f"http://s3cretuser:s3cretword@{site}/s3cretpathtoken1/rss?key=s3cretkey"
    with pytest.raises((SourceUnavailable, SourceUnreadable)) as caught:
        fetch(fetcher, url)
    # The request itself had them.
    assert loopback_http.requests[0].headers["Authorization"].startswith("Basic ")
    shown = str(caught.value) + caplog.text
    assert site in shown
    assert [secret for secret in SECRETS if secret in shown] == []


@pytest.mark.parametrize(
    "url", ["http://s3cretkey@[::1", "ftp://s3cretkey@h/s3cretkey", "s3cretkey"]
)
def test_an_address_that_is_none_is_not_shown(fetcher: Fetcher, url: str) -> None:
    assert "s3cretkey" not in str(unavailable(fetcher, url))
