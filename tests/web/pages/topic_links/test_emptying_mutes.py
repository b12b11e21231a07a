"""A mute that leaves a topic nearly or wholly empty says so first, and offers to mute less."""

import re

import httpx2
import pytest
from sqlalchemy.orm import Session
from support.web.papers import THURSDAY, make_announcement, store_papers
from support.web.site import Subscribers
from support.web.topic_links import press, texts_of, topics_of, unescape

from service.messages.signed_links import mute_url
from service.platform.signing.tokens import Purpose
from service.subscribers.store.models import Subscriber
from service.topics.mute_offers import leaves_few

MODELS = [f"Pruned Model Number {n}" for n in range(4)] + [
    f"Large Model of Kind {n}" for n in range(15)
]


@pytest.fixture
def papers(session: Session) -> dict[str, int]:
    """Return paper ids by title: 19 of 20 that a topic finds name a model."""
    titles = [*MODELS, "Attention without It"]
    made = [make_announcement(n, title, abstract="Attention.") for n, title in enumerate(titles, 1)]
    ids = store_papers(session, made, THURSDAY)
    return {paper.title: ids[paper.key] for paper in made}


@pytest.fixture
def subscriber(subscribers: Subscribers) -> Subscriber:
    return subscribers.add("reader@example.org", "attention", "model")


def offers_of(page: httpx2.Response) -> list[tuple[str, str]]:
    found = re.findall(r"<code>([^<]*)</code></a> <span[^>]*>([^<]*)</span>", page.text)
    return [(unescape(clause), counts) for clause, counts in found]


def test_a_mute_that_leaves_few_papers_says_how_many_and_offers_to_mute_less(
    web: httpx2.Client, session: Session, papers: dict[str, int], subscriber: Subscriber, base: str
) -> None:
    topic = topics_of(session, subscriber)[0].id
    page = web.get(mute_url(base, topic, "model", papers[MODELS[0]]))
    warning = "Only 1 of the 20 papers of the last 30 days would be left in your topic “Attention”."
    assert warning in page.text
    first, second, *others = offers_of(page)
    assert [first[0], second[0]] == ['"Model Number"', '"Pruned Model"']
    assert ("ti:Pruned", "4 fewer, 16 left") in others
    # The offers come before the button, and none of them leaves nearly nothing.
    assert page.text.index("Mute less instead") < page.text.index("Mute all the same")
    assert all("16 left" in counts for _, counts in others)
    link = re.search(r'href="([^"]*mute=%22Pruned[^"]*)"', page.text)
    assert link
    press(web, web.get(unescape(link[1])))
    assert texts_of(session, subscriber)[0] == 'attention -"Pruned Model"'
    # The warning is no refusal.
    done = press(web, page)
    assert "“model” is muted" in done.text
    assert texts_of(session, subscriber)[0] == 'attention -"Pruned Model" -model'


@pytest.mark.parametrize("words", ["model", "models", "cat:cs.CL"])
def test_a_mute_that_leaves_nothing_is_refused_with_an_offer(
    *,
    web: httpx2.Client,
    session: Session,
    papers: dict[str, int],
    subscriber: Subscriber,
    base: str,
    words: str,
) -> None:
    topic = topics_of(session, subscriber)[1].id
    before = texts_of(session, subscriber)
    page = web.get(mute_url(base, topic, words, papers[MODELS[0]]))
    fields = {"topic": str(topic), "mute": words, "paper": str(papers[MODELS[0]])}
    for answer in (page, web.post(base, data=fields)):
        assert answer.status_code == 409
        assert "cannot be muted in “Model”" in answer.text
        assert "nothing would be left" in answer.text
        assert "ti:Pruned" in dict(offers_of(answer))
        assert f'method="post" action="{base}' not in answer.text
    assert texts_of(session, subscriber) == before


def test_a_topic_that_brings_nothing_anyway_can_mute_anything(
    web: httpx2.Client, session: Session, subscribers: Subscribers
) -> None:
    subscriber = subscribers.add("other@example.org", "xylophone")
    base = f"/change/{subscribers.token(Purpose.CHANGE, subscriber.id)}"
    topic = topics_of(session, subscriber)[0].id
    done = press(web, web.get(mute_url(base, topic, "model")))
    assert "“model” is muted" in done.text


def test_few_papers_left_are_two_of_many_or_a_tenth() -> None:
    few = [
        (before, after)
        for before in range(13)
        for after in range(before + 1)
        if leaves_few(before, after)
    ]
    assert (1, 0) in few
    assert (3, 1) in few
    assert (5, 2) in few
    assert leaves_few(400, 40)
    assert not any(
        leaves_few(*pair) for pair in [(0, 0), (1, 1), (2, 2), (3, 2), (5, 3), (400, 41)]
    )
