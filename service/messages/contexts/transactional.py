"""What the other emails are made of: one frozen value per kind, as complete as a digest's."""

from dataclasses import dataclass
from datetime import date, datetime

from service.deliveries.alerts import Alert
from service.deliveries.domain.recipients import Cadence
from service.messages.contexts.base import (
    ProofBase,
    RecipientBase,
    SubscriberBase,
    TransactionalBase,
)
from service.messages.contexts.digest import DigestContext, DigestSection


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationContext(ProofBase):
    """The double opt-in mail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressChangeContext(ProofBase):
    """Goes to the new address of a reader, who must prove it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressNoticeContext(RecipientBase):
    """Goes to the address that a reader has left, and lets it take that back; it does not repeat
    the other one."""

    undo_url: str
    expires_days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FarewellContext(RecipientBase):
    """The last mail after unsubscribing; `undo_url` subscribes again."""

    undo_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlreadySubscribedContext(SubscriberBase):
    """The answer to a sign-up with an address that already gets digests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WelcomeContext(SubscriberBase):
    """The first mail after confirming. `next_hour` is 0 to 23 in `timezone` (an IANA name);
    `preview` shows what the topics found lately."""

    topics: tuple[str, ...]
    next_hour: int
    timezone: str
    cadence: Cadence = Cadence.DAILY
    preview: tuple[DigestSection, ...] = ()
    has_empty_digests: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicsChangedContext(SubscriberBase):
    """What a reader gets from now on, after the topics were changed by whoever held a link."""

    topics: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PausedContext(SubscriberBase):
    """Nothing comes until a day, or until the reader is back where `until` is None; with
    `catches_up` what is missed comes then, in one mail."""

    until: date | None
    catches_up: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumedContext(SubscriberBase):
    """A pause is over. `next_hour` is 0 to 23 in `timezone`."""

    next_hour: int
    timezone: str
    cadence: Cadence
    has_empty_digests: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorAlertContext(TransactionalBase):
    """What the operator should look at, worst first; `at` is aware, in UTC."""

    alerts: tuple[Alert, ...]
    status_url: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TestContext(TransactionalBase):
    """Proof that mail leaves this machine; `at` is aware, in UTC."""

    # pytest looks for classes with this beginning.
    __test__ = False

    at: datetime


MailContext = DigestContext | TransactionalBase
