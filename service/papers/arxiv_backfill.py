"""Backfill: read the last days again through OAI-PMH and add the papers that were missed, as late.

arXiv's feeds lose papers: stale categories, truncated answers, days that come in halves. Its
OAI-PMH service lists every record that changed since a date, whatever the feeds did.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from sqlalchemy.orm import Session, sessionmaker

from service.papers.domain.announcement_days import announcement_date, is_past_deadline
from service.papers.domain.categories import canonical_category, is_known
from service.papers.domain.completeness import describe_faults
from service.papers.domain.harvests import harvest_from
from service.papers.domain.identifiers import arxiv_order
from service.papers.domain.record_limits import FAULTS
from service.papers.domain.types import (
    AnnounceType,
    BadEntry,
    BatchState,
    PaperEventKind,
    ParsedAnnouncement,
    ParsedBatch,
    SourceAnswer,
)
from service.papers.listing_check import close
from service.papers.sources.arxiv_oai import ArxivOai, OaiPage, OaiRecord, set_of
from service.papers.sources.base import SourceUnavailable, SourceUnreadable
from service.papers.store import batches
from service.papers.store.harvests import list_harvests, record_harvest
from service.papers.store.models import Batch, Harvest
from service.papers.store.paper_changes import delete_old_changes
from service.papers.store.works import get_announced, get_facts, insert_events, withdraw_papers
from service.papers.store_announcements import Stored, store_announcements
from service.platform.database.engine import transaction
from service.platform.logs import get_logger
from service.platform.one_line import normalise_line
from service.platform.settings.settings import Settings

RECORDS_AT_ONCE = 500

# A paper whose first version is older than this was announced before, whatever its datestamp says.
# Moderation has taken 24 days.
OLDEST_MISSED = timedelta(days=60)

# A paper that moderation does not hold up is announced at most four days after submission.
LONGEST_WAY = timedelta(days=4)

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WatchedCategory:
    """A category, since when it is watched, and the `arxiv_order` of its lowest new identifier."""

    category: str
    since: date
    lowest: int | None = None


@dataclass(frozen=True, slots=True)
class HealReport:
    """The result of re-reading one category, in records and papers.

    `faults` holds the entries that were unreadable, and the papers that lack an absurd value.
    """

    category: str
    since: date
    record_count: int = 0
    late_count: int = 0
    updated_count: int = 0
    faults: ParsedBatch = field(default_factory=lambda: ParsedBatch(()))
    error: str = ""

    @property
    def bad_count(self) -> int:
        return len(self.faults.bad_entries)

    @property
    def note(self) -> str:
        """The records that could not be read or stored whole, named; "" if all could."""
        return describe_faults(self.faults)

    def with_faults(
        self, bad: Iterable[BadEntry], lacking: Iterable[ParsedAnnouncement] = ()
    ) -> "HealReport":
        """Return the report with more entries at fault, each once: a restarted list repeats them."""
        found = ParsedBatch(
            tuple(dict.fromkeys([*self.faults.announcements, *lacking])),
            tuple(dict.fromkeys([*self.faults.bad_entries, *bad])),
        )
        return replace(self, faults=found)


def heal_arxiv(
    sessions: sessionmaker[Session],
    settings: Settings,
    oai: ArxivOai,
    now: datetime,
    since: date | None = None,
) -> list[HealReport]:
    """Read what changed in every watched category and return one report per category.

    That is since the server's last answer, and once a day the last 7 days (`harvest_from`). A
    category that fails does not stop the rest, and is harvested from the same day again; those that
    were harvested longest ago come first. `since` reads from that day on instead, also from days
    before this installation existed.
    """
    reports = []
    today = announcement_date(now)
    with transaction(sessions) as session:
        harvests = list_harvests(session)
    for category in sorted(settings.arxiv_categories, key=lambda one: _harvested_at(harvests, one)):
        watch = _find_watch(sessions, category, since)
        if watch is None:
            continue
        last = harvests.get(category, Harvest())
        begin = since or max(watch.since, harvest_from(today, last.responded_at, last.reread_on))
        report, responded_at = _heal_category(sessions, oai, watch, begin, now)
        reports.append(report)
        if since is None and not report.error:
            with transaction(sessions) as session:
                record_harvest(session, category, responded_at, today)
    return reports


def _harvested_at(harvests: Mapping[str, Harvest], category: str) -> datetime:
    last = harvests.get(category)
    return (last and last.responded_at) or datetime.min.replace(tzinfo=UTC)


def _find_watch(
    sessions: sessionmaker[Session], category: str, since: date | None
) -> WatchedCategory | None:
    """Return since when a category is watched, or counts as watched; None if it never was.

    A paper announced before the category was watched was not missed.
    """
    with transaction(sessions) as session:
        first = since or batches.first_batch_on(session, "arxiv", category)
        lowest = batches.lowest_new_identifier(session, "arxiv")
    return (
        WatchedCategory(category, first, arxiv_order(lowest) if lowest else None) if first else None
    )


def _heal_category(
    sessions: sessionmaker[Session],
    oai: ArxivOai,
    watch: WatchedCategory,
    begin: date,
    now: datetime,
) -> tuple[HealReport, datetime | None]:
    """Harvest one category; return the report, and the server's time at the start of its list."""
    report = HealReport(watch.category, begin)
    bad: list[BadEntry] = []
    times: list[datetime] = []

    def look(page: OaiPage) -> None:
        bad.extend(page.bad_entries)
        if page.response_date is not None:
            times.append(page.response_date)

    try:
        records = oai.harvest(begin, set_of(watch.category), on_page=look)
        for chunk in _chunks(records):
            with transaction(sessions) as session:
                report = _store_records(session, watch, chunk, report, now)
    except (SourceUnavailable, SourceUnreadable, *FAULTS) as error:
        report = replace(report, error=normalise_line(str(error)))
    report = report.with_faults(bad)
    log.info(
        "heal",
        category=watch.category,
        late=report.late_count,
        note=report.note,
        error=report.error,
    )
    # A server whose clock is ahead must not make the next harvest begin after changes of today.
    return report, min([*times[:1], now]) if times else None


