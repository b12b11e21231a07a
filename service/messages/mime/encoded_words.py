"""Text outside ASCII in a header: RFC 2047's encoded words, in "Q"."""

from __future__ import annotations

# §5 (3): what a "Q" word may hold in any header; 76 columns with "Subject: =?utf-8?q??=".
_OCTETS = tuple(
    chr(octet) if chr(octet).isascii() and chr(octet).isalnum() else f"={octet:02X}"
    for octet in range(256)
)
_OCTETS = (*_OCTETS[:32], "_", *_OCTETS[33:])
_LONGEST = 55


def encode_words(text: str) -> str:
    """`text` as encoded words that fit on a line each, folded."""
    said = "".join(map(_OCTETS.__getitem__, text.encode()))
    words: list[str] = []
    at = 0
    while at < len(said) or not words:
        end = _last_cut(said, at + _LONGEST)
        words.append(f"=?utf-8?q?{said[at:end]}?=")
        at = end
    return "\r\n ".join(words)


def _last_cut(said: str, at: int) -> int:
    """The last place up to `at` that is between two letters, and so not inside an octet (§5)."""
    if at >= len(said):
        return len(said)
    at -= 1 if said[at - 1] == "=" else 2 if said[at - 2] == "=" else 0
    # In UTF-8 the octets of a letter after its first one begin with the bits 10.
    while said[at] == "=" and said[at + 1] in "89AB":
        at -= 3
    return at
