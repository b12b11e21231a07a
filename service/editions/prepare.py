"""Prepare an edition: assign its papers and revisions, and describe its coverage."""

from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import Cadence
from service.editions.coverage import describe_coverage
from service.editions.domain.schedule import LOOKBACK_DAYS
from service.editions.store.edition_papers import assign_papers
from service.editions.store.models import Edition
from service.editions.store.revisions import assign_revisions
from service.papers.store.read import list_ids_since
from service.papers.trends import own_signals, refresh_trends
from service.platform.settings.settings import Settings
from service.similarity.embed_papers import embed_in_transaction


def prepare_edition(session: Session, settings: Settings, edition: Edition, now: datetime) -> None:
    """Assign papers and revisions, refresh trends and describe the coverage of a new edition.

    Publishing commits this and a preview rolls it back, so both compose from the same edition.
    """
    lookback = timedelta(days=LOOKBACK_DAYS[edition.cadence])
    # Without an embedding, a paper that came a minute ago would match no `like:` clause.
    embed_in_transaction(
        session, settings, list_candidates(session, edition.cadence, edition.local_date)
    )
    edition.paper_count = assign_papers(session, edition, lookback)
    assign_revisions(session, edition, lookback)
    refresh_trends(session, edition.local_date - lookback, now, own_signals(settings))
    edition.coverage = describe_coverage(session, edition, settings).as_json()


def list_candidates(session: Session, cadence: Cadence, on: date) -> list[int]:
    """Return the ids of the papers that an edition of this date may carry."""
    return list_ids_since(session, on - timedelta(days=LOOKBACK_DAYS[cadence]))
