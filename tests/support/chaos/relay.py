"""An SMTP relay that fails as a plan says, and records every message with its times.

Each sender has its own port, so that the relay knows which process to kill. It may offer PIPELINING;
pipelined or not, commands are answered one by one, in order.
"""

import asyncio
import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from support.chaos.plan import Phase, Plan, WireFault
from support.servers.hosts import enter_host

Answer = TypeVar("Answer")

_POLITE = {
    Phase.GREETING: "220 relay.example ESMTP",
    Phase.MAIL: "250 2.1.0 ok",
    Phase.RCPT: "250 2.1.5 ok",
    Phase.DATA: "354 go on",
    Phase.DOT: "250 2.0.0 taken",
}
# A small receive buffer, so that a sender is still writing when it is killed in a message.
_NARROW_BYTES = 4096
# A fault in the middle of a message occurs after this many lines.
_LINES_BEFORE = 20


@dataclass
class Exchange:
    """One attempt to send one message. Times are `time.monotonic()`, None for phases not reached.

    `code` is the reply after the final dot, 0 for none.
    """

    worker: str
    mail_at: float
    recipient: str = ""
    rcpt_at: float | None = None
    dot_at: float | None = None
    content: bytes = b""
    code: int = 0

    @property
    def is_kept(self) -> bool:
        """Whether a real relay may have accepted this message and deliver it."""
        return self.dot_at is not None and (self.code == 0 or 200 <= self.code < 300)


class _Gone(Exception):
    """This connection ends without a further reply."""


