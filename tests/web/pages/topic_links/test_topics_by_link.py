"""The links in a mail: GET shows a form, POST is idempotent, undo restores the exact state."""

import re
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session
from support.newsletter.press import Turnable
from support.newsletter.stored import changed_tables, read_tables
from support.web.site import Subscribers
from support.web.topic_links import TITLES, press, texts_of, topics_of

from service.messages.signed_links import (
    follow_url,
    keep_url,
    less_url,
    mute_url,
    suggestions_off_url,
)
from service.platform.signing.tokens import Purpose
from service.subscribers.lifecycle import unsubscribe
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import replace_topics
from service.topics.store.models import TopicChange


def test_opening_links_changes_nothing(
    *,
    web: httpx2.Client,
    engine: Engine,
    session: Session,
    papers: dict[str, int],
    subscriber: Subscriber,
    base: str,
) -> None:
    topic = topics_of(session, subscriber)[0].id
    session.rollback()
    before = read_tables(engine)
    paper = papers[TITLES[0]]
    links = [
        mute_url(base, topic, "survey"),
        follow_url(base, "Ada Lovelace"),
        less_url(base, paper),
        keep_url(base, paper),
        suggestions_off_url(base),
    ]
    for link in links:
        for answer in (web.get(link), web.head(link)):
            assert answer.status_code == 200, link
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["referrer-policy"] == "no-referrer"
        assert web.get(link).text.count('method="post" action="/change/') == 1
    assert changed_tables(before, read_tables(engine)) == set()


def test_a_mute_is_previewed_applied_once_and_undone_exactly(
    web: httpx2.Client, session: Session, papers: dict[str, int], subscriber: Subscriber, base: str
) -> None:
    topic = topics_of(session, subscriber)[0].id
    question = web.get(mute_url(base, topic, "survey"))
    assert "Mute “survey”?" in question.text
    assert "<code>Retrieval OR agents</code>" in question.text
    assert "<code>(Retrieval OR agents) -survey</code>" in question.text
    assert "5 papers in the last 30 days" in question.text
    assert "3 papers, 2 fewer" in question.text
    done = press(web, question)
    again = press(web, question)
    assert (done.status_code, again.status_code) == (200, 200)
    assert "“survey” is muted" in done.text
    assert "“survey” is already muted" in again.text
    assert texts_of(session, subscriber) == ["(Retrieval OR agents) -survey", '"Prompt Tuning"']
    assert topics_of(session, subscriber)[0].canonical == "(agents OR retrieval) -survey"
    assert len(session.execute(select(TopicChange)).scalars().all()) == 1
    # Both result pages and the reopened link offer the undo, which is idempotent.
    opened = web.get(mute_url(base, topic, "survey"))
    assert "already muted" in opened.text
    for page in (opened, again, done):
        undone = press(web, page)
        assert undone.status_code == 200
        assert "The topic is as it was." in undone.text
    after = topics_of(session, subscriber)
    assert [each.query for each in after] == ["Retrieval OR agents", '"Prompt Tuning"']
    assert (after[0].id, after[0].canonical) == (topic, "agents OR retrieval")
    # It can be muted again.
    press(web, web.get(mute_url(base, topic, "survey")))
    assert texts_of(session, subscriber)[0] == "(Retrieval OR agents) -survey"


def test_two_concurrent_presses_are_one_change(
    web: httpx2.Client, session: Session, subscriber: Subscriber, base: str
) -> None:
    topic = topics_of(session, subscriber)[0].id
    fields = {"topic": str(topic), "mute": "survey"}
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: web.post(base, data=fields), range(4)))
    assert [answer.status_code for answer in answers] == [200] * 4
    assert texts_of(session, subscriber)[0] == "(Retrieval OR agents) -survey"
    assert len(session.execute(select(TopicChange)).scalars().all()) == 1


