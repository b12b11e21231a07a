"""The signed return path: an address per delivery, so that a bounce names it and nobody forges it.

`bounce+2s-k3v5…@bounces.example.org` (variable envelope return path). Without the signature
anybody could end anybody's subscription by mailing us invented bounces. Mail servers may change
the case of a local part and it may have 64 octets at most (RFC 5321 §2.4, §4.5.3.1.1), so all of
it is base 36 and base 32 in lower case: 46 octets at the longest.
"""

import base64
import hmac
import re

from service.platform.signing.keyed_hash import keyed_hash

_PREFIX = "bounce+"
# 80 bits: guessed once in 10^24 tries, each of which is a connection to us.
_PROOF_BYTES = 10
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_PATH = re.compile(r"bounce\+([0-9a-z]{1,13})-([a-z2-7]{16})@([^@\s<>]+)", re.IGNORECASE | re.ASCII)


def make_return_path(delivery_id: int, domain: str, secret: str) -> str:
    """The envelope sender of one delivery. The same arguments give the same address."""
    return f"{_PREFIX}{_written(delivery_id)}-{_proof(delivery_id, secret)}@{domain}"


def read_return_path(address: str, domain: str, secrets: tuple[str, ...]) -> int | None:
    """The delivery that a return path names, or None if it was not made by us for `domain`."""
    found = _PATH.fullmatch(address.strip().removeprefix("<").removesuffix(">"))
    if found is None or not domain or found[3].lower().rstrip(".") != domain.lower():
        return None
    delivery_id, given = int(found[1], 36), found[2].lower()
    # Every key is tried, so that the time taken tells nothing of which one it was.
    known = [hmac.compare_digest(given, _proof(delivery_id, secret)) for secret in secrets]
    return delivery_id if any(known) else None


def _proof(delivery_id: int, secret: str) -> str:
    told = keyed_hash(secret.encode())(b"return-path\0%d" % delivery_id)
    return base64.b32encode(told[:_PROOF_BYTES]).decode("ascii").lower()


def _written(number: int) -> str:
    digits = ""
    while number:
        number, rest = divmod(number, 36)
        digits = _DIGITS[rest] + digits
    return digits or "0"
