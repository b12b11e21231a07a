"""An SMTP relay on raw sockets that misbehaves exactly where a test says so.

aiosmtpd, which the other sink uses, cannot drop a connection before its greeting, reply with
garbage after the final dot, or use TLS with a certificate of the test's own in a few lines.
"""

import socket
import ssl
import subprocess
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

# Instead of a reply: close the connection without a word, or say nothing and keep it open.
DROP = "drop"
HANG = "hang"

Answer = str | Callable[[int], str | None]

_POLITE = {
    "GREETING": "220 relay.example ready",
    "EHLO": "250 relay.example",
    "STARTTLS": "220 2.0.0 go ahead",
    "AUTH": "235 2.7.0 accepted",
    "MAIL": "250 2.1.0 ok",
    "RCPT": "250 2.1.5 ok",
    "DATA": "354 go on",
    "DOT": "250 2.0.0 taken",
    "RSET": "250 2.0.0 flushed",
    "QUIT": "221 2.0.0 bye",
}


@dataclass(frozen=True)
class Taken:
    """A completely received message, whatever the reply; `content` is without dot-stuffing."""

    recipient: str
    content: bytes
    is_tls: bool


@dataclass
class ScriptedSmtp:
    """`answers` by verb (`GREETING`, `MAIL`, …, `DOT` for the end of the message).

    A value is a reply, `DROP`, `HANG`, or a function of how often the verb came before (0 is the
    first time, over all connections) that returns one of these or None for the polite reply.
    `extensions` are told in EHLO. With a `context` STARTTLS works, or TLS from the first byte.
    """

    context: ssl.SSLContext | None = None
    is_tls_first: bool = False
    extensions: tuple[str, ...] = ("8BITMIME",)
    answers: dict[str, Answer] = field(default_factory=dict)
    connection_count: int = 0
    verbs: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def stop(self) -> None:
        self._stopped.set()
        # Closing alone would leave accept() asleep.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop_all()
        for thread in self._threads:
            thread.join(timeout=5)

    def drop_all(self) -> None:
        """Close every connection from this end, as a relay does when it restarts."""
        with self._lock:
            for connection in self._open:
                _close(connection)
            self._open.clear()

    def count(self, verb: str) -> int:
        return self.verbs.count(verb)

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connection_count += 1
                self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        conversation = _Conversation(self, connection)
        try:
            conversation.hold()
        except (OSError, ValueError):
            pass  # The client went away, or the test dropped the connection under us.
        finally:
            conversation.close()

    def answer(self, verb: str) -> str:
        with self._lock:
            number = self._counts[verb]
            self._counts[verb] += 1
            self.verbs.append(verb)
        given = self.answers.get(verb)
        reply = given(number) if callable(given) else given
        return reply or _POLITE.get(verb, "502 5.5.1 what?")

    def wait_for_end(self) -> None:
        self._stopped.wait(30)


class _Conversation:
    def __init__(self, relay: ScriptedSmtp, connection: socket.socket) -> None:
        self._relay = relay
        self._socket = connection
        self._stream = connection.makefile("rb")
        self._is_tls = False
        self._recipient = ""

    def hold(self) -> None:
        if self._relay.is_tls_first:
            self._switch_to_tls()
        self._say("GREETING")
        for line in iter(self._read_line, b""):
            text = line.decode("utf-8", "replace").strip()
            self._relay.lines.append(text)
            verb = text.partition(" ")[0].upper()
            getattr(self, f"_{verb.lower()}", self._other)(verb, text)

    def close(self) -> None:
        self._stream.close()
        # After STARTTLS this is another object than the one that was accepted.
        _close(self._socket)

    def _read_line(self) -> bytes:
        return self._stream.readline()

    def _other(self, verb: str, _text: str) -> None:
        self._say(verb)

    def _ehlo(self, verb: str, _text: str) -> None:
        extensions = self._relay.extensions
        if self._relay.context and not self._is_tls:
            extensions = (*extensions, "STARTTLS")
        reply = self._relay.answer(verb)
        lines = [reply[4:], *extensions] if reply.startswith("250") else [reply[4:]]
        reply_lines = [f"{reply[:3]}-{line}" for line in lines[:-1]] + [f"{reply[:3]} {lines[-1]}"]
        self._socket.sendall("\r\n".join(reply_lines).encode() + b"\r\n")

    def _starttls(self, verb: str, _text: str) -> None:
        if self._say(verb).startswith("220") and self._relay.context:
            self._switch_to_tls()

    def _switch_to_tls(self) -> None:
        assert self._relay.context
        self._socket = self._relay.context.wrap_socket(self._socket, server_side=True)
        self._stream = self._socket.makefile("rb")
        self._is_tls = True

    def _rcpt(self, verb: str, text: str) -> None:
        self._recipient = text.partition("<")[2].partition(">")[0]
        self._say(verb)

    def _data(self, verb: str, _text: str) -> None:
        if not self._say(verb).startswith("354"):
            return
        lines = []
        for line in iter(self._read_line, b".\r\n"):
            if not line:
                return
            lines.append(line[1:] if line.startswith(b".") else line)
        self._relay.taken.append(Taken(self._recipient, b"".join(lines), self._is_tls))
        self._say("DOT")

    def _say(self, verb: str) -> str:
        reply = self._relay.answer(verb)
        if reply == DROP:
            raise ConnectionAbortedError
        if reply == HANG:
            self._relay.wait_for_end()
            raise ConnectionAbortedError
        self._socket.sendall(reply.encode() + b"\r\n")
        return reply


def _close(connection: socket.socket) -> None:
    try:
        # A file object on the socket would keep it open past a mere close().
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    connection.close()


def make_certificate(directory: Path) -> Path:
    """Create a self-signed certificate and key for 127.0.0.1 in one file, with openssl."""
    path = directory / "relay.pem"
    key = directory / "relay.key"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            "-subj", "/CN=relay.example", "-addext", "subjectAltName=IP:127.0.0.1",
            "-keyout", str(key), "-out", str(path),
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    path.write_bytes(path.read_bytes() + key.read_bytes())
    return path


def server_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context
