"""Sanitizing untrusted text and URLs before they go into a mail or a page."""

import re
from urllib.parse import urlsplit

from markupsafe import Markup, escape

# C0 and C1 controls break MJML or mail programs, surrogates cannot be encoded, explicit direction
# marks would reorder the text after a name, and noncharacters mark slots (`fragments`).
_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff]"
)
_LINE_ENDS = re.compile("\r\n|[\r\x85\u2028\u2029]")
_NOT_IN_ADDRESS = re.compile(r"[\s\x00-\x20\x7f-\x9f<>\"\\^`{|}]")
_LONGEST_ADDRESS = 2_000
# Matches most addresses, so that they need not be parsed.
_ORDINARY = re.compile(
    r"https?://[A-Za-z0-9.-]*[A-Za-z0-9](?::\d{1,5})?(?:[/?#][A-Za-z0-9._~/%?#&=+:-]*)?"
)


class UnsafeOwnLink(ValueError):
    """One of our own links is not an http(s) address; the message says how to fix it."""


def clean(text: str) -> str:
    """Return `text` without forbidden characters and with `\\n` as its only line end."""
    if text.isprintable() or text.replace("\n", "").isprintable():
        # Unicode counts no forbidden character as printable, nor any other line end.
        return text
    return _FORBIDDEN.sub("", _LINE_ENDS.sub("\n", text))


def isolated(text: str) -> Markup:
    """Return `text` as HTML whose direction does not affect the sentence around it.

    A span and not `bdi`, which Gmail and Outlook remove.
    """
    if text.isascii():
        return escape(text)
    return Markup('<span dir="auto">{}</span>').format(text)


def safe_url(address: str) -> str:
    """Return `address` if it is a safe http(s) URL with a host, otherwise an empty string."""
    if len(address) <= _LONGEST_ADDRESS and _ORDINARY.fullmatch(address):
        return address
    if len(address) > _LONGEST_ADDRESS or clean(address) != address:
        return ""
    if _NOT_IN_ADDRESS.search(address):
        return ""
    try:
        parts = urlsplit(address)
        is_safe = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return ""
    return address if is_safe else ""


def require_own_url(address: str) -> str:
    """Return `address`, one of our own links; raises `UnsafeOwnLink` if it is unsafe."""
    if not safe_url(address):
        raise UnsafeOwnLink("a link of ours is not an http(s) address: check PAPERBOY_BASE_URL")
    return address
