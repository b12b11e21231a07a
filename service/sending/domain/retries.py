"""When a mail that was not taken is tried again: by what the reply is about, and never too late.

Sources: RFC 5321 §4.5.4.1 (retrying), RFC 6647 (greylisting), RFC 3463 (enhanced codes). Waits are
columns (`due_at`); nothing here knows a clock. The jitter is a function of the delivery and of how
often it was put off, so that a decision made twice is the same.
"""

import re
import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.deliveries.domain.recipients import SuppressionReason
from service.deliveries.domain.states import (
    DEAD_ADDRESS_CODES,
    Decision,
    DeliveryState,
    SendOutcome,
    enhanced_code,
)
from service.sending.domain.smtp_replies import ReplyKind, read_reply

S = DeliveryState
K = ReplyKind

# Minutes before the second, third … try; the last one repeats until the mail would come too late.
RETRY_MINUTES: dict[ReplyKind, tuple[int, ...]] = {
    # Most greylists open after five to fifteen minutes and close again after hours.
    K.GREYLISTED: (15, 30, 60, 120),
    K.PUT_OFF: (15, 30, 60, 120),
    # Nobody empties a mailbox within the quarter of an hour.
    K.FULL: (60, 120, 240),
    # The provider's pace holds these back as well, see `service.sending.domain.provider_limits`.
    K.THROTTLED: (5, 15, 30, 60),
    # Refused for what we are: once in an hour, once in the afternoon, then the mail has failed.
    K.POLICY: (60, 240),
    # Not the mail's fault, so it does not count; the relay itself is left alone meanwhile.
    K.RELAY: (2,),
}
# Up to this share of a wait is added to it, so that what was put off together comes apart.
JITTER = 0.2

# "try again in 5 minutes", "retry after 300 seconds", "greylisted for 60s", "come back in 1 hour".
_WAIT = re.compile(
    r"(?:again|retry|come back|wait|delayed|listed)\D{0,40}?(\d{1,6}) ?"
    r"(s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?)\b",
    re.IGNORECASE,
)
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600}
# What is asked is given, with the ten seconds that clocks differ by.
_GRACE = timedelta(seconds=10)
# Whoever asks for longer is asked again before the day is over.
_LONGEST_ASKED = timedelta(hours=4)


@dataclass(frozen=True, slots=True)
class Tries:
    """What a decision needs of the row: how often it was put off, and until when it makes sense.

    `is_held`: its provider's breaker is open, so a refusal for policy says nothing new.
    """

    delivery_id: int
    deferral_count: int
    send_not_after: datetime
    is_held: bool = False


def decide(outcome: SendOutcome, tries: Tries, now: datetime) -> Decision:
    """The next state after one try. Total: every outcome has its decision.

    Before the final dot a mail was certainly not accepted; a reply after it decides; no reply after
    it is `in_doubt`. Only codes that speak of the address suppress it. A mail that would be tried
    again after `send_not_after` has failed now, with the reason `late`.
    """
    kind = read_reply(outcome)
    if kind is K.ACCEPTED:
        return Decision(S.SENT, outcome.reply)
    if kind is K.UNANSWERED:
        return Decision(S.IN_DOUBT, outcome.reply or "no reply after the message")
    if kind is K.REFUSED:
        is_dead = enhanced_code(outcome.text) in DEAD_ADDRESS_CODES
        blame = SuppressionReason.HARD_BOUNCE if is_dead else None
        return Decision(S.FAILED, outcome.reply, suppress=blame)
    if kind is K.POLICY and not tries.is_held and tries.deferral_count >= len(RETRY_MINUTES[kind]):
        return Decision(S.FAILED, f"policy: {outcome.reply}")
    wait = retry_delay(kind, tries.delivery_id, tries.deferral_count, outcome.text)
    if now + wait >= tries.send_not_after:
        return Decision(S.FAILED, f"late: {outcome.reply}")
    counts = kind is not K.RELAY and not (kind is K.POLICY and tries.is_held)
    return Decision(S.QUEUED, outcome.reply, retry_after=wait, is_deferral=counts)


def retry_delay(
    kind: ReplyKind, delivery_id: int, deferral_count: int, text: str = ""
) -> timedelta:
    """How long to wait after a reply of a kind, having been put off `deferral_count` times before.

    What the reply asks for counts for more than our table.
    """
    minutes = RETRY_MINUTES[kind]
    asked = find_wait(text)
    base = asked or timedelta(minutes=minutes[min(deferral_count, len(minutes) - 1)])
    return base + base * JITTER * _chance(delivery_id, deferral_count)


def find_wait(text: str) -> timedelta | None:
    """The wait that a reply asks for, with ten seconds of grace; None where it asks for none."""
    found = _WAIT.search(text)
    if found is None:
        return None
    asked = timedelta(seconds=int(found[1]) * _UNIT_SECONDS[found[2][0].lower()])
    return min(asked, _LONGEST_ASKED) + _GRACE


def _chance(delivery_id: int, deferral_count: int) -> float:
    """From 0 to 1, spread evenly over deliveries."""
    return zlib.crc32(b"%d %d" % (delivery_id, deferral_count)) / 2**32
