"""The days a digest is about, and how much of them was looked at."""

from dataclasses import dataclass
from datetime import date

from service.deliveries.domain.recipients import Cadence
from service.deliveries.store.claimed_rows import DeliveryView, RecipientView
from service.editions.domain.coverage import Coverage, parse_coverage
from service.editions.store.models import Edition


@dataclass(frozen=True, slots=True)
class DigestDays:
    """One edition's days, or (from `since` on) those of a pause."""

    cadence: Cadence
    until: date
    coverage: Coverage
    since: date | None = None


def edition_days(edition: Edition) -> DigestDays:
    return DigestDays(edition.cadence, edition.local_date, parse_coverage(edition.coverage))


def missed_days(delivery: DeliveryView, subscriber: RecipientView) -> DigestDays:
    """What a catch-up says of its own days."""
    told = (delivery.digest or {})["missed"]
    since, until = (date.fromisoformat(told[name]) for name in ("since", "until"))
    return DigestDays(subscriber.cadence, until, parse_coverage(told), since)
