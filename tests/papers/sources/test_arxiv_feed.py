"""arXiv's feed: every documented field, bad entries counted, incomplete feeds refused."""

from collections.abc import Mapping
from datetime import date
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.papers.domain.types import AnnounceType, BadEntry
from service.papers.sources.arxiv_feed import feed_address, parse_feed
from service.papers.sources.base import SourceUnreadable

NAMESPACES = (
    'xmlns:arxiv="http://arxiv.org/schemas/atom" xmlns:dc="http://purl.org/dc/elements/1.1/"'
)
FRIDAY = "Fri, 18 Sep 2026 00:00:00 -0400"


def rss(*items: str, published: str = FRIDAY, title: str = "cs.CL updates on arXiv.org") -> bytes:
    return (
        f"<?xml version='1.0' encoding='UTF-8'?>\n<rss {NAMESPACES} version=\"2.0\"><channel>"
        f"<title>{title}</title><description>about</description><pubDate>{published}</pubDate>"
        "<skipDays><day>Sunday</day><day>Saturday</day></skipDays>"
        f"{''.join(items)}</channel></rss>"
    ).encode()


def atom(*entries: str, updated: str = "2026-09-18T04:00:02+00:00") -> bytes:
    return (
        f"<?xml version='1.0' encoding='UTF-8'?>\n"
        f'<feed {NAMESPACES} xmlns="http://www.w3.org/2005/Atom"><title>cs.CL</title>'
        f"<subtitle>about</subtitle><updated>{updated}</updated>{''.join(entries)}</feed>"
    ).encode()


def fields(**changed: str) -> dict[str, str]:
    return {
        "id": "oai:arXiv.org:2609.01234v2",
        "title": "On $x<y$ & more",
        "link": "https://arxiv.org/abs/2609.01234",
        "summary": "arXiv:2609.01234v2 Announce Type: replace-cross \nAbstract: We show\nthat. Abstract: too.",
        "type": "replace-cross",
        "rights": "http://creativecommons.org/licenses/by/4.0/",
        "creator": "Ada Lovelace (London, UK), Andr\\'e Roe",
        "doi": "10.1000/XYZ",
        "journal": "J. Tests 1 (2026)",
        **changed,
    }


def extensions(values: Mapping[str, str]) -> str:
    return (
        f"<arxiv:announce_type>{values['type']}</arxiv:announce_type>"
        f"<dc:rights>{values['rights']}</dc:rights><dc:creator>{escape(values['creator'])}</dc:creator>"
        f"<arxiv:DOI>{values['doi']}</arxiv:DOI>"
        f"<arxiv:journal_reference>{values['journal']}</arxiv:journal_reference>"
    )


def item(**changed: str) -> str:
    values = fields(**changed)
    return (
        f"<item><title>{escape(values['title'])}</title><link>{values['link']}</link>"
        f"<description>{escape(values['summary'])}</description>"
        f'<guid isPermaLink="false">{values["id"]}</guid>'
        f"<category>cs.CL</category><category>cs.AI</category>{extensions(values)}</item>"
    )


def entry(**changed: str) -> str:
    values = fields(**changed)
    return (
        f"<entry><id>{values['id']}</id><title>{escape(values['title'])}</title>"
        f'<link rel="alternate" href="{values["link"]}"/><summary>{escape(values["summary"])}</summary>'
        '<category term="cs.CL"/><category term="cs.AI"/>'
        f"<published>2026-09-18T00:00:00-04:00</published>{extensions(values)}</entry>"
    )


