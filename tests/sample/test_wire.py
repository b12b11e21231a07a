"""The sample feeds, parsed with plain lxml and compared with feeds of the real server."""

import gzip
import os
import re
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import pytest
from lxml import etree

from service.papers.domain.works import is_withdrawal
from service.papers.sources.arxiv_feed import parse_feed
from service.papers.sources.arxiv_list import parse_listing
from service.sample.papers import new_papers, sample_day
from service.sample.people import names_in
from service.sample.wire import (
    BadQuery,
    Heading,
    Item,
    atom_feed,
    listing,
    render_atom,
    render_rss,
    rss_feed,
)

TUESDAY = date(2026, 11, 24)
SATURDAY = date(2026, 11, 28)
WATCHED = ("cs.AI", "cs.CL", "cs.CV", "cs.LG", "stat.ML")
NAMES = {
    "arxiv": "http://arxiv.org/schemas/atom",
    "atom": "http://www.w3.org/2005/Atom",
    "dc": "http://purl.org/dc/elements/1.1/",
}
TYPE = f"{{{NAMES['arxiv']}}}announce_type"
REAL_FEEDS = (
    Path(__file__).parents[2]
    / os.environ.get("PAPERBOY_REAL_DATA", "../shared/data")
    / "wire/arxiv_rss/dev"
)


def _types(query: str, on: date = TUESDAY) -> dict[str, str]:
    """Return identifier -> type of announcement in RSS."""
    items = etree.fromstring(rss_feed(query, on)).findall("channel/item")
    return {
        item.findtext("guid").removeprefix("oai:arXiv.org:"): item.findtext(TYPE) for item in items
    }


def test_every_watched_category_has_new_papers_and_cross_lists() -> None:
    for category in WATCHED:
        counts = Counter(_types(category).values())
        assert counts["new"] >= 5, category
        assert counts["cross"] >= 3, category


def test_the_listing_counts_what_the_feed_holds() -> None:
    for category in WATCHED:
        counts, page = Counter(_types(category).values()), parse_listing(listing(category, TUESDAY))
        assert (page.on, page.new_count, page.cross_count) == (
            TUESDAY,
            counts["new"],
            counts["cross"],
        )
    assert parse_listing(listing("cs.CL", SATURDAY)).is_empty


@pytest.mark.parametrize("on", [TUESDAY, TUESDAY + timedelta(days=1)])
def test_the_watched_categories_together_hold_the_promised_replacements(on: date) -> None:
    counts = Counter(_types("+".join(WATCHED), on).values())
    assert counts["new"] + counts["cross"] >= 60
    assert counts["replace"] >= 10
    assert counts["replace-cross"] >= 3


def test_a_cross_list_is_new_in_a_request_for_its_primary_category() -> None:
    language, learning = _types("cs.CL"), _types("cs.LG")
    crossed = {name for name, kind in learning.items() if kind == "cross"} & language.keys()
    told_new = {name for name in crossed if language[name] == "new"}
    assert len(told_new) >= 2
    together = _types("cs.CL+cs.LG")
    assert {together[name] for name in told_new} == {"new"}


def test_the_same_replacement_is_a_cross_elsewhere() -> None:
    elsewhere, at_home = _types("cs.LG"), _types("physics")
    crossed = {name for name, kind in elsewhere.items() if kind == "replace-cross"}
    assert {at_home[name] for name in crossed & at_home.keys()} == {"replace"}


def test_an_archive_holds_all_of_its_categories_and_case_is_ignored() -> None:
    everything = _types("cs")
    for category in ("cs.AI", "cs.CL", "cs.CV", "cs.LG", "cs.RO"):
        assert _types(category).keys() <= everything.keys()
    assert rss_feed("CS.cl", TUESDAY) == rss_feed("cs.CL", TUESDAY)


def test_items_come_in_arxivs_order() -> None:
    announced = list(_types("cs.LG").items())
    order = ["new", "cross", "replace", "replace-cross"]
    assert announced == sorted(announced, key=lambda pair: (order.index(pair[1]), pair[0]))
    assert {kind for _, kind in announced} == set(order)


