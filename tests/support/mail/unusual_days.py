"""Days on which a source could not be reached, and days on which the service was down."""

from datetime import timedelta

from service.deliveries.domain.recipients import Cadence
from service.editions.domain.coverage import Coverage
from service.editions.domain.day_report import BatchFacts, describe_day
from service.editions.store.models import Edition
from service.messages.digest_period import DigestDays, edition_days
from service.papers.domain.types import BatchState, SourceAnswer
from support.mail.invented_digests import TUESDAY


def outage(*missing: str) -> Coverage:
    """Return the coverage of a day on which these of two categories could not be reached."""
    counts = {name: 0 if name in missing else 86 for name in ("cs.LG", "cs.CL")}
    facts = [
        BatchFacts(
            source="arxiv",
            category=name,
            state=BatchState.COMPLETE if count else BatchState.CLOSED,
            answer=SourceAnswer.READ if count else SourceAnswer.UNREACHABLE,
            found_count=count,
            expected_count=count or None,
        )
        for name, count in counts.items()
    ]
    return describe_day(TUESDAY, facts, sum(counts.values()))


def missed_days() -> DigestDays:
    """Return the days of an edition before which two were missed."""
    return edition_days(
        Edition(
            cadence=Cadence.WEEKDAYS,
            local_date=TUESDAY,
            covers_from=TUESDAY - timedelta(days=4),
            coverage=Coverage(announced=893, checked=893).as_json(),
        )
    )