@pytest.mark.parametrize("payload", [rss(item()), atom(entry())], ids=["rss", "atom"])
def test_every_documented_field_is_read_raw_from_either_format(payload: bytes) -> None:
    batch = parse_feed(payload)
    (announcement,) = batch.announcements
    assert announcement.key == "arxiv:2609.01234"
    assert announcement.source == "arxiv"
    assert (announcement.identifier, announcement.version) == ("2609.01234", 2)
    assert announcement.announce_type is AnnounceType.REPLACE_CROSS
    assert announcement.title == "On $x<y$ & more"
    assert announcement.abstract == "We show\nthat. Abstract: too."
    assert announcement.authors == ("Ada Lovelace", "Andr\\'e Roe")
    assert announcement.categories == ("cs.CL", "cs.AI")
    assert announcement.primary_category is None
    assert announcement.url == "https://arxiv.org/abs/2609.01234"
    assert announcement.license == "http://creativecommons.org/licenses/by/4.0/"
    assert announcement.doi == "10.1000/XYZ"
    assert announcement.journal_ref == "J. Tests 1 (2026)"
    # The feed's dates are those of its rendering, so the paper has none.
    assert announcement.published_at is None
    assert batch.bad_entries == ()
    assert batch.rendered_on == date(2026, 9, 18)
    assert not batch.is_skip_day
    assert not batch.is_truncated


def test_an_old_identifier_loses_version_and_subject_class() -> None:
    (announcement,) = parse_feed(rss(item(id="oai:arXiv.org:math.CA/0611800v3"))).announcements
    assert (announcement.key, announcement.version) == ("arxiv:math/0611800", 3)
    (announcement,) = parse_feed(rss(item(id="oai:arXiv.org:math/0611800"))).announcements
    assert announcement.version == 1


@pytest.mark.parametrize(
    ("payload", "rendered_on", "is_skip_day"),
    [
        (rss(published="Sat, 19 Sep 2026 00:00:00 -0400"), date(2026, 9, 19), True),
        (rss(published="Sun, 20 Sep 2026 00:00:00 -0400"), date(2026, 9, 20), True),
        (rss(published="Mon, 21 Sep 2026 00:00:00 -0400"), date(2026, 9, 21), False),
        (rss(published="some day"), None, False),
        (atom(updated="2026-09-19T04:00:02+00:00"), date(2026, 9, 19), True),
        # Still Friday in New York, also in winter time.
        (atom(updated="2026-09-19T03:59:59Z"), date(2026, 9, 18), False),
        (atom(updated="2026-12-05T04:59:59Z"), date(2026, 12, 4), False),
        (atom(updated="2026-09-20T00:00:00"), date(2026, 9, 20), True),
        (atom(updated="whenever"), None, False),
    ],
)
def test_a_feed_names_its_rendering_day_and_whether_it_is_a_skip_day(
    payload: bytes, rendered_on: date | None, is_skip_day: bool
) -> None:
    batch = parse_feed(payload)
    assert batch.announcements == ()
    assert batch.rendered_on == rendered_on
    assert batch.is_skip_day is is_skip_day


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (item(id=""), "has no identifier"),
        (item(id="oai:arXiv.org:nonsense"), "not an arXiv identifier"),
        (item(type="absonly"), "2609.01234 has unknown announce type 'absonly'"),
        (item(type=""), "unknown announce type ''"),
        (item(title="  "), "2609.01234 has no title"),
        ("<item/>", "has no identifier"),
    ],
)
def test_a_bad_entry_is_counted_and_does_not_affect_the_others(bad: str, reason: str) -> None:
    good = [item(id=f"oai:arXiv.org:2609.0000{n}v1") for n in (1, 2)]
    batch = parse_feed(rss(good[0], bad, good[1]))
    assert [a.identifier for a in batch.announcements] == ["2609.00001", "2609.00002"]
    (counted,) = batch.bad_entries
    assert counted.position == 1
    assert reason in counted.reason
    assert counted.reason.endswith("line 4")


def test_only_a_web_address_becomes_the_papers_link() -> None:
    (announcement,) = parse_feed(atom(entry(link="javascript:alert(1)"))).announcements
    assert announcement.url == "https://arxiv.org/abs/2609.01234"


def test_a_description_without_its_prefix_is_the_abstract() -> None:
    (announcement,) = parse_feed(rss(item(summary="Just text."))).announcements
    assert announcement.abstract == "Just text."


def test_a_control_character_in_a_title_does_not_make_the_feed_unreadable() -> None:
    (announcement,) = parse_feed(rss(item(title="bell\x07 and\x0b tab"))).announcements
    assert announcement.title == "bell and tab"


