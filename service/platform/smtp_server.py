"""A small SMTP or LMTP server in a thread of its own, for what is sent to us."""

import asyncio
import socket
from collections.abc import Awaitable
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP


class CannotListen(OSError):
    """The address cannot be listened at; the message is one line that says why."""


class SmtpServer:
    """Stop it, or use it as a context manager once started. It can be started again.

    `handler` has aiosmtpd's methods, `handle_DATA` and so on, which it finds by name; `options`
    are those of aiosmtpd's `SMTP`, or of `protocol` where that is LMTP.
    """

    def __init__(self, handler: object, *, protocol: type[SMTP] = SMTP, **options: Any) -> None:
        self._handler = handler
        self._protocol = protocol
        self._options = options
        self._controller: _Controller | None = None

    def start(self, host: str = "127.0.0.1", port: int = 0) -> Self:
        """Listen; with port 0 on a free one. Raises `CannotListen` where the port is taken."""
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
        """The port it listens on. Raises RuntimeError unless it was started."""
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
    """Listens on a socket that is bound already: its port is known and a taken one fails at once."""

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
        """Named `localhost`, since aiosmtpd would ask a name server on every connection."""
        return self._protocol(
            self.handler,
            hostname="localhost",
            enable_SMTPUTF8=True,
            loop=self.loop,
            **self._options,
        )
