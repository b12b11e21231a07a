"""Live previews, suggestions to click, and ready-made topics to tick."""

import re
from dataclasses import replace
from html import unescape

import httpx2
from fastapi import FastAPI
from sqlalchemy import select, text
from sqlalchemy.orm import Session
from support.web.papers import make_announcement, store_papers
from support.web.site import Subscribers, count_rows

from service.platform.signing.tokens import Purpose
from service.topics.domain.ready_made import READY_FIELDS
from service.topics.live_preview import LivePreviews, PreviewLimits
from service.topics.store.models import Topic
from service.web.core.context import AppContext
from service.web.pages.search import MOST_COUNTED

LIVE = "/topics/preview/live"


def store_many(session: Session, count: int = 40) -> None:
    announcements = [
        make_announcement(n, f"Cats {n}", categories=("cs.CL", "cs.CV") if n % 2 else ("cs.CL",))
        for n in range(1, count + 1)
    ]
    store_papers(session, announcements)


def test_the_live_preview_has_fragments_and_a_text_for_screen_readers(
    web: httpx2.Client, session: Session
) -> None:
    store_papers(session, [make_announcement(1, "Cats & <b>Dogs</b>")])
    before = count_rows(session)
    preview = web.get(LIVE, params={"q": "cats"}).json()
    assert preview["summary"].startswith(
        "about 1 paper a day. 1 paper from Thu 20 Aug to Fri 18 Sep;"
    )
    assert preview["fault"] == ""
    assert 'role="img" aria-label="1 paper from' in preview["result"]
    assert "<mark>Cats</mark> &amp; &lt;b&gt;Dogs&lt;/b&gt;</a>" in preview["result"]
    assert count_rows(session) == before


def test_the_live_preview_points_at_a_syntax_error_with_status_200(web: httpx2.Client) -> None:
    answer = web.get(LIVE, params={"q": "cats titel:x"})
    assert answer.status_code == 200
    preview = answer.json()
    assert "Did you mean ti:?" in preview["summary"]
    assert "cats <mark>t</mark>itel:x" in preview["fault"]
    assert preview["result"] == ""
    assert web.get(LIVE).json() == {"summary": "", "fault": "", "result": ""}
    assert web.get(LIVE, params={"q": "\x00"}).json()["result"] == ""


def test_a_broad_topic_gets_narrower_suggestions_that_replace_it_on_click(
    web: httpx2.Client, session: Session
) -> None:
    store_many(session)
    page = web.post(
        "/topics/preview", data={"topic": ["cats", "dogs"], "email": "reader@example.org"}
    ).text
    assert "<strong>about 40 papers a day</strong>" in page
    assert "That is a lot. Narrower topics, with papers in 30 days:" in page
    buttons = re.findall(
        r'<button class="suggestion" type="submit" name="instead" value="([^"]+)"', page
    )
    assert "cats cat:cs.CV" in buttons
    # Enter in a field submits by the first button, which must not be a suggestion.
    assert page.index("Preview</button>") < page.index('class="suggestion"')
    fields = {"topic": ["cats", "dogs"], "email": "reader@example.org", "instead": "cats cat:cs.CV"}
    narrowed = web.post("/topics/preview", data=fields).text
    assert "20 papers in the last 30 days" in narrowed
    for part in ('value="cats cat:cs.CV"', 'value="dogs"', 'value="reader@example.org"'):
        assert part in narrowed
    live = web.get(LIVE, params={"q": "cats"}).json()["result"]
    assert 'type="button" name="instead" value="cats cat:cs.CV"' in live


def test_a_topic_without_matches_gets_suggestions(web: httpx2.Client, session: Session) -> None:
    store_papers(session, [make_announcement(1, "Diffusion for Cats")])
    page = web.get("/topics/preview", params={"q": "difusion"}).text
    assert "No papers in 30 days. Did you mean:" in page
    assert "diffusion instead of difusion" in page
    preview = web.get(
        "/topics/preview", params={"q": "difusion"}, headers={"Accept": "application/json"}
    ).json()
    assert preview["instead"] == [
        {"topic": "diffusion", "says": "diffusion instead of difusion", "count": 1}
    ]
    assert preview["narrower"] == []
    named = web.get(LIVE, params={"q": "computation language"}).json()
    assert "Did you mean" in named["summary"]
    assert 'value="cat:cs.CL"' in named["result"]


