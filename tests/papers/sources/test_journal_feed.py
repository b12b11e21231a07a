"""Journals' feeds: RSS, Atom and RDF, markup made plain text, a key for every paper."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.servers.loopback_http import LoopbackHttp
from support.sources.open_gate import OpenGate

from service.papers.domain.types import AnnounceType, ParsedAnnouncement
from service.papers.sources.base import FetchState, SourceUnavailable, SourceUnreadable
from service.papers.sources.http_fetch import Caller, Fetcher
from service.papers.sources.journal_feed import JournalFeed, _stripped, parse_journal

ITEM = """<item><title>A &lt;i&gt;first&lt;/i&gt; paper</title>
<link>https://journal.example/doi/abs/10.1234/AB.1?af=R</link>
<dc:creator>Ada Example</dc:creator><dc:creator>Sample, Bob</dc:creator>
<prism:doi>10.1234/AB.1</prism:doi>
<prism:publicationName>Journal of  Examples</prism:publicationName>
<pubDate>Fri, 18 Sep 2026 07:30:00 +0200</pubDate>
<description>&lt;p&gt;We invent&lt;script&gt;alert(1)&lt;/script&gt; CO&lt;sub&gt;2&lt;/sub&gt;
and x &amp;lt; y.&lt;/p&gt;&lt;p onclick="x()"&gt;More.&lt;/p&gt;</description></item>"""


def rss(*items: str) -> bytes:
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:content="http://purl.org/rss/1.0/modules/content/"
 xmlns:prism="http://prismstandard.org/namespaces/basic/2.0/">
<channel><title>Journal</title><link>https://journal.example</link>{"".join(items)}</channel>
</rss>""".encode()


def item(inside: str, title: str = "A paper") -> str:
    return f"<item><title>{title}</title>{inside}</item>"


def the_paper(*items: str) -> ParsedAnnouncement:
    batch = parse_journal(rss(*items), "J of Ex")
    assert batch.bad_entries == ()
    (paper,) = batch.announcements
    return paper


def test_an_item_is_a_paper_in_plain_text() -> None:
    paper = the_paper(ITEM)
    assert (paper.key, paper.identifier, paper.doi) == ("doi:10.1234/ab.1",) + ("10.1234/ab.1",) * 2
    assert (paper.source, paper.version) == ("J of Ex", 1)
    assert paper.announce_type is AnnounceType.LISTED
    assert paper.title == "A first paper"
    assert paper.abstract == "We invent CO2 and x < y.\nMore."
    assert paper.authors == ("Ada Example", "Sample, Bob")
    assert (paper.categories, paper.primary_category) == (("journal.j-of-ex",), "journal.j-of-ex")
    assert paper.url == "https://journal.example/doi/abs/10.1234/AB.1?af=R"
    assert paper.journal_ref == "Journal of Examples"
    assert paper.published_at == datetime(2026, 9, 18, 5, 30, tzinfo=UTC)


def test_an_atom_feed_is_read_too() -> None:
    payload = b"""<feed xmlns="http://www.w3.org/2005/Atom"><title>J</title>
<entry><id>https://doi.org/10.1234/AB.2</id><title type="text">x &lt; y</title>
<link href="https://journal.example/2"/><updated>2026-09-18T05:00:00Z</updated>
<author><name>Ada Example</name></author><rights>CC BY</rights>
<link rel="license" href="https://creativecommons.org/licenses/by/4.0/"/>
<content type="html">&lt;p&gt;Long abstract.&lt;/p&gt;</content><summary>Short</summary></entry></feed>"""
    (paper,) = parse_journal(payload, "J").announcements
    assert (paper.key, paper.title) == ("doi:10.1234/ab.2", "x < y")
    assert paper.abstract == "Long abstract."
    assert paper.license == "https://creativecommons.org/licenses/by/4.0/"
    assert paper.published_at == datetime(2026, 9, 18, 5, tzinfo=UTC)


def test_an_rdf_feed_is_read_too() -> None:
    payload = b"""<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
 xmlns="http://purl.org/rss/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/">
<channel rdf:about="https://j.example"><title>J</title></channel>
<item rdf:about="https://j.example/3"><title>Third</title><link>https://j.example/3</link>
<dc:identifier>doi:10.1234/ab.3</dc:identifier><dc:date>2026-09-18</dc:date>
<dc:source>J. Ex. 3</dc:source></item></rdf:RDF>"""
    (paper,) = parse_journal(payload, "J").announcements
    assert (paper.key, paper.journal_ref) == ("doi:10.1234/ab.3", "J. Ex. 3")
    assert paper.published_at == datetime(2026, 9, 18, tzinfo=UTC)


