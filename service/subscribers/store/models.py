"""The tables of subscribers, consents, suppressed addresses and feedback."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Computed,
    ForeignKey,
    Index,
    SmallInteger,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from service.deliveries.domain.recipients import (
    FULL_CARDS,
    MOST_FULL_CARDS,
    MOST_PAPERS,
    Cadence,
    SubscriberState,
    SuppressionReason,
    Timing,
)
from service.platform.database.base import Base, enum_type
from service.subscribers.domain.types import Feedback, SubmissionState

# As PostgreSQL prints it; the schema's file says where the rules come from.
_MAILBOX_KEY = r"""
CASE
    WHEN split_part(email_key, '@'::text, 2) ~ '^(gmail|googlemail)\.com$'::text
    THEN replace(split_part(split_part(email_key, '@'::text, 1), '+'::text, 1), '.'::text, ''::text) || '@gmail.com'::text
    WHEN split_part(email_key, '@'::text, 2) ~ '^(yahoo\.[a-z.]+|ymail\.com|rocketmail\.com)$'::text
    THEN split_part(split_part(email_key, '@'::text, 1), '-'::text, 1) || '@'::text || split_part(email_key, '@'::text, 2)
    ELSE split_part(split_part(email_key, '@'::text, 1), '+'::text, 1) || '@'::text || split_part(email_key, '@'::text, 2)