def test_markup_and_comments_inside_a_title_keep_its_words() -> None:
    payload = rss(item(title="TITLE")).replace(b"TITLE", b"A <i>B</i><!-- no --> C<?no pi?> D")
    (announcement,) = parse_feed(payload).announcements
    assert announcement.title == "A B C D"


@pytest.mark.parametrize("count", [1999, 2000, 2001])
def test_two_thousand_items_are_arxivs_limit_and_so_a_truncated_batch(count: int) -> None:
    batch = parse_feed(rss(*(item(id=f"oai:arXiv.org:2609.{n:05}v1") for n in range(1, count + 1))))
    assert len(batch.announcements) == count
    assert batch.is_truncated is (count >= 2000)


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY a{n} "{"&a;" * 10}">' for n in range(9))
    + "]><rss><channel><title>&a8;</title></channel></rss>"
).encode()
FILE_READER = (
    b'<!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    b"<rss><channel><title>&x;</title></channel></rss>"
)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "the answer is empty, line 1"),
        (b" \n ", "the answer is empty, line 1"),
        (b"Rate exceeded.", "the answer is not XML, line 1"),
        (b"\x1f\x8b\x08\x00garbage", "the answer is not XML, line 1"),
        (b'{"error": "no"}', "the answer is not XML, line 1"),
        (b"<!DOCTYPE html>\n<html><body><p>Busy</body></html>", "a page of HTML, line 1"),
        (b"<html><body/></html>", "a page of HTML, line 1"),
        (b"<rss/>", "the document is <rss>, line 1"),
        (b"<OAI-PMH/>", "the document is <OAI-PMH>, line 1"),
        (b"<rss><channel>\n<item></channel></rss>", "line 2"),
        (b'<!DOCTYPE rss SYSTEM "http://127.0.0.1/x.dtd"><rss><channel/></rss>', "document type"),
        (BOMB, "document type"),
        (FILE_READER, "document type"),
        (
            rss(title="Feed error for query: http://rss.arxiv.org/rss/cs.XX"),
            "Feed error for query: http://rss.arxiv.org/rss/cs.XX: about, line 2",
        ),
    ],
)
def test_anything_but_a_feed_is_refused_in_one_line_with_its_place(
    payload: bytes, reason: str
) -> None:
    with pytest.raises(SourceUnreadable) as caught:
        parse_feed(payload)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.integers(min_value=1, max_value=len(rss(item(), item(id="oai:arXiv.org:2609.1v1"))) - 1))
def test_a_feed_cut_off_anywhere_is_refused_whole(length: int) -> None:
    payload = rss(item(), item(id="oai:arXiv.org:2609.1v1"))[:length]
    with pytest.raises(SourceUnreadable):
        parse_feed(payload)


def test_a_bad_entry_is_a_value_that_compares() -> None:
    batch = parse_feed(atom(entry(type="odd")))
    assert batch.bad_entries == (BadEntry(0, "2609.01234 has unknown announce type 'odd', line 2"),)


@pytest.mark.parametrize(
    ("configured", "address"),
    [
        ("https://rss.arxiv.org", "https://rss.arxiv.org/rss/cs.CL"),
        ("https://rss.arxiv.org/", "https://rss.arxiv.org/rss/cs.CL"),
        ("https://rss.arxiv.org/atom", "https://rss.arxiv.org/atom/cs.CL"),
        ("http://127.0.0.1:8080/mirror/rss/", "http://127.0.0.1:8080/mirror/rss/cs.CL"),
        ("http://127.0.0.1:8080/mirror", "http://127.0.0.1:8080/mirror/rss/cs.CL"),
    ],
)
def test_the_configured_address_may_name_the_format(configured: str, address: str) -> None:
    assert feed_address(configured, "cs.CL") == address


def test_a_category_is_quoted_in_the_address() -> None:
    assert feed_address("http://h", "../x?y+z") == "http://h/rss/..%2Fx%3Fy%2Bz"
