"""Whom a letter without a delivery status is about: the addresses that could not be reached.

Servers have written such letters in their own words for forty years. Shapes that many share are
read here; flufl.bounce knows those of single programs; the returned mail's own recipient is the
last resort, and a safe one, since a digest has exactly one.
"""

import logging
import re
from email.message import Message

from flufl.bounce import all_failures

from service.bounces.inbound.mime_parts import MOST_RECIPIENTS

log = logging.getLogger(__name__)
# It tells every detector that gives up, with a traceback; on hostile mails that is usual.
logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL + 1)

_LOCAL = r"(?:\"[^\"\s@]{1,64}\"|[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64})"
_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_-]{1,63}){0,8}"
ADDRESS = re.compile(rf"(?<![A-Za-z0-9.@+_-])({_LOCAL}@{_HOST})")

# The surest shapes first; the letter's first shape that is found decides.
_SHAPES = tuple(
    re.compile(pattern.replace("ADDRESS", rf"<?({_LOCAL}@{_HOST})>?"), re.IGNORECASE | re.MULTILINE)
    for pattern in (
        # A line of its own for each failed address, as Exim, qmail and Postfix write it.
        r"^[ \t>*-]*ADDRESS[ \t]*:?[ \t]*$",
        r"^[ \t]*<(?=[^<>\s]+>)ADDRESS[ \t]*:",
        r"^[ \t]*ADDRESS[ \t]*:(?:\s|$)",
        r"^[ \t]*<?ADDRESS(?:\.{3}|[ \t]+\(|[ \t]*[;,-][ \t]|[ \t]{2,}|\t)",
        r"\b(?:rcpt[ _-]?to|failed address|recipients?|to address|unknown user|user unknown|mailto|address(?:ee)?|deliver(?:ed|y|ing)? to|sent to|for|to)\b\W{0,6}\s{0,40}(?<!\w)ADDRESS",
        r"\b(?:user|account|mail ?box|address|recipient)\b\W{1,4}ADDRESS",
    )
)
_NOBODY = re.compile(
    r"(?i)^(?:mailer-daemon|postmaster|mail-daemon|mailer|abuse|root|daemon|noreply|no-reply|bounces?)(?:[+-][^@]*)?@"
)


def find_addresses(
    letter: str, sample: Message, returned: Message | None, ours: frozenset[str]
) -> tuple[str, ...]:
    """The failed addresses, in the order of the letter; `ours` (lower case) are never meant."""
    named: list[str] = ADDRESS.findall(str(sample.get("X-Failed-Recipients", ""))[:4000])
    return (
        _kept(named, ours)
        or _kept(_ask_flufl(sample), ours)
        or _by_shape(letter, ours)
        or _recipients(returned, ours)
        or _kept([one.rstrip(".") for one in ADDRESS.findall(letter)], ours)[:1]
        # Somebody who writes to themselves.
        or _by_shape(letter, frozenset())
    )


def _by_shape(letter: str, ours: frozenset[str]) -> tuple[str, ...]:
    for shape in _SHAPES:
        if found := _kept([one.rstrip(".") for one in shape.findall(letter)], ours):
            return found
    return ()


def _ask_flufl(message: Message) -> list[str]:
    try:
        delayed, failed = all_failures(message)
    except Exception:  # thirty heuristics of others over hostile text: none may stop us
        log.debug("flufl.bounce gave up", exc_info=True)
        return []
    return sorted(one.decode("ascii", "replace") for one in (*failed, *delayed) if one)


def _recipients(returned: Message | None, ours: frozenset[str]) -> tuple[str, ...]:
    if returned is None:
        return ()
    for name in ("X-Original-To", "Delivered-To", "To"):
        if found := _kept(ADDRESS.findall(str(returned.get(name, ""))), ours):
            return found
    return ()


def _kept(addresses: list[str], ours: frozenset[str]) -> tuple[str, ...]:
    wanted = dict.fromkeys(
        one
        for one in addresses
        if one.lower() not in ours and not _NOBODY.match(one) and "@" in one
    )
    return tuple(wanted)[:MOST_RECIPIENTS]


def piece_about(letter: str, address: str, others: tuple[str, ...]) -> str:
    """What a letter says of one of several addresses: from its name to the next one's."""
    start = letter.find(address)
    if start < 0 or not others:
        return letter
    ends = [letter.find(other, start + len(address)) for other in others]
    end = min((place for place in ends if place > start), default=len(letter))
    return letter[start:end]