def test_rss_items_have_the_documented_fields() -> None:
    channel = etree.fromstring(rss_feed("cs.CV", TUESDAY)).find("channel")
    papers = {one.identifier: one for one in sample_day(TUESDAY)}
    items = channel.findall("item")
    assert items
    for item in items:
        paper = papers[item.findtext("link").removeprefix("https://arxiv.org/abs/")]
        name, kind = f"{paper.identifier}v{paper.version}", item.findtext(TYPE)
        assert item.findtext("title") == paper.manuscript.title
        assert item.findtext("description") == (
            f"arXiv:{name} Announce Type: {kind} \nAbstract: {paper.manuscript.abstract}"
        )
        assert item.findtext("guid") == f"oai:arXiv.org:{name}"
        assert item.find("guid").get("isPermaLink") == "false"
        assert tuple(one.text for one in item.findall("category")) == paper.manuscript.categories
        assert item.findtext("pubDate") == "Tue, 24 Nov 2026 00:00:00 -0500"
        assert item.findtext("dc:rights", namespaces=NAMES) == paper.license
        assert item.findtext("dc:creator", namespaces=NAMES) == paper.manuscript.creator


def test_atom_says_the_same_as_rss() -> None:
    feed = etree.fromstring(atom_feed("stat.ML", TUESDAY))
    entries = feed.findall("atom:entry", NAMES)
    announced = {one.findtext("atom:id", namespaces=NAMES): one.findtext(TYPE) for one in entries}
    assert announced == {f"oai:arXiv.org:{name}": kind for name, kind in _types("stat.ML").items()}
    assert feed.findtext("atom:title", namespaces=NAMES) == "stat.ML updates on arXiv.org"
    assert {one.findtext("atom:published", namespaces=NAMES) for one in entries} == {
        "2026-11-24T00:00:00-05:00"
    }


def test_dates_follow_new_yorks_summer_time() -> None:
    channel = etree.fromstring(rss_feed("cs.CL", date(2026, 7, 14))).find("channel")
    assert channel.findtext("pubDate") == "Tue, 14 Jul 2026 00:00:00 -0400"
    assert channel.findtext("lastBuildDate") == "Tue, 14 Jul 2026 04:00:02 +0000"


def test_a_weekend_feed_is_empty_and_names_its_skip_days() -> None:
    channel = etree.fromstring(rss_feed("cs.CL", SATURDAY)).find("channel")
    assert channel.findall("item") == []
    assert [day.text for day in channel.findall("skipDays/day")] == ["Sunday", "Saturday"]
    assert etree.fromstring(atom_feed("cs.CL", SATURDAY)).findall("atom:entry", NAMES) == []


def test_a_doi_and_a_journal_reference_come_with_a_published_paper() -> None:
    published = [
        item
        for days in range(22)
        for item in etree.fromstring(rss_feed("physics", TUESDAY + timedelta(days))).iter("item")
        if item.find("arxiv:DOI", NAMES) is not None
    ]
    assert len(published) >= 2
    assert all(one.findtext("arxiv:journal_reference", namespaces=NAMES) for one in published)


@pytest.mark.parametrize("query", ["cs.XX", "nonsense", "cs.CL+cs.XX", "", "cs.*", "cs.CL.x", "+"])
def test_an_unknown_category_is_a_bad_query(query: str) -> None:
    for render in (rss_feed, atom_feed):
        with pytest.raises(BadQuery, match=r"^(Bad|Invalid) "):
            render(query, TUESDAY)


@pytest.mark.parametrize("render", [rss_feed, atom_feed])
@pytest.mark.parametrize("on", [TUESDAY, TUESDAY + timedelta(days=1)])
def test_our_own_parser_reads_every_paper_without_a_bad_entry(render: object, on: date) -> None:
    assert callable(render)
    batch = parse_feed(render("+".join(WATCHED), on))
    expected = _types("+".join(WATCHED), on)
    assert batch.bad_entries == ()
    assert not batch.is_truncated
    assert batch.rendered_on == on
    assert {
        f"{one.identifier}v{one.version}": one.announce_type.value for one in batch.announcements
    } == expected
    papers = {one.identifier: one.manuscript for one in sample_day(on)}
    for announced in batch.announcements:
        assert announced.abstract == papers[announced.identifier].abstract
        assert announced.title == papers[announced.identifier].title
    assert sum(is_withdrawal(one) for one in batch.announcements) >= 1


