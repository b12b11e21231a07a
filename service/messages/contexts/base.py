"""What the contexts of mails share, so that each class lists its own fields alone."""

from dataclasses import dataclass
from datetime import date

BRAND = "Paperboy"


@dataclass(frozen=True, slots=True)
class Brand:
    """What makes the mails the operator's own.

    `accent` and `accent_night` are `#rrggbb` on paper white and on black; `logo` is an address of
    the operator's own or empty; `footer` is a sentence under each mail.
    """

    name: str = BRAND
    accent: str = "#a8321c"
    accent_night: str = "#ef8a72"
    logo: str = ""
    footer: str = ""


OUR_BRAND = Brand()


@dataclass(frozen=True, slots=True, kw_only=True)
class MailBase:
    """What every mail says of its sender; `operator_address` is a postal one, or empty."""

    operator_address: str
    brand: Brand = OUR_BRAND


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionalBase(MailBase):
    """Every mail that is no digest; `home` is the front page."""

    home: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofBase(TransactionalBase):
    """A mail whose receiver must prove the address.

    It has no field for anything the visitor typed, on purpose: a stranger's text in a mail to a
    third person is how sign-up forms are used for spam.
    """

    confirm_url: str
    never_url: str
    expires_days: int
    on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientBase(TransactionalBase):
    """A mail to somebody who has proved the address.

    `locale` is how the reader writes dates (`de-AT`), empty for plain English.
    """

    on: date
    locale: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriberBase(RecipientBase):
    """A mail to a subscriber, with the signed ways to change and to leave."""

    preferences: str
    unsubscribe: str
