"""The values every other module speaks in: plain, frozen, without behaviour that needs a world."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple


class AnnounceType(StrEnum):
    """How a source announced a paper in one category (arXiv's `arxiv:announce_type`).

    `listed` is ours: a source such as Hugging Face names a paper without announcing it.
    """

    NEW = "new"
    CROSS = "cross"
    REPLACE = "replace"
    REPLACE_CROSS = "replace-cross"
    LISTED = "listed"

    @property
    def is_first(self) -> bool:
        """Whether this announcement can make a paper new to a reader."""
        return self in {AnnounceType.NEW, AnnounceType.CROSS, AnnounceType.LISTED}


class BatchState(StrEnum):
    EXPECTED = "expected"
    PARTIAL = "partial"
    COMPLETE = "complete"
    CLOSED = "closed"


class SubscriberState(StrEnum):
    PENDING = "pending"
    ACTIVE = "active"
    PAUSED = "paused"
    UNSUBSCRIBED = "unsubscribed"
    SUPPRESSED = "suppressed"


class Cadence(StrEnum):
    DAILY = "daily"
    WEEKDAYS = "weekdays"
    WEEKLY = "weekly"


class EditionState(StrEnum):
    OPEN = "open"
    FROZEN = "frozen"
    CLOSED = "closed"


class DeliveryKind(StrEnum):
    """Which email a delivery carries; one folder in `email_templates/` each."""

    DIGEST = "digest"
    CONFIRMATION = "confirmation"
    ALREADY_SUBSCRIBED = "already_subscribed"
    WELCOME = "welcome"
    FAREWELL = "farewell"
    TOPICS_CHANGED = "topics_changed"
    PAUSED = "paused"
    RESUMED = "resumed"
    ADDRESS_CHANGE = "address_change"
    OPERATOR_ALERT = "operator_alert"
    TEST = "test"
    ADDRESS_NOTICE = "address_notice"
    CATCH_UP = "catch_up"


class DeliveryState(StrEnum):
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
        """Whether nothing happens to such a row unless somebody or some evidence says so."""
        return self not in {DeliveryState.QUEUED, DeliveryState.CLAIMED, DeliveryState.IN_FLIGHT}


class BreakerState(StrEnum):
    """Whether mail goes to a provider: closed is the normal one, as with a fuse.

    `open`: its rows wait; `probing`: one of them is on its way to see whether it is over.
    """

    CLOSED = "closed"
    OPEN = "open"
    PROBING = "probing"


class PaperEventKind(StrEnum):
    """What can happen to a paper after it was announced."""

    WITHDRAWN = "withdrawn"
    REVISED = "revised"
    PUBLISHED = "published"
    CODE = "code"


class OpinionKind(StrEnum):
    """What a reader said of a paper: saved for later, or not of this kind again."""

    KEPT = "kept"
    DISMISSED = "dismissed"


class TopicChangeKind(StrEnum):
    """How a link in a mail changed a topic: it excludes a word, or it is new and names an author."""

    MUTED = "muted"
    FOLLOWED = "followed"


class SuppressionReason(StrEnum):
    UNSUBSCRIBED_FOR_GOOD = "unsubscribed_for_good"
    HARD_BOUNCE = "hard_bounce"
    COMPLAINT = "complaint"
    OPERATOR = "operator"
    ERASED = "erased"


class ClauseKind(StrEnum):
    """How a clause is looked up: by what its keys are, or else by its text."""

    WORD = "word"
    PHRASE = "phrase"
    AUTHOR = "author"
    CATEGORY = "category"
    LIKE = "like"
    GROUP = "group"
    OTHER = "other"


class BounceVerdict(StrEnum):
    """Whom a returned mail is about. Only the first two and `complaint` concern the subscriber.

    `address`: there is no such mailbox (any more). `full`: there is, and it takes nothing now.
    `policy`: the receiver does not want mail from us, or of this kind. `content`: this one mail
    was too large or malformed. `configuration`: a server, a route or a name on the way is broken,
    ours first of all. `not_a_bounce` covers reports of delays and of successes too.
    """

    ADDRESS = "address"
    FULL = "full"
    POLICY = "policy"
    CONTENT = "content"
    CONFIGURATION = "configuration"
    COMPLAINT = "complaint"
    AUTO_REPLY = "auto_reply"
    NOT_A_BOUNCE = "not_a_bounce"


@dataclass(frozen=True, slots=True)
class Announcement:
    """One paper as one source announced it in one category: raw text, exactly as it came.

    `key` is canonical (`arxiv:2604.14630`, never a version). `categories` are in the source's
    order; `primary_category` is None where the source does not say. `authors` are whole names.
    """

    key: str
    source: str
    identifier: str
    version: int
    announce_type: AnnounceType
    title: str
    abstract: str
    authors: tuple[str, ...]
    categories: tuple[str, ...]
    primary_category: str | None = None
    url: str = ""
    license: str = ""
    doi: str = ""
    journal_ref: str = ""
    comment: str = ""
    is_withdrawn: bool = False
    published_at: datetime | None = None
    signals: Signals | None = None


@dataclass(frozen=True, slots=True)
class Signals:
    """What others think of a paper on a day; every field is optional at its source."""

    upvotes: int = 0
    comments: int = 0
    github_stars: int | None = None
    github_url: str = ""
    summary: str = ""
    keywords: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BadEntry:
    """An entry that could not be read: counted and named, the rest of the batch goes on."""

    position: int
    reason: str


@dataclass(frozen=True, slots=True)
class ParsedBatch:
    """What one answer of a source held.

    `rendered_on` is the day the source says it made the answer (not proof of freshness);
    `is_skip_day` is true where the source itself says that nothing is announced that day;
    `is_truncated` where the answer reached the source's own limit.
    """

    announcements: tuple[Announcement, ...]
    bad_entries: tuple[BadEntry, ...] = ()
    rendered_on: date | None = None
    is_skip_day: bool = False
    is_truncated: bool = False


@dataclass(frozen=True, slots=True)
class Paper:
    """A stored paper as ranking, pages and mails see it: readable text, no TeX.

    `announced_as` and `announced_on` are its first announcement here; `is_late` says that it
    belongs to an earlier day than the edition it stands in. `trend` is the percentile (0 to 100)
    within its primary category, 50 where nobody has looked.
    """

    id: int
    key: str
    source: str
    identifier: str
    title: str
    abstract: str
    authors: tuple[str, ...]
    categories: tuple[str, ...]
    primary_category: str
    announced_as: AnnounceType
    announced_on: date
    url: str
    version: int = 1
    comment: str = ""
    is_withdrawn: bool = False
    is_late: bool = False
    upvotes: int = 0
    github_url: str = ""
    summary: str = ""
    trend: float = 50.0


class Reason(NamedTuple):
    """Why a paper matched: one clause of a topic, where it was found, and the words to mark.

    `clause` is the clause in canonical form (`"prompt tuning"`, `cat:cs.CL`), `field` is one of
    title, abstract, author, category; `words` are the reader's own words, to be marked in the
    text; `is_guess` is true where initials stood for a name.
    """

    clause: str
    field: str
    words: tuple[str, ...] = ()
    is_guess: bool = False
