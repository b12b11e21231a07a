"""Normalised addresses as keys: two spellings of one mailbox are one subscriber, one suppression."""

import hashlib
import hmac

from service.platform.caches import cached


def email_key(address: str) -> str:
    """Return the form under which an address is unique: domain and local part case-folded.

    RFC 5321 §2.4 lets local parts differ by case; no provider does so, and treating them as different
    would allow flooding one person with confirmations through many spellings of one address.
    The domain is expected as A-labels; tags (`+news`) stay, since they may be distinct mailboxes.
    """
    local, _, domain = address.strip().rpartition("@")
    return f"{local.casefold()}@{domain.casefold().rstrip('.')}"


# Cached because each delivery looks its subscriber up twice: when claimed, and before it is sent.
@cached("address hashes", maxsize=4096)
def address_hash(key: str, secret: str) -> bytes:
    """Return a keyed hash (HMAC-SHA-256, 32 bytes) of an `email_key`, stored in its place."""
    return hmac.digest(secret.encode(), b"suppression\0" + key.encode(), hashlib.sha256)


def fingerprint(key: str) -> str:
    """Return 12 hexadecimal digits of the SHA-256 of an `email_key`: they bind a link to an address."""
    return hashlib.sha256(key.encode()).hexdigest()[:12]
