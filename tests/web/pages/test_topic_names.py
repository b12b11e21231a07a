"""Topics have names: derived, chosen in the preferences, or those of ready-made topics."""

import re

import httpx2
import pytest
from sqlalchemy.orm import Session
from support.web.site import Subscribers

from service.messages.signed_links import mute_url
from service.platform.signing.tokens import Purpose
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import get_named_topics
from service.topics.domain.ready_made import READY_FIELDS

QUERY = '"prompt tuning" OR "continual learning"'
MODELS = READY_FIELDS[0].topics[0]


@pytest.fixture
def subscriber(subscribers: Subscribers) -> Subscriber:
    return subscribers.add("reader@example.org", QUERY, "cats", MODELS.query)


@pytest.fixture
def link(subscribers: Subscribers, subscriber: Subscriber) -> str:
    return f"/preferences/{subscribers.token(Purpose.PREFERENCES, subscriber.id)}"


def names_of(session: Session, subscriber: Subscriber) -> list[str]:
    session.rollback()
    return [topic.name for topic in get_named_topics(session, [subscriber.id])[subscriber.id]]


def shown_names(page: httpx2.Response) -> list[tuple[str, str]]:
    """Return the value and the placeholder of each field for a name."""
    return re.findall(r'name="name"[^>]* value="([^"]*)" placeholder="([^"]*)"', page.text)


def save(web: httpx2.Client, link: str, **rows: list[str]) -> httpx2.Response:
    return web.post(link, data={"action": "save", **rows})


def test_topics_of_a_sign_up_have_short_names_and_ready_made_ones_keep_theirs(
    web: httpx2.Client, session: Session, subscriber: Subscriber, link: str
) -> None:
    names = ["Prompt tuning, continual learning", "Cats", "Large language models"]
    assert names_of(session, subscriber) == names
    blank = ("", "Name (optional)")
    shown = [("", names[0]), ("", names[1]), (names[2], names[2]), blank, blank]
    assert shown_names(web.get(link)) == shown


def test_a_chosen_name_stays_until_it_is_blank(
    web: httpx2.Client, session: Session, subscriber: Subscriber, link: str
) -> None:
    saved = save(web, link, topic=[QUERY, "cats"], name=["My  thesis ", ""])
    assert shown_names(saved)[:2] == [("My thesis", "My thesis"), ("", "Cats")]
    # The topic's text changes, and it moves: the chosen name follows its field, the other its text.
    save(web, link, topic=["dogs", f"{QUERY} OR lora"], name=["", "My thesis"])
    assert names_of(session, subscriber) == ["Dogs", "My thesis"]
    # A form without fields for names, as a program sends it, leaves names as they are.
    save(web, link, topic=[f"{QUERY} OR lora", "dogs", "birds"])
    assert names_of(session, subscriber) == ["My thesis", "Dogs", "Birds"]
    save(web, link, topic=["dogs", QUERY], name=["", ""])
    assert names_of(session, subscriber) == ["Dogs", "Prompt tuning, continual learning"]


def test_two_topics_never_have_one_name(
    web: httpx2.Client, session: Session, subscriber: Subscriber, link: str
) -> None:
    save(web, link, topic=["cats", "dogs", "", "cats -dogs"], name=["", "CATS", "", ""])
    assert names_of(session, subscriber) == ["Cats (2)", "CATS", "Cats (3)"]


def test_ticked_topics_after_the_fields_get_their_own_names(
    web: httpx2.Client, session: Session, subscriber: Subscriber, link: str
) -> None:
    other = READY_FIELDS[1].topics[0]
    rows = ["cats", "", "", other.query, MODELS.query]
    save(web, link, topic=rows, name=["Pets", "", ""])
    assert names_of(session, subscriber) == ["Pets", other.name, MODELS.name]


def test_a_long_name_is_refused_under_its_field(
    web: httpx2.Client, session: Session, subscriber: Subscriber, link: str
) -> None:
    before = names_of(session, subscriber)
    refused = save(web, link, topic=["cats", "dogs ("], name=["x" * 61, "Pets"])
    assert refused.status_code == 422
    assert 'id="name-fault-0" role="alert">A name has at most 60 characters.' in refused.text
    assert 'id="topic-fault-1"' in refused.text
    assert f'value="{"x" * 61}"' in refused.text
    assert 'value="Pets"' in refused.text
    assert names_of(session, subscriber) == before


def test_a_muted_word_does_not_change_a_name(
    web: httpx2.Client, subscribers: Subscribers, session: Session, subscriber: Subscriber
) -> None:
    base = f"/change/{subscribers.token(Purpose.CHANGE, subscriber.id)}"
    before = names_of(session, subscriber)
    for topic in get_named_topics(session, [subscriber.id])[subscriber.id]:
        session.rollback()
        fields = {"topic": str(topic.topic_id), "mute": "survey"}
        assert f"“{topic.name}”" in web.get(mute_url(base, topic.topic_id, "survey")).text
        assert web.post(base, data=fields).status_code == 200
    assert names_of(session, subscriber) == before
    web.post(base, data={"follow": "Ada Lovelace"})
    assert names_of(session, subscriber) == [*before, "Ada Lovelace"]
