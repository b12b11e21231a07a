"""Feeds: valid, with the papers of the search, and 304 while unchanged."""

import json
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
    assert feed.feed.title == "cats OR mice · Paperboy"
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
    "address", ["/feeds/search.atom?q=cats", "/feeds/search.json?q=cats", "/feeds/daily.atom"]
)
def test_an_unchanged_feed_is_a_304(web: httpx2.Client, session: Session, address: str) -> None:
    store_some(session)
    first = web.get(address)
    etag, modified = first.headers["etag"], first.headers["last-modified"]
    assert parsedate_to_datetime(modified) is not None
    for known in (
        {"If-None-Match": etag},
        {"If-None-Match": f'"other", W/{etag}'},
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


@pytest.mark.parametrize("form", ["atom", "json"])
def test_an_invalid_topic_is_one_line_of_text(web: httpx2.Client, form: str) -> None:
    answer = web.get(f"/feeds/search.{form}", params={"q": "cats )"})
    assert answer.status_code == 422
    assert answer.text == "This parenthesis was never opened (character 6).\n"
    assert web.get(f"/feeds/search.{form}").status_code == 422


def test_an_empty_feed_is_valid(web: httpx2.Client) -> None:
    for address in ("/feeds/search.atom?q=unicorns", "/feeds/daily.atom"):
        feed = feedparser.parse(web.get(address).content)
        assert not feed.bozo
        assert feed.entries == []


def test_pages_link_their_feeds(web: httpx2.Client, session: Session) -> None:
    store_some(session)
    assert 'type="application/atom+xml"' in web.get("/").text
    page = web.get("/search", params={"q": "cats OR mice"}).text
    assert 'href="/feeds/search.atom?q=cats%20OR%20mice"' in page
    preview = web.get("/topics/preview", params={"q": "cats"}).text
    assert 'href="/feeds/search.json?q=cats"' in preview
