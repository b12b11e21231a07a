"""Look up what subscribers submitted at its source, each paper once, and add what is new."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy.orm import Session, sessionmaker

from service.papers.domain.announcement_days import announcement_date
from service.papers.domain.record_limits import FAULTS
from service.papers.domain.types import AnnounceType, ParsedAnnouncement
from service.papers.sources.arxiv_api import ArxivApi
from service.papers.sources.base import SourceUnavailable, SourceUnreadable
from service.papers.sources.biorxiv import Biorxiv
from service.papers.store.upsert import record_first_announcement
from service.papers.store.works import find_id_by_names
from service.papers.store_announcements import store_announcements
from service.platform.database.engine import transaction
from service.platform.logs import get_logger
from service.platform.settings.settings import Settings
from service.subscribers.domain.submitted import OLDEST, PATIENCE, servers_for
from service.subscribers.domain.types import SubmissionState
from service.subscribers.store import submissions as store

# One request to arXiv, and few enough of the others for a task of some minutes.
NAMES_AT_ONCE = 50

log = get_logger(__name__)


def settle_submissions(
    sessions: sessionmaker[Session],
    settings: Settings,
    api: ArxivApi | None,
    preprints: Sequence[Biorxiv],
    now: datetime,
) -> int:
    """Look up what was submitted, each paper once, and return how many papers are new here.

    Idempotent. A source that does not answer is asked again later; after three days that is said.
    """
    with transaction(sessions) as session:
        store.give_up(session, now - PATIENCE, now)
        names = _claim_unknown(session, now) if settings.submissions else []
    arxiv = [name for name in names if name.startswith("arxiv:")]
    others = [name for name in names if not name.startswith("arxiv:")]
    added = _settle_arxiv(sessions, api, arxiv, now) if arxiv and api else 0
    for name in others:
        servers = servers_for(name, settings.sources)
        usable = [one for one in preprints if one.server in servers]
        added += _settle_preprint(sessions, usable, name, now)
    return added


def _claim_unknown(session: Session, now: datetime) -> list[str]:
    """Claim names to look up; those that came here meanwhile by another way are settled at once."""
    unknown = []
    for name in store.claim_names(session, now, NAMES_AT_ONCE):
        paper_id = find_id_by_names(session, [name])
        if paper_id is None:
            unknown.append(name)
        else:
            store.settle_name(session, name, SubmissionState.KNOWN, now, paper_id)
    return unknown


def _settle_arxiv(
    sessions: sessionmaker[Session], api: ArxivApi, names: Sequence[str], now: datetime
) -> int:
    try:
        found = api.fetch_papers([name.partition(":")[2] for name in names])
    except (SourceUnavailable, SourceUnreadable, *FAULTS) as error:
        log.info("submissions.unavailable", source="arxiv", reason=str(error))
        return 0
    by_name = {f"arxiv:{one.identifier}": one for one in found.announcements}
    return sum(_settle(sessions, name, by_name.get(name), now) for name in names)


def _settle_preprint(
    sessions: sessionmaker[Session], preprints: Iterable[Biorxiv], name: str, now: datetime
) -> int:
    for source in preprints:
        try:
            found = source.find_paper(name.partition(":")[2])
        except (SourceUnavailable, SourceUnreadable, *FAULTS) as error:
            log.info("submissions.unavailable", source=source.name, reason=str(error))
            return 0
        if found is not None:
            return _settle(sessions, name, found, now)
    return _settle(sessions, name, None, now)


def _settle(
    sessions: sessionmaker[Session], name: str, found: ParsedAnnouncement | None, now: datetime
) -> int:
    """Settle one paper in a transaction of its own; return 1 where it is new here, otherwise 0."""
    with transaction(sessions) as session:
        if found is None:
            store.settle_name(session, name, SubmissionState.UNKNOWN, now)
            return 0
        if found.published_at is None or now - found.published_at > OLDEST:
            store.settle_name(session, name, SubmissionState.TOO_OLD, now)
            return 0
        stored = store_announcements(session, None, [found], now)
        paper_id = find_id_by_names(session, [name])
        if paper_id is None:
            log.warning("submissions.refused", name=name, reason=str(dict(stored.refused)))
            store.settle_name(session, name, SubmissionState.UNKNOWN, now)
            return 0
        # Named by a reader, as a list names a paper: its own announcement may have been days ago.
        on = announcement_date(now)
        record_first_announcement(session, [paper_id], AnnounceType.LISTED, on, now)
        state = SubmissionState.ADDED if stored.inserted else SubmissionState.KNOWN
        store.settle_name(session, name, state, now, paper_id)
        return stored.inserted