def test_our_own_parser_reads_authors_as_they_were_meant() -> None:
    batch = parse_feed(rss_feed("cs+stat+eess+physics+math+econ+q-bio", TUESDAY))
    read = {one.identifier: one.authors for one in batch.announcements}
    for paper in new_papers(TUESDAY):
        assert read[paper.identifier] == names_in(paper.manuscript.creator)


def test_our_own_parser_sees_a_weekend_as_a_skip_day() -> None:
    batch = parse_feed(rss_feed("cs.CL", SATURDAY))
    assert batch.announcements == ()
    assert batch.is_skip_day


def _item(node: etree._Element) -> Item:
    name, version = node.findtext("guid").removeprefix("oai:arXiv.org:").rsplit("v", 1)
    return Item(
        identifier=name,
        version=int(version),
        announce_type=node.findtext(TYPE),
        title=node.findtext("title"),
        abstract=node.findtext("description").split("\nAbstract: ", 1)[1],
        creator=node.findtext("dc:creator", namespaces=NAMES),
        categories=tuple(one.text for one in node.findall("category")),
        license=node.findtext("dc:rights", "", namespaces=NAMES),
        doi=node.findtext("arxiv:DOI", "", namespaces=NAMES),
        journal_ref=node.findtext("arxiv:journal_reference", "", namespaces=NAMES),
    )


@pytest.mark.real
@pytest.mark.parametrize("on", ["2026-04-17", "2026-04-18", "2026-04-21"])
def test_a_recorded_day_is_written_again_byte_for_byte(on: str) -> None:
    rss = gzip.decompress((REAL_FEEDS / f"rendered_cs.CV_{on}.rss.xml.gz").read_bytes())
    atom = gzip.decompress((REAL_FEEDS / f"rendered_cs.CV_{on}.atom.xml.gz").read_bytes())
    items = [_item(node) for node in etree.fromstring(rss).findall("channel/item")]
    heading = Heading(("cs.CV",), date.fromisoformat(on))
    assert render_rss(heading, items) == rss
    assert render_atom(heading, items) == atom


@pytest.mark.real
def test_an_error_feed_has_the_recorded_shape() -> None:
    for kind, render in (("rss", render_rss), ("atom", render_atom)):
        recorded = (REAL_FEEDS / f"rendered_error_cs.XX.{kind}.xml").read_bytes()
        reason = re.search(rb"<(?:description|subtitle)>(.*?)</", recorded)
        assert reason
        heading = Heading(("cs.XX",), date(2026, 4, 20), error=reason[1].decode())
        assert render(heading, []) == recorded


@pytest.mark.real
def test_entries_of_a_real_answer_of_arxiv_are_written_again_byte_for_byte() -> None:
    recorded = (REAL_FEEDS / "real_atom_cs.AI_2025-08-20_TRUNCATED.xml").read_text("utf-8")
    whole = recorded[: recorded.rindex("  </entry>") + len("  </entry>\n")] + "</feed>\n"
    feed = etree.fromstring(whole.encode())
    items = [_atom_item(node) for node in feed.findall("atom:entry", NAMES)]
    assert len(items) > 80
    written = render_atom(Heading(("cs.AI",), date(2025, 8, 20)), items).decode()
    # Only the instant of rendering cannot be known.
    instant = re.compile(r"<updated>[^<]*</updated>")
    assert instant.sub("", written) == instant.sub("", whole)


def _atom_item(node: etree._Element) -> Item:
    name, version = (
        node.findtext("atom:id", namespaces=NAMES).removeprefix("oai:arXiv.org:").rsplit("v", 1)
    )
    return Item(
        identifier=name,
        version=int(version),
        announce_type=node.findtext(TYPE),
        title=node.findtext("atom:title", namespaces=NAMES),
        abstract=node.findtext("atom:summary", namespaces=NAMES).split("\nAbstract: ", 1)[1],
        creator=node.findtext("dc:creator", namespaces=NAMES),
        categories=tuple(one.get("term") for one in node.findall("atom:category", NAMES)),
        license=node.findtext("dc:rights", "", namespaces=NAMES),
        doi=node.findtext("arxiv:DOI", "", namespaces=NAMES),
        journal_ref=node.findtext("arxiv:journal_reference", "", namespaces=NAMES),
    )
