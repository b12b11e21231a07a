"""What a stranger's text may not bring into a mail: control characters, odd addresses."""

import re
from urllib.parse import urlsplit

from markupsafe import Markup, escape

from service.platform.caches import cached

# C0 and C1 controls break MJML or mail programs, surrogates cannot be encoded, and the explicit
# direction marks would turn round whatever follows a name. Noncharacters are ours alone (`runs`).
_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff]"
)
_LINE_ENDS = re.compile("\r\n|[\r\x85\u2028\u2029]")
_NOT_IN_ADDRESS = re.compile(r"[\s\x00-\x20\x7f-\x9f<>\"\\^`{|}]")
_LONGEST_ADDRESS = 2_000
# What most addresses are, told apart without taking them to pieces.
_ORDINARY = re.compile(
    r"https?://[A-Za-z0-9.-]*[A-Za-z0-9](?::\d{1,5})?(?:[/?#][A-Za-z0-9._~/%?#&=+:-]*)?"
)


class UnsafeOwnLink(ValueError):
    """A link of ours is not an http(s) address; one line that says what to do."""


def clean(text: str) -> str:
    """`text` without characters that no mail may hold; every line end is a newline."""
    if text.isprintable():
        # All that is forbidden is not printable to Unicode, and most texts of a mail are.
        return text
    return _FORBIDDEN.sub("", _LINE_ENDS.sub("\n", text))


def isolated(text: str) -> Markup:
    """A name inside a sentence, in its own direction where it may have another than ours.

    A span and not `bdi`, which Gmail and Outlook take out.
    """
    if text.isascii():
        return escape(text)
    return Markup('<span dir="auto">{}</span>').format(text)


def safe_url(address: str) -> str:
    """`address` where it is http or https with a host and nothing odd in it, otherwise empty."""
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


# Both parts of a mail show the same.
@cached("links of ours", maxsize=256)
def require_own_url(address: str) -> str:
    """An address of ours, without which the mail must not go: raises `UnsafeOwnLink` if unsafe."""
    if not safe_url(address):
        raise UnsafeOwnLink("a link of ours is not an http(s) address: check PAPERBOY_BASE_URL")
    return address
