"""Classify an SMTP reply by what it is about: the mail, its provider, or the relay."""

import re
from enum import StrEnum

from service.deliveries.domain.refusals import classify_refusal
from service.deliveries.domain.states import BounceVerdict, Phase, SendOutcome, enhanced_code


class ReplyKind(StrEnum):
    """What an outcome is about; it decides whether the mail, its provider or the relay waits."""

    ACCEPTED = "accepted"
    UNANSWERED = "unanswered"
    GREYLISTED = "greylisted"
    FULL = "full"
    THROTTLED = "throttled"
    POLICY = "policy"
    RELAY = "relay"
    WITHDRAWN = "withdrawn"
    PUT_OFF = "put_off"
    REFUSED = "refused"


_GREYLIST = re.compile(r"gr[ae]y.?list|postgrey", re.IGNORECASE)
_RATE_WORDS = re.compile(
    r"rate.?limit|throttl|too (?:many|fast|quickly)|unusual(?:ly)? (?:rate|high)", re.IGNORECASE
)
K = ReplyKind


def classify_reply(outcome: SendOutcome) -> ReplyKind:
    """Return what an outcome is about.

    Before RCPT a relay knows no recipient, so an error there is about the relay or about us.
    """
    code = outcome.code
    if outcome.phase in {Phase.WITHDRAWN, Phase.CONNECT}:
        return K.WITHDRAWN if outcome.phase is Phase.WITHDRAWN else K.RELAY
    if outcome.phase is Phase.MAIL:
        return K.REFUSED if _is_this_mail(outcome) else K.RELAY
    if not code:
        return K.PUT_OFF if outcome.phase is Phase.RCPT else K.UNANSWERED
    if 200 <= code < 300 and outcome.phase is Phase.REPLIED:
        return K.ACCEPTED
    if 500 <= code < 600:
        return K.POLICY if _verdict(outcome) is BounceVerdict.POLICY else K.REFUSED
    return _classify_deferral(outcome)


def _is_this_mail(outcome: SendOutcome) -> bool:
    """Return whether MAIL was refused for good for this mail's size or its invalid address."""
    if outcome.code < 500:
        return False
    is_syntax = enhanced_code(outcome.text).startswith("5.5.")
    return is_syntax or _verdict(outcome) is BounceVerdict.CONTENT


def _verdict(outcome: SendOutcome) -> BounceVerdict:
    return classify_refusal("", outcome.reply).verdict


def _classify_deferral(outcome: SendOutcome) -> ReplyKind:
    status = enhanced_code(outcome.text)
    if _GREYLIST.search(outcome.text):
        return K.GREYLISTED
    if status == "4.2.2":
        return K.FULL
    if outcome.code == 421:
        # A timeout or a server that shuts down does not ask us to send more slowly.
        return K.PUT_OFF if status.startswith(("4.3.", "4.4.")) else K.THROTTLED
    if _RATE_WORDS.search(outcome.text):
        return K.THROTTLED
    if status == "4.7.1":
        return K.GREYLISTED
    return K.THROTTLED if status.startswith("4.7.") else K.PUT_OFF