def test_undo_does_not_overwrite_a_topic_edited_meanwhile(
    web: httpx2.Client,
    subscribers: Subscribers,
    session: Session,
    subscriber: Subscriber,
    base: str,
) -> None:
    topic = topics_of(session, subscriber)[0].id
    first = press(web, web.get(mute_url(base, topic, "survey")))
    second = press(web, web.get(mute_url(base, topic, "games")))
    refused = press(web, first)
    assert refused.status_code == 409
    assert "was changed again since" in refused.text
    assert texts_of(session, subscriber)[0] == "(Retrieval OR agents) -survey -games"
    # Undone newest first, both can be undone.
    assert press(web, second).status_code == 200
    assert press(web, first).status_code == 200
    assert texts_of(session, subscriber)[0] == "Retrieval OR agents"
    press(web, web.get(mute_url(base, topic, "survey")))
    replace_topics(session, subscriber.id, [("cats", "cats")], subscribers.clock())
    session.commit()
    last = session.execute(select(TopicChange).order_by(TopicChange.id.desc())).scalars().first()
    assert last is not None
    answer = web.post(f"{base}/undo", data={"change": str(last.id)})
    assert answer.status_code == 409
    assert "This topic was deleted since" in answer.text
    assert texts_of(session, subscriber) == ["cats"]


def test_moving_a_topic_in_the_preferences_keeps_its_links_alive(
    web: httpx2.Client,
    subscribers: Subscribers,
    session: Session,
    subscriber: Subscriber,
    base: str,
) -> None:
    topic = topics_of(session, subscriber)[0].id
    preferences = f"/preferences/{subscribers.token(Purpose.PREFERENCES, subscriber.id)}"
    web.post(preferences, data={"topic": ["cats", "agents OR RETRIEVAL"], "action": "save"})
    assert texts_of(session, subscriber) == ["cats", "agents OR RETRIEVAL"]
    assert topics_of(session, subscriber)[1].id == topic
    press(web, web.get(mute_url(base, topic, "survey")))
    assert texts_of(session, subscriber) == ["cats", "(agents OR RETRIEVAL) -survey"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("retrieval OR agents OR", "Mute “retrieval OR agents OR”?"),
        ("x" * 300, "at most 255 characters"),
        ("the", "too common a word"),
        ('"', "nothing between these quotes"),
        ("“<b>”", "too common a word"),
        ("Prompt tuning", "without it nothing would be left"),
    ],
)
def test_an_invalid_mute_is_refused_and_changes_nothing(
    *,
    web: httpx2.Client,
    session: Session,
    subscriber: Subscriber,
    base: str,
    words: str,
    text: str,
) -> None:
    topic = topics_of(session, subscriber)[1].id
    answer = web.get(mute_url(base, topic, words))
    assert answer.status_code == (200 if "Mute" in text else 409)
    assert text in answer.text
    if answer.status_code == 409:
        assert web.post(base, data={"topic": str(topic), "mute": words}).status_code == 409
    assert texts_of(session, subscriber) == ["Retrieval OR agents", '"Prompt Tuning"']


def test_a_change_that_would_make_two_topics_equal_is_refused(
    web: httpx2.Client, subscribers: Subscribers, session: Session
) -> None:
    subscriber = subscribers.add("other@example.org", "cats", "cats -dogs")
    base = f"/change/{subscribers.token(Purpose.CHANGE, subscriber.id)}"
    first, second = topics_of(session, subscriber)
    refused = web.get(mute_url(base, first.id, "dogs"))
    assert refused.status_code == 409
    assert "Another of your topics means exactly this" in refused.text
    done = press(web, web.get(mute_url(base, second.id, "birds")))
    changed = [("cats -dogs", "cats -dogs"), ("cats -dogs -birds", "cats -birds -dogs")]
    replace_topics(session, subscriber.id, changed, subscribers.clock())
    session.commit()
    undone = press(web, done)
    assert undone.status_code == 409
    assert "Another of your topics now means what this one meant" in undone.text


