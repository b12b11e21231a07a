"""DKIM signatures (RFC 6376) with RSA and Ed25519 (RFC 8463), relaxed/relaxed, several per mail.

Not dkimpy's, which parses each message again and signs RSA in pure Python; tests verify our
signatures with it. Keys are read once, and all signatures share one hash of the body.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from service.messages.domain.errors import HeaderError
from service.platform.caches import cached

if TYPE_CHECKING:
    from service.platform.settings.dkim_keys import DkimKey

# The signed header fields. RFC 8058 requires the two List-Unsubscribe fields among them.
SIGNED_FIELDS = (
    b"from to subject date message-id reply-to mime-version content-type list-id list-unsubscribe"
    b" list-unsubscribe-post list-post auto-submitted feedback-id"
).split()
# Oversigned: listed once more than it occurs, so nobody can add a second one (RFC 6376 §8.15).
_OVERSIGNED = b"from"

_SPACES = re.compile(rb"[ \t]+")
_SPACES_AT_END = re.compile(rb"[ \t]+(?=\r\n)")
_PIECE = 68


class DkimSigner:
    """A signer for one domain with all of its keys; stateless, so threads can share it."""

    def __init__(self, domain: str, keys: Sequence[DkimKey]) -> None:
        self.domain = domain
        self.keys = tuple(keys)

    def sign(self, message: bytes, at: datetime) -> bytes:
        """Return the message (CRLF line ends, as on the wire) with its signatures before it.

        `at` is aware and becomes `t=`. Raises `HeaderError` where a message has no body or not
        exactly one From, since receivers reject such a message.
        """
        head, gap, body = message.partition(b"\r\n\r\n")
        if not gap:
            raise HeaderError("a message without a body cannot be signed")
        named, relaxed = _signed_fields(head)
        body_hash = base64.b64encode(hashlib.sha256(relax_body(body)).digest())
        seconds = int(at.timestamp())
        stamps = [self._stamp(key, named, relaxed, body_hash, seconds) for key in self.keys]
        return b"".join([*stamps, message])

    def _stamp(
        self, key: DkimKey, named: bytes, relaxed: bytes, body_hash: bytes, seconds: int
    ) -> bytes:
        start = (
            f"v=1; a={key.algorithm}-sha256; c=relaxed/relaxed; d={self.domain};"
            f" s={key.selector}; t={seconds}"
        ).encode("ascii")
        # The signed form has no folds and an empty `b=`; receivers unfold the field to this form.
        value = b"%b; h=%b; bh=%b; b=" % (start, named.replace(b"\r\n", b""), body_hash)
        digest = hashlib.sha256(relaxed + b"dkim-signature:" + value).digest()
        signature = base64.b64encode(key.sign(digest))
        pieces = [signature[i : i + _PIECE] for i in range(0, len(signature), _PIECE)]
        tags = (start, b" h=" + named, b" bh=" + body_hash, b" b=" + b"\r\n ".join(pieces))
        return b"DKIM-Signature: " + b";\r\n".join(tags) + b"\r\n"


def relax_body(body: bytes) -> bytes:
    """Return the body in relaxed form (RFC 6376 §3.4.4); most of ours already are."""
    if b"  " in body or b"\t" in body or b" \r\n" in body:
        body = _SPACES.sub(b" ", _SPACES_AT_END.sub(b"", body))
    stripped = body.rstrip(b"\r\n")
    return stripped + b"\r\n" if stripped else b""


def _signed_fields(head: bytes) -> tuple[bytes, bytes]:
    """Return the names for `h=`, and the fields in relaxed form (RFC 6376 §3.4.2)."""
    found: dict[bytes, list[bytes]] = {}
    for line in head.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ").split(b"\r\n"):
        name, _, value = line.partition(b":")
        name = name.strip().lower()
        if name in SIGNED_FIELDS:
            found.setdefault(name, []).append(_SPACES.sub(b" ", value).strip())
    if len(found.get(_OVERSIGNED, ())) != 1:
        raise HeaderError("a message without exactly one From cannot be signed")
    # Of several fields with the same name the last is signed first (RFC 6376 §5.4.2).
    chosen = [(name, value) for name in SIGNED_FIELDS for value in reversed(found.get(name, ()))]
    names = [_OVERSIGNED, *(name for name, _ in chosen)]
    half = len(names) // 2 + 1
    named = b":".join(names[:half]) + b":\r\n " + b":".join(names[half:])
    return named, b"".join(b"%b:%b\r\n" % pair for pair in chosen)


def compare_record(key: DkimKey, record: str) -> str:
    """Return what is wrong with a published TXT record for this key, or an empty string."""
    tags = {
        name.strip(): "".join(value.split())
        for name, _, value in (tag.partition("=") for tag in record.split(";"))
    }
    kind = tags.get("k", "rsa")
    wrongs = {
        "the record is not a DKIM key": tags.get("v", "DKIM1") != "DKIM1" or "p" not in tags,
        "the record revokes the key (p= is empty)": not tags.get("p"),
        f"the record is for {kind}, the key file is {key.algorithm}": kind != key.algorithm,
        "the record has another public key than the key file": tags.get("p") != key.public,
        "the record does not allow sha256 (h=)": "sha256" not in tags.get("h", "sha256").split(":"),
        "the record is not for email (s=)": not {"*", "email"} & {*tags.get("s", "*").split(":")},
        "the record says that you only test (t=y)": "y" in tags.get("t", "").split(":"),
    }
    return next((wrong for wrong, is_so in wrongs.items() if is_so), "")


@cached("DKIM signers", maxsize=4)
def load_signer(domain: str, keys: tuple[str, ...]) -> DkimSigner:
    """Return this process's signer, its keys read once."""
    # Its cryptography takes 7 MiB of a process; mostly the relay signs.
    from service.platform.settings.dkim_keys import load_dkim_key

    return DkimSigner(domain, [load_dkim_key(key) for key in keys])
