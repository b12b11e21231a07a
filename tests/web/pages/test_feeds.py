"""Feeds: valid, with the papers of the search, and 304 while unchanged."""

import json
import re
from collections import Counter
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime

import feedparser
import httpx2
import pytest
from lxml import etree
from sqlalchemy import text
from sqlalchemy.orm import Session
from support.web.papers import FRIDAY, THURSDAY, make_announcement, store_papers

ATOM = {"a": "http://www.w3.org/2005/Atom"}


def store_some(session: Session) -> None:
    store_papers(session, [make_announcement(1, "Old Cats")], on=THURSDAY)
    announcements = [make_announcement(2, "Cats & <Dogs>"), make_announcement(3, "Mice", url="")]
    store_papers(session, announcements)


def test_a_search_is_an_atom_feed_of_its_newest_papers(
    web: httpx2.Client, session: Session
) -> None:
    store_some(session)
    answer = web.get("/feeds/search.atom", params={"q": "cats OR mice"})
    assert answer.headers["content-type"] == "application/atom+xml; charset=utf-8"
    feed = feedparser.parse(answer.content)
    assert not feed.bozo
    assert feed.version == "atom10"
    assert feed.feed.title == "Cats, mice · Paperboy"
    assert [entry.title for entry in feed.entries] == ["Mice", "Cats & <Dogs>", "Old Cats"]
    newest, second, old = feed.entries
    assert second.id == "http://127.0.0.1:8000/papers/arxiv:2609.00002"
    assert second.published == "2026-09-18T00:00:00Z"
    assert old.published == "2026-09-17T00:00:00Z"
    assert [author.name for author in second.authors] == ["Ada Lovelace", "Grace Hopper"]
    assert [tag.term for tag in second.tags] == ["cs.CL"]
    assert {link.rel for link in second.links} == {"alternate", "via"}
    assert {link.rel for link in newest.links} == {"alternate"}
    assert web.get(second.id.removeprefix("http://127.0.0.1:8000")).status_code == 200


def test_every_element_required_by_rfc_4287_occurs_once(
    web: httpx2.Client, session: Session
) -> None:
    store_some(session)
    for address in ("/feeds/search.atom?q=cats", "/feeds/daily.atom"):
        root = etree.fromstring(web.get(address).content)
        for parent in [root, *root.findall("a:entry", ATOM)]:
            for required in ("id", "title", "updated"):
                assert len(parent.findall(f"a:{required}", ATOM)) == 1, (address, required)
        assert root.findall("a:author/a:name", ATOM)
        (own,) = root.findall("a:link[@rel='self']", ATOM)
        assert own.get("href") == f"http://127.0.0.1:8000{address}"
        ids = [each.text for each in root.findall("a:entry/a:id", ATOM)]
        assert len(ids) == len({*ids}) == 2


def test_each_feed_is_also_valid_rss(web: httpx2.Client, session: Session) -> None:
    """The elements that the RSS 2.0 specification requires, each once, and its formats."""
    store_some(session)
    atom_link = "{http://www.w3.org/2005/Atom}link"
    for address in ("/feeds/search.rss?q=cats%20OR%20mice", "/feeds/daily.rss"):
        answer = web.get(address)
        assert answer.headers["content-type"] == "application/rss+xml; charset=utf-8"
        feed = feedparser.parse(answer.content)
        assert not feed.bozo
        assert feed.version == "rss20"
        root = etree.fromstring(answer.content)
        (channel,) = root
        assert (root.tag, root.get("version"), channel.tag) == ("rss", "2.0", "channel")
        for required in ("title", "link", "description"):
            assert channel.findtext(required), address
        assert channel.find(atom_link).get("href") == f"http://127.0.0.1:8000{address}"
        assert len({item.findtext("guid") for item in channel.findall("item")}) > 1
        for parent in [channel, *channel.findall("item")]:
            tags = Counter(child.tag for child in parent)
            once = {"title", "link", "description", "guid", "pubDate", "lastBuildDate", atom_link}
            assert all(tags[tag] <= 1 for tag in once), address
        for date in [*channel.iter("pubDate"), *channel.iter("lastBuildDate")]:
            assert parsedate_to_datetime(date.text).tzinfo is not None


def test_a_search_in_rss_has_the_papers_of_the_search_in_atom(
    web: httpx2.Client, session: Session
) -> None:
    store_some(session)
    parsed = {
        form: feedparser.parse(web.get(f"/feeds/search.{form}?q=cats").content)
        for form in ("atom", "rss")
    }
    for atom, rss in zip(parsed["atom"].entries, parsed["rss"].entries, strict=True):
        assert (rss.title, rss.link, rss.id) == (atom.title, atom.link, atom.id)
        assert rss.published_parsed == atom.published_parsed
        assert [author.name for author in rss.authors] == [author.name for author in atom.authors]
        assert [tag.term for tag in rss.tags] == [tag.term for tag in atom.tags]
        assert rss.summary == atom.content[0].value


