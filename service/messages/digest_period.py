"""The days a digest covers, and their coverage."""

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
    """Return the days of an edition."""
    return DigestDays(edition.cadence, edition.local_date, parse_coverage(edition.coverage))


def missed_days(delivery: DeliveryView, subscriber: RecipientView) -> DigestDays:
    """Return the days of a catch-up digest."""
    missed = (delivery.digest or {})["missed"]
    since, until = (date.fromisoformat(missed[name]) for name in ("since", "until"))
    return DigestDays(subscriber.cadence, until, parse_coverage(missed), since)
