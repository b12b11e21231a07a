"""Message-IDs of ours as a delivery row has them: 14 bytes, where the text has 70.

`<digest.123.4f0c…@example.org>`, see `service.messages.mime.mime.message_id`. Its kind and number are
those of the row, which so needs to have the signature and a mark of the domain. The signature is kept
as it was sent, so that a row is known by it whatever keys there are later.
"""

from zlib import crc32

_SIGNATURE_BYTES = 10


def pack_message_id(message_id: str) -> bytes:
    """Return the signature of a Message-ID of ours, and the mark of its domain.

    Raises `ValueError` for one that is none of ours.
    """
    name, at, domain = message_id.removeprefix("<").removesuffix(">").rpartition("@")
    signature = bytes.fromhex(name.rpartition(".")[2])
    if not at or len(signature) != _SIGNATURE_BYTES:
        raise ValueError("a Message-ID that is not ours")
    return signature + domain_mark(domain)


def domain_mark(domain: str) -> bytes:
    """Return the four bytes that stand for a domain, whose case does not matter."""
    return crc32(domain.lower().encode(errors="replace")).to_bytes(4, "big")


def restore_message_id(kind: str, delivery_id: int, packed: bytes, domain: str) -> str:
    """Return the Message-ID of a delivery; an ellipsis in place of a domain that is not `domain`.

    Empty for a row that was never in flight.
    """
    if not packed:
        return ""
    signature, mark = packed[:_SIGNATURE_BYTES], packed[_SIGNATURE_BYTES:]
    host = domain if mark == domain_mark(domain) else "…"
    return f"<{kind}.{delivery_id}.{signature.hex()}@{host}>"