class ChaosRelay:
    """A relay in a thread. `pid_of` maps a worker's name to its process; `namespace` is its host."""

    def __init__(self, plan: Plan, pid_of: Callable[[str], int], namespace: str = "") -> None:
        self._plan = plan
        self._pid_of = pid_of
        self._counts: Counter[Phase] = Counter()
        self._is_calm = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._servers: list[asyncio.Server] = []
        self.exchanges: list[Exchange] = []
        self.dot_count = 0
        self.killed: list[str] = []
        # How often a message that may be complete got no timely reply.
        self.silence_count = 0
        # How many replies are held back now, until `release`.
        self.held_count = 0
        self.released = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(namespace,), daemon=True)
        self._thread.start()

    def _run(self, namespace: str) -> None:
        if namespace:
            enter_host(namespace)
        self._loop.run_forever()

    def open(self, worker: str, address: str = "127.0.0.1") -> int:
        """Open a port for a worker, and return its number."""
        return self._call(self._open(worker, address))

    def calm(self) -> None:
        """Inject no further faults."""
        self._is_calm = True

    def release(self) -> None:
        """Give the replies that are held back, and hold back no others."""
        self._loop.call_soon_threadsafe(self.released.set)

    async def hold(self) -> None:
        self.held_count += 1
        try:
            await self.released.wait()
        finally:
            self.held_count -= 1

    def stop(self) -> None:
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _call(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _open(self, worker: str, address: str) -> int:
        listener = socket.create_server((address, 0))
        if any(fault.phase is Phase.BODY for fault in self._plan.wire):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _NARROW_BYTES)

        async def serve(stream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task
            self._tasks.add(task)
            try:
                await _Conversation(self, worker, stream, writer).hold()
            except (_Gone, OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                pass  # The plan cut the connection, or the sender died; both are intended.
            finally:
                self._tasks.discard(task)
                writer.transport.abort()

        server = await asyncio.start_server(serve, sock=listener, limit=2**20)
        self._servers.append(server)
        return int(listener.getsockname()[1])

    async def _stop(self) -> None:
        for server in self._servers:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def offers_pipelining(self) -> bool:
        return self._plan.pipelining

    @property
    def is_late_to_refuse(self) -> bool:
        return self._plan.is_late_to_refuse

    def next_fault(self, phase: Phase) -> WireFault | None:
        self._counts[phase] += 1
        if self._is_calm:
            return None
        number = self._counts[phase]
        for fault in self._plan.wire:
            if fault.phase is phase and fault.nth <= number < fault.nth + fault.times:
                self.silence_count += self._is_silence(fault)
                return fault
        return None

    def _is_silence(self, fault: WireFault) -> bool:
        """Return whether a fault leaves a complete message without a reply.

        A 421 counts as well, because the connection may close before the line arrives.
        """
        if fault.phase not in {Phase.BODY, Phase.DOT, Phase.DONE}:
            return False
        is_in_time = fault.seconds and fault.seconds < self._plan.timeout_seconds
        is_said = fault.reply and not fault.reply.startswith("421")
        return not (is_in_time or is_said)

    def kill(self, worker: str) -> None:
        self.killed.append(worker)
        try:
            os.kill(self._pid_of(worker), signal.SIGKILL)
        except ProcessLookupError:
            pass  # It died of another fault meanwhile.


class _Conversation:
    def __init__(
        self,
        relay: ChaosRelay,
        worker: str,
        stream: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._relay = relay
        self._worker = worker
        self._stream = stream
        self._writer = writer
        self._exchange: Exchange | None = None
        self._is_recipient_known = False

    async def hold(self) -> None:
        if not (await self._act(Phase.GREETING)).startswith("220"):
            raise _Gone
        while line := await self._stream.readline():
            verb, _, rest = line.decode("ascii", "replace").strip().partition(" ")
            match verb.upper():
                case "EHLO" | "HELO":
                    await self._greet(verb.upper())
                case "MAIL":
                    await self._mail()
                case "RCPT":
                    await self._rcpt(rest)
                case "DATA":
                    await self._data()
                case "QUIT":
                    await self._reply("221 2.0.0 bye")
                    return
                case "RSET" | "NOOP":
                    self._reset()
                    await self._reply("250 2.0.0 ok")
                case _:
                    await self._reply("502 5.5.1 what?")

    async def _act(self, phase: Phase) -> str:
        """Send the plan's reply at this phase, or the normal one, and return it."""
        reply = await self._decide(phase)
        await self._reply(reply)
        return reply

    async def _decide(self, phase: Phase) -> str:
        fault = self._relay.next_fault(phase)
        if fault is None:
            return _POLITE.get(phase, "")
        if fault.kills:
            self._relay.kill(self._worker)
            raise _Gone
        if fault.hangs:
            await self._relay.hold()
            return _POLITE.get(phase, "")
        if fault.seconds:
            await asyncio.sleep(fault.seconds)
            return _POLITE.get(phase, "")
        if not fault.reply:
            raise _Gone
        return fault.reply

    async def _reply(self, reply: str) -> None:
        self._writer.write(reply.encode() + b"\r\n")
        await self._writer.drain()
        if reply.startswith("421"):
            raise _Gone

    def _reset(self) -> None:
        self._exchange = None
        self._is_recipient_known = False

    async def _greet(self, verb: str) -> None:
        self._reset()
        reply = await self._decide(Phase.EHLO)
        if reply or verb == "HELO":
            await self._reply(reply or "250 relay.example")
            return
        offers = ["8BITMIME", "ENHANCEDSTATUSCODES"]
        if self._relay.offers_pipelining:
            offers.append("PIPELINING")
        lines = ["250-relay.example", *(f"250-{one}" for one in offers[:-1]), f"250 {offers[-1]}"]
        await self._reply("\r\n".join(lines))

    async def _mail(self) -> None:
        self._reset()
        exchange = Exchange(self._worker, time.monotonic())
        if (await self._act(Phase.MAIL)).startswith("250"):
            self._exchange = exchange
            self._relay.exchanges.append(exchange)

    async def _rcpt(self, rest: str) -> None:
        if self._exchange is None:
            await self._reply("503 5.5.1 MAIL first")
            return
        self._exchange.rcpt_at = time.monotonic()
        self._exchange.recipient = rest.partition("<")[2].partition(">")[0]
        self._is_recipient_known = (await self._act(Phase.RCPT)).startswith("250")

    async def _data(self) -> None:
        if self._exchange is None or not self._is_recipient_known:
            await self._refuse_data()
            return
        exchange = self._exchange
        if not (await self._act(Phase.DATA)).startswith("354"):
            return
        exchange.content = await self._read_body(Phase.BODY)
        exchange.dot_at = time.monotonic()
        self._relay.dot_count += 1
        reply = await self._decide(Phase.DOT)
        # Recorded before it is sent, because a sender that is killed meanwhile may have read it.
        exchange.code = int(reply[:3])
        self._reset()
        await self._reply(reply)
        if reply.startswith("250"):
            await self._decide(Phase.DONE)

    async def _refuse_data(self) -> None:
        """Refuse DATA without a recipient: now, or after an empty message (RFC 2920 §3.1)."""
        if self._exchange is None or not self._relay.is_late_to_refuse:
            await self._reply("503 5.5.1 no valid recipients")
            return
        await self._reply("354 go on")
        content = await self._read_body(None)
        assert not content, "a message was sent to nobody"
        await self._reply("554 5.5.1 no valid recipients")

    async def _read_body(self, phase: Phase | None) -> bytes:
        """Return a message up to its dot, with doubled dots undone."""
        lines: list[bytes] = []
        while (line := await self._stream.readline()) != b".\r\n":
            if not line.endswith(b"\r\n"):
                raise _Gone
            lines.append(line.removeprefix(b"."))
            if len(lines) == _LINES_BEFORE and phase is not None:
                await self._decide(phase)
        return b"".join(lines)
