"""Signed addresses at the bounce domain: a return path per delivery, and one per subscriber to leave.

`bounce+2s-k3v5…@bounces.example.org` is the return path of a delivery (VERP, variable envelope
return path), so that a bounce identifies it; a mail to `unsubscribe+7b-q2x…@…` ends a subscription.
Without the signature anybody could end those of others; it names the key of the subscriber's links,
too, so that it ends nothing once the mail goes to another address. Mail servers may change the case of a local
part, and it may have at most 64 octets (RFC 5321 §2.4, §4.5.3.1.1), so it is base 36 and base 32 in
lower case: at most 56 octets.
"""

import base64
import hmac
from typing import NamedTuple

from service.platform import linear_regex
from service.platform.signing.keyed_hash import keyed_hash

# 80 bits: a guess succeeds once in 10^24 tries, and each try is a connection to us.
_PROOF_BYTES = 10
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_SIGNED = linear_regex.compile(
    r"(bounce|unsubscribe)\+([0-9a-z]{1,13})-([a-z2-7]{13})?([a-z2-7]{16})@([^@\s<>]+)", "ai"
)
# What is signed begins with the purpose, so that no address is valid for the other one.
_PURPOSES = {"bounce": b"return-path", "unsubscribe": b"unsubscribe-address"}


def make_return_path(delivery_id: int, domain: str, secret: str) -> str:
    """Return the envelope sender of one delivery. The same arguments give the same address."""
    return _make("bounce", delivery_id, domain, secret)


def parse_return_path(address: str, domain: str, secrets: tuple[str, ...]) -> int | None:
    """Return the delivery that a return path names, or None if we did not sign it for `domain`."""
    found = _parse("bounce", address, domain, secrets)
    return found[0] if found else None


class Leaving(NamedTuple):
    """The subscriber whom a mail unsubscribes, by id and by the key of its links."""

    id: int
    link_key: bytes


def make_unsubscribe_address(leaving: Leaving, domain: str, secret: str) -> str:
    """Return the address to which a mail ends a subscription; the same for all mails to an address."""
    return _make("unsubscribe", leaving.id, domain, secret, _base32(leaving.link_key))


def parse_unsubscribe_address(
    address: str, domain: str, secrets: tuple[str, ...]
) -> Leaving | None:
    """Return whom a mail to this address unsubscribes, or None if it is not ours."""
    found = _parse("unsubscribe", address, domain, secrets)
    return Leaving(found[0], base64.b32decode(f"{found[1].upper()}===")) if found else None


def _make(name: str, number: int, domain: str, secret: str, key: str = "") -> str:
    return f"{name}+{_base36(number)}-{key}{_proof(name, number, key, secret)}@{domain}"


def _parse(
    name: str, address: str, domain: str, secrets: tuple[str, ...]
) -> tuple[int, str] | None:
    """Return the number and the key, which only an address to unsubscribe has."""
    # Without case, RE2 counts two signs beyond ASCII as k and s.
    if not address.isascii():
        return None
    found = _SIGNED.fullmatch(address.strip().removeprefix("<").removesuffix(">"))
    if found is None or found[1].lower() != name:
        return None
    if not domain or found[5].lower().rstrip(".") != domain.lower():
        return None
    number, key, given = int(found[2], 36), (found[3] or "").lower(), found[4].lower()
    if bool(key) is not (name == "unsubscribe"):
        return None
    # Every secret is tried, so that the response time does not reveal which one matched.
    known = [hmac.compare_digest(given, _proof(name, number, key, each)) for each in secrets]
    return (number, key) if any(known) else None


def _proof(name: str, number: int, key: str, secret: str) -> str:
    text = b"%b\0%d\0%b" % (_PURPOSES[name], number, key.encode())
    return _base32(keyed_hash(secret.encode())(text)[:_PROOF_BYTES])


def _base32(octets: bytes) -> str:
    return base64.b32encode(octets).decode("ascii").lower().rstrip("=")


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, rest = divmod(number, 36)
        digits = _DIGITS[rest] + digits
    return digits or "0"
