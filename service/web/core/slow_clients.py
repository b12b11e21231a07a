"""Limits of a connection that uvicorn does not have: for headers, and for reading the answer.

It has one itself for a connection that is idle after an answer (`timeout_keep_alive`); a slow body
ends in `middleware`, which knows when it has begun, and which refuses headers that it has read.
"""

import asyncio
import socket

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# From the connection, or the first byte of a further request, to the last header.
HEADER_SECONDS = 10.0
# For all of an answer that the client has not read yet: 100 kB take this long at 27 kbit/s.
UNREAD_SECONDS = 30.0
# Address and headers while they come in pieces, which the parser in C would keep without end.
MOST_UNFINISHED_BYTES = 65_536


class DeadlineProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol; it cuts clients that drip headers or read no answer.

    Its parser is in C: a page from the cache takes 0.92 of the processor time that it takes by `h11`.
    """

    _unfinished_bytes: int | None = None
    """The bytes since the beginning of a head that has no end yet; None outside of a head."""
    _headers_due: asyncio.TimerHandle | None = None
    _reading_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # asyncio does so itself, but not for an address that several processes share (`bind_socket` of
        # uvicorn): there each answer whose head is written first waited 40 ms for the client to confirm it.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Then `pause_writing` is called as soon as anything is unread.
        transport.set_write_buffer_limits(high=0)
        self._headers_due = self.loop.call_later(HEADER_SECONDS, transport.abort)

    def data_received(self, data: bytes) -> None:
        if self._headers_due is None and not self._has_request():
            self._headers_due = self.loop.call_later(HEADER_SECONDS, self.transport.abort)
        super().data_received(data)
        if self._has_request():
            _cancel(self._headers_due)
            self._headers_due = None
        if self._unfinished_bytes is not None:
            self._unfinished_bytes += len(data)
            if self._unfinished_bytes > MOST_UNFINISHED_BYTES:
                self.send_400_response("The address or a header is too long; please shorten it.\n")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._unfinished_bytes = 0

    def on_headers_complete(self) -> None:
        self._unfinished_bytes = None
        super().on_headers_complete()

    def _has_request(self) -> bool:
        """Return whether a request came that is not answered yet."""
        return self.cycle is not None and not self.cycle.response_complete

    def pause_writing(self) -> None:
        super().pause_writing()
        self._reading_due = self.loop.call_later(UNREAD_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        _cancel(self._reading_due)
        self._reading_due = None

    def connection_lost(self, exc: Exception | None) -> None:
        _cancel(self._headers_due)
        _cancel(self._reading_due)
        super().connection_lost(exc)


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
