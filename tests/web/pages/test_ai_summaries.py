"""A summary that a machine wrote says so on every page and in every feed, and can be hidden."""

from dataclasses import replace

import httpx2
import pytest
from sqlalchemy.orm import Session
from support.web.papers import make_announcement, store_papers, upvoted
from support.web.site import Subscribers

from service.platform.signing.tokens import Purpose

PAPER = make_announcement(
    1,
    "Parsing with care",
    abstract="The abstract of the authors.",
    signals=replace(upvoted(3), summary="A model wrote this."),
)
PATHS = ("/", f"/papers/{PAPER.key}", "/search?q=parsing", "/feeds/search.atom?q=parsing")


def test_pages_and_feeds_mark_the_summary(web: httpx2.Client, session: Session) -> None:
    store_papers(session, [PAPER])
    for path in PATHS:
        page = web.get(path).text
        before, _, _ = page.partition("A model wrote this.")
        assert "AI summary" in before[-100:], path
    paper = web.get(PATHS[1]).text
    assert "The abstract of the authors." in paper


@pytest.mark.settings(ai_summaries=False)
@pytest.mark.parametrize("path", PATHS)
def test_the_abstract_is_shown_where_the_operator_hides_summaries(
    web: httpx2.Client, session: Session, path: str
) -> None:
    store_papers(session, [PAPER])
    page = web.get(path).text
    assert ("A model wrote this." in page, "The abstract of the authors." in page) == (False, True)


def test_the_preferences_switch_summaries_off_and_on(
    web: httpx2.Client, subscribers: Subscribers
) -> None:
    subscriber = subscribers.add("reader@example.org", "cats")
    link = f"/preferences/{subscribers.token(Purpose.PREFERENCES, subscriber.id)}"
    box = 'id="ai_summaries" name="ai_summaries" value="yes"'
    assert f"{box} checked>" in web.get(link).text
    assert f"{box}>" in web.post(link, data={"ai_summaries": "no"}).text
    web.post(link, data={"hour": "10"})
    fresh = subscribers.reread(subscriber)
    assert fresh
    assert not fresh.has_ai_summaries
    assert f"{box} checked>" in web.post(link, data={"ai_summaries": ["no", "yes"]}).text