def _chunks(records: Iterator[OaiRecord]) -> Iterator[list[OaiRecord]]:
    """Yield the records in chunks; after an error, yield the records before it, then raise it."""
    chunk: list[OaiRecord] = []
    try:
        for record in records:
            chunk.append(record)
            if len(chunk) == RECORDS_AT_ONCE:
                yield chunk
                chunk = []
    except (SourceUnavailable, SourceUnreadable):
        yield chunk
        raise
    yield chunk


def _store_records(
    session: Session,
    watch: WatchedCategory,
    records: Sequence[OaiRecord],
    report: HealReport,
    now: datetime,
) -> HealReport:
    category = watch.category
    # A harvest that had to restart repeats records: the later one wins.
    by_key = {r.announcement.key: r for r in records if r.announcement is not None}
    known, announced = get_facts(session, by_key), get_announced(session, by_key)
    held = batches.find_stored_keys(session, "arxiv", category, by_key)
    by_day: dict[date, list[ParsedAnnouncement]] = {}
    changed: list[ParsedAnnouncement] = []
    for key, record in by_key.items():
        announcement = record.announcement
        if announcement is None:
            continue
        if belongs_to_batch(record, watch, announced.get(key), now) and key not in held:
            typed = replace(announcement, announce_type=_type_in(announcement, category))
            by_day.setdefault(record.datestamp, []).append(typed)
        elif key in known:
            changed.append(replace(announcement, announce_type=AnnounceType.REPLACE))
    stored = _update_known(session, category, changed, now)
    updated = stored.updated + stored.events + _withdraw_deleted(session, records, now)
    for day, papers in by_day.items():
        stored += _add_missed(session, category, day, papers, now)
    done = {*announced, *stored.refused}
    missed = [a for papers in by_day.values() for a in papers if a.key not in done]
    lacking = [one for one in changed if one.refused and one.key not in stored.refused]
    lacking += [one for one in missed if one.refused]
    report = report.with_faults(stored.bad_entries, lacking)
    return replace(
        report,
        record_count=report.record_count + len(by_key),
        late_count=report.late_count + len(missed),
        updated_count=report.updated_count + updated,
    )


