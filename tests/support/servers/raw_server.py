"""A real TCP server on loopback that answers each connection byte by byte, as hostile servers do."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

Play = Callable[[socket.socket], None]

# Longer than any limit of a test, and an end for the server where a client has none.
DRIPS = 300
DRIP_SECONDS = 0.05


class RawServer:
    """Reads each request's head and hands the connection to `play`; records the heads."""

    def __init__(self, play: Play, tls: ssl.SSLContext | None = None) -> None:
        self.heads: list[bytes] = []
        self._play = play
        self._tls = tls
        self._stopped = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        """Without a closing slash."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def drip(self, connection: socket.socket, piece: bytes) -> None:
        """Send a piece twenty times a second until the client leaves or the server stops."""
        for _ in range(DRIPS):
            connection.sendall(piece)
            if self._stopped.wait(DRIP_SECONDS):
                return

    def stop(self) -> None:
        self._stopped.set()
        # Closing alone does not wake the thread that accepts.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(timeout=5)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, raw: socket.socket) -> None:
        with contextlib.suppress(OSError), raw:
            raw.settimeout(20)
            connection = self._tls.wrap_socket(raw, server_side=True) if self._tls else raw
            with connection:
                head = b""
                while b"\r\n\r\n" not in head and (piece := connection.recv(4096)):
                    head += piece
                self.heads.append(head)
                self._play(connection)


@contextlib.contextmanager
def raw_server(play: Callable[[RawServer, socket.socket], None]) -> Iterator[RawServer]:
    """Run a server whose `play` gets the server, too."""
    server = RawServer(lambda connection: play(server, connection))
    try:
        yield server
    finally:
        server.stop()
