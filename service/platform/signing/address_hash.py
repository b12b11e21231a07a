"""Addresses as keys: two spellings of one mailbox are one subscriber, one suppression."""

import hashlib
import hmac

from service.platform.caches import cached


def email_key(address: str) -> str:
    """The form under which an address is unique: domain in lower case, local part folded too.

    RFC 5321 §2.4 lets local parts differ by case; no provider in use does, and treating them as
    different would let one person be bombed with confirmations through spellings of one address.
    The domain is expected as A-labels; tags (`+news`) stay, since they may be distinct mailboxes.
    """
    local, _, domain = address.strip().rpartition("@")
    return f"{local.casefold()}@{domain.casefold().rstrip('.')}"


# A mail's reader is looked up twice, when it is claimed and before it flies.
@cached("address hashes", maxsize=4096)
def address_hash(key: str, secret: str) -> bytes:
    """A keyed hash (HMAC-SHA-256, 32 bytes) of an `email_key`: remembers without naming."""
    return hmac.digest(secret.encode(), b"suppression\0" + key.encode(), hashlib.sha256)


def fingerprint(key: str) -> str:
    """What binds a link to an address without naming it: 12 hexadecimal digits of a normalised one."""
    return hashlib.sha256(key.encode()).hexdigest()[:12]
