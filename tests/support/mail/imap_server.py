"""An IMAP server on loopback with one folder of mail: as much of RFC 3501 as reading bounces needs."""

import re
import socketserver
import ssl
import threading
from base64 import b64decode
from contextlib import ExitStack
from dataclasses import dataclass, field
from io import BufferedIOBase
from typing import Self

LOGIN = ("bounces", 'a "quoted" password')


@dataclass
class ImapServer:
    """`messages` by number; `seen` are those marked. `refuses` are commands answered with NO.

    `folders` are the others, with the messages that were moved or copied to them; `extensions` are
    added to its capabilities. With `tls` the server supports STARTTLS. `logins` has the kind of each login: `LOGIN` or the decoded
    response of XOAUTH2, followed by ` over TLS` where it was.
    """

    messages: dict[int, bytes]
    seen: set[int] = field(default_factory=set)
    refuses: set[str] = field(default_factory=set)
    tls: ssl.SSLContext | None = None
    logins: list[str] = field(default_factory=list)
    selected: list[str] = field(default_factory=list)
    folders: dict[str, list[bytes]] = field(default_factory=dict)
    extensions: str = "MOVE"
    deleted: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        server = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                server.serve(self)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def serve(self, handler: socketserver.StreamRequestHandler) -> None:
        with ExitStack() as opened:
            self._serve(handler, opened)

    def _serve(self, handler: socketserver.StreamRequestHandler, opened: ExitStack) -> None:
        reader: BufferedIOBase = handler.rfile
        writer: BufferedIOBase = handler.wfile
        over = ""
        writer.write(b"* OK IMAP4rev1 ready\r\n")
        while line := reader.readline():
            tag, _, command = line.decode().strip().partition(" ")
            verb = next((v for v in self.refuses if command.startswith(v)), None)
            if verb is not None:
                writer.write(f"{tag} NO not now\r\n".encode())
                writer.flush()
                continue
            if command.startswith("AUTHENTICATE XOAUTH2"):
                writer.write(b"+ \r\n")
                writer.flush()
                self.logins.append(b64decode(reader.readline()).decode() + over)
            elif command.startswith("LOGIN"):
                self.logins.append(f"LOGIN{over}")
            writer.write(self.answer(command))
            writer.write(f"{tag} OK done\r\n".encode())
            writer.flush()
            if command.startswith("STARTTLS") and self.tls:
                secured = opened.enter_context(
                    self.tls.wrap_socket(handler.connection, server_side=True)
                )
                reader = opened.enter_context(secured.makefile("rb"))
                writer = opened.enter_context(secured.makefile("wb"))
                over = " over TLS"
            if command.startswith("LOGOUT"):
                return

    def answer(self, command: str) -> bytes:
        if command.startswith("CAPABILITY"):
            starttls = " STARTTLS" if self.tls else ""
            return f"* CAPABILITY IMAP4rev1 AUTH=XOAUTH2 {self.extensions}{starttls}\r\n".encode()
        if command.startswith("LOGIN"):
            words = re.findall(r'"((?:[^"\\]|\\.)*)"|(\S+)', command.removeprefix("LOGIN "))
            given = tuple((quoted or bare).replace('\\"', '"') for quoted, bare in words)
            assert given == LOGIN, given
        if command.startswith("SELECT"):
            self.selected.append(command.removeprefix("SELECT "))
            return f"* {len(self.messages)} EXISTS\r\n".encode()
        if command.startswith("UID SEARCH UNSEEN"):
            unseen = sorted(self.messages.keys() - self.seen)
            return f"* SEARCH {' '.join(map(str, unseen))}\r\n".encode()
        if found := re.match(r"UID FETCH (\d+) \(BODY\.PEEK\[\]<0\.(\d+)>\)", command):
            raw = self.messages[int(found[1])][: int(found[2])]
            if not raw:
                return b""  # expunged meanwhile
            return (
                f"* 1 FETCH (UID {found[1]} BODY[]<0> {{{len(raw)}}}\r\n".encode() + raw + b")\r\n"
            )
        if found := re.match(r"UID STORE (\d+) \+FLAGS\.SILENT \(\\Seen\)", command):
            self.seen.add(int(found[1]))
        return self._answer_about_folders(command)

    def _answer_about_folders(self, command: str) -> bytes:
        if found := re.match(r'LIST "" "([^"]+)"', command):
            known = found[1] in self.folders
            return f'* LIST () "." "{found[1]}"\r\n'.encode() if known else b""
        if found := re.match(r'CREATE "([^"]+)"', command):
            self.folders[found[1]] = []
        if found := re.match(r'UID (MOVE|COPY) (\d+) "([^"]+)"', command):
            self.folders[found[3]].append(self.messages[int(found[2])])
            if found[1] == "MOVE":
                del self.messages[int(found[2])]
        if found := re.match(r"UID STORE (\d+) \+FLAGS\.SILENT \(\\Deleted\)", command):
            self.deleted.add(int(found[1]))
        if found := re.match(r"UID EXPUNGE (\d+)", command):
            assert int(found[1]) in self.deleted
            del self.messages[int(found[1])]
        return b""
