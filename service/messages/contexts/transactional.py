"""Template contexts of transactional mails: one frozen value per kind, complete when rendered."""

from dataclasses import dataclass
from datetime import date, datetime

from service.deliveries.alerts import Alert
from service.deliveries.domain.recipients import Cadence, Timing
from service.editions.domain.arrivals import Arrival
from service.messages.contexts import base
from service.messages.contexts.digest import DigestContext, DigestSection
from service.topics.domain.types import NamedTopic


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationContext(base.ProofBase):
    """The double opt-in mail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressChangeContext(base.ProofBase):
    """The mail to a subscriber's new address, which must be confirmed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressNoticeContext(base.RecipientBase):
    """The mail to a subscriber's old address, with a link to undo, without the new address."""

    undo_url: str
    expires_days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FarewellContext(base.RecipientBase):
    """The last mail after unsubscribing, sent again to a person who asks for the link.

    `undo_url` subscribes again; `preferences` shows, exports and erases what is stored.
    """

    undo_url: str
    preferences: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalLinkContext(base.SubscriberBase):
    """A subscriber's links, for a person who lost them or signed up a second time.

    `until` is the end of a pause, None where it is open-ended or there is none. `vote_url` votes for
    the paper with the title `voted_title`; both are empty where nobody wants to.
    """

    next_hour: int
    timezone: str
    cadence: Cadence = Cadence.DAILY
    timing: Timing = Timing.AT_HOUR
    has_empty_digests: bool = False
    is_paused: bool = False
    until: date | None = None
    vote_url: str = ""
    voted_title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WelcomeContext(base.SubscriberBase):
    """The first mail after confirming. `next_hour` is 0 to 23 in `timezone` (an IANA name);
    `preview` has recent papers of the topics.

    `first` is when the first digest comes. `lateness` says why papers come a day later than their
    own at the chosen hour, and is empty where they do not.
    """

    topics: tuple[NamedTopic, ...]
    first: Arrival
    lateness: str = ""
    next_hour: int
    timezone: str
    cadence: Cadence = Cadence.DAILY
    timing: Timing = Timing.AT_HOUR
    preview: tuple[DigestSection, ...] = ()
    has_empty_digests: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicsChangedContext(base.SubscriberBase):
    """The notice that topics were changed, by anyone who has a link; `topics` are the new ones."""

    topics: tuple[NamedTopic, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PausedContext(base.SubscriberBase):
    """The notice of a pause, open-ended where `until` is None; with `catches_up`, missed papers
    come in one mail afterwards.
    """

    until: date | None
    catches_up: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumedContext(base.SubscriberBase):
    """The notice that a pause is over. `next_hour` is 0 to 23 in `timezone`."""

    next_hour: int
    timezone: str
    cadence: Cadence
    timing: Timing = Timing.AT_HOUR
    has_empty_digests: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorAlertContext(base.TransactionalBase):
    """Alerts for the operator, worst first; `at` is aware, in UTC."""

    alerts: tuple[Alert, ...]
    status_url: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyReportContext(base.TransactionalBase):
    """The operator's report of a day; `at` is its end, in the newsletter's time zone.

    `figures` are labels and counts, in order; `pages` are titles and addresses of operator pages.
    """

    figures: tuple[tuple[str, int], ...]
    pages: tuple[tuple[str, str], ...]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TestContext(base.TransactionalBase):
    """The test mail; `at` is aware, in UTC."""

    # pytest would collect a class whose name begins with `Test`.
    __test__ = False

    at: datetime


MailContext = DigestContext | base.TransactionalBase
