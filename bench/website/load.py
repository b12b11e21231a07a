"""Requests of many visitors at once, for `web.py`, as bytes over plain connections.

A client library takes as much of the processor as the site, on the same cores.
"""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import count
from random import Random
from urllib.parse import urlencode, urlsplit

import httpx2

PER_SECOND, SECONDS = 100, 20
_PAGES_OF_PAPERS = 5
# What a request counts that is refused, as one is for which there is no time.
_REFUSED_MS = 60_000.0
_MOST_CONNECTIONS = 200
_VISITORS = count()

Make = Callable[[], tuple[str, Mapping[str, str]]]


class _Connections:
    """Open connections to a site, of which each serves one request at a time."""

    def __init__(self, site: str) -> None:
        parts = urlsplit(site)
        self._host, self._port = parts.hostname, parts.port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._free = asyncio.Semaphore(_MOST_CONNECTIONS)

    async def ask(self, method: str, path: str, body: bytes = b"") -> int:
        """Return the status, after the whole answer. Raises `OSError` or `EOFError` without one."""
        number = next(_VISITORS)
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n"
            f"X-Forwarded-For: 198.19.{number // 250 % 250}.{number % 250}\r\nAccept-Encoding: gzip\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        async with self._free:
            # The server may have closed one that was idle, and did not read the request then.
            while self._idle:
                with suppress(ConnectionError, asyncio.IncompleteReadError):
                    return await self._ask_by(*self._idle.pop(), head.encode() + body)
            opened = await asyncio.open_connection(self._host, self._port)
            return await self._ask_by(*opened, head.encode() + body)

    async def _ask_by(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
    ) -> int:
        try:
            writer.write(request)
            status, is_last = await _receive(reader)
        except BaseException:
            writer.close()
            raise
        if is_last:
            writer.close()
        else:
            self._idle.append((reader, writer))
        return status

    def close(self) -> None:
        for _, writer in self._idle:
            writer.close()


async def _receive(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """Read an answer; return its status, and whether the connection ends with it."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    if length is None:
        raise OSError("an answer without its length")
    await reader.readexactly(int(length[1]))
    return int(head.split(b" ", 2)[1]), b"\r\nconnection: close" in head.lower()


def find_papers(site: str) -> list[str]:
    """Return the paths of the first 200 papers of the front page."""
    with httpx2.Client(base_url=site, timeout=60) as client:
        pages = [client.get("/", params={"page": n + 1}).text for n in range(_PAGES_OF_PAPERS)]
    return sorted({path for page in pages for path in re.findall(r'href="(/papers/[^"]+)"', page)})


def send_steadily(site: str, kinds: Mapping[str, Make], seconds: int) -> dict[str, list[float]]:
    """Send requests of these kinds, drawn evenly, whether or not the earlier ones are answered.

    Returns the milliseconds of each from when it was due.
    """
    return asyncio.run(_send(site, kinds, seconds))


async def _send(site: str, kinds: Mapping[str, Make], seconds: int) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {kind: [] for kind in kinds}
    draw, loop = Random(9), asyncio.get_running_loop()  # noqa: S311  # a repeatable draw, no secret
    connections = _Connections(site)
    start = loop.time()

    async def ask(kind: str, due: float) -> None:
        path, query = kinds[kind]()
        try:
            status = await connections.ask("GET", f"{path}?{urlencode(query)}" if query else path)
        except (OSError, EOFError):  # The site closes connections that it has no time for.
            status = 503
        # A drawn word may be a stop word; its error is a valid response.
        is_answered = status in {200, 422}
        taken[kind].append((loop.time() - due) * 1000 if is_answered else _REFUSED_MS)

    async with asyncio.TaskGroup() as tasks:
        for number in range(PER_SECOND * seconds):
            due = start + number / PER_SECOND
            await asyncio.sleep(max(0.0, due - loop.time()))
            tasks.create_task(ask(draw.choice([*kinds]), due))
    connections.close()
    return taken


def post_all(site: str, paths: Sequence[str], body: bytes, at_once: int) -> set[int]:
    """Post `body` to every path, `at_once` at a time; return the statuses."""
    return asyncio.run(_post_all(site, paths, body, at_once))


async def _post_all(site: str, paths: Sequence[str], body: bytes, at_once: int) -> set[int]:
    connections, statuses, left = _Connections(site), set[int](), iter(paths)

    async def post() -> None:
        for path in left:
            statuses.add(await connections.ask("POST", path, body))

    await asyncio.gather(*[post() for _ in range(at_once)])
    connections.close()
    return statuses
