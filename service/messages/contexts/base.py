"""Base classes of mail contexts: the fields that several mails share."""

from dataclasses import dataclass
from datetime import date

BRAND = "Paperboy"


@dataclass(frozen=True, slots=True)
class Brand:
    """The operator's name, colours, logo and footer.

    `accent` and `accent_night` are `#rrggbb` on paper white and on black; `logo` is an address on
    the operator's own site or empty; `footer` is a sentence at the end of each mail.
    """

    name: str = BRAND
    accent: str = "#a8321c"
    accent_night: str = "#ef8a72"
    logo: str = ""
    footer: str = ""


OUR_BRAND = Brand()


@dataclass(frozen=True, slots=True, kw_only=True)
class MailBase:
    """The sender's fields in every mail; `operator_address` is a postal address or empty."""

    operator_address: str
    brand: Brand = OUR_BRAND


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionalBase(MailBase):
    """The base of every mail but the digests; `home` is the front page."""

    home: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofBase(TransactionalBase):
    """A mail to an address that is not confirmed yet.

    It deliberately has no field for text that a visitor typed: spammers use sign-up forms to send
    their text to third parties.
    """

    confirm_url: str
    never_url: str
    expires_days: int
    on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientBase(TransactionalBase):
    """A mail to a confirmed address.

    `locale` is the subscriber's locale for dates (`de-AT`), empty for plain English.
    """

    on: date
    locale: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriberBase(RecipientBase):
    """A mail to a subscriber, with signed links to the preferences and to unsubscribe."""

    preferences: str
    unsubscribe: str
