"""The state machine of a delivery: allowed transitions, and reasons not to send.

`service.sending.domain.retries` decides what a reply means. Sources: RFC 5321 §4.2 (replies), RFC
3463 (enhanced codes). There is one deliberate departure: a connection lost after the final dot is
*not* treated like a 451 and sent again; it is `in_doubt`, because the receiver may have accepted
the message (decision record 0001).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from service.deliveries.domain.recipients import SubscriberState, SuppressionReason
from service.platform import linear_regex


class DeliveryKind(StrEnum):
    """The kind of email that a delivery sends; each has a folder in `email_templates/`."""

    DIGEST = "digest"
    CONFIRMATION = "confirmation"
    PERSONAL_LINK = "personal_link"
    WELCOME = "welcome"
    FAREWELL = "farewell"
    TOPICS_CHANGED = "topics_changed"
    PAUSED = "paused"
    RESUMED = "resumed"
    ADDRESS_CHANGE = "address_change"
    OPERATOR_ALERT = "operator_alert"
    DAILY_REPORT = "daily_report"
    TEST = "test"
    ADDRESS_NOTICE = "address_notice"
    CATCH_UP = "catch_up"


# Mails to the operator, whose rows have no subscriber.
OPERATOR_KINDS = frozenset({DeliveryKind.OPERATOR_ALERT, DeliveryKind.DAILY_REPORT})


# A confirmation's frozen values name the sign-up that its link confirms.
SIGN_UP_FIELD = "sign_up"


class DeliveryState(StrEnum):
    """The state of a delivery; `NEXT_STATES` has the transitions."""

    QUEUED = "queued"
    CLAIMED = "claimed"
    IN_FLIGHT = "in_flight"
    SENT = "sent"
    FAILED = "failed"
    SKIPPED = "skipped"
    IN_DOUBT = "in_doubt"
    CARRIED = "carried"
    BOUNCED = "bounced"
    COMPLAINED = "complained"

    @property
    def is_final(self) -> bool:
        """Whether only the operator or new evidence (a bounce, a late reply) can change it."""
        return self not in {DeliveryState.QUEUED, DeliveryState.CLAIMED, DeliveryState.IN_FLIGHT}


class BounceVerdict(StrEnum):
    """What a returned mail is about. Only the first two and `complaint` concern the subscriber.

    `address`: there is no such mailbox (any more). `full`: the mailbox accepts nothing now.
    `policy`: the receiver does not want mail from us, or of this kind. `content`: this one mail was
    too large or malformed. `configuration`: a server, a route or a name on the way is broken, often
    ours. `not_a_bounce` includes reports of delays and of successes. `unsubscribe` is no bounce but a
    subscriber's mail to the address in List-Unsubscribe. `unknown`: a failure in words and codes that
    explain nothing; it counts against nobody, and the operator is told once.
    """

    ADDRESS = "address"
    FULL = "full"
    POLICY = "policy"
    CONTENT = "content"
    CONFIGURATION = "configuration"
    COMPLAINT = "complaint"
    AUTO_REPLY = "auto_reply"
    NOT_A_BOUNCE = "not_a_bounce"
    UNSUBSCRIBE = "unsubscribe"
    UNKNOWN = "unknown"


S = DeliveryState

# The allowed transitions. Any other is a bug; tests watch every change of a row in the database.
NEXT_STATES: dict[DeliveryState, frozenset[DeliveryState]] = {
    # Unsent rows fall in doubt only when the database was restored from a backup.
    S.QUEUED: frozenset({S.CLAIMED, S.SKIPPED, S.IN_DOUBT}),
    S.CLAIMED: frozenset({S.IN_FLIGHT, S.QUEUED, S.SKIPPED, S.FAILED, S.IN_DOUBT}),
    S.IN_FLIGHT: frozenset({S.SENT, S.QUEUED, S.FAILED, S.IN_DOUBT}),
    S.IN_DOUBT: frozenset({S.SENT, S.FAILED, S.CARRIED, S.QUEUED, S.BOUNCED, S.COMPLAINED}),
    S.SENT: frozenset({S.BOUNCED, S.COMPLAINED}),
    S.FAILED: frozenset(),
    S.SKIPPED: frozenset(),
    S.CARRIED: frozenset(),
    S.BOUNCED: frozenset({S.COMPLAINED}),
    S.COMPLAINED: frozenset(),
}

# Not part of a longer number: refusals also quote IP addresses such as 5.1.1.9.
_ENHANCED = linear_regex.compile(
    r"(?:^|[^\d.])([245]\.\d{1,3}\.\d{1,3})(?:$|[^\d.]|\.(?:$|\D))", "a"
)

# RFC 3463: the mailbox or its domain does not exist. Only these say something about the address.
DEAD_ADDRESS_CODES = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.4.4"})


class Phase(StrEnum):
    """The SMTP phase that a message reached before its outcome was known.

    `WITHDRAWN`: none, because its sender stopped before the message was given to a connection.
    """

    WITHDRAWN = "withdrawn"
    CONNECT = "connect"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    REPLIED = "replied"


class SkipReason(StrEnum):
    """The reason for a delivery in the state `skipped`.

    `merged`: a newer edition's digest, due at the same hour, has its papers.
    """

    EMPTY = "empty"
    UNSUBSCRIBED = "unsubscribed"
    SUPPRESSED = "suppressed"
    PAUSED = "paused"
    LATE = "late"
    ERASED = "erased"
    MERGED = "merged"
    UNCOMPOSABLE = "uncomposable"


@dataclass(frozen=True, slots=True)
class SendOutcome:
    """The outcome of sending one message: the last SMTP phase entered, and the reply, if any.

    `code` is 0 if no reply came. In phase DATA without a reply the message may have been accepted.
    `relay` is the relay's name, if one was connected; it does not change the meaning.
    """

    phase: Phase
    code: int
    text: str
    relay: str = field(default="", compare=False)

    @property
    def reply(self) -> str:
        return f"{self.code} {self.text}".strip() if self.code else self.text


@dataclass(frozen=True, slots=True)
class Decision:
    """The next state of a delivery after a try. `retry_after` is set only with QUEUED.

    `is_deferral`: the receiver deferred this mail, so that the next wait is longer.
    """

    state: DeliveryState
    detail: str
    retry_after: timedelta | None = None
    suppress: SuppressionReason | None = None
    is_deferral: bool = False


def may_follow(state: DeliveryState, following: DeliveryState) -> bool:
    """Return whether the transition is allowed."""
    return following in NEXT_STATES[state]


def enhanced_code(text: str) -> str:
    """Return the RFC 3463 code in a reply's text (`5.1.1`), or an empty string."""
    found = _ENHANCED.search(text)
    return found[1] if found else ""


def skip_reason(
    state: SubscriberState | None,
    *,
    is_suppressed: bool,
    send_not_after: datetime,
    now: datetime,
    needs_active: bool = True,
) -> SkipReason | None:
    """Return why a delivery must not be sent at `now`, or None. `state` is None after an erasure.

    A confirmation goes to a pending subscriber (`needs_active` false); no mail goes to a suppressed
    one. The first reason that applies is returned.
    """
    if state is None:
        return SkipReason.ERASED
    if is_suppressed or state is SubscriberState.SUPPRESSED:
        return SkipReason.SUPPRESSED
    if needs_active and state is SubscriberState.PAUSED:
        return SkipReason.PAUSED
    if needs_active and state is not SubscriberState.ACTIVE:
        return SkipReason.UNSUBSCRIBED
    return SkipReason.LATE if now >= send_not_after else None


def balance_closes(candidate_count: int | None, row_counts: Iterable[int]) -> bool:
    """Return whether every frozen candidate has a row: the counts of all states add up to them."""
    return candidate_count is not None and candidate_count == sum(row_counts)
