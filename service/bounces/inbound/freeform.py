"""Find the failed addresses in a free-form bounce, which has no delivery status (RFC 3464).

Servers have worded such bounces differently for forty years. Patterns that many share are matched
here; flufl.bounce knows those of single programs; the returned mail's own recipient is the last
resort, and a safe one, since a digest has exactly one.
"""

import logging
from email.message import Message

from flufl.bounce import all_failures

from service.bounces.inbound.mime_parts import MOST_RECIPIENTS
from service.platform import linear_regex

log = logging.getLogger(__name__)
# It logs a traceback for every detector that gives up, which is usual on hostile mails.
logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL + 1)

_LOCAL = r"(?:\"[^\"\s@]{1,64}\"|[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64})"
_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_-]{1,63}){0,8}"
# The character before an address belongs to the match, since RE2 cannot look behind.
ADDRESS = linear_regex.compile(rf"(?:^|[^A-Za-z0-9.@+_-])({_LOCAL}@{_HOST})")

# The most reliable patterns first; the first pattern with a match decides.
_PATTERNS = tuple(
    linear_regex.compile(
        pattern.replace("ADDRESS", rf"<?({_LOCAL}@{_HOST})>?").replace(
            "MAILBOX", rf"({_LOCAL}@{_HOST})"
        ),
        "im",
    )
    for pattern in (
        # A line for each failed address, as Exim, qmail and Postfix write it.
        r"^[ \t>*-]*ADDRESS[ \t]*:?[ \t]*$",
        r"^[ \t]*<MAILBOX(?:>[ \t]*:|:[^<>\s]*>)",
        r"^[ \t]*ADDRESS[ \t]*:(?:\s|$)",
        r"^[ \t]*<?ADDRESS(?:\.{3}|[ \t]+\(|[ \t]*[;,-][ \t]|[ \t]{2,}|\t)",
        r"\b(?:rcpt[ _-]?to|failed address|recipients?|to address|unknown user|user unknown|mailto|address(?:ee)?|deliver(?:ed|y|ing)? to|sent to|for|to)\W{1,6}\s{0,40}ADDRESS",
        r"\b(?:user|account|mail ?box|address|recipient)\b\W{1,4}ADDRESS",
    )
)
# Fields and sentences with the address of somebody else: a sender, a helper, or no address at all.
_OTHERS = linear_regex.compile(
    r"(?im)^[ \t>*-]*(?:message-?id|references|in-reply-to|from|sender|reply-to|return-path|cc|errors-to|list-[a-z]+|x-[a-z-]+)[ \t]*:.*$"
    r"|(?:contact|e-?mail us|write to|send (?:an? )?(?:e-?mail|mail) to|forward (?:it|this) to|assistance|questions)[^\n]{0,40}<?[^\s<>]{1,64}@[\w.-]{1,255}>?"
)
_SYSTEM = linear_regex.compile(
    r"(?i)^(?:mailer-daemon|postmaster|mail-daemon|mailer|abuse|root|daemon|noreply|no-reply|bounces?)(?:[+-][^@]*)?@"
)


def find_addresses(
    letter: str, sample: Message, returned: Message | None, ours: frozenset[str]
) -> tuple[str, ...]:
    """Return the failed addresses, in the text's order, without `ours` (lower case)."""
    letter = _OTHERS.sub("", letter)
    named: list[str] = ADDRESS.findall(str(sample.get("X-Failed-Recipients", ""))[:4000])
    return (
        _select(named, ours)
        or _select(_find_by_flufl(sample), ours)
        or _find_by_pattern(letter, ours)
        or _find_recipients(returned, ours)
        # The sender may be the failed recipient as well.
        or _find_by_pattern(letter, frozenset())
    )


def _find_by_pattern(letter: str, ours: frozenset[str]) -> tuple[str, ...]:
    matches = (pattern.findall(letter) for pattern in _PATTERNS)
    found = (_select([match.rstrip(".") for match in each], ours) for each in matches)
    return next(filter(None, found), ())


def _find_by_flufl(message: Message) -> list[str]:
    try:
        delayed, failed = all_failures(message)
    except Exception:  # thirty third-party heuristics on hostile text: none may stop us
        log.debug("flufl.bounce gave up", exc_info=True)
        return []
    return sorted(raw.decode("ascii", "replace") for raw in (*failed, *delayed) if raw)


def _find_recipients(returned: Message | None, ours: frozenset[str]) -> tuple[str, ...]:
    headers = returned or Message()
    values = (str(headers.get(name, "")) for name in ("X-Original-To", "Delivered-To", "To"))
    found = (_select(ADDRESS.findall(value), ours) for value in values)
    return next(filter(None, found), ())


def _select(addresses: list[str], ours: frozenset[str]) -> tuple[str, ...]:
    wanted = dict.fromkeys(
        address
        for address in addresses
        if address.lower() not in ours and not _SYSTEM.match(address) and "@" in address
    )
    return tuple(wanted)[:MOST_RECIPIENTS]


def text_about(letter: str, address: str, others: tuple[str, ...]) -> str:
    """Return the text about one of several addresses: from its place to the next address."""
    start = letter.find(address)
    if start < 0 or not others:
        return letter
    ends = [letter.find(other, start + len(address)) for other in others]
    end = min((place for place in ends if place > start), default=len(letter))
    return letter[start:end]
