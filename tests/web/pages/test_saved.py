"""Choices made by links are listed in the preferences, exported and erased."""

import json
import re

import httpx2
import pytest
from sqlalchemy.orm import Session
from support.web.papers import make_announcement, store_papers
from support.web.site import Subscribers, count_rows

from service.subscribers.store.models import Subscriber
from service.topics.store.topics import list_topics


@pytest.fixture
def papers(session: Session) -> list[int]:
    announcements = [make_announcement(number, f"Cats of kind {number}") for number in (1, 2, 3)]
    ids = store_papers(session, announcements)
    return [ids[paper.key] for paper in announcements]


def titles(page: httpx2.Response) -> list[str]:
    return re.findall(r'<a href="/papers/[^"]*">([^<]*)</a>', page.text)


def test_saved_papers_are_listed_newest_first_and_removed(
    web: httpx2.Client, papers: list[int], change: str, link: str
) -> None:
    assert "No saved papers yet." in web.get(f"{link}/kept").text
    assert "No saved papers yet." in web.get(link).text
    for paper in papers[:2]:
        web.post(change, data={"keep": str(paper)})
    web.post(change, data={"less": str(papers[2])})
    assert "2 saved papers</a>, and 1 marked “less like this”." in web.get(link).text
    assert titles(web.get(f"{link}/kept")) == ["Cats of kind 2", "Cats of kind 1"]
    off = web.post(f"{link}/kept", data={"paper": str(papers[1])})
    assert "Removed from your saved papers." in off.text
    assert titles(off) == ["Cats of kind 1"]
    assert titles(web.post(f"{link}/kept", data={"paper": str(papers[2])})) == ["Cats of kind 1"]
    assert "and 1 marked “less like this”" in web.get(link).text


def test_changes_are_listed_and_undone_from_the_preferences(
    web: httpx2.Client, session: Session, subscriber: Subscriber, change: str, link: str
) -> None:
    topic = str(list_topics(session, subscriber.id)[0].id)
    web.post(change, data={"topic": topic, "mute": "dogs"})
    web.post(change, data={"follow": "Ada Lovelace"})
    page = web.get(link).text
    assert "muted <code>dogs</code> in <code>cats</code>" in page
    assert "new topic <code>au:&#34;Ada Lovelace&#34;</code>" in page
    newest, oldest = re.findall(r'name="change" value="(\d+)"', page)
    undone = web.post(f"{link}/undo", data={"change": newest})
    assert "The topic for this author is removed." in undone.text
    assert 'method="post"' not in undone.text
    web.post(link, data={"topic": ["cats -dogs -birds"], "action": "save"})
    refused = web.post(f"{link}/undo", data={"change": oldest})
    assert refused.status_code == 409
    assert "This topic was deleted since" in refused.text
    assert web.post(f"{link}/undo", data={"change": "x"}).status_code == 200
    assert web.post(f"{link}/undo", data={"change": "777777"}).status_code == 404


def test_suggestions_are_switched_on_the_preferences(
    web: httpx2.Client, subscribers: Subscribers, subscriber: Subscriber, link: str
) -> None:
    assert 'value="off">Stop learning' in web.get(link).text
    assert "Digests do not learn" in web.post(f"{link}/suggestions", data={"also": "off"}).text
    fresh = subscribers.reread(subscriber)
    assert fresh
    assert fresh.has_suggestions is False
    assert 'value="on">Learn from what I save' in web.get(link).text
    assert (
        "Digests learn from what you save"
        in web.post(f"{link}/suggestions", data={"also": "on"}).text
    )
    assert web.post(f"{link}/suggestions").status_code == 404


def test_feedback_and_topic_changes_are_exported_and_erased(
    web: httpx2.Client,
    session: Session,
    subscriber: Subscriber,
    papers: list[int],
    change: str,
    link: str,
) -> None:
    topic = str(list_topics(session, subscriber.id)[0].id)
    web.post(change, data={"topic": topic, "mute": "dogs"})
    web.post(change, data={"keep": str(papers[0])})
    export = json.loads(web.get(f"{link}/export").content)
    assert [(row["kind"], row["paper_id"]) for row in export["opinions"]] == [("kept", papers[0])]
    assert [row["after_query"] for row in export["topic_changes"]] == ["cats -dogs"]
    assert export["papers"] == {str(papers[0]): "arxiv:2609.00001"}
    assert export["subscriber"]["has_suggestions"] is True
    web.post(link, data={"action": "erase", "sure": "yes"})
    counts = count_rows(session)
    assert (counts["opinions"], counts["topic_changes"], counts["topics"]) == (0, 0, 0)
    assert web.get(f"{link}/kept").status_code == 404