def test_a_mute_that_makes_a_topic_too_long_is_refused(
    web: httpx2.Client, subscribers: Subscribers, session: Session
) -> None:
    full = " ".join(f"w{n}" for n in range(60))
    subscriber = subscribers.add("other@example.org", full)
    base = f"/change/{subscribers.token(Purpose.CHANGE, subscriber.id)}"
    answer = web.get(mute_url(base, topics_of(session, subscriber)[0].id, "survey"))
    assert answer.status_code == 409
    assert "at most 60 words" in answer.text


def test_a_mute_removed_by_hand_can_be_repeated(
    web: httpx2.Client, session: Session, subscriber: Subscriber, base: str
) -> None:
    topic = topics_of(session, subscriber)[0].id
    press(web, web.get(mute_url(base, topic, "survey")))
    fresh = topics_of(session, subscriber)[0]
    fresh.query, fresh.canonical = "Retrieval OR agents", "agents OR retrieval"
    session.commit()
    done = press(web, web.get(mute_url(base, topic, "survey")))
    assert "“survey” is muted" in done.text
    assert press(web, done).status_code == 200
    assert texts_of(session, subscriber)[0] == "Retrieval OR agents"


def test_following_an_author_is_a_new_topic_and_can_be_undone(
    web: httpx2.Client, session: Session, papers: dict[str, int], subscriber: Subscriber, base: str
) -> None:
    question = web.get(follow_url(base, "Ada Lovelace"))
    assert "Follow Ada Lovelace?" in question.text
    assert "5 papers in the last 30 days" in question.text
    assert "takes the place" not in question.text
    done, again = press(web, question), press(web, question)
    assert "You follow Ada Lovelace" in done.text
    assert "You already follow Ada Lovelace" in again.text
    assert texts_of(session, subscriber)[2:] == ['au:"Ada Lovelace"']
    assert "You already follow Lovelace, Ada" in web.get(follow_url(base, "Lovelace, Ada")).text
    undone = press(web, done)
    assert "The topic for this author is removed." in undone.text
    assert press(web, again).status_code == 200
    assert texts_of(session, subscriber) == ["Retrieval OR agents", '"Prompt Tuning"']


def test_a_first_topic_says_that_it_replaces_trending_papers(
    web: httpx2.Client, subscribers: Subscribers
) -> None:
    subscriber = subscribers.add("other@example.org")
    base = f"/change/{subscribers.token(Purpose.CHANGE, subscriber.id)}"
    assert "takes the place of the day’s best papers" in web.get(follow_url(base, "Lovelace")).text


@pytest.mark.parametrize(("name", "text"), [("“”", "nothing between"), ("x" * 300, "at most 255")])
def test_an_invalid_author_name_is_refused(
    web: httpx2.Client, base: str, name: str, text: str
) -> None:
    answer = web.get(follow_url(base, name))
    assert answer.status_code == 409
    assert text in answer.text


def test_the_twenty_first_topic_is_refused(
    web: httpx2.Client, subscribers: Subscribers, session: Session
) -> None:
    subscriber = subscribers.add("other@example.org", *(f"word{n}" for n in range(20)))
    base = f"/change/{subscribers.token(Purpose.CHANGE, subscriber.id)}"
    answer = web.post(base, data={"follow": "Ada Lovelace"})
    assert answer.status_code == 409
    assert "already have 20 topics" in answer.text
    assert len(topics_of(session, subscriber)) == 20


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 404),
        ("topic=1", 404),
        ("also=maybe", 404),
        ("keep=1&less=1", 404),
        ("keep=0", 404),
        ("keep=999999999", 404),
        ("keep=99999999999999999999", 404),
        ("less=x", 404),
        ("less=²", 404),
        ("mute=survey", 410),
        ("topic=999999&mute=survey", 410),
        ("topic=x&mute=survey", 410),
    ],
)
def test_an_invalid_link_is_an_error_page(
    web: httpx2.Client, base: str, query: str, status: int
) -> None:
    fields = dict(pair.split("=") for pair in query.split("&") if pair)
    for answer in (web.get(base, params=fields), web.post(base, data=fields)):
        assert answer.status_code == status
        assert "Traceback" not in answer.text
        assert "<h1>" in answer.text


