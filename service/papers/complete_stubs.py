"""Complete stubs: fetch categories and authors from arXiv for papers known only from a list."""

from datetime import datetime, timedelta

from sqlalchemy.orm import Session, sessionmaker

from service.papers.domain.completeness import describe_faults
from service.papers.domain.record_limits import FAULTS
from service.papers.domain.types import ParsedBatch
from service.papers.sources.arxiv_api import ArxivApi
from service.papers.sources.base import SourceUnavailable, SourceUnreadable
from service.papers.store.works import find_stubs
from service.papers.store_announcements import store_announcements
from service.platform.database.engine import transaction
from service.platform.logs import get_logger

# Two requests to the search API at the most: the next wake-up task asks for the rest.
STUBS_AT_ONCE = 200
OLDEST_STUB = timedelta(days=14)

log = get_logger(__name__)


def complete_stubs(sessions: sessionmaker[Session], api: ArxivApi, now: datetime) -> int:
    """Complete the stubs through arXiv's search API and return how many were completed."""
    with transaction(sessions) as session:
        identifiers = find_stubs(session, now - OLDEST_STUB, STUBS_AT_ONCE)
    if not identifiers:
        return 0
    try:
        found = api.fetch_papers(identifiers)
    except (SourceUnavailable, SourceUnreadable, *FAULTS) as error:
        log.info("enrich.unavailable", reason=str(error))
        return 0
    with transaction(sessions) as session:
        stored = store_announcements(session, None, found.announcements, now)
    answer = ParsedBatch(found.announcements, (*found.bad_entries, *stored.bad_entries))
    if faults := describe_faults(answer):
        log.warning("enrich.faults", note=faults)
    return stored.updated
