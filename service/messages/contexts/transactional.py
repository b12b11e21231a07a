"""What the other emails are made of: one frozen value per kind, as complete as a digest's.

`locale` is how the reader writes dates, as in a digest; who has not proved the address has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from service.deliveries.alerts import Alert
from service.deliveries.domain.recipients import Cadence
from service.messages.contexts.digest import OUR_BRAND, Brand, DigestContext, DigestGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationContext:
    """The double opt-in mail. It has no field for anything the visitor typed, on purpose:
    a stranger's text in a mail to a third person is how sign-up forms are used for spam."""

    confirm_url: str
    never_url: str
    home: str
    operator_address: str
    expires_days: int
    on: date
    brand: Brand = OUR_BRAND


@dataclass(frozen=True, slots=True, kw_only=True)
class AlreadySubscribedContext:
    """The answer to a sign-up with an address that already gets digests."""

    preferences_url: str
    unsubscribe_url: str
    home: str
    operator_address: str
    on: date
    locale: str = ""
    brand: Brand = OUR_BRAND


@dataclass(frozen=True, slots=True, kw_only=True)
class WelcomeContext:
    """The first mail after confirming. `next_hour` is 0 to 23 in `timezone` (an IANA name);
    `preview` shows what the topics found lately."""

    topics: tuple[str, ...]
    next_hour: int
    timezone: str
    preferences: str
    unsubscribe: str
    home: str
    operator_address: str
    on: date
    cadence: Cadence = Cadence.DAILY
    preview: tuple[DigestGroup, ...] = ()
    has_empty_digests: bool = False
    locale: str = ""
    brand: Brand = OUR_BRAND


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicsChangedContext:
    """What a reader gets from now on, after the topics were changed by whoever held a link."""

    topics: tuple[str, ...]
    preferences: str
    unsubscribe: str
    home: str
    operator_address: str
    on: date
    locale: str = ""
    brand: Brand = OUR_BRAND


@dataclass(frozen=True, slots=True, kw_only=True)
class PausedContext:
    """Nothing comes until a day, or until the reader is back where `until` is None; with
    `catches_up` what is missed comes then, in one mail."""

    until: date | None
    preferences: str
    unsubscribe: str
    home: str
    operator_address: str
    on: date
    catches_up: bool = False
    locale: str = ""
    brand: Brand = OUR_BRAND


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumedContext:
    """A pause is over. `next_hour` is 0 to 23 in `timezone`."""

    next_hour: int
    timezone: str
    cadence: Cadence
    preferences: str
    unsubscribe: str
    home: str
    operator_address: str
    on: date
    has_empty_digests: bool = False
    locale: str = ""
    brand: Brand = OUR_BRAND


@dataclass(frozen=True, slots=True, kw_only=True)
class FarewellContext:
    """The last mail after unsubscribing; `undo_url` subscribes again."""

    undo_url: str
    home: str
    operator_address: str
    on: date
    locale: str = ""
    brand: Brand = OUR_BRAND


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressChangeContext:
    """Goes to the new address of a reader, who must prove it; like a confirmation it repeats
    nothing that anybody typed."""

    confirm_url: str
    never_url: str
    home: str
    operator_address: str
    expires_days: int
    on: date
    brand: Brand = OUR_BRAND


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressNoticeContext:
    """Goes to the address that a reader has left, and lets it take that back; it does not repeat
    the other one."""

    undo_url: str
    home: str
    operator_address: str
    expires_days: int
    on: date
    locale: str = ""
    brand: Brand = OUR_BRAND


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorAlertContext:
    """What the operator should look at, worst first; `at` is aware, in UTC."""

    alerts: tuple[Alert, ...]
    status_url: str
    home: str
    operator_address: str
    at: datetime
    brand: Brand = OUR_BRAND


@dataclass(frozen=True, slots=True, kw_only=True)
class TestContext:
    """Proof that mail leaves this machine; `at` is aware, in UTC."""

    # pytest looks for classes with this beginning.
    __test__ = False

    home: str
    operator_address: str
    at: datetime
    brand: Brand = OUR_BRAND


MailContext = (
    DigestContext
    | ConfirmationContext
    | AlreadySubscribedContext
    | WelcomeContext
    | TopicsChangedContext
    | PausedContext
    | ResumedContext
    | FarewellContext
    | AddressChangeContext
    | AddressNoticeContext
    | OperatorAlertContext
    | TestContext
)
