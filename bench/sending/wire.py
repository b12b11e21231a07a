"""The network of `send.py`: Debian's smtp-sink, its smtp-source as a peer, and a delayed connection."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

INSTALL = (
    "smtp-sink and smtp-source are missing: type `sudo apt-get install postfix` (not to run it)"
)


def find_tools() -> bool:
    """Return whether Debian's two programs are installed."""
    return all(shutil.which(name, path=_path()) for name in ("smtp-sink", "smtp-source"))


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def run_sink(log: Path | None = None) -> Iterator[tuple[int, int]]:
    """Run a sink that accepts everything, with PIPELINING, as Postfix does; yield its port and pid.

    With `log` it writes each command there, which takes a few microseconds a message.
    """
    port = free_port()
    command = [str(shutil.which("smtp-sink", path=_path()))]
    if os.geteuid() == 0:
        command += ["-u", "nobody"]
    if log is not None:
        command.append("-v")
    with ExitStack() as stack:
        stderr = stack.enter_context(log.open("wb")) if log is not None else None
        process = subprocess.Popen([*command, f"127.0.0.1:{port}", "1000"], stderr=stderr)
        stack.callback(process.wait)
        stack.callback(process.terminate)
        wait_for_port(port, process)
        yield port, process.pid


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return when a process listens on a port. Raises `RuntimeError` if it ends before."""
    while process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError("the server did not start")


def source_rate(port: int, count: int, size: int, sessions: int) -> float:
    """Return messages per second of smtp-source: one text repeated on persistent connections."""
    command = [
        str(shutil.which("smtp-source", path=_path())),
        "-d", "-s", str(sessions), "-l", str(size), "-m", str(count),
        "-f", "digest@papers.example.org", "-t", "reader@example.org", f"127.0.0.1:{port}",
    ]  # fmt: skip
    began = time.monotonic()
    subprocess.run(command, check=True)
    return count / (time.monotonic() - began)


class _Pipe(asyncio.Protocol):
    """One direction of a connection, which forwards data after a delay."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.wire: asyncio.Transport | None = None
        self.peer: _Pipe | None = None
        self.early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.wire = transport

    def data_received(self, data: bytes) -> None:
        asyncio.get_running_loop().call_later(self._seconds, self._hand_on, data)

    def _hand_on(self, data: bytes) -> None:
        if self.peer is not None and self.peer.wire is not None:
            self.peer.wire.write(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's own name
        if self.peer is not None and self.peer.wire is not None:
            self.peer.wire.close()


async def _serve(port: int, target: int, seconds: float) -> None:
    loop = asyncio.get_running_loop()

    class Front(_Pipe):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            loop.create_task(self._connect())  # noqa: RUF006  # it lives as long as the loop

        async def _connect(self) -> None:
            back = _Pipe(seconds)
            back.peer = self
            await loop.create_connection(lambda: back, "127.0.0.1", target)
            self.peer = back

    server = await loop.create_server(lambda: Front(seconds), "127.0.0.1", port, backlog=512)
    await server.serve_forever()


@contextmanager
def slow_wire(target: int, round_trip_seconds: float) -> Iterator[int]:
    """Run a forwarder to `target` that delays each round trip; yield its port."""
    port = free_port()
    half = str(round_trip_seconds / 2)
    process = subprocess.Popen([sys.executable, __file__, str(port), str(target), half])
    try:
        wait_for_port(port, process)
        yield port
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
