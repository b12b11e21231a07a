"""Upserts of papers and their batches in Postgres."""

from datetime import UTC, date, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session
from support.web.papers import FRIDAY, make_announcement, store_papers

from service.papers.domain.types import AnnounceType
from service.papers.store.models import Paper
from service.papers.store.upsert import record_first_announcement
from service.topics.store.index_rows import index_papers

NOW = datetime(2026, 9, 18, 4, 0, tzinfo=UTC)


def test_the_index_of_a_paper_holds_the_lexemes_of_postgres(session: Session) -> None:
    ids = store_papers(session, [make_announcement(1, "Parsing parsers")])
    (indexed,) = index_papers(session, list(ids.values()))
    assert indexed.paper_id == ids["arxiv:2609.00001"]
    assert indexed.categories == frozenset({"cs.CL"})
    assert indexed.authors == ("Ada Lovelace", "Grace Hopper")
    assert set(indexed.title) == {"pars", "parser"}


def test_a_first_announcement_is_kept_and_may_be_raised_to_new_on_its_day(session: Session) -> None:
    announcement = make_announcement(1, "Crossed", announce_type=AnnounceType.CROSS)
    (number,) = store_papers(session, [announcement]).values()

    def announce(kind: AnnounceType, on: date) -> tuple[AnnounceType | None, date | None]:
        record_first_announcement(session, [number], kind, on, NOW + timedelta(hours=9))
        row = session.execute(select(Paper).execution_options(populate_existing=True)).scalar_one()
        assert row.first_announced_at == NOW
        return row.announced_as, row.first_announced_on

    assert announce(AnnounceType.NEW, FRIDAY + timedelta(days=1)) == (AnnounceType.CROSS, FRIDAY)
    assert announce(AnnounceType.LISTED, FRIDAY) == (AnnounceType.CROSS, FRIDAY)
    assert announce(AnnounceType.NEW, FRIDAY) == (AnnounceType.NEW, FRIDAY)
    assert announce(AnnounceType.CROSS, FRIDAY) == (AnnounceType.NEW, FRIDAY)
