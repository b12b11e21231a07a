"""Save and less like this: one feedback a paper, with undo; and suggestions."""

import re

import httpx2
from sqlalchemy.orm import Session
from support.web.site import Subscribers
from support.web.topic_links import TITLES, press, texts_of, unescape

from service.messages.signed_links import keep_url, less_url, suggestions_off_url
from service.platform.signing.tokens import Purpose
from service.subscribers.domain.types import Feedback
from service.subscribers.store.feedback import find_feedback
from service.subscribers.store.models import Subscriber


def feedback(session: Session, subscriber: Subscriber, paper: int) -> Feedback | None:
    session.rollback()
    return find_feedback(session, subscriber.id, paper)


def test_a_paper_has_one_feedback_and_undo_restores_the_previous_one(
    web: httpx2.Client, session: Session, papers: dict[str, int], subscriber: Subscriber, base: str
) -> None:
    paper = papers[TITLES[0]]
    question = web.get(keep_url(base, paper))
    assert TITLES[0] in question.text
    saved = press(web, question)
    assert press(web, question).status_code == 200
    assert feedback(session, subscriber, paper) is Feedback.KEPT
    assert "Saved" in web.get(keep_url(base, paper)).text
    less = press(web, web.get(less_url(base, paper)))
    assert "Noted" in less.text
    assert feedback(session, subscriber, paper) is Feedback.DISMISSED
    # An outdated undo leaves newer feedback.
    assert "Nothing to undo" in press(web, saved).text
    assert feedback(session, subscriber, paper) is Feedback.DISMISSED
    assert "It is among your saved papers again." in press(web, less).text
    assert "It is among your saved papers again." in press(web, less).text
    assert feedback(session, subscriber, paper) is Feedback.KEPT
    assert "Undone" in press(web, saved).text
    assert feedback(session, subscriber, paper) is None


def test_less_offers_mutes_for_the_topic_that_matched(
    web: httpx2.Client, session: Session, papers: dict[str, int], subscriber: Subscriber, base: str
) -> None:
    page = web.get(less_url(base, papers[TITLES[3]])).text
    offered = re.findall(r'href="(/change/[^"]*mute=[^"]*)"', page)
    assert {unescape(link).partition("mute=")[2] for link in offered} == {
        "ti%3ASurvey",
        "ti%3AAgents",
        "ti%3AGames",
        "cat%3Acs.CL",
    }
    assert "<code>Retrieval OR agents</code> without" in page
    question = web.get(unescape(next(link for link in offered if "Survey" in link)))
    press(web, question)
    assert texts_of(session, subscriber)[0] == "(Retrieval OR agents) -ti:Survey"
    page = web.get(less_url(base, papers[TITLES[3]])).text
    assert "Or leave something out" not in page


def test_less_offers_no_mutes_where_the_topic_is_too_long(
    web: httpx2.Client, subscribers: Subscribers, papers: dict[str, int]
) -> None:
    full = " OR ".join(["agents", *(f"w{n}" for n in range(199))])
    subscriber = subscribers.add("other@example.org", full)
    base = f"/change/{subscribers.token(Purpose.CHANGE, subscriber.id)}"
    page = web.get(less_url(base, papers[TITLES[3]]))
    assert page.status_code == 200
    assert "Or leave something out" not in page.text


def wants_suggestions(subscribers: Subscribers, subscriber: Subscriber) -> bool:
    now = subscribers.reread(subscriber)
    assert now is not None
    return now.has_suggestions


def test_suggestions_can_be_switched_off_and_on_by_link(
    web: httpx2.Client, subscribers: Subscribers, subscriber: Subscriber, base: str
) -> None:
    done = press(web, web.get(suggestions_off_url(base)))
    assert "Suggestions are off" in done.text
    assert not wants_suggestions(subscribers, subscriber)
    assert "Suggestions are off" in web.get(suggestions_off_url(base)).text
    assert "Suggest papers?" in web.get(f"{base}?also=on").text
    assert "Suggestions are on" in press(web, done).text
    assert wants_suggestions(subscribers, subscriber)
    assert "Suggestions are on" in web.post(base, data={"also": "on"}).text
