"""Pages compressed once, in pieces between which each visitor gets a text of its own (RFC 1951, 1952).

Each piece ends on a whole octet and refers to none before, so that any text may stand between two.
"""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse
from starlette.types import Receive, Scope, Send

# A piece is compressed once and sent many times.
_LEVEL: Final = 6
_RAW: Final = -zlib.MAX_WBITS
# Deflate, no flags, no time, an unknown system.
_GZIP_HEAD: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
# An empty last block of stored octets.
_END: Final = b"\x01\x00\x00\xff\xff"
_MOST_STORED: Final = 0xFFFF


@dataclass(frozen=True, slots=True)
class PackedPiece:
    """A compressed piece of a page: raw deflate without an end, and its size in octets.

    `crc` is how its CRC-32 differs from that of as many zeros: what the text before adds depends on
    the size alone, since a CRC is linear.
    """

    packed: bytes
    crc: int
    size: int


def pack(text: bytes) -> PackedPiece:
    """Return a piece of a page, compressed."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _RAW)
    packed = packer.compress(text) + packer.flush(zlib.Z_FULL_FLUSH)
    return PackedPiece(packed, zlib.crc32(text) ^ zlib.crc32(bytes(len(text))), len(text))


def unpack(piece: PackedPiece) -> bytes:
    return zlib.decompressobj(_RAW).decompress(piece.packed)


def join_packed(pieces: Sequence[PackedPiece], between: bytes) -> bytes:
    """Return a gzip file of the pieces with `between`, of at most 64 KiB, between each two."""
    stored = _store(between)
    crc, size, parts = _join_crc(0, pieces[0]), pieces[0].size, [_GZIP_HEAD, pieces[0].packed]
    for piece in pieces[1:]:
        crc = _join_crc(zlib.crc32(between, crc), piece)
        size += len(between) + piece.size
        parts += (stored, piece.packed)
    return b"".join((*parts, _END, struct.pack("<LL", crc, size & 0xFFFFFFFF)))


def _store(text: bytes) -> bytes:
    """Return a block of stored octets that is not the last."""
    if len(text) > _MOST_STORED:
        raise ValueError("too long for one stored block")
    return struct.pack("<BHH", 0, len(text), len(text) ^ _MOST_STORED) + text


def _join_crc(before: int, piece: PackedPiece) -> int:
    """Return the CRC-32 of a text and a piece after it, without the text of either."""
    return zlib.crc32(bytes(piece.size), before) ^ piece.crc


class PackedResponse(HTMLResponse):
    """A page of pieces: compressed where the client takes that, as `GZipMiddleware` decides it."""

    def __init__(self, pieces: Sequence[PackedPiece], between: bytes, status: int) -> None:
        super().__init__(b"", status)
        self._pieces = pieces
        self._between = between

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if "gzip" in Headers(scope=scope).get("accept-encoding", ""):
            self.body = join_packed(self._pieces, self._between)
            self.headers["Content-Encoding"] = "gzip"
            self.headers["Vary"] = "Accept-Encoding"
        else:
            self.body = self._between.join(map(unpack, self._pieces))
        self.headers["Content-Length"] = str(len(self.body))
        await super().__call__(scope, receive, send)
