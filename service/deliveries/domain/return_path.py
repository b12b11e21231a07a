"""The signed return path (VERP): one address per delivery, so that a bounce identifies it.

`bounce+2s-k3v5…@bounces.example.org` (variable envelope return path). Without the signature anybody
could end a subscription by sending forged bounces. Mail servers may change the case of a local
part, and it may have at most 64 octets (RFC 5321 §2.4, §4.5.3.1.1), so it is base 36 and base 32 in
lower case: at most 46 octets.
"""

import base64
import hmac
import re

from service.platform.signing.keyed_hash import keyed_hash

_PREFIX = "bounce+"
# 80 bits: a guess succeeds once in 10^24 tries, and each try is a connection to us.
_PROOF_BYTES = 10
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_PATH = re.compile(r"bounce\+([0-9a-z]{1,13})-([a-z2-7]{16})@([^@\s<>]+)", re.IGNORECASE | re.ASCII)


def make_return_path(delivery_id: int, domain: str, secret: str) -> str:
    """Return the envelope sender of one delivery. The same arguments give the same address."""
    return f"{_PREFIX}{_base36(delivery_id)}-{_proof(delivery_id, secret)}@{domain}"


def parse_return_path(address: str, domain: str, secrets: tuple[str, ...]) -> int | None:
    """Return the delivery that a return path names, or None if we did not sign it for `domain`."""
    found = _PATH.fullmatch(address.strip().removeprefix("<").removesuffix(">"))
    if found is None or not domain or found[3].lower().rstrip(".") != domain.lower():
        return None
    delivery_id, given = int(found[1], 36), found[2].lower()
    # Every key is tried, so that the response time does not reveal which key matched.
    known = [hmac.compare_digest(given, _proof(delivery_id, secret)) for secret in secrets]
    return delivery_id if any(known) else None


def _proof(delivery_id: int, secret: str) -> str:
    digest = keyed_hash(secret.encode())(b"return-path\0%d" % delivery_id)
    return base64.b32encode(digest[:_PROOF_BYTES]).decode("ascii").lower()


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, rest = divmod(number, 36)
        digits = _DIGITS[rest] + digits
    return digits or "0"