END
"""


class Subscriber(Base):
    """One person with one address. `email_key` is the normalised address that must be unique.

    `has_empty_digests`: wants a short mail where nothing matched. `full_cards` papers of a digest are
    cards, the others lines (0..100). `max_papers` (1..100) a mail, None for the operator's number.
    `weekly_topics_on` (0 is Monday): the weekday of weekly topics in daily digests. `gap_since`:
    editions opened after it may have papers that the subscriber was not asked about, because the
    cadence changed; a trigger sets it, and composing the next digest clears it. `has_catch_up`: wants the papers
    missed during a pause, which began at `paused_at`; `catch_up_since` is the first day to catch up
    with. `moves_from_id`: this row holds the address to which another subscriber wants to move
    (pending), or which that subscriber has left (unsubscribed). `mailbox_key` is equal for all
    spellings of one mailbox, tags included: confirmations are counted by it. `link_key`, random, and
    `link_epoch` are in the subscriber's links: see `is_held_by`. The key stays with the address.
    """

    __tablename__ = "subscribers"
    __table_args__ = (
        CheckConstraint("hour BETWEEN 0 AND 23", name="hour"),
        CheckConstraint(f"full_cards BETWEEN 0 AND {MOST_FULL_CARDS}", name="full_cards"),
        CheckConstraint(f"max_papers BETWEEN 1 AND {MOST_PAPERS}", name="max_papers"),
        CheckConstraint("weekly_topics_on BETWEEN 0 AND 6", name="weekly_topics_on"),
        Index("ix_subscribers_state_cadence", "state", "cadence"),
        Index("ix_subscribers_state_id", "state", "id"),
        Index(
            "ix_subscribers_moves_from_id",
            "moves_from_id",
            postgresql_where=text("moves_from_id IS NOT NULL"),
        ),
        Index(
            "ix_subscribers_catch_up_since",
            "catch_up_since",
            postgresql_where=text("catch_up_since IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str]
    email_key: Mapped[str] = mapped_column(unique=True)
    state: Mapped[SubscriberState] = mapped_column(enum_type(SubscriberState, "subscriber_state"))
    cadence: Mapped[Cadence] = mapped_column(enum_type(Cadence, "cadence"))
    hour: Mapped[int] = mapped_column(SmallInteger)
    timezone: Mapped[str]
    timing: Mapped[Timing] = mapped_column(
        enum_type(Timing, "timing"), server_default=text("'at_hour'")
    )
    created_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    unsubscribed_at: Mapped[datetime | None]
    paused_until: Mapped[date | None]
    has_suggestions: Mapped[bool] = mapped_column(server_default=text("true"))
    has_empty_digests: Mapped[bool] = mapped_column(server_default=text("false"))
    has_catch_up: Mapped[bool] = mapped_column(server_default=text("false"))
    has_ai_summaries: Mapped[bool] = mapped_column(server_default=text("true"))
    full_cards: Mapped[int] = mapped_column(SmallInteger, server_default=text(f"{FULL_CARDS}"))
    max_papers: Mapped[int | None] = mapped_column(SmallInteger)
    weekly_topics_on: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    gap_since: Mapped[datetime | None]
    paused_at: Mapped[datetime | None]
    catch_up_since: Mapped[date | None]
    moves_from_id: Mapped[int | None] = mapped_column(
        ForeignKey("subscribers.id", ondelete="CASCADE")
    )
    locale: Mapped[str] = mapped_column(server_default="")
    # Half of a random UUID: 62 random bits from PostgreSQL's strong source.
    link_key: Mapped[bytes] = mapped_column(
        server_default=text("substr(uuid_send(gen_random_uuid()), 9)")
    )
    link_epoch: Mapped[int] = mapped_column(server_default=text("0"))
    mailbox_key: Mapped[str] = mapped_column(
        Computed(_MAILBOX_KEY, persisted=True), index=True, deferred=True
    )


class MailRequest(Base):
    """A form that asks for a mail to a typed address: a sign-up, or without `choices` the link.

    A worker settles it. A settled request that led to a mail stays for an hour, without its
    address, because mails are counted by it; the others are deleted.
    """

    __tablename__ = "mail_requests"
    __table_args__ = (
        Index("ix_mail_requests_unsettled", "id", postgresql_where=text("settled_at IS NULL")),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str]
    domain: Mapped[str]
    choices: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    page: Mapped[str]
    locale: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(index=True)
    settled_at: Mapped[datetime | None]


class PendingSignUp(Base):
    """A sign-up of a known address, kept apart, since any stranger can type it.

    `is_mailed`: the link of a confirmation mail names it, so that later ones do not replace it.
    """

    __tablename__ = "pending_sign_ups"

    id: Mapped[int] = mapped_column(primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(
        ForeignKey("subscribers.id", ondelete="CASCADE"), index=True
    )
    choices: Mapped[dict[str, Any]]
    page: Mapped[str]
    locale: Mapped[str]
    is_mailed: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[datetime] = mapped_column(index=True)


class Consent(Base):
    """A consent with its text, time and page; GDPR Art. 7(1) requires it to be demonstrable.

    Also what ended or changed a subscription, by the subscriber (`page` is the page) or by the
    operator (`page` names the operator); growth per day is counted from these rows.
    """

    __tablename__ = "consents"
    __table_args__ = (Index("ix_consents_created_at", "created_at", "action"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(
        ForeignKey("subscribers.id", ondelete="CASCADE"), index=True
    )
    action: Mapped[str]
    text_version: Mapped[str]
    page: Mapped[str]
    created_at: Mapped[datetime]


class Suppression(Base):
    """A suppressed address as a keyed hash (HMAC), which outlives the subscriber.

    `reply` is what the receiver replied, without the address; by it, suppressions can be undone.
    """

    __tablename__ = "suppressions"

    id: Mapped[int] = mapped_column(primary_key=True)
    address_hash: Mapped[bytes] = mapped_column(unique=True)
    reason: Mapped[SuppressionReason] = mapped_column(
        enum_type(SuppressionReason, "suppression_reason")
    )
    detail: Mapped[str] = mapped_column(server_default="")
    reply: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[datetime]


class PaperFeedback(Base):
    """A subscriber's feedback on a paper; the last one counts. `tags` and `note` are the subscriber's own."""

    __tablename__ = "opinions"
    __table_args__ = (UniqueConstraint("subscriber_id", "paper_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(ForeignKey("subscribers.id", ondelete="CASCADE"))
    paper_id: Mapped[int] = mapped_column(ForeignKey("papers.id", ondelete="CASCADE"), index=True)
    kind: Mapped[Feedback] = mapped_column(enum_type(Feedback, "opinion_kind"))
    created_at: Mapped[datetime]
    tags: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    note: Mapped[str] = mapped_column(server_default="")


class FeedKey(Base):
    """The key of a subscriber's private feed, half of a random UUID; no row, no feed.

    The address of the feed is a signed link that has this key, so that a copy of the database opens
    nothing without the secret key.
    """

    __tablename__ = "feed_keys"

    subscriber_id: Mapped[int] = mapped_column(
        ForeignKey("subscribers.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    feed_key: Mapped[bytes] = mapped_column(
        server_default=text("substr(uuid_send(gen_random_uuid()), 9)")
    )
    created_at: Mapped[datetime]


class Submission(Base):
    """A paper that a subscriber submitted, by its canonical name; a worker settles it.

    `next_at` is when its source may be asked; `paper_id` is the paper where there is one.
    """

    __tablename__ = "submissions"
    __table_args__ = (
        UniqueConstraint("subscriber_id", "name"),
        Index("ix_submissions_waiting", "next_at", postgresql_where=text("state = 'waiting'")),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(ForeignKey("subscribers.id", ondelete="CASCADE"))
    name: Mapped[str]
    state: Mapped[SubmissionState] = mapped_column(enum_type(SubmissionState, "submission_state"))
    paper_id: Mapped[int | None] = mapped_column(
        ForeignKey("papers.id", ondelete="SET NULL"), index=True
    )
    created_at: Mapped[datetime] = mapped_column(index=True)
    settled_at: Mapped[datetime | None]
    next_at: Mapped[datetime]
