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
    asked = web.get(less_url(base, paper))
    assert "You saved this paper" in asked.text
    assert "Which should hold?" in asked.text
    kept = web.get(f"{base}?keep={paper}")
    assert f'href="{base}?keep={paper}">Keep it saved' in asked.text
    assert "<h1>Saved</h1>" in kept.text
    less = press(web, asked)
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


def test_neither_feedback_replaces_the_other_unasked(
    web: httpx2.Client, session: Session, papers: dict[str, int], subscriber: Subscriber, base: str
) -> None:
    """Two pages are open; what one did, the other does not know."""
    paper = papers[TITLES[0]]
    pages = {verb: web.get(f"{base}?{verb}={paper}") for verb in ("keep", "less")}
    for first, then, holds, label in (
        ("keep", "less", Feedback.KEPT, "Less like this instead"),
        ("less", "keep", Feedback.DISMISSED, "Save it instead"),
    ):
        done = press(web, pages[first])
        assert feedback(session, subscriber, paper) is holds
        asked = press(web, pages[then])
        assert asked.status_code == 409
        assert "Which should hold?" in asked.text
        assert label in asked.text
        assert feedback(session, subscriber, paper) is holds
        changed = press(web, asked)
        assert changed.status_code == 200
        assert feedback(session, subscriber, paper) is not holds
        press(web, changed)
        assert feedback(session, subscriber, paper) is holds
        press(web, done)
        assert feedback(session, subscriber, paper) is None


def test_undo_restores_the_place_among_the_saved_papers(
    *,
    web: httpx2.Client,
    subscribers: Subscribers,
    papers: dict[str, int],
    subscriber: Subscriber,
    base: str,
) -> None:
    for title in TITLES[:2]:
        press(web, web.get(keep_url(base, papers[title])))
        subscribers.clock.forward(minutes=1)
    link = f"/preferences/{subscribers.token(Purpose.PREFERENCES, subscriber.id)}/kept"
    before = web.get(link).text
    assert before.index(TITLES[1]) < before.index(TITLES[0])
    less = press(web, web.get(less_url(base, papers[TITLES[0]])))
    assert TITLES[0] not in web.get(link).text
    subscribers.clock.forward(minutes=1)
    press(web, less)
    assert web.get(link).text == before


def test_less_says_what_it_changes(
    web: httpx2.Client, papers: dict[str, int], subscriber: Subscriber, base: str
) -> None:
    paper = papers[TITLES[4]]

    def texts() -> list[str]:
        question = web.get(less_url(base, paper))
        done = press(web, question)
        press(web, done)
        return [question.text, done.text]

    for text in texts():
        assert "It hides nothing: papers like it come later under your topics" in text
        assert "begins to change with 2 saved or marked papers, suggestions begin with 2" in text
    for title in TITLES[:2]:
        press(web, web.get(keep_url(base, papers[title])))
    for text in texts():
        assert "Suggestions begin" not in text
    # The paper itself would no longer be saved.
    assert "suggestions begin with 2" in web.get(less_url(base, papers[TITLES[0]])).text
    web.post(base, data={"also": "off"})
    for text in texts():
        assert "you switched learning off, so nothing changes" in text


def test_less_offers_mutes_for_the_topic_that_matched(
    web: httpx2.Client, session: Session, papers: dict[str, int], subscriber: Subscriber, base: str
) -> None:
    page = web.get(less_url(base, papers[TITLES[3]])).text
    offered = re.findall(r'href="(/change/[^"]*mute=[^"]*)"', page)
    paper = papers[TITLES[3]]
    # Without ti:Agents two papers would be left, and without cat:cs.CL none.
    assert {unescape(link).partition("mute=")[2] for link in offered} == {
        f"ti%3ASurvey&paper={paper}",
        f"ti%3AGames&paper={paper}",
    }
    assert "“Retrieval, agents” without" in page
    assert "2 fewer, 3 left" in page
    question = web.get(unescape(next(link for link in offered if "Survey" in link)))
    press(web, question)
    assert texts_of(session, subscriber)[0] == "(Retrieval OR agents) -ti:Survey"
    page = web.get(less_url(base, papers[TITLES[3]])).text
    assert "ti:Survey</code></a>" not in page


def test_less_offers_no_mutes_where_the_topic_is_too_long(
    web: httpx2.Client, subscribers: Subscribers, papers: dict[str, int]
) -> None:
    full = " OR ".join(["agents", *(f"w{n}" for n in range(59))])
    subscriber = subscribers.add("other@example.org", full)
    base = f"/change/{subscribers.token(Purpose.CHANGE, subscriber.id)}"
    page = web.get(less_url(base, papers[TITLES[3]]))
    assert page.status_code == 200
    assert "Mute something" not in page.text


def wants_suggestions(subscribers: Subscribers, subscriber: Subscriber) -> bool:
    now = subscribers.reread(subscriber)
    assert now is not None
    return now.has_suggestions


def test_suggestions_can_be_switched_off_and_on_by_link(
    web: httpx2.Client, subscribers: Subscribers, subscriber: Subscriber, base: str
) -> None:
    done = press(web, web.get(suggestions_off_url(base)))
    assert "Digests do not learn" in done.text
    assert not wants_suggestions(subscribers, subscriber)
    assert "Digests do not learn" in web.get(suggestions_off_url(base)).text
    assert "Learn from what you save?" in web.get(f"{base}?also=on").text
    assert "Digests learn from what you save" in press(web, done).text
    assert wants_suggestions(subscribers, subscriber)
    assert "Digests learn from what you save" in web.post(base, data={"also": "on"}).text
