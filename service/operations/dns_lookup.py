"""DNS look-ups for the doctor, each name once."""

from collections.abc import Callable
from typing import Any

import dns.exception
import dns.resolver
import dns.reversename

DNS_SECONDS = 3.0


class DnsUnavailable(Exception):
    """No name server answered; the text says why."""


class DnsLookup:
    """Looks records up with one resolver: the system's, unless another is given.

    Every method returns nothing where the name or the record does not exist, and raises
    `DnsUnavailable` where nobody answers: after the first timeout at once, since one without any
    network would wait for every name.
    """

    def __init__(self, resolver: dns.resolver.Resolver | None = None) -> None:
        self._resolver = resolver
        self._known: dict[tuple[str, str], list[Any]] = {}
        self._silent = ""

    def txt(self, name: str) -> list[str]:
        return self._find(
            name, "TXT", lambda each: b"".join(each.strings).decode("ascii", "replace")
        )

    def addresses(self, name: str) -> list[str]:
        return [*self._find(name, "A", str), *self._find(name, "AAAA", str)]

    def mx(self, name: str) -> list[str]:
        found = self._find(name, "MX", lambda each: (each.preference, _text(each.exchange)))
        return [host for _, host in sorted(found)]

    def ptr(self, address: str) -> list[str]:
        name = dns.reversename.from_address(address).to_text()
        return self._find(name, "PTR", lambda each: _text(each.target))

    def _find(self, name: str, kind: str, read: Callable[[Any], Any]) -> list[Any]:
        key = (name.lower().rstrip("."), kind)
        if key not in self._known:
            self._known[key] = [read(each) for each in self._ask(*key)]
        return self._known[key]

    def _ask(self, name: str, kind: str) -> list[Any]:
        if self._silent:
            raise DnsUnavailable(self._silent)
        try:
            resolver = self._resolver or dns.resolver.get_default_resolver()
            return list(resolver.resolve(f"{name}.", kind, lifetime=DNS_SECONDS))
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except (dns.exception.Timeout, dns.resolver.NoResolverConfiguration) as error:
            self._silent = type(error).__name__
            raise DnsUnavailable(self._silent) from error
        except dns.exception.DNSException as error:
            raise DnsUnavailable(f"{type(error).__name__} for {name}") from error


def _text(name: Any) -> str:
    return str(name.to_text(omit_final_dot=True)).lower().rstrip(".")