def test_a_search_is_a_json_feed(web: httpx2.Client, session: Session) -> None:
    store_some(session)
    answer = web.get("/feeds/search.json", params={"q": "cats OR mice"})
    assert answer.headers["content-type"] == "application/feed+json; charset=utf-8"
    feed = json.loads(answer.content)
    assert feed["version"] == "https://jsonfeed.org/version/1.1"
    assert feed["feed_url"] == "http://127.0.0.1:8000/feeds/search.json?q=cats%20OR%20mice"
    assert feed["home_page_url"] == "http://127.0.0.1:8000/search?q=cats%20OR%20mice"
    mice, cats, _ = feed["items"]
    assert cats["id"] == cats["url"] == "http://127.0.0.1:8000/papers/arxiv:2609.00002"
    assert cats["external_url"] == "https://arxiv.org/abs/2609.00002"
    assert "external_url" not in mice
    assert cats["content_html"] == "<p>We study cats &amp; &lt;dogs&gt;. It works.</p>"
    assert cats["authors"] == [{"name": "Ada Lovelace"}, {"name": "Grace Hopper"}]
    assert cats["tags"] == ["cs.CL"]


def test_the_daily_feed_has_one_entry_a_day(web: httpx2.Client, session: Session) -> None:
    store_some(session)
    for back in range(2, 9):
        announcements = [make_announcement(100 + back, f"Day {back}")]
        store_papers(session, announcements, on=FRIDAY - timedelta(days=back))
    feed = feedparser.parse(web.get("/feeds/daily.atom").content)
    assert not feed.bozo
    assert len(feed.entries) == 5
    newest = feed.entries[0]
    assert newest.title == "Friday 18 September 2026: 2 new papers"
    assert newest.id == "http://127.0.0.1:8000/daily/2026-09-18"
    assert "Cats &amp; &lt;Dogs&gt;</a>" in newest.content[0].value


@pytest.mark.parametrize(
    "address",
    [
        "/feeds/search.atom?q=cats",
        "/feeds/search.json?q=cats",
        "/feeds/daily.atom",
        "/feeds/daily.rss",
    ],
)
def test_an_unchanged_feed_is_a_304(web: httpx2.Client, session: Session, address: str) -> None:
    store_some(session)
    first = web.get(address)
    etag, modified = first.headers["etag"], first.headers["last-modified"]
    assert parsedate_to_datetime(modified) is not None
    for known in (
        {"If-None-Match": etag},
        {"If-None-Match": f'"other", {etag.removeprefix("W/")}'},
        {"If-None-Match": "*"},
        {"If-Modified-Since": modified},
    ):
        answer = web.get(address, headers=known)
        assert (answer.status_code, answer.content) == (304, b""), known
        assert answer.headers["etag"] == etag
    later = parsedate_to_datetime(modified) - timedelta(seconds=1)
    for unknown in (
        {"If-None-Match": '"other"'},
        {"If-None-Match": '"other"', "If-Modified-Since": modified},
        {"If-Modified-Since": format_datetime(later, usegmt=True)},
        {"If-Modified-Since": "yesterday"},
        {"If-Modified-Since": "Thu, 01 Jan 2099 00:00:00"},
    ):
        assert web.get(address, headers=unknown).status_code == 200, unknown


def test_a_changed_paper_changes_its_feed(web: httpx2.Client, session: Session) -> None:
    store_some(session)
    first = web.get("/feeds/search.atom?q=cats")
    session.execute(
        text("UPDATE papers SET abstract = 'New.', updated_at = updated_at + interval '1 hour'")
    )
    session.commit()
    for name in ("etag", "last-modified"):
        header = {"etag": "If-None-Match", "last-modified": "If-Modified-Since"}[name]
        answer = web.get("/feeds/search.atom?q=cats", headers={header: first.headers[name]})
        assert answer.status_code == 200, name


@pytest.mark.parametrize("form", ["atom", "rss", "json"])
def test_an_invalid_topic_is_one_line_of_text(web: httpx2.Client, form: str) -> None:
    answer = web.get(f"/feeds/search.{form}", params={"q": "cats )"})
    assert answer.status_code == 422
    assert answer.text == "This parenthesis was never opened (character 6).\n"
    assert web.get(f"/feeds/search.{form}").status_code == 422


def test_an_empty_feed_is_valid(web: httpx2.Client) -> None:
    for address in ("/feeds/search.atom?q=unicorns", "/feeds/daily.atom", "/feeds/daily.rss"):
        feed = feedparser.parse(web.get(address).content)
        assert not feed.bozo
        assert feed.entries == []


def test_pages_link_their_feeds(web: httpx2.Client, session: Session) -> None:
    store_some(session)
    for path, form in (
        ("/", "daily"),
        ("/search?q=cats", "search"),
        ("/topics/preview?q=cats", "search"),
    ):
        head = web.get(path).text.partition("</head>")[0]
        links = re.findall(
            r'<link rel="alternate" type="([^"]+)" title="[^"]+" href="([^"]+)">', head
        )
        assert [kind for kind, _ in links] == ["application/atom+xml", "application/rss+xml"], path
        for kind, href in links:
            assert href.startswith(f"/feeds/{form}."), path
            assert web.get(href).headers["content-type"].startswith(kind), href
    page = web.get("/search", params={"q": "cats OR mice"}).text
    assert 'href="/feeds/search.atom?q=cats%20OR%20mice"' in page
    preview = web.get("/topics/preview", params={"q": "cats"}).text
    assert 'href="/feeds/search.json?q=cats"' in preview