def _withdraw_deleted(session: Session, records: Sequence[OaiRecord], now: datetime) -> int:
    """Mark the papers of deleted records as withdrawn (OAI-PMH 2.5.1); return how many are new."""
    keys = [f"arxiv:{record.identifier}" for record in records if record.is_deleted]
    gone = withdraw_papers(session, keys, now)
    insert_events(session, [(i, PaperEventKind.WITHDRAWN, "deleted") for i in gone], now)
    return len(gone)


def belongs_to_batch(
    record: OaiRecord, watch: WatchedCategory, announced_on: date | None, now: datetime
) -> bool:
    """Return whether a paper was, as far as can be known, announced on the day of its datestamp.

    OAI-PMH shows tomorrow's papers 90 minutes before midnight in New York. They are left for
    tomorrow; otherwise tomorrow's feed would look like a repeat of today's. A paper that another
    category announced on that day belongs to this category's batch, too.
    """
    if record.datestamp > announcement_date(now):
        return False
    if announced_on is not None:
        return announced_on == record.datestamp and record.is_first_version
    return is_missed(record, watch)


def is_missed(record: OaiRecord, watch: WatchedCategory) -> bool:
    """Return whether an unknown record was announced since we watch, and is no old paper touched.

    Datestamps change for administrative reasons and new versions, too; the first version's date
    does not. A paper submitted long before the watch began may have been held up by moderation:
    arXiv assigns identifiers at announcement, so a high identifier proves that it is new.
    """
    if record.is_deleted or record.announcement is None or not record.versions:
        return False
    submitted_on = record.versions[0].submitted_at.date()
    if record.datestamp - submitted_on > OLDEST_MISSED:
        return False
    if submitted_on >= watch.since - LONGEST_WAY:
        return True
    return watch.lowest is not None and arxiv_order(record.identifier) >= watch.lowest


def _type_in(announcement: ParsedAnnouncement, category: str) -> AnnounceType:
    """Return NEW in the primary category, which arXivRaw names first, and CROSS elsewhere."""
    primary = announcement.primary_category or next(iter(announcement.categories), "")
    same = _canonical(primary) == _canonical(category)
    return AnnounceType.NEW if same else AnnounceType.CROSS


def _canonical(category: str) -> str:
    return canonical_category(category) if is_known(category) else category


def _add_missed(
    session: Session, category: str, day: date, missed: list[ParsedAnnouncement], now: datetime
) -> Stored:
    """Put missed papers into the batch of their datestamp.

    They are late if that batch was complete or closed, or its deadline has passed.
    """
    batch = batches.open_batch(session, "arxiv", category, day, now)
    was_done = batch.state in {BatchState.COMPLETE, BatchState.CLOSED}
    stored = store_announcements(session, batch, missed, now)
    if was_done or is_past_deadline(day, now):
        batch.late_count += len(missed) - len(stored.refused)
    if len(missed) > len(stored.refused):
        batch.answer, batch.failure = SourceAnswer.READ, ""
    _settle(session, batch, now)
    return stored


def _settle(session: Session, batch: Batch, now: datetime) -> None:
    """Complete the batch if the missed papers make it whole; close it if past its deadline."""
    is_open = batch.state in {BatchState.EXPECTED, BatchState.PARTIAL}
    found = batches.count_first_announced(session, batch.id)
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
) -> Stored:
    """Take over new versions, withdrawals and metadata of known papers; announce nothing."""
    if not changed:
        return Stored()
    return store_announcements(session, None, changed, now, requested_category=category)


def forget_changes(sessions: sessionmaker[Session]) -> None:
    """Delete the log of paper changes that are older than any process's cache (two days)."""
    with transaction(sessions) as session:
        delete_old_changes(session)