def test_topics_and_changes_of_other_subscribers_are_not_found(
    *,
    web: httpx2.Client,
    subscribers: Subscribers,
    session: Session,
    subscriber: Subscriber,
    base: str,
) -> None:
    other = subscribers.add("other@example.org", "cats")
    own = f"/change/{subscribers.token(Purpose.CHANGE, other.id)}"
    topic = topics_of(session, other)[0].id
    done = press(web, web.get(mute_url(own, topic, "dogs")))
    number = re.search(r'name="change" value="(\d+)"', done.text)
    assert number
    assert web.post(base, data={"topic": str(topic), "mute": "birds"}).status_code == 410
    assert web.get(mute_url(base, topic, "birds")).status_code == 410
    assert web.post(f"{base}/undo", data={"change": number[1]}).status_code == 410
    assert web.post(f"{base}/undo", data={"change": "7777"}).status_code == 410
    assert texts_of(session, other) == ["cats -dogs"]


def test_an_undo_without_anything_to_undo_says_so(web: httpx2.Client, base: str) -> None:
    for fields in (
        {},
        {"paper": "1", "rating": "loved"},
        {"paper": "1", "rating": "kept", "was": "kept"},
    ):
        answer = web.post(f"{base}/undo", data=fields)
        assert answer.status_code == 200
        assert "Nothing to undo" in answer.text


def test_after_unsubscribe_or_erasure_a_link_changes_nothing(
    *,
    web: httpx2.Client,
    subscribers: Subscribers,
    session: Session,
    papers: dict[str, int],
    subscriber: Subscriber,
    base: str,
    engine: Engine,
) -> None:
    topic = topics_of(session, subscriber)[0].id
    done = press(web, web.get(mute_url(base, topic, "survey")))
    unsubscribe(session, subscriber.id, "test", subscribers.clock())
    session.commit()
    before = read_tables(engine)
    forms = [{"topic": str(topic), "mute": "games"}, {"keep": str(papers[TITLES[0]])}]
    for fields in forms:
        for answer in (web.get(base, params=fields), web.post(base, data=fields)):
            assert answer.status_code == 410
            assert "You get no mail from us" in answer.text
    assert press(web, done).status_code == 410
    assert changed_tables(before, read_tables(engine)) == set()
    preferences = f"/preferences/{subscribers.token(Purpose.PREFERENCES, subscriber.id)}"
    web.post(preferences, data={"action": "erase", "sure": "yes"})
    assert web.post(base, data=forms[0]).status_code == 404
    assert "We hold nothing about you" in web.get(base, params=forms[0]).text


def test_an_expired_link_has_a_page_and_a_token_of_another_purpose_is_refused(
    web: httpx2.Client, subscribers: Subscribers, subscriber: Subscriber, base: str, clock: Turnable
) -> None:
    other = f"/change/{subscribers.token(Purpose.UNSUBSCRIBE, subscriber.id)}"
    assert web.get(suggestions_off_url(other)).status_code == 404
    clock.forward(days=120)
    assert web.get(suggestions_off_url(base)).status_code == 200
    clock.forward(seconds=1)
    for answer in (web.get(suggestions_off_url(base)), web.post(base, data={"also": "off"})):
        assert answer.status_code == 410
        assert "This link has expired" in answer.text
    assert web.post(f"{base}/undo", data={"also": "on"}).status_code == 410


def test_links_escape_any_text() -> None:
    assert (
        mute_url("b", 12, 'ti:"C++ & más"') == "b?topic=12&mute=ti%3A%22C%2B%2B%20%26%20m%C3%A1s%22"
    )
    assert follow_url("b", "Yoshua Bengio") == "b?follow=Yoshua%20Bengio"
    assert (less_url("b", 3), keep_url("b", 3), suggestions_off_url("b")) == (
        "b?less=3",
        "b?keep=3",
        "b?also=off",
    )
