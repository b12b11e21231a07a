"""The bare server, as it is started: slow clients keep nobody out, and are cut after a while."""

import asyncio
import resource
import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI
from support.smtp.smtp_sink import wait_until
from support.web.process import running
from uvicorn.server import ServerState

from service.platform.settings.settings import Settings
from service.web.core.assets import asset
from service.web.core.middleware import BODY_SECONDS
from service.web.core.slow_clients import HEADER_SECONDS, MOST_UNFINISHED_BYTES, DeadlineProtocol

CLIENTS = 500
# Far less than `GENEROUS_SECONDS`, and far more than the deadlines of the server.
GENEROUS_SECONDS = 60.0
DRIPPED_HEADERS = b"GET / HTTP/1.1\r\nHost: slow\r\nX-Drip: "
DRIPPED_BODY = (
    b"POST /subscribe HTTP/1.1\r\nHost: slow\r\nContent-Length: 10000\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n\r\nemail="
)
IDLE = b"GET /healthz HTTP/1.1\r\nHost: slow\r\n\r\n"
# A second request on a connection that has had an answer.
LATE_DRIP = IDLE + DRIPPED_HEADERS
KINDS = (DRIPPED_HEADERS, DRIPPED_BODY, IDLE, LATE_DRIP, b"")


@pytest.fixture
def address(settings: Settings, tmp_path: Path) -> Iterator[str]:
    needed = 2 * CLIENTS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(needed, hard)), hard))
    with running(settings, tmp_path / "log") as url:
        yield url
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class SlowClients:
    """Sockets that send a byte now and then, and notice when the server has cut them."""

    def __init__(self, address: str, files: ExitStack) -> None:
        parts = urlsplit(address)
        self._open = selectors.DefaultSelector()
        self._dripping: set[socket.socket] = set()
        for number in range(CLIENTS):
            each = socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10)
            files.enter_context(each)
            kind = KINDS[number % len(KINDS)]
            each.sendall(kind)
            each.setblocking(False)
            self._open.register(each, selectors.EVENT_READ)
            if kind and kind is not IDLE:
                self._dripping.add(each)

    @property
    def open_count(self) -> int:
        return len(self._open.get_map())

    def drip(self) -> None:
        """Send a byte on each that is open; drop those that the server closed."""
        for each in [*self._dripping]:
            try:
                each.send(b"x")
            except OSError:
                self._drop(each)
        for key, _ in self._open.select(timeout=0):
            reading = key.fileobj
            assert isinstance(reading, socket.socket)
            try:
                if not reading.recv(65_536):
                    self._drop(reading)
            except OSError:
                self._drop(reading)

    def _drop(self, each: socket.socket) -> None:
        self._dripping.discard(each)
        if each in self._open.get_map():
            self._open.unregister(each)


def test_five_hundred_slow_clients_keep_nobody_out_and_are_cut(address: str) -> None:
    assert max(HEADER_SECONDS, BODY_SECONDS) < GENEROUS_SECONDS / 1.5
    with ExitStack() as files, httpx2.Client(base_url=address, timeout=20) as visitor:
        clients = SlowClients(address, files)
        assert clients.open_count == CLIENTS
        until = time.monotonic() + GENEROUS_SECONDS
        visits = 0
        while clients.open_count and time.monotonic() < until:
            clients.drip()
            for path in ("/healthz", "/"):
                assert visitor.get(path).status_code == 200
            visits += 1
            time.sleep(0.2)
        assert clients.open_count == 0
        assert visits > 10


def test_a_client_that_reads_no_answer_is_cut(address: str) -> None:
    parts = urlsplit(address)
    with socket.socket() as greedy:
        greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        greedy.connect((parts.hostname, parts.port))
        # More than the buffers of the system hold.
        request = f"GET {asset('site.css')} HTTP/1.1\r\nHost: slow\r\n\r\n".encode()
        greedy.sendall(request * 500)
        server, client = parts.port or 0, greedy.getsockname()[1]
        wait_until(lambda: is_established(server, client))
        wait_until(lambda: not is_established(server, client), GENEROUS_SECONDS)


def is_established(server: int, client: int) -> bool:
    """Return whether the server's end of a connection on loopback is open (`man 5 proc_net_tcp`)."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ends = f":{server:04X}", f":{client:04X}"
    return any(
        (local[-5:], remote[-5:], state) == (*ends, "01") for _, local, remote, state, *_ in rows
    )


@pytest.mark.parametrize("first", [b"GET /", DRIPPED_HEADERS, IDLE + DRIPPED_HEADERS])
def test_a_head_that_comes_in_pieces_without_end_is_refused(address: str, first: bytes) -> None:
    parts = urlsplit(address)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20) as endless:
        endless.sendall(first)
        sent = 0
        with suppress(ConnectionError):
            while sent <= 10 * MOST_UNFINISHED_BYTES:
                sent += endless.send(b"x" * 4_096)
                time.sleep(0.01)
        answer = b""
        with suppress(ConnectionError):
            answer = b"".join(iter(lambda: endless.recv(65_536), b""))
    assert MOST_UNFINISHED_BYTES <= sent < 10 * MOST_UNFINISHED_BYTES
    assert answer.count(b"HTTP/1.1 200 ") == first.count(IDLE)


def test_a_client_that_pauses_within_the_deadlines_is_served(address: str) -> None:
    parts = urlsplit(address)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20) as slow:
        for piece in (
            b"GET /healthz HTTP/1.1\r\n",
            b"Host: slow\r\n",
            b"Connection: close\r\n\r\n",
        ):
            slow.sendall(piece)
            time.sleep(0.5)
        answer = b"".join(iter(lambda: slow.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_no_part_of_an_answer_waits_until_the_client_confirms_the_one_before() -> None:
    """Neither on an address that several processes share, where asyncio leaves it to us."""
    options: list[int] = []

    class Watched(DeadlineProtocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            connection = transport.get_extra_info("socket")
            options.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            transport.close()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            self.loop.call_soon(ended.set)

    async def connect() -> None:
        loop = asyncio.get_running_loop()
        config = uvicorn.Config(FastAPI(), log_config=None)
        with socket.create_server(("127.0.0.1", 0)) as shared:
            server = await loop.create_server(
                lambda: Watched(config, ServerState(), {}), sock=shared
            )
            reader, writer = await asyncio.open_connection(*shared.getsockname())
            await reader.read()
            writer.close()
            await writer.wait_closed()
            await ended.wait()
            server.close()

    ended = asyncio.Event()
    asyncio.run(connect())
    assert len(options) == 1
    assert options[0] != 0