def test_a_topic_too_broad_to_preview_has_a_message(
    web: httpx2.Client, app: FastAPI, session: Session
) -> None:
    context: AppContext = app.state.context
    previews = LivePreviews(context.sessions, context.settings, PreviewLimits(time_limit_ms=50))
    app.state.context = replace(context, previews=previews)
    session.execute(text("LOCK TABLE papers IN ACCESS EXCLUSIVE MODE"))
    page = web.get("/topics/preview", params={"q": "cats"})
    assert page.status_code == 200
    assert "too broad to preview" in page.text
    assert 'value="cats"' in page.text
    assert "too broad" in web.get(LIVE, params={"q": "cats"}).json()["summary"]
    refused = web.get(
        "/topics/preview", params={"q": "cats"}, headers={"Accept": "application/json"}
    )
    assert refused.status_code == 503
    session.rollback()


def test_ticked_ready_made_topics_are_stored_like_typed_ones(
    web: httpx2.Client, session: Session
) -> None:
    page = web.get("/").text
    ticks = [unescape(v) for v in re.findall(r'type="checkbox"[^>]* value="([^"]+)"', page)]
    assert ticks == [topic.query for field in READY_FIELDS for topic in field.topics]
    assert page.count("<details><summary>") >= len(READY_FIELDS)
    chosen = [ticks[0], ticks[40]]
    answer = web.post("/subscribe", data={"email": "new@example.org", "topic": ["", *chosen]})
    assert answer.status_code == 200
    assert list(session.scalars(select(Topic.query).order_by(Topic.id))) == chosen


def test_a_stored_ready_made_topic_is_a_text_field_and_no_checkbox(
    web: httpx2.Client, subscribers: Subscribers
) -> None:
    query = READY_FIELDS[-1].topics[-1].query
    page = web.post("/topics/preview", data={"topic": ["cats", query]}).text
    assert page.count(f'value="{query}"') == 1
    subscriber = subscribers.add("reader@example.org", query)
    token = subscribers.token(Purpose.PREFERENCES, subscriber.id)
    preferences = web.get(f"/preferences/{token}").text
    assert preferences.count(f'value="{query}"') == 1
    assert preferences.count('type="checkbox"') > 80
    saved = web.post(f"/preferences/{token}", data={"topic": [query, "cat:math.NT"]})
    assert 'value="cat:math.NT"' in saved.text


def test_only_our_own_script_may_run_and_it_is_cached_for_ever(web: httpx2.Client) -> None:
    page = web.get("/")
    assert "script-src 'self';" in page.headers["content-security-policy"]
    found = re.search(
        r'<script src="(/static/[0-9a-f]{12}/preview\.js)" defer></script>', page.text
    )
    assert found
    script = web.get(found[1])
    assert script.headers["content-type"].startswith("text/javascript")
    assert "immutable" in script.headers["cache-control"]


def test_a_search_with_more_results_than_pages_says_so(
    web: httpx2.Client, session: Session
) -> None:
    store_many(session, MOST_COUNTED + 10)
    page = web.get("/search", params={"q": "cats"}).text
    assert "More than 100 papers, newest first" in page
    assert "Page 1 of 5" in page
    last = web.get("/search", params={"q": "cats", "page": "6"}).text
    assert last.count("<article>") == 10
    assert "110 papers, newest first" in last
    assert "More than" not in last


def test_a_preview_without_a_topic_shows_what_a_digest_without_topics_shows(
    web: httpx2.Client, session: Session
) -> None:
    assert "Write a topic in the form" in web.get("/topics/preview").text
    store_many(session)
    page = web.get("/topics/preview").text
    assert "the day’s newest papers while none has upvotes, at most 25" in page
    assert [f"Cats {n}<" in page for n in (40, 16, 15)] == [True, True, False]
