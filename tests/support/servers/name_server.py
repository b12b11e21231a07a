"""A real DNS server on loopback, with the records of a test."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.rrset


class NameServer:
    """`records` has a TXT record by name, where None is a server failure; `others` has the rest.

    The keys of `others` are (name, type), its values the records' text, as in a zone file.
    """

    def __init__(self) -> None:
        self.records: dict[str, str | None] = {}
        self.others: dict[tuple[str, str], list[str]] = {}
        self.asked: list[str] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def resolver(self) -> dns.resolver.Resolver:
        """A resolver that asks this server."""
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers = ["127.0.0.1"]
        resolver.port = int(self._socket.getsockname()[1])
        return resolver

    def stop(self) -> None:
        # An empty datagram is no question: it ends the loop.
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join(5)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            wire, asker = self._socket.recvfrom(4096)
            if not wire:
                return
            self._socket.sendto(self._answer(dns.message.from_wire(wire)).to_wire(), asker)

    def _answer(self, query: dns.message.Message) -> dns.message.Message:
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append(f"{name} {kind}")
        if name in self.records and self.records[name] is None:
            answer.set_rcode(dns.rcode.SERVFAIL)
            return answer
        found = list(self.others.get((name, kind), ()))
        if kind == "TXT" and self.records.get(name):
            found.append(f'"{self.records[name]}"')
        if found:
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *found))
        elif name not in self.records and name not in {each for each, _ in self.others}:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer


@contextmanager
def running_name_server() -> Iterator[NameServer]:
    server = NameServer()
    try:
        yield server
    finally:
        server.stop()
