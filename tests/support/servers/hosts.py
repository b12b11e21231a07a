"""Hosts on one machine: network namespaces joined by virtual cables that a test can cut.

A hub has an address on each cable; servers for the hosts listen there, in the hub's namespace.
It is isolated from the machine's own network. Needs root and `ip` (Debian: iproute2).
"""

import asyncio
import ctypes
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_BLOCK_BYTES = 65536


@cache
def why_no_hosts() -> str:
    """Return what is missing to create hosts here, as in "there is no …"; empty if nothing is."""
    if shutil.which("ip") is None:
        return "no way to make network namespaces: no `ip` program (Debian: iproute2)"
    name = f"pb{os.getpid()}probe"
    made = subprocess.run(["ip", "netns", "add", name], check=False, capture_output=True, text=True)
    if made.returncode:
        return f"no way to make network namespaces: {made.stderr.strip()}"
    subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)
    return ""


def enter_host(name: str) -> None:
    """Move the calling thread, and processes it starts later, into a host's namespace."""
    file = os.open(f"/run/netns/{name}", os.O_RDONLY)
    try:
        # os.setns() comes with Python 3.12.
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(file, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"cannot enter {name}")
    finally:
        os.close(file)


@dataclass
class Hosts:
    """A hub and hosts a, b, …: `addresses` are the hub's, one for each host."""

    run: str
    addresses: dict[str, str] = field(default_factory=dict)

    @property
    def hub(self) -> str:
        return f"{self.run}-hub"

    def namespace(self, host: str) -> str:
        return f"{self.run}-{host}"

    def cut(self, host: str) -> None:
        """Cut the cable: packets on their way are lost, and neither side is notified."""
        _ip("-n", self.hub, "link", "set", f"to-{host}", "down")

    def join(self, host: str) -> None:
        _ip("-n", self.hub, "link", "set", f"to-{host}", "up")


@contextmanager
def make_hosts(*names: str) -> Iterator[Hosts]:
    hosts = Hosts(f"pb{os.getpid()}")
    try:
        _add(hosts.hub)
        for number, name in enumerate(names):
            _connect(hosts, name, number)
        yield hosts
    finally:
        for namespace in [hosts.hub, *map(hosts.namespace, names)]:
            with suppress(subprocess.CalledProcessError):
                _ip("netns", "delete", namespace)


def _add(namespace: str) -> None:
    _ip("netns", "add", namespace)
    _ip("-n", namespace, "link", "set", "lo", "up")


def _connect(hosts: Hosts, name: str, number: int) -> None:
    namespace = hosts.namespace(name)
    _add(namespace)
    _ip(
        "-n", hosts.hub, "link", "add", f"to-{name}", "type", "veth",
        "peer", "name", "eth0", "netns", namespace,
    )  # fmt: skip
    _ip("-n", hosts.hub, "address", "add", f"10.213.{number}.1/24", "dev", f"to-{name}")
    _ip("-n", namespace, "address", "add", f"10.213.{number}.2/24", "dev", "eth0")
    _ip("-n", hosts.hub, "link", "set", f"to-{name}", "up")
    _ip("-n", namespace, "link", "set", "eth0", "up")
    hosts.addresses[name] = f"10.213.{number}.1"


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


class Doors:
    """Unix sockets of this machine as TCP ports of the hub, each connection one to one.

    A server does not learn that a cable was pulled out, just as over a real network.
    """

    def __init__(self, namespace: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(namespace,), daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []
        self._thread.start()

    def open(self, address: str, path: Path) -> int:
        """Open a port of the hub's address for a unix socket."""
        return asyncio.run_coroutine_threadsafe(self._open(address, path), self._loop).result(10)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _run(self, namespace: str) -> None:
        enter_host(namespace)
        self._loop.run_forever()

    async def _open(self, address: str, path: Path) -> int:
        async def serve(subscriber: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task
            self._tasks.add(task)
            try:
                inner = await asyncio.open_unix_connection(path)
                await _join(subscriber, writer, *inner)
            except asyncio.CancelledError:
                pass  # The doors are shut; a stream's task must not end as cancelled.
            finally:
                self._tasks.discard(task)
                writer.transport.abort()

        server = await asyncio.start_server(serve, address, 0)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def _stop(self) -> None:
        for server in self._servers:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _join(
    subscriber: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    inner_subscriber: asyncio.StreamReader,
    inner_writer: asyncio.StreamWriter,
) -> None:
    """Forward bytes both ways until one side ends."""
    ways = [
        asyncio.ensure_future(_copy(subscriber, inner_writer)),
        asyncio.ensure_future(_copy(inner_subscriber, writer)),
    ]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        inner_writer.transport.abort()


async def _copy(subscriber: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while block := await subscriber.read(_BLOCK_BYTES):
            writer.write(block)
            await writer.drain()
