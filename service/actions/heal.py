"""Self-healing: the last days are read again through OAI-PMH, and what was missed comes late.

arXiv's feeds lose papers: stale categories, cut answers, days that come in halves. Its OAI-PMH
service tells every record that changed since a date, whatever the feeds did.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import islice

from sqlalchemy.orm import Session, sessionmaker

from service.actions.announce import store_announcements
from service.actions.oracle import close
from service.config import Settings
from service.domain.categories import canonical_category, is_known
from service.domain.schedule import announcement_date, is_past_deadline
from service.domain.types import Announcement, AnnounceType, BatchState
from service.logs import get_logger
from service.sources.arxiv_oai import ArxivOai, OaiRecord, set_of
from service.sources.base import SourceUnavailable, SourceUnreadable
from service.store.batches import count_first_announced, first_batch_on, open_batch
from service.store.engine import transaction
from service.store.models import Batch
from service.store.works import get_announced, get_facts

HEAL_DAYS = 7
RECORDS_AT_ONCE = 500

# A paper whose first version is older than this was announced before, whatever its datestamp says.
OLDEST_MISSED = timedelta(days=21)

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class HealReport:
    """What re-reading one category came to, in records and papers."""

    category: str
    since: date
    record_count: int = 0
    late_count: int = 0
    updated_count: int = 0
    error: str = ""


def heal_arxiv(
    sessions: sessionmaker[Session],
    settings: Settings,
    oai: ArxivOai,
    now: datetime,
    since: date | None = None,
) -> list[HealReport]:
    """Read the last days of every watched category again; one that fails does not stop the rest.

    With `since` from that day on, for whoever wants the papers of days without this installation.
    """
    reports = []
    for category in settings.arxiv_categories:
        begin = since or _heals_since(sessions, category, now)
        if begin is not None:
            reports.append(_heal_category(sessions, oai, category, begin, now))
    return reports


def _heals_since(sessions: sessionmaker[Session], category: str, now: datetime) -> date | None:
    """Where to begin: a week back, but not before this installation first asked for the category.

    What was announced before somebody watched was not missed by anybody.
    """
    with transaction(sessions) as session:
        first = first_batch_on(session, "arxiv", category)
    return max(first, announcement_date(now) - timedelta(days=HEAL_DAYS)) if first else None


def _heal_category(
    sessions: sessionmaker[Session], oai: ArxivOai, category: str, since: date, now: datetime
) -> HealReport:
    report = HealReport(category, since)
    try:
        records = oai.harvest(since, set_of(category))
        for some in _chunks(records):
            with transaction(sessions) as session:
                report = _store_records(session, category, some, report, now)
    except (SourceUnavailable, SourceUnreadable) as error:
        report = replace(report, error=str(error))
    log.info("heal", category=category, late=report.late_count, error=report.error)
    return report


def _chunks(records: Iterator[OaiRecord]) -> Iterator[list[OaiRecord]]:
    while some := list(islice(records, RECORDS_AT_ONCE)):
        yield some


def _store_records(
    session: Session, category: str, records: Iterable[OaiRecord], report: HealReport, now: datetime
) -> HealReport:
    told = [record for record in records if record.announcement is not None]
    keys = [record.announcement.key for record in told if record.announcement]
    known, announced = get_facts(session, keys), get_announced(session, keys)
    by_day: dict[date, list[Announcement]] = {}
    changed: list[Announcement] = []
    for record in told:
        one = record.announcement
        if one is None:
            continue
        if one.key not in announced and is_missed(record):
            day = min(record.datestamp, announcement_date(now))
            by_day.setdefault(day, []).append(replace(one, announce_type=_type_in(one, category)))
        elif one.key in known:
            changed.append(replace(one, announce_type=AnnounceType.REPLACE))
    late = sum(_add_late(session, category, day, some, now) for day, some in by_day.items())
    updated = _update_known(session, category, changed, now)
    return replace(
        report,
        record_count=report.record_count + len(told),
        late_count=report.late_count + late,
        updated_count=report.updated_count + updated,
    )


def is_missed(record: OaiRecord) -> bool:
    """Whether an unknown record is a paper of its day, and not an old one that was touched.

    Datestamps change for administrative reasons too; the first version's date does not.
    """
    if record.is_deleted or record.announcement is None or not record.versions:
        return False
    return record.datestamp - record.versions[0].submitted_at.date() <= OLDEST_MISSED


def _type_in(told: Announcement, category: str) -> AnnounceType:
    """arXivRaw names the primary category first; elsewhere the paper is cross-listed."""
    primary = told.primary_category or (told.categories[0] if told.categories else "")
    same = _canonical(primary) == _canonical(category)
    return AnnounceType.NEW if same else AnnounceType.CROSS


def _canonical(category: str) -> str:
    return canonical_category(category) if is_known(category) else category


def _add_late(
    session: Session, category: str, day: date, told: list[Announcement], now: datetime
) -> int:
    """Put missed papers into the batch of the day on which arXiv stamped them."""
    batch = open_batch(session, "arxiv", category, day, now)
    store_announcements(session, batch, told, now)
    batch.late_count += len(told)
    _settle(session, batch, now)
    return len(told)


def _settle(session: Session, batch: Batch, now: datetime) -> None:
    """A batch that the missed papers completed is complete; a past one is closed."""
    is_open = batch.state in {BatchState.EXPECTED, BatchState.PARTIAL}
    found = count_first_announced(session, batch.id)
    batch.announced_count = max(batch.announced_count, found)
    if is_open and batch.expected_count is not None and found >= batch.expected_count:
        batch.state, batch.completed_at = BatchState.COMPLETE, now
        batch.note = "completed by OAI-PMH"
    elif is_open and is_past_deadline(batch.announced_on, now):
        close(session, batch, now)
    elif is_open:
        batch.state = BatchState.PARTIAL
        batch.note = f"{found} papers so far, by OAI-PMH"


def _update_known(
    session: Session, category: str, changed: list[Announcement], now: datetime
) -> int:
    """Take over new versions, withdrawals and metadata of known papers; announces nothing."""
    if not changed:
        return 0
    stored = store_announcements(session, None, changed, now, asked_category=category)
    return stored.updated + stored.events
