"""Real days of arXiv, as RSS and as Atom, compared with their announcements."""

import gzip
import json
from datetime import date
from pathlib import Path

import pytest

from service.papers.sources.arxiv_feed import parse_feed
from service.papers.sources.base import SourceUnreadable

pytestmark = pytest.mark.real

DAYS = [f"2026-04-{day}" for day in range(17, 25)]
# The announcements' authors were split from the same joined string by another program: it kept
# doubled blanks at the start of a name (four lists) and the "and" before the last one (one list).
DIFFERENT_AUTHORS = {"2604.14268", "2604.16446", "2604.17720", "2604.19234", "2604.19710"}


def without_traces(author: str) -> str:
    return author.strip().removeprefix("and ")


@pytest.mark.parametrize("extension", ["rss", "atom"])
@pytest.mark.parametrize("day", DAYS)
def test_a_days_feed_agrees_with_what_was_announced(
    real_data: Path, day: str, extension: str
) -> None:
    announced = json.loads(
        gzip.decompress((real_data / "announcements" / "dev" / f"{day}.json.gz").read_bytes())
    )["papers"]
    feed = real_data / "wire" / "arxiv_rss" / "dev" / f"rendered_cs.CV_{day}.{extension}.xml.gz"
    batch = parse_feed(gzip.decompress(feed.read_bytes()))
    papers = {paper["arxiv_id"]: paper for paper in announced}

    assert batch.bad_entries == ()
    assert batch.rendered_on == date.fromisoformat(day)
    assert batch.is_skip_day is (day in {"2026-04-18", "2026-04-19"})
    assert {a.identifier for a in batch.announcements} == papers.keys()
    assert len(batch.announcements) == len(announced)
    different = set()
    for announcement in batch.announcements:
        paper = papers[announcement.identifier]
        assert announcement.announce_type == paper["announce_type"]
        assert announcement.title == paper["title"]
        assert announcement.abstract == paper["abstract"]
        assert announcement.categories == tuple(paper["categories"])
        assert announcement.authors == tuple(map(without_traces, paper["authors"]))
        if announcement.authors != tuple(paper["authors"]):
            different.add(announcement.identifier)
    assert different == DIFFERENT_AUTHORS & papers.keys()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("real_atom_cs.AI_2025-08-20_TRUNCATED.xml", "malformed arXiv feed: .*line 1233"),
        ("real_rss_header_cs.CV_2025-09-22_TRUNCATED.xml", "malformed arXiv feed: .*line 21"),
        ("rendered_error_cs.XX.rss.xml", "Invalid archive or subject class name: 'cs.XX'"),
        ("rendered_error_cs.XX.atom.xml", "Invalid archive or subject class name: 'cs.XX'"),
    ],
)
def test_a_real_feed_that_is_cut_off_or_an_error_is_refused(
    real_data: Path, name: str, reason: str
) -> None:
    payload = (real_data / "wire" / "arxiv_rss" / "dev" / name).read_bytes()
    with pytest.raises(SourceUnreadable, match=reason):
        parse_feed(payload)


def test_the_whole_entries_of_a_real_atom_day_are_all_read(real_data: Path) -> None:
    """The file is truncated; closed after its last whole entry it is a real feed."""
    path = real_data / "wire" / "arxiv_rss" / "dev" / "real_atom_cs.AI_2025-08-20_TRUNCATED.xml"
    payload = path.read_bytes()
    whole = payload[: payload.rindex(b"</entry>")] + b"</entry></feed>"
    batch = parse_feed(whole)
    assert len(batch.announcements) == whole.count(b"<entry>") > 50
    assert batch.bad_entries == ()
    assert batch.rendered_on == date(2025, 8, 20)
    assert any(a.doi for a in batch.announcements)
    assert all(a.authors and a.abstract and a.license for a in batch.announcements)


@pytest.mark.parametrize("folder", ["arxiv_oai", "oai_generic", "arxiv_api_atom"])
def test_other_answers_of_arxiv_are_never_read_as_a_batch(real_data: Path, folder: str) -> None:
    paths = sorted((real_data / "wire" / folder / "dev").glob("*.xml"))
    assert paths
    for path in paths:
        try:
            batch = parse_feed(path.read_bytes())
        except SourceUnreadable:
            continue
        assert batch.announcements == (), path.name
