"""Self-healing: the last days are read again through OAI-PMH, and what was missed comes late.

arXiv's feeds lose papers: stale categories, cut answers, days that come in halves. Its OAI-PMH
service tells every record that changed since a date, whatever the feeds did.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session, sessionmaker

from service.papers.domain.announcement_days import announcement_date, is_past_deadline
from service.papers.domain.categories import canonical_category, is_known
from service.papers.domain.identifiers import arxiv_order
from service.papers.domain.types import AnnounceType, BatchState, PaperEventKind, ParsedAnnouncement
from service.papers.listing_check import close
from service.papers.sources.arxiv_oai import ArxivOai, OaiRecord, set_of
from service.papers.sources.base import SourceUnavailable, SourceUnreadable
from service.papers.store.batches import (
    count_first_announced,
    find_held,
    first_batch_on,
    lowest_new,
    open_batch,
)
from service.papers.store.models import Batch
from service.papers.store.paper_changes import delete_old_changes
from service.papers.store.works import get_announced, get_facts, insert_events, withdraw_papers
from service.papers.store_announcements import store_announcements
from service.platform.database.engine import transaction
from service.platform.logs import get_logger
from service.platform.settings.settings import Settings

HEAL_DAYS = 7
RECORDS_AT_ONCE = 500

# A paper whose first version is older than this was announced before, whatever its datestamp says.
# Moderation has taken 24 days.
OLDEST_MISSED = timedelta(days=60)

# From submission to announcement it takes a paper that nobody holds up four days at the most.
LONGEST_WAY = timedelta(days=4)

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WatchedCategory:
    """One category, and since when it is watched. `lowest` orders the first identifier seen new."""

    category: str
    since: date
    lowest: int | None = None


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
        watch = _find_watch(sessions, category, since)
        if watch is not None:
            earliest = announcement_date(now) - timedelta(days=HEAL_DAYS)
            begin = since or max(watch.since, earliest)
            reports.append(_heal_category(sessions, oai, watch, begin, now))
    return reports


def _find_watch(
    sessions: sessionmaker[Session], category: str, since: date | None
) -> WatchedCategory | None:
    """Since when a category is watched here (or is to be taken as watched), None if it never was.

    What was announced before somebody watched was not missed by anybody.
    """
    with transaction(sessions) as session:
        first = since or first_batch_on(session, "arxiv", category)
        lowest = lowest_new(session, "arxiv")
    return (
        WatchedCategory(category, first, arxiv_order(lowest) if lowest else None) if first else None
    )


def _heal_category(
    sessions: sessionmaker[Session],
    oai: ArxivOai,
    watch: WatchedCategory,
    begin: date,
    now: datetime,
) -> HealReport:
    report = HealReport(watch.category, begin)
    try:
        records = oai.harvest(begin, set_of(watch.category))
        for some in _chunks(records):
            with transaction(sessions) as session:
                report = _store_records(session, watch, some, report, now)
    except (SourceUnavailable, SourceUnreadable) as error:
        report = replace(report, error=str(error))
    log.info("heal", category=watch.category, late=report.late_count, error=report.error)
    return report


def _chunks(records: Iterator[OaiRecord]) -> Iterator[list[OaiRecord]]:
    """Some records at a time; those that came before a fault are handed out before it is raised."""
    some: list[OaiRecord] = []
    try:
        for record in records:
            some.append(record)
            if len(some) == RECORDS_AT_ONCE:
                yield some
                some = []
    except (SourceUnavailable, SourceUnreadable):
        yield some
        raise
    yield some


def _store_records(
    session: Session,
    watch: WatchedCategory,
    records: Sequence[OaiRecord],
    report: HealReport,
    now: datetime,
) -> HealReport:
    category = watch.category
    # A harvest that had to begin again tells a record twice: the later one stands.
    told = {r.announcement.key: r for r in records if r.announcement is not None}
    known, announced = get_facts(session, told), get_announced(session, told)
    held = find_held(session, "arxiv", category, told)
    by_day: dict[date, list[ParsedAnnouncement]] = {}
    changed: list[ParsedAnnouncement] = []
    for key, record in told.items():
        one = record.announcement
        if one is None:
            continue
        if belongs_to_batch(record, watch, announced.get(key), now) and key not in held:
            told_as = replace(one, announce_type=_type_in(one, category))
            by_day.setdefault(record.datestamp, []).append(told_as)
        elif key in known:
            changed.append(replace(one, announce_type=AnnounceType.REPLACE))
    for day, some in by_day.items():
        _add_missed(session, category, day, some, now)
    updated = _update_known(session, category, changed, now)
    updated += _withdraw_deleted(session, records, now)
    missed = [one for some in by_day.values() for one in some if one.key not in announced]
    return replace(
        report,
        record_count=report.record_count + len(told),
        late_count=report.late_count + len(missed),
        updated_count=report.updated_count + updated,
    )


def _withdraw_deleted(session: Session, records: Sequence[OaiRecord], now: datetime) -> int:
    """A record that arXiv has taken away altogether is a withdrawal, too (OAI-PMH 2.5.1)."""
    keys = [f"arxiv:{record.identifier}" for record in records if record.is_deleted]
    gone = withdraw_papers(session, keys, now)
    insert_events(session, [(i, PaperEventKind.WITHDRAWN, "deleted") for i in gone], now)
    return len(gone)


def belongs_to_batch(
    record: OaiRecord, watch: WatchedCategory, announced_on: date | None, now: datetime
) -> bool:
    """Whether a paper was announced on the day of its datestamp, as far as one can tell.

    OAI-PMH tells tomorrow's papers an hour and a half before midnight in New York: they are left
    for tomorrow, or tomorrow's feed would look like today's told again. A paper that another
    category announced on that day belongs to this one's batch, too.
    """
    if record.datestamp > announcement_date(now):
        return False
    if announced_on is not None:
        return announced_on == record.datestamp and record.is_first_version
    return is_missed(record, watch)


def is_missed(record: OaiRecord, watch: WatchedCategory) -> bool:
    """Whether an unknown record is a paper announced since we watch, and not an old one touched.

    Datestamps change for administrative reasons and new versions, too; the first version's date
    does not. What was submitted long before the watch began may have been held up by moderation:
    arXiv gives identifiers at announcement, so then a high one proves that it is new.
    """
    if record.is_deleted or record.announcement is None or not record.versions:
        return False
    submitted_on = record.versions[0].submitted_at.date()
    if record.datestamp - submitted_on > OLDEST_MISSED:
        return False
    if submitted_on >= watch.since - LONGEST_WAY:
        return True
    return watch.lowest is not None and arxiv_order(record.identifier) >= watch.lowest


def _type_in(told: ParsedAnnouncement, category: str) -> AnnounceType:
    """arXivRaw names the primary category first; elsewhere the paper is cross-listed."""
    primary = told.primary_category or (told.categories[0] if told.categories else "")
    same = _canonical(primary) == _canonical(category)
    return AnnounceType.NEW if same else AnnounceType.CROSS


def _canonical(category: str) -> str:
    return canonical_category(category) if is_known(category) else category


def _add_missed(
    session: Session, category: str, day: date, told: list[ParsedAnnouncement], now: datetime
) -> None:
    """Put missed papers into the batch of the day on which arXiv stamped them.

    They are late where that day was over, or taken for whole.
    """
    batch = open_batch(session, "arxiv", category, day, now)
    was_in = batch.state in {BatchState.COMPLETE, BatchState.CLOSED}
    store_announcements(session, batch, told, now)
    if was_in or is_past_deadline(day, now):
        batch.late_count += len(told)
    _settle(session, batch, now)


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
    session: Session, category: str, changed: list[ParsedAnnouncement], now: datetime
) -> int:
    """Take over new versions, withdrawals and metadata of known papers; announces nothing."""
    if not changed:
        return 0
    stored = store_announcements(session, None, changed, now, asked_category=category)
    return stored.updated + stored.events


def forget_changes(sessions: sessionmaker[Session]) -> None:
    """Drop the log of papers that changed before what any process keeps of them was read."""
    with transaction(sessions) as session:
        delete_old_changes(session)
