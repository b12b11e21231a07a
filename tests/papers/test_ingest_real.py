"""Ingest of a real week of cs.CV stores exactly the papers that were announced."""

import gzip
import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session
from support.newsletter.stored import changed_tables, read_tables
from support.sources.provider import Provider, morning

from service.papers.domain.types import BatchState
from service.papers.store.models import Announcement, Batch, Paper

pytestmark = [pytest.mark.real, pytest.mark.slow]

DAYS = [date(2026, 4, 17) + timedelta(days=n) for n in range(8)]
WEEKEND = {date(2026, 4, 18), date(2026, 4, 19)}


def announced(real_data: Path, on: date) -> set[tuple[str, str]]:
    """Return the truth: (identifier, announce type) of every paper of the day."""
    path = real_data / "announcements" / "dev" / f"{on}.json.gz"
    papers = json.loads(gzip.decompress(path.read_bytes()))["papers"]
    return {(paper["arxiv_id"], paper["announce_type"]) for paper in papers}


def stored(session: Session, on: date) -> set[tuple[str, str]]:
    rows = session.execute(
        select(Paper.identifier, Announcement.announce_type)
        .join(Announcement, Announcement.paper_id == Paper.id)
        .join(Batch, Batch.id == Announcement.batch_id)
        .where(Batch.announced_on == on)
    )
    return {(identifier, str(kind)) for identifier, kind in rows}


@pytest.mark.parametrize("extension", ["rss", "atom"])
def test_a_week_is_stored_as_it_was_announced_and_a_second_run_changes_nothing(
    provider: Provider, real_data: Path, engine: Engine, session: Session, extension: str
) -> None:
    played = provider.settings.model_copy(
        update={"arxiv_feed_url": f"{provider.http.url}/{extension}"}
    )
    week = Provider(provider.http, played, provider.sessions)
    folder = real_data / "wire" / "arxiv_rss" / "dev"
    for on in DAYS:
        payload = (folder / f"rendered_cs.CV_{on}.{extension}.xml.gz").read_bytes()
        week.http.routes[f"/{extension}/cs.CV"] = (200, {"Content-Encoding": "gzip"}, payload)
        (report,) = week.ingest(morning(on), "cs.CV")
        assert (report.state, report.error, report.bad_count) == (BatchState.COMPLETE, "", 0)
        assert report.announced_on == on
        assert sum(report.counts.values()) == len(announced(real_data, on))
        assert (sum(report.counts.values()) == 0) is (on in WEEKEND)
        before = read_tables(engine)
        week.ingest(morning(on), "cs.CV", on=on)
        assert week.ingest(morning(on) + timedelta(hours=2), "cs.CV") == []
        assert changed_tables(before, read_tables(engine)) == set()
    for on in DAYS:
        assert stored(session, on) == announced(real_data, on)


def test_a_real_day_served_again_on_the_next_day_is_not_stored_as_that_day(
    provider: Provider, real_data: Path, engine: Engine
) -> None:
    thursday, friday = date(2026, 4, 23), date(2026, 4, 24)
    path = real_data / "wire" / "arxiv_rss" / "dev" / f"rendered_cs.CV_{thursday}.rss.xml.gz"
    payload = gzip.decompress(path.read_bytes())
    provider.show(payload, "cs.CV")
    provider.ingest(morning(thursday), "cs.CV")
    before = read_tables(engine)
    provider.show(payload.replace(b"Thu, 23 Apr 2026", b"Fri, 24 Apr 2026"), "cs.CV")
    (report,) = provider.ingest(morning(friday), "cs.CV")
    assert (report.announced_on, report.state) == (friday, BatchState.EXPECTED)
    assert changed_tables(before, read_tables(engine)) == {"batches"}


def test_a_truncated_real_feed_loses_no_stored_paper(
    provider: Provider, real_data: Path, engine: Engine
) -> None:
    folder = real_data / "wire" / "arxiv_rss" / "dev"
    for name in ("real_atom_cs.AI_2025-08-20_TRUNCATED.xml", "rendered_error_cs.XX.rss.xml"):
        provider.show((folder / name).read_bytes(), "cs.CV")
        before = read_tables(engine)
        (report,) = provider.ingest(morning(date(2026, 4, 17)), "cs.CV")
        assert report.error
        assert report.error.isprintable()
        assert changed_tables(before, read_tables(engine)) == {"batches"}
