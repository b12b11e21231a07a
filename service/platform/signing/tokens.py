"""Signed tokens for links, bound to one purpose: no other purpose accepts them.

Signing is itsdangerous' Signer (a pure function; the salt is the purpose). Expiry is checked here,
because the library would read a clock and here `now` is an argument.

A subscriber's tokens also name the random key of its row and its epoch: see `is_held_by`.
"""

import struct
from binascii import b2a_base64
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Protocol

from itsdangerous import BadData, Signer
from itsdangerous.encoding import base64_decode

from service.platform.caches import cached
from service.platform.signing.keyed_hash import keyed_hash


class Purpose(StrEnum):
    CONFIRM = "confirm"
    UNSUBSCRIBE = "unsubscribe"
    PREFERENCES = "preferences"
    NEVER = "never"
    EDITION = "edition"
    FORM = "form"
    CHANGE = "change"
    ADDRESS = "address"
    WAIT = "wait"
    OPERATOR = "operator"
    FEED = "feed"


class TokenError(Exception):
    """A link that cannot be used; the text can be shown on a page."""


class TokenInvalid(TokenError):
    def __init__(self) -> None:
        super().__init__("This link is not complete or was not made by us.")


class TokenExpired(TokenError):
    def __init__(self) -> None:
        super().__init__("This link has expired. Ask for a new one.")


class TokenEnded(TokenError):
    def __init__(self) -> None:
        super().__init__("This link was ended. Ask for a new one.")


NO_KEY = bytes(8)


@dataclass(frozen=True, slots=True)
class Token:
    """The content of a link: `subject` is a row's id, `detail` further data that the purpose needs.

    `key` and `epoch` are the subscriber's when the link was made; forms have neither.
    """

    purpose: Purpose
    subject: int
    issued_at: datetime
    detail: str = ""
    key: bytes = NO_KEY
    epoch: int = 0


class LinkHolder(Protocol):
    """What links name of a subscriber: `link_key` has 8 random octets."""

    @property
    def id(self) -> int: ...
    @property
    def link_key(self) -> bytes: ...
    @property
    def link_epoch(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Terms:
    """What the links of a purpose let their holder do, and for how long (None: for ever)."""

    opens: str
    lifetime: timedelta | None = None


# From weak to strong: no page that a token opens contains a token of a stronger purpose. Links to
# leave never expire; those that prove an address or open personal data do.
TERMS: dict[Purpose, Terms] = {
    Purpose.FORM: Terms("proves that a form was fetched before it was posted", timedelta(days=2)),
    Purpose.WAIT: Terms("sends a form again after a wait", timedelta(hours=1)),
    Purpose.EDITION: Terms("shows one digest"),
    Purpose.FEED: Terms("shows the latest digests, as a feed"),
    Purpose.UNSUBSCRIBE: Terms("ends the digests, pauses them, makes them weekly; undo"),
    Purpose.NEVER: Terms("erases and suppresses the address of that mail"),
    Purpose.CHANGE: Terms("mutes, follows, saves, rates, votes; undo", timedelta(days=120)),
    Purpose.PREFERENCES: Terms("all settings and data of a subscriber", timedelta(days=120)),
    Purpose.ADDRESS: Terms("moves a subscriber to the address of that mail", timedelta(days=7)),
    Purpose.CONFIRM: Terms(
        "subscribes the address of that mail, and opens its preferences once", timedelta(days=7)
    ),
    Purpose.OPERATOR: Terms(
        "one form of the operator's pages (CSRF), with the password", timedelta(hours=2)
    ),
}

# Who ends all links gets further mail, which the links to leave in earlier mails must still end.
_OUTLIVE_EPOCHS = frozenset({Purpose.UNSUBSCRIBE, Purpose.NEVER})


def is_held_by(token: Token, holder: LinkHolder) -> bool:
    """Whether a verified token still opens this subscriber's row.

    The key is that of one address in one row, so that neither a later owner of the address nor a
    reused id opens anything. The epoch grows when the address changes and when all links are ended.
    """
    is_of_row = token.key == holder.link_key
    return is_of_row and (token.epoch == holder.link_epoch or token.purpose in _OUTLIVE_EPOCHS)


# Subject, time of issue, key, epoch; the detail follows. 24 octets are 32 letters of base64.
_PAYLOAD = struct.Struct(">QI8sI")


@cached("token verifiers", maxsize=64)
def _verifier(keys: tuple[str, ...], purpose: Purpose) -> Signer:
    # The library's default is HMAC-SHA1, kept for old tokens; we have none.
    return Signer(list(keys), salt=purpose, digest_method=sha256)


def make_token(
    purpose: Purpose, holder: LinkHolder, issued_at: datetime, detail: str = ""
) -> Token:
    """Return a token about a subscriber, bound to its row."""
    return Token(purpose, holder.id, issued_at, detail, holder.link_key, holder.link_epoch)


def sign_token(token: Token, keys: tuple[str, ...]) -> str:
    """Return the token as URL-safe text, signed with the first key. Equal tokens give equal text.

    Same result as the library's `sign`, in a tenth of its time.
    """
    fields = (token.subject, token.issued_at, token.key, token.epoch, token.detail)
    return _sign(_serialize(*fields), token.purpose, keys[0])


def sign_tokens(
    purposes: Iterable[Purpose], holder: LinkHolder, issued_at: datetime, keys: tuple[str, ...]
) -> list[str]:
    """Return signed tokens of several purposes for one subscriber: a digest has three."""
    payload = _serialize(holder.id, issued_at, holder.link_key, holder.link_epoch)
    return [_sign(payload, purpose, keys[0]) for purpose in purposes]


def _serialize(
    subject: int, issued_at: datetime, key: bytes, epoch: int, detail: str = ""
) -> bytes:
    fields = _PAYLOAD.pack(subject, int(issued_at.timestamp()), key, epoch)
    return _base64(fields + detail.encode() if detail else fields)


def _sign(payload: bytes, purpose: Purpose, key: str) -> str:
    return (b"%b.%b" % (payload, _base64(_signer(key, purpose)(payload)))).decode("ascii")


_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def _base64(octets: bytes) -> bytes:
    return b2a_base64(octets, newline=False).translate(_URL_SAFE, b"=")


@cached("token signers", maxsize=64)
def _signer(key: str, purpose: Purpose) -> Callable[[bytes], bytes]:
    return keyed_hash(_verifier((key,), purpose).derive_key())


def verify_token(
    text: str, purpose: Purpose, keys: tuple[str, ...], now: datetime, *, may_be_old: bool = False
) -> Token:
    """Return the token in `text`, verified with every key and against its lifetime at `now`.

    Raises `TokenInvalid` for text that is unsigned, truncated or made for another purpose, and
    `TokenExpired` past its lifetime (unless `may_be_old`, for pages that only explain what to do).
    """
    try:
        # itsdangerous tries its list from the end, so the newest key goes last there.
        octets = base64_decode(_verifier(keys[::-1], purpose).unsign(text))
        subject, issued, key, epoch = _PAYLOAD.unpack_from(octets)
        detail = octets[_PAYLOAD.size :].decode()
    except (BadData, ValueError, struct.error) as error:
        raise TokenInvalid from error
    token = Token(purpose, subject, datetime.fromtimestamp(issued, UTC), detail, key, epoch)
    lifetime = TERMS[purpose].lifetime
    if lifetime is not None and not may_be_old and now - token.issued_at > lifetime:
        raise TokenExpired
    return token