@pytest.mark.parametrize(
    "inside",
    [
        "<guid isPermaLink='false'>doi:10.1234/AB.4</guid>",
        "<link>https://journal.example/doi/full/10.1234/AB.4?rss=1</link>",
        "<link>https://journal.example/doi/10.1234/AB.4/full#top</link>",
        "<link>https://journal.example/content/10.1234/ab.4.abstract</link>",
        "<dc:identifier>10.1234/AB.4</dc:identifier><guid>10.9999/other</guid>",
        "<prism:doi>none</prism:doi><dc:identifier>doi: 10.1234/AB.4.</dc:identifier>",
        "<prism:doi>10.1234/.,</prism:doi><dc:identifier>10.1234/AB.4</dc:identifier>",
    ],
)
def test_a_doi_is_found_in_any_of_its_fields(inside: str) -> None:
    assert the_paper(item(inside)).key == "doi:10.1234/ab.4"


def test_a_preprint_of_arxiv_has_arxivs_key() -> None:
    paper = the_paper(item("<prism:doi>10.48550/arXiv.2609.10001</prism:doi>"))
    assert (paper.key, paper.identifier) == ("arxiv:2609.10001", "2609.10001")


@pytest.mark.parametrize(
    ("inside", "identifier", "url"),
    [
        (
            "<guid isPermaLink='false'>tag:5</guid><link>https://j.example/5</link>",
            "tag:5",
            "https://j.example/5",
        ),
        ("<link>https://j.example/5</link>", "https://j.example/5", "https://j.example/5"),
        ("<guid isPermaLink='false'>tag:5</guid><link>javascript:x()</link>", "tag:5", ""),
    ],
)
def test_without_a_doi_the_key_is_a_hash_of_the_identifier(
    inside: str, identifier: str, url: str
) -> None:
    paper = the_paper(item(inside))
    assert paper.key == f"feed:{hashlib.sha256(identifier.encode()).hexdigest()[:32]}"
    assert (paper.identifier, paper.url, paper.doi) == (identifier, url, "")


def test_a_paper_without_a_link_is_linked_by_its_doi() -> None:
    assert the_paper(item("<prism:doi>10.1234/x</prism:doi>")).url == "https://doi.org/10.1234/x"


@pytest.mark.parametrize(
    ("creator", "authors"),
    [
        ("Ada Example", ("Ada Example",)),
        ("Ada Example, Bob Sample and Cy Third", ("Ada Example", "Bob Sample", "Cy Third")),
        ("Ada Example, Bob Sample", ("Ada Example", "Bob Sample")),
        ("Example, Ada", ("Example, Ada",)),
        ("Example, A., van Sample, B.-C.", ("A. Example", "B.-C. van Sample")),
        ("Example, Ada; Sample, Bob;", ("Example, Ada", "Sample, Bob")),
        ("Ada &lt;b&gt;Example&lt;/b&gt;", ("Ada Example",)),
        ("", ()),
    ],
)
def test_one_string_of_authors_is_split(creator: str, authors: tuple[str, ...]) -> None:
    paper = the_paper(item(f"<link>https://j.example/6</link><dc:creator>{creator}</dc:creator>"))
    assert paper.authors == authors


def test_a_text_of_too_many_authors_is_left_out_and_named() -> None:
    creator = "Ada Example, " * 80_000
    paper = the_paper(item(f"<link>https://j.example/6</link><dc:creator>{creator}</dc:creator>"))
    assert paper.authors == ()
    assert paper.refused == ("author of 1,000,000 characters",)


@pytest.mark.parametrize(
    ("stamp", "when"),
    [
        (
            "<prism:publicationDate>2026-9-1</prism:publicationDate>",
            datetime(2026, 9, 1, tzinfo=UTC),
        ),
        (
            "<prism:publicationDate>2026-09</prism:publicationDate>",
            datetime(2026, 9, 1, tzinfo=UTC),
        ),
        ("<prism:publicationDate>2026-13-01</prism:publicationDate>", None),
        ("<prism:publicationDate>soon</prism:publicationDate>", None),
        ("<pubDate>Sat, 31 Dec 2016 23:59:60 GMT</pubDate>", None),
        ("<dc:date>2026-09-18T01:00:00-04:00</dc:date>", datetime(2026, 9, 18, 5, tzinfo=UTC)),
        ("<pubDate>whenever</pubDate>", None),
        ("", None),
    ],
)
def test_a_day_is_read_in_many_spellings(stamp: str, when: datetime | None) -> None:
    paper = the_paper(item(f"<link>https://j.example/7</link>{stamp}"))
    assert paper.published_at == when


@pytest.mark.parametrize("stamp", ["0000-01-01", "9999-12-31T23:59:59-14:00"])
def test_a_day_that_no_calendar_has_is_left_out_and_named(stamp: str) -> None:
    paper = the_paper(item(f"<link>https://j.example/7</link><dc:date>{stamp}</dc:date>"))
    assert paper.published_at is None
    assert paper.refused == ("date that is none",)


