"""A small SMTP or LMTP server for incoming mail, in a thread of its own."""

import asyncio
import socket
from collections.abc import Awaitable
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP


class CannotListen(OSError):
    """The server cannot listen on the address; the text is one line that says why."""


class SmtpServer:
    """An SMTP server in a thread: call `start`, then `stop` or a `with` block. It can be restarted.

    `handler` has aiosmtpd's methods, such as `handle_DATA`, which aiosmtpd finds by name; `options`
    are those of aiosmtpd's `SMTP`, or of `protocol` where that is LMTP.
    """

    def __init__(self, handler: object, *, protocol: type[SMTP] = SMTP, **options: Any) -> None:
        self._handler = handler
        self._protocol = protocol
        self._options = options
        self._controller: _Controller | None = None

    def start(self, host: str = "127.0.0.1", port: int = 0) -> Self:
        """Listen on `port`, or on a free one for 0. Raises `CannotListen` where it is taken."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            listener = socket.create_server((host, port), family=family)
        except OSError as error:
            reason = error.strerror or error
            raise CannotListen(f"cannot listen at {host}:{port}: {reason}") from error
        self._controller = _Controller(self._handler, listener, self._protocol, self._options)
        self._controller.start()
        return self

    @property
    def port(self) -> int:
        """The port that the server listens on. Raises RuntimeError unless it was started."""
        if self._controller is None:
            raise RuntimeError("the server is not running")
        return int(self._controller.port)

    def stop(self) -> None:
        """Stop listening and end the thread; stopping twice is harmless."""
        controller, self._controller = self._controller, None
        if controller is not None:
            controller.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Controller(Controller):
    """A controller on a socket bound beforehand, so the port is known and a taken one fails early."""

    def __init__(
        self,
        handler: object,
        listener: socket.socket,
        protocol: type[SMTP],
        options: dict[str, Any],
    ) -> None:
        host, port, *_ = listener.getsockname()
        super().__init__(handler, hostname=host, port=port)
        self._listener = listener
        self._protocol = protocol
        self._options = options

    def _create_server(self) -> Awaitable[asyncio.AbstractServer]:
        return self.loop.create_server(self._factory_invoker, sock=self._listener)

    def factory(self) -> SMTP:
        """Return the protocol, with a name (by default `localhost`), so that aiosmtpd looks none up."""
        return self._protocol(
            self.handler,
            enable_SMTPUTF8=True,
            loop=self.loop,
            **{"hostname": "localhost", **self._options},
        )
