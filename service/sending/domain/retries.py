"""Retry policy: when a mail that was not accepted is tried again, by the kind of reply (back-off).

Sources: RFC 5321 §4.5.4.1 (retrying), RFC 6647 (greylisting), RFC 3463 (enhanced codes). Waits are
stored in a column (`due_at`); nothing here reads a clock. The jitter is a function of the delivery
and its number of deferrals, so the decision is deterministic.
"""

import re
import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.deliveries.domain.recipients import SuppressionReason
from service.deliveries.domain.refusals import CERTAIN, classify_refusal
from service.deliveries.domain.states import (
    DEAD_ADDRESS_CODES,
    BounceVerdict,
    Decision,
    DeliveryState,
    SendOutcome,
    enhanced_code,
)
from service.sending.domain.smtp_replies import ReplyKind, classify_reply

S = DeliveryState
K = ReplyKind

# Minutes before the second, third … try; the last wait repeats until the mail would be too late.
RETRY_MINUTES: dict[ReplyKind, tuple[int, ...]] = {
    # Most greylists open after five to fifteen minutes and close again after hours.
    K.GREYLISTED: (15, 30, 60, 120),
    K.PUT_OFF: (15, 30, 60, 120),
    # A full mailbox is rarely emptied within a quarter of an hour.
    K.FULL: (60, 120, 240),
    # The provider's limit holds these back as well, see `service.sending.domain.provider_limits`.
    K.THROTTLED: (5, 15, 30, 60),
    # Refused for our reputation or setup: two more tries, then the mail has failed.
    K.POLICY: (60, 240),
    # Not caused by the mail, so it does not count as a deferral; the relay itself rests meanwhile.
    K.RELAY: (2,),
}
# A withdrawn mail was refused by nobody, so it is due as before.
_WITHOUT_WAIT = {K.ACCEPTED: S.SENT, K.UNANSWERED: S.IN_DOUBT, K.WITHDRAWN: S.QUEUED}
# Up to this share of a wait is added to it, so that mails deferred together spread out.
JITTER = 0.2

# "try again in 5 minutes", "retry after 300 seconds", "greylisted for 60s", "come back in 1 hour".
_WAIT = re.compile(
    r"(?:again|retry|come back|wait|delayed|listed)\D{0,40}?(\d{1,6}) ?"
    r"(s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?)\b",
    re.IGNORECASE,
)
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600}
# Added to the wait that a reply asks for, because clocks differ.
_GRACE = timedelta(seconds=10)
# A longer requested wait is cut, so that the mail is tried again on the same day.
_LONGEST_REQUESTED = timedelta(hours=4)


@dataclass(frozen=True, slots=True)
class Tries:
    """The row's values for a decision: its number of deferrals, and when sending is too late.

    `is_paused`: its provider's breaker is open, so a policy refusal does not count.
    """

    delivery_id: int
    deferral_count: int
    send_not_after: datetime
    is_paused: bool = False


def decide(outcome: SendOutcome, tries: Tries, now: datetime) -> Decision:
    """Return the next state after one try. It is total: every outcome has a decision.

    Before the final dot a mail was certainly not accepted; a reply after it decides; no reply after
    it is `in_doubt`. Only certain refusals of the address suppress it. A mail whose next try would be after
    `send_not_after` fails now, with the reason `late`.
    """
    kind = classify_reply(outcome)
    if kind in _WITHOUT_WAIT:
        return Decision(_WITHOUT_WAIT[kind], outcome.reply or "no reply after the message")
    if kind is K.REFUSED:
        refusal = classify_refusal("", outcome.reply)
        # The words may say that the code is not meant.
        is_dead = (
            enhanced_code(outcome.text) in DEAD_ADDRESS_CODES
            and refusal.verdict is BounceVerdict.ADDRESS
            and refusal.weight == CERTAIN
        )
        blame = SuppressionReason.HARD_BOUNCE if is_dead else None
        return Decision(S.FAILED, outcome.reply, suppress=blame)
    counts = kind is not K.RELAY and not (kind is K.POLICY and tries.is_paused)
    if kind is K.POLICY and counts and tries.deferral_count >= len(RETRY_MINUTES[kind]):
        return Decision(S.FAILED, f"policy: {outcome.reply}")
    wait = retry_delay(kind, tries.delivery_id, tries.deferral_count, outcome.text)
    if now + wait >= tries.send_not_after:
        return Decision(S.FAILED, f"late: {outcome.reply}")
    return Decision(S.QUEUED, outcome.reply, retry_after=wait, is_deferral=counts)


def retry_delay(
    kind: ReplyKind, delivery_id: int, deferral_count: int, text: str = ""
) -> timedelta:
    """Return the wait after a reply of a kind, for a mail that was deferred `deferral_count` times.

    A wait that the reply asks for overrides the table.
    """
    minutes = RETRY_MINUTES[kind]
    requested = find_wait(text)
    base = requested or timedelta(minutes=minutes[min(deferral_count, len(minutes) - 1)])
    return base + base * JITTER * _chance(delivery_id, deferral_count)


def find_wait(text: str) -> timedelta | None:
    """Return the wait that a reply asks for, plus ten seconds of grace; None if it asks for none."""
    found = _WAIT.search(text)
    if found is None:
        return None
    requested = timedelta(seconds=int(found[1]) * _UNIT_SECONDS[found[2][0].lower()])
    return min(requested, _LONGEST_REQUESTED) + _GRACE


def _chance(delivery_id: int, deferral_count: int) -> float:
    """Return a deterministic number from 0 to 1, spread evenly over deliveries."""
    return zlib.crc32(b"%d %d" % (delivery_id, deferral_count)) / 2**32