def test_markup_without_text_leaves_nothing() -> None:
    paper = the_paper(
        item("<link>https://j.example/8</link><description><![CDATA[<!-- x -->]]></description>")
    )
    assert paper.abstract == ""


def test_scripts_are_taken_out_even_where_feedparser_would_leave_them() -> None:
    assert _stripped("<p>a<script>b()</script> c<style>d</style></p>", "text/html") == "a c"


def test_the_longer_text_is_the_abstract() -> None:
    both = "<description>Short.</description><content:encoded>A longer text.</content:encoded>"
    assert the_paper(item(f"<link>https://j.example/9</link>{both}")).abstract == "A longer text."


def test_control_characters_never_reach_a_paper() -> None:
    payload = rss(item("<link>https://j.example/10</link>", title="A\x0b pa\x00per"))
    (paper,) = parse_journal(payload, "J").announcements
    assert paper.title == "A paper"


def test_a_bad_entry_is_counted_and_the_others_are_kept() -> None:
    batch = parse_journal(
        rss(item("<link>https://j.example/1</link>", title=""), ITEM, item("")), "J"
    )
    assert [paper.identifier for paper in batch.announcements] == ["10.1234/ab.1"]
    assert sorted((bad.position, bad.reason) for bad in batch.bad_entries) == [
        (0, "has no title"),
        (2, "'A paper' has no identifier and no link"),
    ]


def test_a_feed_without_entries_is_an_empty_batch() -> None:
    batch = parse_journal(rss(), "J")
    assert (batch.announcements, batch.bad_entries) == ((), ())


def test_a_malformed_feed_is_read_as_far_as_it_goes() -> None:
    payload = rss(ITEM, item("<link>https://j.example/2?a=1&b=2</link>", title="Q & A"))
    batch = parse_journal(payload, "J")
    assert [paper.title for paper in batch.announcements] == ["A first paper", "Q & A"]


def test_a_truncated_feed_loses_only_its_last_entry() -> None:
    payload = rss(ITEM, item("<link>https://j.example/2</link><description>An abstract"))
    batch = parse_journal(payload[: payload.index(b" abstract")], "J")
    assert [paper.identifier for paper in batch.announcements] == ["10.1234/ab.1"]
    assert [(bad.position, bad.reason) for bad in batch.bad_entries] == [
        (1, "the feed breaks off here")
    ]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "not a feed: the answer is empty"),
        (b"<html><body><p>Sign in</p></body></html>", "not a feed: it holds no entries"),
        (rss(ITEM)[:120], "not a feed: "),
        (b"Rate exceeded.", "not a feed: "),
        (b'<?xml version="1.0" encoding="\xe2\x28"?><rss/>', "not a feed: UnicodeDecodeError: "),
        (rss(ITEM.replace("We invent", "&#xD800;&lt;b&gt;")), "not a feed: UnicodeEncodeError: "),
        (b'<!DOCTYPE r [<!ENTITY a "b">]><rss/>', "not a feed: it declares entities"),
    ],
)
def test_anything_but_a_feed_is_refused_in_one_line(payload: bytes, reason: str) -> None:
    with pytest.raises(SourceUnreadable) as caught:
        parse_journal(payload, "J")
    assert str(caught.value).startswith(reason)
    assert "\n" not in str(caught.value)


def test_an_answer_that_is_a_file_name_is_not_opened(tmp_path: Path) -> None:
    feed = tmp_path / "feed.xml"
    feed.write_bytes(rss(ITEM))
    with pytest.raises(SourceUnreadable):
        parse_journal(str(feed).encode(), "J")


# The client, against a server on loopback.


@pytest.fixture
def journal(loopback_http: LoopbackHttp) -> JournalFeed:
    fetcher = Fetcher(Caller(timeout_seconds=5), OpenGate())
    return JournalFeed("J of Ex", f"{loopback_http.url}/feed.xml", fetcher)


def test_a_feed_is_fetched_and_read(journal: JournalFeed, loopback_http: LoopbackHttp) -> None:
    loopback_http.routes["/feed.xml"] = 200, {"ETag": '"1"'}, rss(ITEM)
    fetched = journal.fetch("", None, FetchState('"0"'))
    assert fetched.payload is not None
    assert fetched.etag == '"1"'
    assert loopback_http.requests[0].headers["If-None-Match"] == '"0"'
    assert len(journal.parse(fetched.payload).announcements) == 1
    assert (journal.name, journal.gates_editions) == ("J of Ex", False)


def test_a_busy_server_names_the_retry_delay(
    journal: JournalFeed, loopback_http: LoopbackHttp
) -> None:
    loopback_http.routes["/feed.xml"] = 503, {"Retry-After": "5"}, b""
    with pytest.raises(SourceUnavailable) as caught:
        journal.fetch("", None, FetchState())
    assert caught.value.retry_after_seconds == 5
