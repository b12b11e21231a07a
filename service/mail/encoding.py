"""Text as it travels: 7-bit lines of at most 76 characters with CRLF (RFC 2045)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

# What the header block may take of a message's size, with the relay's own signature to come.
HEADER_RESERVE = 2_048


@dataclass(frozen=True, slots=True)
class EncodedText:
    """A text part's body and the name of its Content-Transfer-Encoding."""

    transfer_encoding: str
    body: bytes


def encode_text(text: str) -> EncodedText:
    """UTF-8 in quoted-printable, or in base64 where that is shorter (Chinese, Arabic, emoji)."""
    lines = "\r\n".join(text.splitlines()) + "\r\n"
    octets = lines.encode()
    quoted = binascii.b2a_qp(octets, istext=True)
    if len(quoted) * 3 <= len(octets) * 4:
        return EncodedText("quoted-printable", quoted)
    rows = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    return EncodedText("base64", rows)


def wire_size(*texts: str) -> int:
    """Bytes of a message with these text parts, headers included."""
    return HEADER_RESERVE + sum(len(encode_text(text).body) for text in texts)
